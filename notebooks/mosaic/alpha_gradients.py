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
# # How the loss pulls at the attention weights
#
# *Attention Model on Mosaic image* (L. N. Pandey and R. Vashisht), section 7, Figures 4 and 5.
#
# **Claimed.** Nothing in words. The section defines two numbers, the mean gradients of the loss with respect to the
# attention weights of the foreground and of the background, and shows them in a picture. We recompute the picture and
# ask what it says.
#
# **Time on two cores.** smoke: seconds; laptop (5 seeds, 40 epochs): half a minute; paper (30 seeds, 200 epochs):
# about a quarter of an hour. Nearly all happens in the first twenty epochs: the laptop run shows all effects below.

# %% tags=["parameters"]
profile = "auto"  # smoke, laptop, paper; auto asks the machine
device = "auto"  # cpu, cuda
seed = 0  # the first of the seeds

# %%
import functools

import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown

from companion import plots, widgets
from companion.attention import gradients
from companion.data.synthetic import PLANE_MEANS
from companion.models.attention_planar import PlanarAttention
from companion.run import Run
from companion.tables import summarise, unroll

# %%
run = Run("mosaic/alpha_gradients", profile=profile, device=device, seed=seed)
scale = run.scale(
    smoke=dict(mosaics=250, epochs=2, looks=(0, 1, 2), seeds=2, arithmetic="fp64"),
    laptop=dict(mosaics=3000, epochs=40, looks=(*range(31), 40), seeds=5, arithmetic="fp64"),
    paper=dict(mosaics=3000, epochs=200, looks=(*range(31), *range(40, 201, 10)), seeds=30, arithmetic="fp64"),
)

# %% [markdown]
# ## The points
#
# A thousand points of ten classes, round clouds with standard deviation 0.1. Classes 0 to 2 are foreground. The means
# are only in a picture; we take those of the authors' notebooks for section 9, which has the same number of points and
# the same variance. A mosaic is one foreground point among eight background points, in nine slots.

# %%
cloud = gradients.draw_cloud(scale.mosaics, seed=seed)
draw_classes = functools.partial(
    plots.classes, cloud.points.numpy(), cloud.classes.numpy(), foreground=len(gradients.FOREGROUND)
)
run.figure(
    "points",
    draw_classes({"ten classes of points": None}, size=3.4),
    caption="Figure 4: the points of the first seed, foreground classes 0 to 2 in colour, background classes in greys.",
    n=1,
)

# %% [markdown]
# Each foreground class has background on all its sides, so no straight line parts the two. The nearest neighbours of
# every foreground class are background.
#
# ## The gradient
#
# A focus network (2-50-50-1) scores each point; a softmax makes the weights α; the classification network (2-50-3)
# answers for the weighted average $\bar x = \sum_k \alpha_k x_k$. The paper's gradient is taken at the softmax's
# output, as if the weights were free. Then the chain rule gives it in closed form:
#
# $$\frac{\partial L}{\partial \alpha_k} = \left\langle \frac{\partial L}{\partial \bar x},\, x_k \right\rangle .$$
#
# Every point is weighed by how far it lies along one direction, the *pull* on the average. Three ways to the same
# numbers, on an untrained network:


# %%
# NBVAL_CHECK_OUTPUT
def largest_gap(found, other):
    return float((found - other).abs().max() / found.abs().max())


small = gradients.draw_cloud(50, seed=0)
net = PlanarAttention(gradients.WHERE, gradients.WHAT, seed=0).double()
found = gradients.weight_gradients(net, small.mosaics, small.labels)
closed = (found.pull[:, None] * small.mosaics).sum(-1)
print("closed form agrees:       ", largest_gap(found.gradients, closed) < 1e-10)
print("finite differences agree: ",
      largest_gap(found.gradients, gradients.differences(net, small.mosaics, small.labels)) < 1e-5)  # fmt: skip
print("score gradients sum to 0: ", float(found.scores.sum(1).abs().max()) < 1e-12)

# %% [markdown]
# ## The experiment
#
# No code of this section was found. As in section 6: 3000 mosaics, SGD at 0.01 with momentum 0.9, batches of 250,
# double precision. Before training and after chosen epochs all mosaics are looked at. As a control the same network is
# trained with the weights *held* at 1/9: only the classification network learns.


# %%
def follow(held, seed):
    settings = dict(mosaics=scale.mosaics, epochs=scale.epochs, looks=scale.looks)
    dtype = torch.float64 if scale.arithmetic == "fp64" else torch.float32
    return gradients.follow(seed, held=held, dtype=dtype, **settings)


results = run.sweep(follow, held=[False, True], seed=run.seeds(scale.seeds), batch="seed", chunk=15)

# %%
WAYS = {False: "focus learned", True: "weights held at 1/9"}
EARLY = 30  # most happens in the first epochs
results["way"] = results["held"].map(WAYS)
course = unroll(results, "course", epoch=scale.looks, quantity=gradients.COURSE).rename(columns={"course": "value"})
early = course.query("epoch <= @EARLY")


def shown(names, table=early):
    """The rows of some quantities, under the names that a reader sees."""
    return table[table["quantity"].isin(names)].assign(quantity=lambda t: t["quantity"].map(names))


# %% [markdown]
# ## Figure 5 again


# %%
def against_epoch(names, ylabel, share=False, zero=True):
    """One panel for each way to focus: quantities against the epoch, with a line at zero."""
    parts = dict(list(shown(names).groupby("way", sort=False)))
    line = functools.partial(plots.curves, x="epoch", y="value", hue="quantity", share=share)
    figure = plots.panels(parts, line, size=(3.2, 2.5), xlabel="epoch", ylabel=ylabel)
    for ax in figure.axes if zero else ():
        ax.axhline(0, color="0.6", lw=0.8, zorder=0)
    return figure


# %%
BOTH = {"foreground": "foreground", "background": "background"}
run.figure(
    "gradients",
    against_epoch(BOTH, "mean ∂L/∂α (nats)"),
    caption="Figure 5: mean gradient of the loss with respect to the attention weight of the foreground and, averaged "
    "over eight, of the background, through training; left with the focus network learning, right with all weights "
    "held at 1/9. Mean and 95 % interval over seeds.",
)

# %% [markdown]
# Before training neither gradient says anything: the classification network answers at random, and so pulls at random.
# With the first epochs the foreground's gradient turns negative and the background's positive: more weight on the
# foreground would lower the loss. On the left both then go back to zero; on the right they stay.
#
# Each dot product has the *place of the origin* in it. Move all points by *c*, let the first biases of both networks
# make up for it, and no weight and no answer changes; but every gradient grows by ⟨∂L/∂x̄, *c*⟩. Only the difference
# between foreground and background means anything.

# %%
# NBVAL_CHECK_OUTPUT
shift = torch.tensor([3.0, -1.0], dtype=torch.float64)
moved = gradients.weight_gradients(gradients.moved_origin(net, shift), small.mosaics + shift, small.labels)
rise = (found.pull @ shift)[:, None]
print("weights unchanged:       ", torch.allclose(moved.weights, found.weights))
print("gradients unchanged:     ", torch.allclose(moved.gradients, found.gradients))
print("gradients less the rise: ", torch.allclose(moved.gradients - rise, found.gradients))

# %%
wide = course.pivot_table(index=["way", "seed", "epoch"], columns="quantity", values="value", sort=False).reset_index()
wide["difference"] = wide["foreground"] - wide["background"]
learned = wide.query("way == 'focus learned' and epoch <= @EARLY")
ORIGINS = {"as in Figure 4": (0, 0), "moved 10 to the left": (10, 0), "moved 10 down": (0, 10)}
parts = []

# %%
for name, (x, y) in ORIGINS.items():
    rise = x * learned["pull_x"] + y * learned["pull_y"]
    told = {"foreground": learned["foreground"] + rise, "background": learned["background"] + rise}
    parts.append(learned[["seed", "epoch"]].assign(origin=name, **told, difference=learned["difference"]))
parts = pd.concat(parts).melt(["seed", "epoch", "origin"], ["foreground", "background", "difference"], "quantity")

# %%
line = functools.partial(plots.curves, x="epoch", y="value", hue="quantity")
by_origin = {name: parts.query("origin == @name") for name in ORIGINS}
run.figure(
    "origin",
    plots.panels(by_origin, line, size=(2.7, 2.4), xlabel="epoch", ylabel="mean ∂L/∂α (nats)"),
    caption="The same networks, the origin of the plane elsewhere: the two gradients move together, their difference "
    "stays. Mean and 95 % interval over seeds.",
)

# %% [markdown]
# The two curves change with the origin, and their intervals widen with its distance; the difference is the same in all
# panels.
#
# ## From the gradient to the focus
#
# The weights are not free: they add up to one, and the focus network moves their *scores*. By the softmax, the gradient
# with respect to a score is $\alpha_k\,(g_k - \sum_j \alpha_j g_j)$, with *g* the gradients above.

# %%
FORCES = {"difference": "foreground − background", "score": "foreground's score"}
both = wide.melt(["way", "seed", "epoch"], list(FORCES), "quantity").query("epoch <= @EARLY")
parts = {FORCES[name]: both.query("quantity == @name") for name in FORCES}
line = functools.partial(plots.curves, x="epoch", y="value", hue="way")
figure = plots.panels(parts, line, size=(3.2, 2.5), xlabel="epoch", ylabel="gradient (nats)")
run.figure(
    "forces",
    figure,
    caption="The difference of the two gradients, and the gradient with respect to the score of the foreground, "
    "through training, with the focus learned and held. Mean and 95 % interval over seeds.",
)

# %%
SHARES = {
    "weight": "weight of the foreground",
    "focus": "foreground has the largest weight",
    "lower": "foreground's gradient is lower",
    "accuracy": "answer is right",
}

# %%
run.figure(
    "focus",
    against_epoch(SHARES, "share or weight", share=True, zero=False),
    caption="Mean weight of the foreground; shares of mosaics in which it has the largest weight, in which its "
    "gradient is below the mean of the others', and which are answered rightly. Mean and 95 % interval over seeds.",
)

# %% [markdown]
# The *direction* is there first: after a few epochs the foreground's gradient is below the others' in almost every
# mosaic, while the weights are still nearly even and most answers wrong. The weights follow. Answers come right before
# the focus does: a foreground with a part of the weight is enough for the classification network, even where another
# point has more. Then the loss is nearly zero, and so is every gradient: the weight of the foreground stops short of
# one, not because the focus is perfect but because little pulls any more. The control shows the other end: with the
# weights held, the loss stays, and the gradients keep pulling at weights that cannot move.

# %%
last = wide[wide["epoch"] == scale.looks[-1]]
end = summarise(last, ["loss", "accuracy", "weight", "foreground", "background", "difference"], "way")
run.table("end", end.round(5), caption="After the last epoch, with 95 % intervals.")

# %%
steepest = learned.loc[learned.groupby("seed")["difference"].idxmin()]
right = learned[learned["accuracy"] > 0.99].groupby("seed").first()
Markdown(
    f"The difference is steepest at epoch {steepest['epoch'].mean():.1f} on average, at a loss of "
    f"{steepest['loss'].mean():.2f} nats and a foreground weight of {steepest['weight'].mean():.2f}. "
    + (
        f"Where 99 % of answers are right first, at epoch {right['epoch'].mean():.1f}, the foreground's weight is "
        f"{right['weight'].mean():.2f}, and the largest in {100 * right['focus'].mean():.0f} % of the mosaics."
        if len(right)
        else ""
    )
)

# %% [markdown]
# ## Which points attract
#
# The mean gradient of each class, less the mean of its mosaic, at several times; orange attracts weight, blue repels.

# %%
MOMENTS = [look for look in (0, 2, 5, 10, 20, scale.looks[-1]) if look in scale.looks]
MOMENTS = list(dict.fromkeys(MOMENTS))


def attraction(way, epoch, one=None):
    """Mean gradient of every class over seeds, or of one seed."""
    chosen = results.query("way == @way")
    chosen = chosen if one is None else chosen.query("seed == @one")
    return np.stack(chosen["by_class"])[:, scale.looks.index(epoch)].mean(0)


run.figure(
    "attraction",
    draw_classes({f"epoch {e}": attraction(WAYS[False], e) for e in MOMENTS}, across=3, unit="nats"),
    caption="Mean gradient of each class of points, less the mean of its mosaic, through training; rings mark the "
    "foreground. The number below is the end of each panel's colour scale.",
)

# %% [markdown]
# No class is marked as foreground for the network. It finds them by the loss alone: once it learns, the three classes
# that come with the labels attract weight, and the others repel it or are left out. The class in the middle of the
# plane is nearly neutral at all times: the gradient is a product with the place, and its place is nearly zero.

# %%
distance = np.linalg.norm(PLANE_MEANS.numpy(), axis=1)
table = {f"epoch {e}": attraction(WAYS[False], e) for e in MOMENTS}
table = pd.DataFrame(table, index=pd.Index(range(gradients.CLASSES), name="class"))
table.insert(0, "distance from the origin", distance)
run.table("attraction", table.round(4), caption="Mean gradient by class, less the mean of the mosaic (nats).")

# %% [markdown]
# ## An explorer
#
# One network at a time, through the epochs.


# %%
def view(way, network, epoch):
    values = attraction(way, epoch, run.first_seed + network)
    return [draw_classes({f"epoch {epoch}": values}, size=3.4, unit="nats")]


widgets.explore(view, way=list(WAYS.values()), network=range(scale.seeds), epoch=scale.looks)

# %% [markdown]
# ## The claim
#
# The section claims a definition only; the checks above tell that it is met: derivatives at the softmax's output, with
# the weights free of one another.

# %%
free = largest_gap(found.gradients, closed) < largest_gap(found.scores, closed)
run.claim("mosaic.s7.def", "softmax output" if free else "scores")

# %%
run.finish()

# %% [markdown]
# ## What to try next
#
# - Start from a focus network that looks at a background class (train it to do so first). Does the gradient bring it
#   back, and how long does that take?
# - Give the foreground classes the same place, apart from the labels. What is left of the difference?
# - Add weight decay: does the weight of the foreground still stop where the loss ends?
# - Take the gradient at the scores for both networks and compare the size of their steps. Which of them leads?
