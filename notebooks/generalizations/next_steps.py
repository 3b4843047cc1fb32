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
# # What the author would have done next
#
# *Finding Generalizations in Multi-Class Image Classifiers* (C. Richoux), section 5, "Next steps".
#
# **Claimed** is little: these are questions. Do networks recover from wrong labels, and does it matter when they saw
# them? Do generalizations grow slowly, or suddenly? Can one see in the early weights what went wrong? Which units are
# one idea together? And one conjecture from section 4: interference would go away with more parameters.
#
# **Time on two cores.** smoke: seconds; laptop: under three minutes, enough to see the large effects (how wrong
# labels are unlearned, what layers show) but not those of one class on another; paper: days, hours on a GPU.

# %% tags=["parameters"]
profile = "auto"  # smoke, laptop, paper; auto asks the machine
device = "auto"  # cpu, cuda
seed = 0  # the first of the seeds

# %%
import numpy as np
import pandas as pd
import torch

from companion import confusion, data, models, plots, stats, tables, training
from companion.confusion import CLEAN, PAIRS
from companion.run import Run

# %%
run = Run("generalizations/next_steps", profile=profile, device=device, seed=seed)
scale = run.scale(
    smoke=dict(
        images=100, scored=100, arithmetic="fp32", late_epochs=8, late_pairs=2, late_seeds=2, trials=2, epochs=1,
        pieces=4, fine=1, widths=(0.25, 0.5), wide_pairs=4, wide_seeds=2, wide_epochs=1, dreamers=1, dreamer_images=100,
        dreamer_epochs=1, steps=2,
    ),
    laptop=dict(
        images=640, scored=200, arithmetic="fp32", late_epochs=8, late_pairs=2, late_seeds=2, trials=2, epochs=3,
        pieces=4, fine=1, widths=(0.25, 0.5, 1, 2), wide_pairs=4, wide_seeds=3, wide_epochs=3, dreamers=2,
        dreamer_images=1_600, dreamer_epochs=5, steps=60,
    ),
    paper=dict(
        images=45_000, scored=5_000, arithmetic="fp32", late_epochs=20, late_pairs=6, late_seeds=10, trials=10,
        epochs=10, pieces=20, fine=3, widths=(0.25, 0.5, 1, 2, 4), wide_pairs=12, wide_seeds=20, wide_epochs=15,
        dreamers=5, dreamer_images=45_000, dreamer_epochs=10, steps=200,
    ),
)  # fmt: skip

# %% [markdown]
# All networks here learn from the first training images in batches of 32, with the tutorial's optimiser. Networks of
# one *trial* (one seed) start from the same weights and see the same images in the same order: they differ in what
# the experiment changes and in nothing else, so that differences between them have less noise.

# %%
CLASSES = data.CIFAR10_CLASSES
ADAM = dict(batch=32, optimizer="adam", lr=1e-3, eps=1e-7)


def images_and_labels():
    """Training inputs, training labels; the test set."""
    known, unseen = data.cifar10("train"), data.cifar10("test")
    tested = unseen.inputs[: scale.scored], unseen.labels[: scale.scored]
    return known.inputs[: scale.images], known.labels[: scale.images], tested


# %% [markdown]
# ## Wrong labels for a while
#
# "It'd be interesting to mistrain at different times and then train correctly." Half of the labels of a pair are
# swapped from one epoch to another and true before and after. In twentieths of the training:

# %%
# NBVAL_CHECK_OUTPUT
WINDOWS = {"never": (0, 0), "0–2": (0, 2), "0–5": (0, 5), "0–10": (0, 10)}
WINDOWS |= {"5–10": (5, 10), "10–15": (10, 15), "15–20": (15, 20)}
LATE_PAIRS = [(1, 9), (0, 6), (3, 5), (1, 6), (0, 8), (5, 9)]  # within the families and across in turn
for first, second in LATE_PAIRS:
    print(CLASSES[first], "–", CLASSES[second])

# %% [markdown]
# Every epoch is a lesson with its own labels; weights, optimiser and order of the images run on from one to the next.


# %%
def recovered(pair, window, seed):
    images, true, tested = images_and_labels()
    swapped = data.swap_halves(true, pair, seed=seed)
    first, last = (round(end * scale.late_epochs / 20) for end in WINDOWS[window])
    lessons = [(images, swapped if first <= epoch < last else true) for epoch in range(scale.late_epochs)]
    seen = confusion.in_lessons(
        models.CifarCNN(seed=seed), lessons, seed=seed, measure=lambda net: confusion.standing(net, tested),
        at=QUARTERS, arithmetic=scale.arithmetic, **ADAM,
    )  # fmt: skip
    return {name: np.stack([one[name] for one in seen]) for name in ("score", "own")}


QUARTERS = [round(scale.late_epochs * eighth / 8) for eighth in range(1, 9)]
QUARTERS = QUARTERS if scale.late_epochs > 8 else QUARTERS[1::2]  # the laptop looks at every second epoch only

# %%
late = run.sweep(
    recovered, pair=LATE_PAIRS[: scale.late_pairs], window=list(WINDOWS), seed=run.seeds(scale.late_seeds)
)


# %% [markdown]
# What counts is the loss of the two classes (−S, as in [confused_pairs](confused_pairs.ipynb)) less that of the
# network of the same trial that never saw a wrong label: the *deficit*.


# %%
def deficits(table):
    """One row per trial, window and epoch: what the pair and the eight bystanders lose against `never`, in bits."""
    loss = {(row.pair, row.window, row.seed): -row.score for row in table.itertuples()}
    rows = []
    for (pair, window, one), found in loss.items():
        more = found - loss[pair, "never", one]
        for epoch, line in zip(QUARTERS, more, strict=True):
            others = np.delete(line, pair).mean()
            rows.append((window, f"{pair} {one}", epoch, line[list(pair)].mean(), others))
    return pd.DataFrame(rows, columns=["wrong labels", "trial", "epoch", "pair", "bystanders"])


deficit = deficits(late)

# %%
parts = {name: deficit.assign(deficit=deficit[name]) for name in ("pair", "bystanders")}
shown = {name: part[part["wrong labels"] != "never"] for name, part in parts.items()}


def draw(part, **panel):
    return plots.curves(part, "epoch", "deficit", hue="wrong labels", **panel)


figure = plots.panels(shown, draw, size=(3.1, 2.8), xlabel="epoch", ylabel="bits more than never misled")
run.figure("recovery", figure, caption="Loss of the confused pair and of the others, less that without wrong labels.")

# %% [markdown]
# A curve that rises while the labels are wrong and falls back to zero afterwards is a network that recovers. Those
# misled late have no time to recover, so the end of training is not a fair moment to compare. The second column of the
# table looks at each network one quarter of the training *after* its labels were put right.

# %%
quarter = scale.late_epochs // 4
ends = {name: round(last * scale.late_epochs / 20) for name, (_, last) in WINDOWS.items() if name != "never"}
rows = []
for name, end in ends.items():
    own = deficit[deficit["wrong labels"] == name]
    moments = {"when put right": end, "a quarter later": end + quarter, "at the end": scale.late_epochs}
    for moment, epoch in moments.items():
        at = own[own["epoch"] == epoch]
        rows += [dict(window=name, moment=moment, who=who, bits=value) for who in ("pair", "bystanders")
                 for value in at[who]]  # fmt: skip
moments = tables.summarise(pd.DataFrame(rows), "bits", ["window", "moment", "who"])
wide = moments.pivot_table(index=["who", "window"], columns="moment", values="mean", sort=False)
run.table("recovery", moments, caption="Deficits in bits, with 95 % intervals over pairs and trials.")
wide.loc["pair"].round(3)

# %%
start = {name: first for name, (first, last) in WINDOWS.items() if last - first == 5}
equal = pd.DataFrame(rows).query("who == 'pair' and window in @start")
equal = equal.assign(start=equal["window"].map(start) / 20)
figure = plots.curves(equal, "start", "bits", hue="moment", xlabel="wrong labels begin after", ylabel="deficit (bits)")
figure.axes[0].xaxis.set_major_formatter(plots.PERCENT)
run.figure("critical_period", figure, caption="Deficit of the pair after a quarter of training on wrong labels.")

# %% [markdown]
# Is there a *critical period*, as in animals, after which what was missed cannot be made up? Then the line "at the end"
# would be high on the left, where the wrong labels came first and there was most time to forget them. A line that
# rises to the right says the contrary: what was learned last counts. The line "a quarter later" is free of the head
# start; where it is flat, timing does not matter.

# %% [markdown]
# ## Gradual or sudden?
#
# "Does it slowly develop from the random noise, or do two concepts stumble onto a steep improvement?" We follow the
# score and the probability of the true class in networks of all 45 pairs, several times within the first epochs. The
# same networks serve the next section, so what their layers hold at the end is kept as well.

# %%
LOOKS = [*range(1, scale.fine * scale.pieces + 1), *range((scale.fine + 1) * scale.pieces, scale.epochs * scale.pieces + 1, scale.pieces)]  # fmt: skip  # noqa: E501


def watched(pair, seed):
    images, true, tested = images_and_labels()
    taught = images, data.swap_halves(true, pair, seed=seed)
    net = models.CifarCNN(seed=seed)
    pieces = confusion.slices(taught, scale.pieces, epochs=scale.epochs, seed=seed)
    seen = confusion.in_lessons(
        net, pieces, seed=seed, measure=lambda net: confusion.standing(net, tested), at=LOOKS,
        arithmetic=scale.arithmetic, **ADAM,
    )  # fmt: skip
    filters = net.conv1.weight.detach().cpu().flatten(1).numpy()
    cosines = confusion.layer_cosines(net, *(part[:500] for part in tested))
    kept = {"filters": confusion.rounded(filters, 2**-8), "cosines": confusion.rounded(cosines, 2**-8)}
    return kept | {name: np.stack([one[name] for one in seen]) for name in ("score", "own")}
