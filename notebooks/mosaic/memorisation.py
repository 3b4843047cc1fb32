# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Memorisation: what is learnt first, and what it costs to go on
#
# *Attention Model on Mosaic image* (L. N. Pandey and R. Vashisht), section 5, an extension: the same trainings as in
# [random_labels](random_labels.ipynb), epoch by epoch.
#
# **Claimed.** The document says only that networks generalise under noise although they learn all labels by heart. It
# leaves open what decides the meaning of that: are true labels learnt before random ones, how much better is a network
# that stops early, and how sure is it of what it learnt by heart?
#
# **Time on two cores.** smoke: seconds; laptop: a minute, less where random_labels has been run before (the networks
# are the same); paper: those of Table 4, a day on a GPU. The laptop run has 1,200 images and a small network: order and
# cost show, their sizes at full scale do not.

# %% tags=["parameters"]
profile = "auto"  # smoke, laptop, paper; auto asks the machine
device = "auto"  # cpu, cuda
seed = 0  # the first of the seeds

# %%
import functools

import pandas as pd
from IPython.display import Markdown, display

from companion import data, plots
from companion.label_noise import random_labels
from companion.run import Run
from companion.tables import summarise, unroll

# %%
run = Run("mosaic/memorisation", profile=profile, device=device, seed=seed)
PERCENT = (0, 5, 10, 20, 30, 40, 50, 100)
scale = run.scale(
    smoke=dict(network="small", images=120, true_images=60, tests=100, epochs=3, batch=32, optimizer="adam", lr=1e-3,
               milestones=(1, 3), watched=100, percent=(0, 50), kinds=("coded", "exact"), seeds=2),
    laptop=dict(network="small", images=1_200, true_images=600, tests=2_000, epochs=60, batch=32, optimizer="adam",
                lr=1e-3, milestones=(1, 2, 4, 6, 8, 10, 12, 15, 18, 22, 26, 30, 40, 50, 60), watched=1_200,
                percent=(0, 20, 50, 100), kinds=("exact",), seeds=3),
    paper=dict(network="mini", images=50_000, true_images=25_000, tests=10_000, epochs=100, batch=256, optimizer="sgd",
               lr=0.01, milestones=(1, 2, 3, 5, 7, 10, 15, 20, 25, 30, 40, 50, 60, 70, 80, 90, 100), watched=5_000,
               percent=PERCENT, kinds=("coded", "exact"), seeds=3),
)  # fmt: skip

# %% [markdown]
# ## The same trainings
#
# One unit is one training on labels of which a share is random, as in the other notebook: until all are known by heart.
# At some epochs the network is asked for its training images and for the tests.


# %%
def trained(kind, percent, seed, checkpoint=None):
    share = percent / 100
    examples = random_labels.cropped(data.cifar10("train"), scale.images, scale.network)
    tests = random_labels.cropped(data.cifar10("test"), scale.tests, scale.network)
    drawn = random_labels.training_labels(examples.labels, kind, share, scale.true_images)
    settings = dict(epochs=scale.epochs, batch=scale.batch, optimizer=scale.optimizer, lr=scale.lr)
    return random_labels.train(
        scale.network, examples, drawn, tests, share, seed=seed, milestones=scale.milestones, watched=scale.watched,
        checkpoint=checkpoint, **settings,
    )  # fmt: skip


# %%
table = run.sweep(trained, kind=["total"], percent=scale.percent, seed=run.seeds(scale.seeds))
table["labels"] = [f"{percent} % random" for percent in table["percent"]]
MIXED = [f"{percent} % random" for percent in scale.percent if 0 < percent < 100]  # true labels and random ones
run.table(
    "epochs", summarise(table, "epochs", "labels"), caption="Epochs until a mean loss below 0.01, or all of them."
)

# %% [markdown]
# ## What is learnt first
#
# *True* images have true labels. Images with a random label can be answered with that label (known by heart) or with
# their own class (known in spite of the label).

# %%
COURSES = {
    "course_true": "true label, answered so",
    "course_noise_given": "random label, answered so",
    "course_noise_true": "random label, own class",
}
parts = [
    unroll(table, column, epoch=scale.milestones).rename(columns={column: "share"}).assign(answer=name)
    for column, name in COURSES.items()
]
learnt = pd.concat(parts, ignore_index=True).dropna(subset="share")
draw = functools.partial(plots.curves, x="epoch", y="share", hue="answer", share=True, log_x=True)
panels = {name: learnt[learnt["labels"] == name] for name in MIXED}
figure = plots.panels(panels, draw, across=2, size=(2.9, 2.2), xlabel="epoch", ylabel="training images (share)")
run.figure("order", figure, caption="Answers to training images during training.", n=scale.seeds)


# %%
def half_known(table, column):
    """First of the epochs looked at by which half of the labels are known."""
    known = unroll(table, column, epoch=scale.milestones)
    reached = known[known[column] >= 0.5]
    return reached.groupby(["labels", "seed"], sort=False)["epoch"].min()


halves = pd.DataFrame({
    "true labels": half_known(table, "course_true"), "random labels": half_known(table, "course_noise_given"),
}).reset_index()  # fmt: skip
halves = (
    halves.groupby("labels")[["true labels", "random labels"]].mean().reindex(table["labels"].unique()).reset_index()
)
run.table(
    "halves", halves, caption="Epoch by which half of the labels are known, mean over seeds (empty: no such labels)."
)

# %% [markdown]
# Where there is something to learn, true labels come first: the images that share a class help each other, each random
# label must be learnt by itself. On the way the network gives images with random labels their *own* class more often
# than chance, and unlearns it again: the third curve rises and falls.
#
# ## What it costs to go on
#
# Accuracy on true test labels along the training. The best of the epochs looked at is chosen by the tests themselves,
# which flatters it a little; the last is what the tables of the document hold.

# %%
tests = unroll(table, "course_test", epoch=scale.milestones).dropna(subset="course_test")
figure = plots.curves(
    tests, "epoch", "course_test", hue="labels", share=True, log_x=True, ylabel="accuracy on true test labels"
)
run.figure("tests", figure, caption="Accuracy on true test labels during training.", n=scale.seeds)

# %%
best = tests.groupby(["labels", "percent", "seed"], sort=False)["course_test"].max().rename("best epoch").reset_index()
ends = best.merge(table[["labels", "seed", "accuracy_test_true"]].rename(columns={"accuracy_test_true": "last epoch"}))
ends["cost"] = ends["best epoch"] - ends["last epoch"]
stops = ends.melt(["labels", "seed"], ["best epoch", "last epoch"], "stopped at", "accuracy")
figure = plots.strip(stops, "labels", "accuracy", hue="stopped at", share=True, ylabel="accuracy on true test labels")
run.figure("stopped", figure, caption="Accuracy at the best epoch looked at, and at the last.", n=scale.seeds)

# %%
cost = summarise(ends, "cost", "labels")
run.table("cost", cost, caption="Accuracy (share) lost by learning the rest by heart, over seeds.")
largest = cost.loc[cost["mean"].idxmax()]
display(Markdown(
    f"Learning on costs most with **{largest['labels']}** labels: {100 * largest['mean']:.1f} points "
    f"[{100 * largest['low']:.1f}, {100 * largest['high']:.1f}]."
))  # fmt: skip

# %% [markdown]
# With true labels only, going on costs little or nothing. With random ones, a network that is stopped when true labels
# are known and random ones are not is better than the tables say.
#
# ## How sure it is
#
# The margin of an image is the probability of its label minus the largest of the others: 1 is certain, below 0 is
# wrong. At the end of training, for true and random training labels and for test images.

# %%
MIDDLES = (random_labels.MARGINS[1:] + random_labels.MARGINS[:-1]) / 2
KINDS = ("true label", "random label", "test image")
counts = unroll(table, "margins", images=KINDS, margin=MIDDLES)
total = counts.groupby(["labels", "seed", "images"], sort=False)["margins"].transform("sum")
counts["share"] = counts["margins"] / total.where(total > 0)
counts = counts.dropna(subset="share")
counts["at least"] = counts[::-1].groupby(["labels", "seed", "images"], sort=False)["share"].cumsum()[::-1].clip(0, 1)

# %%
draw = functools.partial(plots.curves, x="margin", y="at least", hue="images", share=True)
panels = {name: counts[counts["labels"] == name] for name in MIXED}
figure = plots.panels(
    panels, draw, across=2, size=(2.9, 2.2), xlabel="margin", ylabel="images with at least this margin"
)
run.figure("margins", figure, caption="Margins at the end of training.", n=scale.seeds)

# %% [markdown]
# The curves of true and of random training labels nearly coincide: the network's confidence does not tell what it
# learnt from what it memorised. Test images show the difference: the more labels are random, the more of them are
# answered wrongly and with confidence.

# %%
run.finish()

# %% [markdown]
# ## What to try next
#
# - `SCALE="images=5000"` at laptop: is the hump of the third curve higher with more images of each class?
# - Choose the epoch by a held-out piece of *noisy* labels: how much of the gain is left?
# - Order the images by the epoch in which they are first known, and look at the last hundred true ones.
