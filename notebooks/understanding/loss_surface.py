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
# # The loss surface: many minima, nearly equal in quality
#
# *Understanding Neural Networks* (C.-C. Jay Kuo), slides "Problem in Loss Function Optimization (Backpropagation)" and
# "Energy Surface of SSG".
#
# **Claimed.** The loss is "highly non-convex"; "there are many local minima" and "most solutions are trapped" by one;
# critical points are mostly saddles; yet minima "are relatively easy to find and they are all more or less equivalent"
# on test data. The slides give no number and no experiment.
#
# **Time on two cores.** smoke: seconds; laptop: a minute; paper (60,000 digits, 100 starts each, up to 500 units): ten
# hours. The laptop run has a thirtieth of the digits and up to 25 units where minima are looked at closely: all
# four claims can be seen in it, but its nets learn their few digits by heart.

# %% tags=["parameters"]
profile = "auto"  # smoke, laptop, paper; auto asks the machine
device = "auto"  # cpu, cuda
seed = 0  # the first of the seeds

# %%
import functools

import numpy as np
import pandas as pd
from torch import nn

from companion import data, minima, models, plots, stats, tables, training, widgets
from companion.run import Run

# %%
run = Run("understanding/loss_surface", profile=profile, device=device, seed=seed)
scale = run.scale(
    smoke=dict(images=300, tests=300, epochs=4, wide=(10, 25), starts=5, units=(1, 2, 3), net=3, pairs=3, bent=1,
               looks=200),
    laptop=dict(
        images=2_000, tests=10_000, epochs=20, wide=(25, 100, 500), starts=20, units=(2, 3, 5, 10, 25), net=10,
        pairs=6, bent=3, looks=500,
    ),
    paper=dict(
        images=60_000, tests=10_000, epochs=200, wide=(25, 100, 500), starts=100, units=(2, 3, 5, 10, 25, 50, 100),
        net=10, pairs=50, bent=5, looks=5_000,
    ),
)  # fmt: skip
DECAY = 1e-3  # weight decay

# %% [markdown]
# ## Small digits, small networks
#
# MNIST at 10×10 pixels (four pixels cut off on each side, then means of 2×2), so that a network with one hidden layer
# has few enough weights to look at all of them. Every weight starts anywhere between −1 and 1, and stochastic gradient
# descent goes down from there.


# %%
def digits(split, n):
    images, labels = data.mnist(split)
    return data.shrunk(images[:n]).flatten(1), labels[:n]


def start(hidden, activation, seed):
    module = {"tanh": nn.Tanh, "relu": nn.ReLU}[activation]
    return models.uniform_start(models.MLP((100, hidden, 10), seed=seed, activation=module), seed=seed)


def trained(hidden, activation, decay, seeds):
    build = functools.partial(start, hidden, activation)
    settings = dict(epochs=scale.epochs, lr=0.1, weight_decay=decay, batch=100, schedule=lambda n: 1 / (1 + n / 100))
    return training.fit_many(lambda seed: build(seed=seed), *digits("train", scale.images), seeds, **settings)[0]


# %%
images, _ = data.mnist("test")
shown = {"28×28": images[:8, 0].numpy(), "10×10": data.shrunk(images[:8])[:, 0].numpy()}
run.figure("digits", plots.images(shown), caption="Eight test digits as they are, and at 10x10 pixels.", n=8)

# %% [markdown]
# ## Equal on test data?
#
# Many starts for each width; nothing but the seed differs.


# %%
def quality(hidden, seed):
    """Where training ends, from many starts."""
    nets = trained(hidden, "tanh", DECAY, seed)
    train, test = (minima.Surface.over(*digits(*part), decay=decay)
                   for part, decay in ((("train", scale.images), DECAY), (("test", scale.tests), 0)))  # fmt: skip
    ends = [minima.Weights.of(nets[place]) for place in range(len(seed))]
    return [
        dict(train=train.loss(end), test=test.loss(end), accuracy=test.accuracy(end), slope=train.gradient(end).norm)
        for end in ends
    ]


# %%
table = run.sweep(quality, hidden=list(scale.wide), seed=run.seeds(scale.starts), batch="seed", chunk=25)
figure = plots.strip(table, "hidden", "test", xlabel="hidden units", ylabel="test loss (nats)")
run.figure("spread", figure, caption="Test loss of every start, by width, with mean and interval.", n=scale.starts)

# %% [markdown]
# Points of one column differ in the start alone. How much is that, beside their mean, and beside what another width
# would change?


# %%
def relative(values):
    return np.std(values, ddof=1) / np.mean(values)


found = {hidden: stats.bootstrap(relative, part["test"]) for hidden, part in table.groupby("hidden")}
spread = pd.DataFrame([
    {"hidden units": hidden, "sd / mean": one.mean, "low": one.low, "high": one.high}
    | table.loc[table.hidden == hidden, ["test", "accuracy", "slope"]].mean().to_dict()
    for hidden, one in found.items()
])  # fmt: skip
run.table("spread", spread.set_index("hidden units"), caption="Spread of the test loss over starts, 95 % interval.")

# %% [markdown]
# The seed moves the loss by a few percent: that much is "more or less equivalent". The last column is a warning: the
# gradient there is far from zero. These ends are no minima, and what the table shows is how training behaves, not how
# the surface does.

# %% [markdown]
# ## Is there a minimum at all?
#
# To get to one, descend on with all images at once (L-BFGS) until the gradient is gone. Whether that succeeds hangs on
# the surface. Four of them, from the same two starts:


# %%
def floor(activation, decay, seed):
    """Where the descent ends on one kind of surface."""
    nets = trained(scale.net, activation, decay, seed)
    surface = minima.Surface.over(*digits("train", scale.images), activation=activation, decay=decay)
    starts = [minima.Weights.of(nets[place]) for place in range(len(seed))]
    ends = [minima.polish(surface, one, most=scale.looks) for one in starts]
    return [dict(loss=end.loss, slope=end.slope, norm=end.weights.norm, looks=end.looks) for end in ends]


# %%
kinds = run.sweep(floor, activation=["relu", "tanh"], decay=[0.0, DECAY], seed=run.seeds(2), batch="seed")
run.table("floors", kinds, caption="Loss, gradient norm and weight norm where L-BFGS ends, or is stopped.")

# %% [markdown]
# - Without weight decay the weights grow and the loss keeps falling: where a network can learn its images by heart, the
#   surface slopes down for ever and its lowest "point" lies at infinity.
# - With decay and the rectifier, the gradient stops shrinking. The surface is made of smooth pieces that meet in
#   creases, and its low points lie in the creases, where there is no gradient to vanish.
# - With decay and tanh the gradient goes below any bound asked for. *This* surface has minima.
#
# So the fourth surface is the one looked at from here on.

# %% [markdown]
# ## Pairs of minima
#
# Numbering the hidden units otherwise changes nothing, nor does turning the sign of all that goes into one unit and
# comes out of it (tanh is odd). So each minimum has very many copies. Before two are compared, the units of one are
# numbered and signed so that it lies as near as may be to the other (an assignment problem).
#
# One unit: two starts, the minima that they lead to, and what lies between.

# %%
SHARES = np.linspace(0, 1, 21).tolist()  # of the way from one minimum to the other
TICKS = np.linspace(-0.5, 1.5, 17).tolist()  # of a map, in the same unit
NAMES = ["a", "b", "b matched"]  # of the points on it


def pair(hidden, seed):
    """Two starts, their minima, and the surface between these."""
    surface = minima.Surface.over(*digits("train", scale.images), decay=DECAY)
    unseen = minima.Surface.over(*digits("test", scale.tests))
    nets = trained(hidden, "tanh", DECAY, [2 * one + end for one in seed for end in (0, 1)])
    ends = [minima.polish(surface, minima.Weights.of(nets[place])) for place in range(2 * len(seed))]
    return [between(surface, unseen, *ends[k : k + 2]) for k in range(0, len(ends), 2)]


# %%
def between(surface, unseen, *ends):
    one, other = (end.weights for end in ends)
    copy = minima.matched(other, one, odd=True)
    heights, places = minima.plane(surface, one, other, copy, TICKS)
    return dict(
        loss=[end.loss for end in ends], slope=[end.slope for end in ends], looks=[end.looks for end in ends],
        test=[unseen.loss(end.weights) for end in ends],
        norms=np.stack([sizes(end.weights) for end in ends]),
        opened=np.stack([surface.opened(end.weights).cpu() for end in ends]),
        apart=minima.distance(one, other), matched=minima.distance(one, copy),
        line=minima.along(surface, one, other, SHARES), matched_line=minima.along(surface, one, copy, SHARES),
        plane=heights, places=places,
    )  # fmt: skip


# %%
def sizes(weights):
    """Norms of the hidden units, the largest first; up to 100, absent ones have none."""
    return np.pad(weights.units.norm(dim=1).sort(descending=True)[0].cpu(), (0, 100 - len(weights.inner)))


pairs = run.sweep(pair, hidden=list(scale.units), seed=run.seeds(scale.pairs), batch="seed", chunk=4)

# %%
ENDS = ["loss", "test", "slope", "looks"]
ends = tables.unroll(pairs, "loss", end=[0, 1]).assign(**{name: np.concatenate(list(pairs[name])) for name in ENDS})
summary = ends.groupby("hidden").agg(
    starts=("loss", "size"), loss=("loss", "mean"), sd=("loss", "std"), lowest=("loss", "min"), test=("test", "mean"),
    test_sd=("test", "std"), slope=("slope", "max"), looks=("looks", "mean"),
)  # fmt: skip
run.table("minima", summary, caption="Minima by width: loss with its decay, test loss, gradient norm, looks taken.")

# %% [markdown]
# `slope` is the largest gradient norm left: all of these are critical points. `looks` is how often all images had to be
# looked at for one. Easy to find, then.

# %% [markdown]
# ## The straight way
#
# First as the weights happen to lie, then with the units matched.

# %%
LINES = {"line": "as they lie", "matched_line": "matched"}


def lines(table):
    return pd.concat([
        tables.unroll(table, name, way=SHARES).rename(columns={name: "loss"}).assign(units=told)
        for name, told in LINES.items()
    ])  # fmt: skip


# %%
draw = functools.partial(plots.curves, x="way", y="loss", hue="units", log=True)
parts = {f"{hidden} hidden units": lines(part) for hidden, part in pairs.groupby("hidden")}
figure = plots.panels(parts, draw, xlabel="share of the way", ylabel="training loss, with decay")
run.figure("lines", figure, caption="Loss on the straight line between two minima, by width.", n=scale.pairs)

# %% [markdown]
# The ends are low, and between them stands a hill: a convex function has none. Most of the hill is a matter of
# numbering. Matching lowers it the more, the wider the network, as if wide networks had one valley and many names for
# it; but it does not take the hill away.

# %%
names = {"apart": "as they lie", "matched": "matched"}
distances = pairs.rename(columns=names).melt(["hidden", "seed"], list(names.values()), "units", "distance")
figure = plots.strip(distances, "hidden", "distance", hue="units", xlabel="hidden units", ylabel="distance")
run.figure("distances", figure, caption="Distance of two minima, 1 where they stand at a right angle.", n=scale.pairs)

# %% [markdown]
# Unmatched minima are about as far from one another as two random directions (1). Matching brings them nearer, and
# some pairs of narrow networks all the way to 0: they have found the same minimum.

# %% [markdown]
# ### A map
#
# The plane through a minimum *a*, another one *b*, and the copy of *b* that is matched to *a*.


# %%
def maps(chosen, place):
    rows = {hidden: pairs[pairs.hidden == hidden].iloc[place] for hidden in chosen}
    return {f"{hidden} hidden units": (row["plane"], row["places"]) for hidden, row in rows.items()}


chosen = [scale.units[0], scale.net, scale.units[-1]]
figure = plots.planes(maps(chosen, 0), TICKS, names=NAMES, label="training loss, with decay")
run.figure("planes", figure, caption="Loss on the plane through two minima and a copy of one, for three widths.", n=1)

# %% [markdown]
# *b* and its copy are one and the same network. From *a*, one of them is behind a mountain and the other across a low
# saddle, or in the same hollow.

# %% [markdown]
# ## A minimum of one's own?
#
# Two starts have found the same minimum, in whatever copy, if its loss and the sorted norms of its hidden units agree.
# (The difference of these is a lower bound of the matched distance.)


# %%
def same(loss, norms):
    """Which of many minima are the same, a matrix."""
    size = np.linalg.norm(norms, axis=1)
    apart = np.linalg.norm(norms[:, None] - norms, axis=2) / np.hypot(size[:, None], size)
    return (abs(loss[:, None] - loss) < 1e-5) & (apart < 5e-3)


# %%
alike = {hidden: same(np.concatenate(list(part["loss"])), np.concatenate(list(part["norms"])))
         for hidden, part in pairs.groupby("hidden")}  # fmt: skip
counts = pd.DataFrame([
    {"hidden units": hidden, "starts": len(one), "different minima": len(np.unique(one, axis=0)),
     "alone": np.mean(one.sum(1) == 1), "at the lowest": one[ends[ends.hidden == hidden]["loss"].argmin()].mean(),
     "at the most frequent": one.mean(1).max()}
    for hidden, one in alike.items()
])  # fmt: skip
told = "Different minima found, and shares of starts that end there."
run.table("alone", counts.set_index("hidden units"), caption=told)

# %%
figure = plots.curves(counts, "hidden units", "alone", share=True, log_x=True, ylabel="starts with their own minimum")
run.figure("alone", figure, caption="Share of starts that end at a minimum that no other reaches.", n=2 * scale.pairs)

# %% [markdown]
# A few hidden units have a few minima, and the starts meet there, as in a spin glass with few spins
# ([spin_glass](spin_glass.ipynb)). With more units nobody meets anybody: every start has a minimum of its own. Both
# sentences of the slides then hold, "trapped" and "equivalent", since the minima differ in place and hardly in height.

# %%
levels = plots.strip(ends, "hidden", "loss", xlabel="hidden units", ylabel="training loss, with decay")
run.figure("heights", levels, caption="Losses of the minima, one point a start.", n=2 * scale.pairs)

# %% [markdown]
# ## Which way does it bend?
#
# All second derivatives, and their eigenvalues: where stochastic descent left off, and at the minimum.

# %%
QUANTILES = np.linspace(0, 1, 101).tolist()


def bend(hidden, seed):
    """Curvatures along the way down from one start."""
    surface = minima.Surface.over(*digits("train", scale.images), decay=DECAY)
    left = minima.Weights.of(trained(hidden, "tanh", DECAY, [seed])[0])
    places = {"end of training": left, "minimum": minima.polish(surface, left).weights}
    found = {name: surface.curvatures(place).cpu().numpy() for name, place in places.items()}
    return [
        dict(at=name, index=np.mean(one < -minima.ZERO), flat=np.mean(abs(one) <= minima.ZERO), least=one[0],
             greatest=one[-1], spectrum=np.quantile(one, QUANTILES))
        for name, one in found.items()
    ]  # fmt: skip


# %%
curvature = run.sweep(bend, hidden=[n for n in scale.units if n >= scale.net], seed=run.seeds(scale.bent))
numbers = ["index", "flat", "least", "greatest"]
means = curvature.groupby(["hidden", "at"])[numbers].mean()
run.table("curvature", means, caption="Shares of negative and of flat directions; least and greatest curvature.")

# %%
chosen = curvature[(curvature.hidden == scale.net) & (curvature.seed == run.first_seed)]
figure = plots.curves(tables.unroll(chosen, "spectrum", rank=QUANTILES), "rank", "spectrum", hue="at",
                      xlabel="rank, as a share of all", ylabel="curvature")  # fmt: skip
figure.axes[0].set_yscale("symlog", linthresh=minima.ZERO)
run.figure("spectrum", figure, caption="All curvatures in order, before and at the minimum.", n=1)

# %%
figure = plots.strip(curvature, "hidden", "index", hue="at", share=True, xlabel="hidden units", ylabel="bending down")
run.figure("index", figure, caption="Share of directions in which the loss bends down.", n=scale.bent)

# %% [markdown]
# Where training stops, the surface still bends down in a few percent of the directions (the literature tells of one
# percent). Gone down to the end, none is left: what descent finds are minima. That is no news about critical points,
# for descent avoids saddles.

# %% [markdown]
# ## Where the saddles are
#
# Give a minimum one more hidden unit, with all its weights zero. No answer changes and the gradient stays zero: a
# critical point of the wider network. But moved together, the weights into and out of the new unit follow the
# correlation between pixels and errors, and the loss bends down there, by all that this correlation exceeds the decay.
# So **minima of narrow networks are saddles of wide ones**, with as many ways down for each unit that is spare.

# %%
WIDEST = scale.units[-1]
layers = tables.unroll(pairs, "loss", end=[0, 1]).rename(columns={"hidden": "minima of"})
layers["ways"] = (np.concatenate(list(pairs["opened"])) < -minima.ZERO).sum(1)  # down, for each spare unit
layers["index"] = (WIDEST - layers["minima of"]) * layers["ways"] / (WIDEST * 111 + 10)

# %%
figure = plots.scatter(layers, "index", "loss", hue="minima of", xlabel="share of directions that bend down",
                       ylabel="training loss, with decay", title=f"seen from {WIDEST} hidden units")  # fmt: skip
figure.axes[0].set_yscale("log")
told = "Loss against index of the critical points made of narrower networks' minima."
run.figure("layers", figure, caption=told, n=2 * scale.pairs)

# %% [markdown]
# Read from the left: at the bottom the minima of the widest network, then, layer by layer, saddles with more and more
# ways down at higher and higher loss. That order is what the theory of spin glasses says of its saddles. Here it comes
# from an elementary argument, and it ends where it should: near the bottom a further unit no longer pays for its decay.

# %% [markdown]
# ## Explorer
#
# Any width, any pair.


# %%
def look(hidden, place):
    row = pairs[(pairs.hidden == hidden) & (pairs.seed == place)]
    told = plots.curves(lines(row), "way", "loss", hue="units", xlabel="share of the way")
    map_ = {f"{hidden} hidden units": (row.iloc[0]["plane"], row.iloc[0]["places"])}
    return told, plots.planes(map_, TICKS, names=NAMES)


widgets.explore(look, hidden=list(scale.units), place=run.seeds(scale.pairs))

# %% [markdown]
# ## The claims
#
# `trapped` and `saddles` are judged on networks that are not narrow. `embedded` counts the saddles just made, `minima`
# takes the spread over minima instead of that over the ends of training.

# %%
middle = SHARES.index(0.5)
hills = pd.DataFrame({
    "seed": pairs.seed, "hidden": pairs.hidden,
    "hill": [line[middle] - loss.mean() for line, loss in zip(pairs["matched_line"], pairs["loss"], strict=True)],
})  # fmt: skip
run.claim("understanding.opt.nonconvex", hills.groupby("seed")["hill"].mean())
run.claim("understanding.opt.trapped", (alike[scale.net].sum(1) == 1).astype(float))

# %%
at = curvature[curvature["at"] == "minimum"]
told = "Descent ends at minima; saddles are met by those who look for them."
run.claim("understanding.opt.saddles", (at["least"] < -minima.ZERO).astype(float), reason=told)
embedded = layers[layers["minima of"] < WIDEST]["ways"] > 0
run.claim("understanding.opt.saddles", embedded.astype(float), variant="embedded")

# %%
polished = stats.bootstrap(relative, ends.loc[ends.hidden == WIDEST, "test"])
for variant, one in {"faithful": found[max(found)], "minima": polished}.items():
    run.claim("understanding.opt.equal", estimate=one.mean, low=one.low, high=one.high, n=one.n, variant=variant)

# %%
run.finish()

# %% [markdown]
# ## What to try next
#
# - `DECAY = 1e-4`: does the same width have more minima, and how much farther down do they lie?
# - Go down from a saddle of the last figure, a small step along its steepest way down: where does it end?
# - Replace the straight line by a bent one whose middle is moved downhill: is there a hill left between wide networks?
