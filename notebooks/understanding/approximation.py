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
# # What one hidden layer can do
#
# *Understanding Neural Networks* (C.-C. Jay Kuo), slides "Main Result in Approximation Theory", "Single-Layer Neural
# Network" and "Too Abstract to Comprehend?".
#
# **Claimed.** A network with one hidden layer of squashing units approximates any function as closely as wanted; where
# it fails, learning was poor, units were too few, or the target is no function of the input. Without squashing, the
# layer could be removed. "Demand a geometrical interpretation." The slides quote Hornik, Stinchcombe and White (1989)
# and show no experiment.
#
# **Time on two cores.** smoke: seconds; laptop: a minute; paper (ten seeds, ten starts, all of MNIST): four hours. The
# laptop run has the full range of widths and three seeds, but few examples and short trainings: it shows rates and
# shapes, and that wide linear nets fall behind others; not how well narrow nets read digits.

# %% tags=["parameters"]
profile = "auto"  # smoke, laptop, paper; auto asks the machine
device = "auto"  # cpu, cuda
seed = 0  # the first of the seeds

# %%
import functools

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn import functional as F

from companion import data, models, plots, stats, tables, training, widgets
from companion.approximation import bumps, collapse, planes, shallow, targets
from companion.plots import functions, regions
from companion.run import Run

# %%
run = Run("understanding/approximation", profile=profile, device=device, seed=seed)
ALL = tuple(2**k for k in range(11))  # 1 to 1,024
scale = run.scale(
    smoke=dict(
        widths=(1, 8, 16, 32), points=1_024, tests=512, seeds=2, learners=("logistic",), trained=(1, 2), examples=128,
        starts=1, steps=20, descent=30, images=300, test_images=300, epochs=1, rate=5e-3, layers=(2,), hidden=(5, 10),
        digit_seeds=2, cuts=(1, 3), sides=(3, 4, 6), fans=(4, 8),
    ),
    laptop=dict(
        widths=(*ALL[:9], 1_024), points=4_096, tests=8_192, seeds=3, learners=("logistic",), trained=(1, 2, 4, 16, 64),
        examples=1_024, starts=2, steps=100, descent=1_000, images=6_000, test_images=4_000, epochs=8, rate=5e-3,
        layers=(2, 3, 5), hidden=(5, 50), digit_seeds=3, cuts=(1, 2, 3, 4, 8, 16), sides=(3, 4, 6, 8, 16),
        fans=(4, 8, 16, 32, 64, 128),
    ),
    paper=dict(
        widths=ALL, points=4_096, tests=65_536, seeds=10, learners=("logistic", "ramp", "cosine", "ReLU"),
        trained=ALL[:8], examples=4_096, starts=10, steps=200, descent=1_000, images=60_000, test_images=10_000,
        epochs=20, rate=1e-3, layers=(2, 3, 5), hidden=(5, 10, 50, 200), digit_seeds=5, cuts=(1, 2, 3, 4, 8, 16),
        sides=(3, 4, 6, 8, 16), fans=(4, 8, 16, 32, 64, 128),
    ),
)  # fmt: skip
first, *rest = run.seeds(scale.seeds)

# %% [markdown]
# ## Units that squash, and others
#
# Hornik, Stinchcombe and White call a function *squashing* if it never falls and goes from 0 to 1. "S-shaped, such as
# the logistic" is one kind; thresholds, ramps and half a turn of a cosine are others. Three that do not squash are
# carried along: the rectifier, the square (a polynomial) and the identity (no activation at all).

# %%
line = torch.linspace(-8, 8, 161, dtype=torch.double, device="cpu")
kinds = {
    "squashing": list(shallow.SQUASHING),
    "others": [name for name in shallow.ACTIVATIONS if name not in shallow.SQUASHING],
}

# %%
drawings = {kind: [shallow.ACTIVATIONS[name](line).numpy() for name in names] for kind, names in kinds.items()}
figure = functions.sketches(drawings, notes=kinds, size=(1.5, 0.8))
run.figure("units", figure, caption="Seven kinds of hidden units: four that squash, three that do not.", n=0)

# %% [markdown]
# The first row differs in its corners only: none, two, or a single jump. All are as steep in the middle, but for the
# threshold. Does the definition tell the rows apart?

# %%
# NBVAL_CHECK_OUTPUT
{name: shallow.shape_of(unit) for name, unit in shallow.ACTIVATIONS.items()}

# %% [markdown]
# ## Seven functions to approximate
#
# From easy to hard: smooth, kinked, broken, rough; two variables, smooth and broken; eight variables (seen along the
# diagonal of their cube; another such function for every seed).


# %%
def seen(name, values):
    """What is drawn of a target or of a fit: a curve, or a map."""
    return values.reshape(targets.SIDE, targets.SIDE) if targets.TARGETS[name] == 2 else values


# %%
truth = {
    name: seen(name, targets.evaluate(name, targets.view(dimension), seed=first).numpy())
    for name, dimension in targets.TARGETS.items()
}
figure = functions.sketches({"": list(truth.values())}, notes={"": list(truth)}, size=(1.05, 0.9))
run.figure("targets", figure, caption="The seven made-up targets.", n=0)

# %% [markdown]
# "Any measurable function" covers all of them, the two with a jump as well. The fourth, the beginning of one of
# Weierstrass's curves without a tangent anywhere, has detail at every size down to the twenty-seventh part.

# %% [markdown]
# ## The fit
#
# Two ways to fit a layer. **Random units**: the zero line of each runs through a random point of the domain, with a
# random slope, so steep that the unit rises within about the distance to its neighbour. Only the output weights are
# fitted, which is a least-squares problem with one answer. **Trained units** come further below. Errors are taken at
# other points than the fit, and in *spreads*, standard deviations of the target: 1 is the error of a constant.
#
# One unit of the sweep is a layer of random units, fitted to all targets of one dimension.


# %%
def random_layer(activation, dimension, units, slopes, seed, drawn):
    names = [name for name, inputs in targets.TARGETS.items() if inputs == dimension]
    rises = 4 if slopes == "gentle" else None
    net = shallow.random_units(units, dimension, activation=activation, rises=rises, seed=seed)
    net = shallow.solve(net, *targets.sample(names, scale.points, seed=seed))
    rms, worst = shallow.errors(net, *targets.sample(names, scale.tests, seed=seed, test=True))
    rows = [dict(target=name, rms=rms[k].item(), worst=worst[k].item()) for k, name in enumerate(names)]
    if drawn:
        fits = net(targets.view(dimension)).T.float()
        rows = [row | dict(fit=fit) for row, fit in zip(rows, fits, strict=True)]
    return rows


# %%
FLAT = ("square", "identity")  # long before 256 units
settings = [
    dict(activation=activation, dimension=dimension, units=units, slopes=slopes)
    for activation in shallow.ACTIVATIONS for dimension in (1, 2, 8) for slopes in ("steep", "gentle")
    for units in scale.widths if (slopes == "steep" and (units <= 256 or activation not in FLAT))
    or (slopes == "gentle" and activation == "logistic" and units <= 256)
]  # fmt: skip
drawn = run.sweep(random_layer, [one | dict(seed=first, drawn=True) for one in settings if one["slopes"] == "steep"],
                  name="drawn")  # fmt: skip
others = [one | dict(seed=another, drawn=False) for another in (first, *rest) for one in settings
          if another != first or one["slopes"] == "gentle"]  # fmt: skip
table = pd.concat([drawn.drop(columns="fit"), run.sweep(random_layer, others, name="others")], ignore_index=True)
steep = table[table.slopes == "steep"]
logistic = steep[steep.activation == "logistic"]

# %% [markdown]
# What becomes of three of the targets as the layer of logistic units widens:

# %%
kept = drawn[drawn.activation == "logistic"].set_index(["target", "units"])
widths = [n for n in (2, 8, 32, 128) if n in scale.widths]
curves = ["kink", "step", "four cosines"]
figure = functions.sketches(
    {name: [kept.fit[name, n] for n in widths] for name in curves},
    titles=[f"{n} units" for n in widths],
    behind={name: [truth[name]] for name in curves},
    notes={name: [f"{kept.rms[name, n]:.2g}" for n in widths] for name in curves},
    size=(1.35, 0.75),
)
run.figure(
    "fits",
    figure,
    caption="Fits of logistic layers of growing width (blue) to three targets (grey), and errors (spreads).",
    n=1,
)

# %% [markdown]
# Read a row from left to right: a few broad steps first, then the shape, then the details. The rough curve is there
# last; at the break of the step the fit rings to both sides, however many units there are.

# %% [markdown]
# ## How fast does the error fall?

# %%
parts = {name: steep[steep.target == name] for name in targets.TARGETS}
draw = functools.partial(functions.rates, x="units", y="rms", hue="activation")
figure = plots.panels(parts, draw, across=4, size=(1.5, 1.35), xlabel="hidden units", ylabel="error (spreads)")
figure.axes[0].set_ylim(1e-6, 3)
run.figure("errors", figure, caption="Error against the number of random hidden units, by target and kind of unit.")

# %% [markdown]
# Straight lines are power laws. Every squashing unit goes down on every target, and so does the rectifier, which
# squashes nothing: being S-shaped is enough, but not needed. The square and the identity go flat: a layer of them,
# however wide, holds no more than the polynomials of degree two, or of degree one. The slopes, from eight units on and
# down to an error of a millionth:


# %%
def exponent(part):
    part = part[(part.units >= 8) & (part.rms > 1e-6)]
    return stats.power_law(part.units, part.rms).exponent


groups = steep.groupby(["activation", "target", "seed"], sort=False)
slopes = pd.DataFrame([(*key, exponent(part)) for key, part in groups], columns=[*groups.keys, "slope"])
fitted = tables.summarise(slopes, "slope", ["activation", "target"])
run.table("slopes", fitted, caption="Exponents of the error in the number of hidden units, over seeds.")
mean = fitted.pivot_table(index="activation", columns="target", values="mean", sort=False)[list(targets.TARGETS)]

# %%
run.table("slopes_by_target", mean.round(2), caption="Mean exponents, by kind of unit and target.")

# %% [markdown]
# The target decides more than the unit. On the smooth curve a threshold has to build a staircase, whose error falls
# like one over the number of steps (−1); units with a slope do better. At a break all are equally slow, since the error
# is the stretch between the break and the next unit. Barron's theorem (1993) promises −½ or steeper, in any number of
# dimensions, where the Fourier transform has a finite first moment and the units are *chosen well*. A disc has no such
# moment; and in eight dimensions random units are not chosen at all. These two columns are the flattest.

# %% [markdown]
# ### "Any measurable function"
#
# The theorem needs a yardstick. In the mean, any measurable function can be approached; everywhere at once, only
# continuous ones on a bounded domain.

# %%
few = logistic[logistic.target.isin(["sine", "kink", "step", "disc"])]
figure = functions.rates(few, "units", "worst", hue="target", xlabel="hidden units", ylabel="largest error (spreads)",
                         size=(3.8, 2.0))  # fmt: skip
figure.axes[0].set_ylim(1e-6, 10)
run.figure("largest", figure, caption="Largest error of logistic layers, by target.")

# %% [markdown]
# The lines of the step and of the disc do not come down, though those of their mean errors did: next to a break some
# point is always on the wrong side. (CNNs, the slide's instance of the theorem, are not what it speaks of: their
# weights are shared.)

# %% [markdown]
# ### Turn the number of units yourself
#
# The fits are stored; the sliders only draw.


# %%
def view(target, unit, width):
    part = drawn[(drawn.target == target) & (drawn.activation == unit)]
    row, known = part[part.units <= width].iloc[-1], truth[target]
    fit = seen(target, row.fit)
    pictures = {"": [known, fit]} if known.ndim == 2 else {"": [fit]}
    titles = ["target", "fit"] if known.ndim == 2 else []
    left = functions.sketches(pictures, titles=titles, behind={"": [known]}, limits=(known.min(), known.max()),
                              size=(2.4, 1.9))  # fmt: skip
    right = plots.curves(part, "units", "rms", log=True, log_x=True, xlabel="hidden units", ylabel="error (spreads)")
    right.axes[0].plot(row.units, row.rms, "o", ms=9, color="0.2")
    return [left, right]


widgets.explore(view, target=targets.TARGETS, unit=shallow.ACTIVATIONS, width=scale.widths)

# %% [markdown]
# ## Random units, or trained ones
#
# The theorem says that good weights exist. Random steep units are one way to come by them; random units of a fixed,
# *gentle* slope another; and one can train them. Here training moves the hidden weights by L-BFGS while the output
# weights always stay the best for them, from several starts, of which the best is kept.


# %%
def trained_layer(target, activation, units, seed):
    known = targets.sample([target], scale.examples, seed=seed)
    net = shallow.train(*known, units, activation=activation, seed=seed, starts=scale.starts, steps=scale.steps)
    rms, worst = shallow.errors(net, *targets.sample([target], scale.tests, seed=seed, test=True))
    return dict(rms=rms.item(), worst=worst.item())


trained = run.sweep(
    trained_layer,
    target=list(targets.TARGETS),
    activation=list(scale.learners),
    units=list(scale.trained),
    seed=run.seeds(scale.seeds),
)

# %%
random = table[table.activation == "logistic"]
ways = pd.concat(
    [random.assign(way="random, " + random.slopes), trained[trained.activation == "logistic"].assign(way="trained")]
)
parts = {name: ways[ways.target == name] for name in ("sine", "four cosines", "product of sines", "smooth, 8 inputs")}
draw = functools.partial(functions.rates, x="units", y="rms", hue="way")
figure = plots.panels(parts, draw, across=4, size=(1.7, 1.7), xlabel="hidden units", ylabel="error (spreads)")
figure.axes[0].set_ylim(1e-6, 3)
run.figure("ways", figure, caption="Error of logistic layers by how their weights were found.")

# %% [markdown]
# A trained unit is worth many random ones: it turns to where it is needed. Gentle units win where the target is smooth
# (the curve of the sine leaves the picture), and lose where it is rough. So the rates above belong to a way of choosing
# weights as much as to the theorem, which names no rate at all. Where a trained curve levels off, the examples that it
# was trained on are the limit, or the search is.

# %% [markdown]
# ## Three causes of failure, and a fourth
#
# The slide's list: poor learning, too few units, no deterministic relation. Each is put on the same task, the four
# cosines, and on its own, with 256 units otherwise. Poor learning is what everyone does, gradient descent (Adam) on all
# weights, but stopped early. A relation is not deterministic if there is noise on the target, or if it takes one of two
# values by the toss of a coin. The last fault is not on the list: too few examples.


# %%
def descended(known, steps, seed):
    """A network whose weights are all trained by full-batch Adam, as in any framework."""
    inputs, values = (part[: scale.examples].float() for part in known)
    net = models.MLP((1, 256, 1), seed=seed, activation=nn.Sigmoid)
    recipe = dict(epochs=steps, batch=len(inputs), lr=0.01, optimizer="adam", loss=F.mse_loss)
    training.fit(net, (inputs, values), seed=seed, **recipe)
    return lambda points: training.outputs(net, points.float()).double().cpu()


# %% [markdown]
# One unit is one fit with one fault, or none.


# %%
def faulty(fault, seed):
    """One way to fit the four cosines: its error, and what of it is drawn."""
    known = targets.sample(["four cosines"], 24 if fault == "24 examples" else scale.points, seed=seed)
    tests = targets.sample(["four cosines"], scale.tests, seed=seed, test=True)
    if fault in ("noise", "two values"):
        known, tests = ((points, targets.undetermined(values, fault, seed=len(points) + seed))
                        for points, values in (known, tests))  # fmt: skip
    if fault == "4 units":
        net = shallow.train(*known, 4, seed=seed, starts=scale.starts, steps=scale.steps)
    elif fault in STEPS:
        net = descended(known, STEPS[fault], seed)
    else:
        net = shallow.solve(shallow.random_units(256, 1, seed=seed), *known)
    cloud = torch.cat(known, dim=1)[np.arange(60) % len(known[0])]
    fit = net(targets.view(1))[:, 0]
    return dict(rms=shallow.errors(net, *tests)[0].item(), fit=fit.float(), cloud=cloud.float())


# %%
STEPS = {"10 steps": 10, f"{scale.descent:,} steps": scale.descent}
FAULTS = ["none", *STEPS, "4 units", "noise", "two values", "24 examples"]
faults = run.sweep(faulty, fault=FAULTS, seed=run.seeds(scale.seeds))
run.table("faults", tables.summarise(faults, "rms", "fault"), caption="Error (spreads) with each fault alone.")

# %%
shown = faults[faults.seed == first]
figure = functions.sketches(
    {"": list(shown.fit)},
    behind={"": [truth["four cosines"]]},
    points={"": list(shown.cloud)},
    notes={"": [f"{row.fault}\n{row.rms:.2g}" for row in shown.itertuples()]},
    size=(1.1, 1.1),
)
run.figure(
    "faults", figure, caption="Fits (blue) to examples (orange) of one target (grey), each with one fault; errors.", n=1
)

# %% [markdown]
# Any one fault undoes the fit. Two need a second look. The longer descent still misses the details, with as many units
# as the first picture has: that good weights exist does not help to find them. And a fit to few examples goes through
# every one of them and is wrong in between. The theorem takes the function as known; a learner knows it at some points
# only, and no wider layer makes up for that.

# %% [markdown]
# ## No squashing: the layers collapse
#
# W₂(W₁x + b₁) + b₂ = (W₂W₁)x + (W₂b₁ + b₂): with nothing between them, two linear layers are one. Readers of MNIST
# digits, from one to five layers deep and of several widths, with no activation, with tanh and with ReLU. The linear
# ones are multiplied out after training, and compared with what they were.


# %%
def pixels(split, n):
    images, labels = data.mnist(split)
    return images[:n].flatten(1).float() / 255, labels[:n]


# %%
def reader(activation, layers, width, seed):
    """Test error; of a linear net also the largest change of an output by collapsing, and the singular values."""
    net = models.MLP((784, *[width] * (layers - 1), 10), seed=seed, activation=collapse.ACTIVATIONS[activation])
    recipe = dict(epochs=scale.epochs, lr=scale.rate, optimizer="adam", batch=128)
    training.fit(net, pixels("train", scale.images), seed=seed, **recipe)
    tests = pixels("test", scale.test_images)
    result = dict(error=1 - training.accuracy(net, tests), gap=np.nan, singular=np.full(10, np.nan))
    if activation == "identity":
        single = collapse.collapse(net)
        result["gap"] = (training.outputs(net, tests[0]) - training.outputs(single, tests[0])).abs().max().item()
        result["singular"] = torch.linalg.svdvals(single.weight.detach().double()).cpu()
    return result


# %% [markdown]
# The linear layers by themselves (one layer) are softmax regression.

# %%
seeds = run.seeds(scale.digit_seeds)
points = [dict(activation="identity", layers=1, width=0, seed=one) for one in seeds]
points += [dict(activation=activation, layers=layers, width=width, seed=one) for activation in collapse.ACTIVATIONS
           for layers in scale.layers for width in scale.hidden for one in seeds]  # fmt: skip
digits = run.sweep(reader, points)
straight = digits[digits.activation == "identity"]

# %%
print(f"largest difference of an output before and after collapsing: {straight.gap.max():.1e}")

# %%
parts = {f"{width} units a layer": digits[digits.width.isin([width, 0])] for width in scale.hidden}
draw = functools.partial(plots.curves, x="layers", y="error", hue="activation", share=True)
figure = plots.panels(parts, draw, across=4, size=(2.1, 1.9), xlabel="linear layers", ylabel="test error")
figure.axes[0].set_xticks(sorted({1, *scale.layers}))
run.figure("depth", figure, caption="Test error on MNIST against the number of layers, by activation and width.")

# %% [markdown]
# Follow the line of the identity: at best the error of the single layer (left end) comes back, and where layers are
# narrow it gets worse. With wide layers tanh lies below it, and so does ReLU: what is needed is *some* non-linearity,
# squashing or not. Whether it pays with five units a layer is another question; they are here for what follows.
#
# ### What a narrow linear layer loses

# %%
spectra = tables.unroll(straight, "singular", place=range(1, 11))
spectra = spectra.assign(layers=spectra.layers.astype(str), singular=spectra.singular.clip(lower=1e-8))
parts = {f"{width} units a layer": spectra[spectra.width.isin([width, 0])] for width in scale.hidden}
draw = functools.partial(functions.rates, x="place", y="singular", hue="layers", log_x=False)
figure = plots.panels(parts, draw, across=4, size=(2.1, 1.9), xlabel="singular value", ylabel="size (cut at 1e-8)")
figure.axes[0].set_xticks([1, 5, 10])
run.figure("spectra", figure, caption="Singular values of the collapsed matrices, by width and depth.")

# %% [markdown]
# The product of a 10 × 5 and a 5 × 784 matrix has rank 5: after the fifth singular value nothing is left but rounding.
# Ten classes ask for nine directions (a constant added to all outputs changes no softmax), so five are too few. A
# linear hidden layer can only lose. What is best among all linear maps needs no training either, by least squares:

# %%
best = collapse.least_squares(*pixels("train", scale.images))
inputs, labels = pixels("test", scale.test_images)
print(f"test error of the linear map by least squares: {1 - training.accuracy(best, (inputs.double(), labels)):.1%}")

# %% [markdown]
# ## The geometric picture
#
# A unit is a soft half-plane. Two that face each other make a ridge. Two crossed ridges are meant to make a bump, and a
# sum of bumps any function. Built by hand, nothing trained:

# %%
EDGES = torch.tensor([-0.3, 0.3], dtype=torch.double, device="cpu")
grid = planes.lattice(23)
across, along = (bumps.ridges(grid[:, k], EDGES, steepness=24)[:, 0] for k in (0, 1))
by_hand = {
    "half-plane: 1 unit": bumps.steps(grid[:, 0], EDGES[:1], steepness=24)[:, 0],
    "ridge: 2 units": across,
    "two ridges: 4 units": (across + along) / 2,
    "and a second layer": bumps.crossed(across, along),
}

# %%
by_hand |= {f"{m} ridges: {2 * m} units": bumps.fan(grid, m, EDGES[1:], steepness=24)[:, 0] for m in (3, 24)}
figure = functions.surfaces({title: heights.reshape(23, 23).numpy() for title, heights in by_hand.items()}, across=3)
run.figure("surfaces", figure, caption="From a half-plane to bumps, and what one layer makes of them.", n=0)


# %% [markdown]
# The third picture is where the classical story slips: two crossed ridges have *arms* that never end. It takes a unit
# of a second hidden layer, on where both ridges are, to cut them off (fourth picture). Within one layer, ridges in more
# directions spread the arms out ever thinner (last two), and never quite away.
#
# Does it matter? Lay bumps on a grid, each as high as the disc in its middle:


# %%
def tiled(target, per_side, points, layers):
    """A target as a sum of bumps, one for each tile of the unit square."""
    middles = (planes.lattice(per_side) + 1) / 2
    return bumps.tiles(targets.evaluate(target, middles).reshape(per_side, per_side), points, layers=layers)


# %%
finer = (planes.lattice(66) + 1) / 2
PER_SIDE = (3, 5, 9, 17, 33)
tilings = {
    name: [tiled("disc", t, finer, layers).reshape(66, 66).numpy() for t in PER_SIDE]
    for layers, name in ((1, "one layer"), (2, "two layers"))
}
figure = functions.sketches(tilings, titles=[f"{t * t:,} bumps" for t in PER_SIDE], size=(1.3, 1.3))
run.figure("tiles", figure, caption="A disc as a sum of bumps of one hidden layer, and of two; nothing trained.", n=0)

# %% [markdown]
# With one layer the disc becomes a plaid. All bumps of a column share their ridge, so whatever their heights, the sum
# is a function of x plus a function of y. Choose the best such sum instead, and compare:


# %%
def tilings_of(target, per_side):
    """Errors (spreads) of the best heights of crossed ridges, and of bumps as they are with a second layer."""
    points, values = targets.sample([target], 4_096, seed=first)
    fits = {
        "crossed ridges, best heights": bumps.additive(points, values, per_side),
        "with a second layer": tiled(target, per_side, points, 2)[:, None],
    }
    errors = {built: float((fit - values).square().mean().sqrt() / values.std()) for built, fit in fits.items()}
    return [dict(target=target, bumps=per_side**2, built=built, error=error) for built, error in errors.items()]


# %%
built = pd.DataFrame(
    [row for target in ("product of sines", "disc") for t in PER_SIDE for row in tilings_of(target, t)]
)
told = built.pivot_table(index=["target", "built"], columns="bumps", values="error", sort=False)
run.table("tiles", told.round(2), caption="Error (spreads) of sums of bumps by their number; nothing trained.")

# %% [markdown]
# No number of crossed ridges comes nearer to the product of sines than the constant zero. With the second layer the
# error falls as the tiles shrink, with no training at all. So bumps prove the theorem for two layers; that *one* layer
# suffices in the plane takes other directions than those of the grid, and many.

# %% [markdown]
# ### The price of one layer
#
# How many units does a disc cost? Random units and tiles are known from above. The *fan* carries the last two
# surfaces on: ridges of every reach in every direction, their heights by least squares (one for each reach: the disc is
# round). The *polygon* has one unit for each side, and one of a second layer that is on where all of them are.


# %%
def fanned(directions, seed):
    """A disc from one hidden layer of ridges in all directions."""
    (known, values), (tests, wanted) = (targets.sample(["disc"], n, seed=seed, test=test)
                                        for n, test in ((scale.points, False), (scale.tests, True)))  # fmt: skip
    reaches = torch.linspace(0, 0.72, directions + 1, dtype=torch.double, device="cpu")[1:]
    fit = bumps.round_fit(known - 0.5, values, directions, reaches, steepness=16 * directions)
    error = (fit(tests - 0.5) - wanted).square().mean().sqrt() / wanted.std()
    return dict(units=2 * directions**2, error=error.item())


# %%
fans = run.sweep(fanned, directions=list(scale.fans), seed=run.seeds(scale.seeds))


# %%
def cornered(sides):
    """A disc as the best regular polygon, from two hidden layers; nothing trained."""
    points, values = targets.sample(["disc"], 2**14, seed=first)
    apothem = planes.best_polygon(sides)[0] * targets.RADIUS
    fit = bumps.polygon(points - 0.5, sides, apothem, steepness=2_000)
    error = float((fit - values[:, 0]).square().mean().sqrt() / values.std())
    return dict(units=sides + 1, error=error, built="two layers, polygon")


tiles = built[(built.target == "disc") & (built.built == "with a second layer")]
price = pd.concat([
    logistic[logistic.target == "disc"].assign(built="one layer, random", error=lambda part: part.rms),
    fans.assign(built="one layer, fan"),
    tiles.assign(built="two layers, tiles", units=tiles.bumps + 2 * (tiles.bumps**0.5 + 1)),  # and t + 1 edges each way
    pd.DataFrame([cornered(sides) for sides in (3, 4, 6, 8, 12, 16, 24, 32)]),
])  # fmt: skip

# %%
figure = functions.rates(price, "units", "error", hue="built", xlabel="units", ylabel="error (spreads)")
run.figure("price", figure, caption="Error of a disc against the number of units, with one hidden layer and with two.")

# %% [markdown]
# One layer is enough, at a price: follow any height to the right. What a polygon does with tens of units takes the best
# of one layer here thousands. The theorem promises that *some* width will do; depth is about how wide.

# %% [markdown]
# ### Half-planes that learn
#
# Now the units are trained to tell the inside of a shape from the outside. Black lines are where a unit changes sign,
# blue is inside.


# %%
def cut(kind, units, seed):
    examples = 2 * scale.examples if kind == "disc" else scale.examples  # the disc's border is measured below
    known, tests = (planes.shape(kind, n, seed=one) for n, one in ((examples, seed), (scale.tests, seed + 10**6)))
    net = planes.classify(*known, units, seed=seed, starts=scale.starts, steps=scale.steps)
    right = (net(tests.inputs)[:, 0] > 0) == (tests.labels > 0)
    result = dict(accuracy=right.double().mean().item(), pieces=planes.cells(net))
    result["steepness"] = net.weights.norm(dim=1).median().item()
    result["area"] = planes.area_error(net) if kind == "disc" else np.nan
    return result | dict(numbers=shallow.packed(net, 16))


# %%
widths = dict.fromkeys(planes.SHAPES, scale.cuts) | {"disc": sorted({*scale.cuts, *scale.sides})}
points = [dict(kind=kind, units=k, seed=one) for kind, some in widths.items() for k in some
          for one in run.seeds(scale.seeds)]  # fmt: skip
cuts = run.sweep(cut, points)

# %%
fine = planes.lattice(72)


def picture(net, note):
    sure = torch.sigmoid(net(fine)[:, 0]).reshape(72, 72).numpy()
    return regions.Cut(sure, torch.column_stack([net.weights, net.biases]).numpy(), note)


# %%
kept = cuts[cuts.seed == first].set_index(["kind", "units"])
nets = {key: shallow.unpacked(numbers) for key, numbers in kept.numbers.items()}
shown = [k for k in scale.cuts if k not in (2, 4)]
rows = {kind: [picture(nets[kind, k], f"{kept.accuracy[kind, k]:.1%}") for k in shown] for kind in planes.SHAPES}
clouds = {kind: tuple(part.numpy() for part in planes.shape(kind, 400, seed=first)) for kind in planes.SHAPES}
figure = regions.half_planes(rows, titles=[f"{k} unit{'s' * (k > 1)}" for k in shown], points=clouds, size=0.9)
run.figure("half_planes", figure, caption="Networks of growing width: zero lines of units, inside and outside.", n=1)

# %% [markdown]
# One unit cuts once. With three the pieces begin to fit, and each shape has a width from which on it is no
# trouble. Not all lines are borders: where a unit is gentle, its line only marks the middle of a slope.

# %%
told = cuts.groupby(["kind", "units"], sort=False)[["accuracy", "pieces", "steepness"]].mean().reset_index()
told["most pieces"] = told["units"].map(planes.most_cells)
told = run.table("half_planes", told, caption="Accuracy, pieces cut out of the square, median length of the weights.")
told[told.units == max(scale.cuts)]

# %% [markdown]
# k lines cut the plane into at most 1 + k + k(k − 1)/2 pieces; training need not use all. `steepness` was free, and
# ends anywhere between soft and hard: with few examples near the border, nothing holds it back.

# %% [markdown]
# ### Polygons
#
# Hard half-planes of which the common part is taken cut a *polygon*. The regular k-gon inside a disc misses the share
# 1 − (k/2π) sin(2π/k) of it, about 2π²/3k². One that may reach outside does better: the best regular k-gon has half of
# every side within the disc, and is wrong on (2k/π) arctan(½ tan(π/k)) − 1, about π²/4k², three eighths as much.


# %%
def polygon(sides, seed):
    """Half-planes trained so that their common part is the disc."""
    known = planes.shape("disc", 2 * scale.examples, seed=seed)
    net = planes.cut_polygon(*known, sides, seed=seed, starts=scale.starts, steps=scale.steps)
    return dict(area=planes.area_error(net), numbers=shallow.packed(net, 16))


# %%
polygons = run.sweep(polygon, sides=list(scale.sides), seed=run.seeds(scale.seeds))

# %%
hard = polygons[polygons.seed == first].set_index("sides")
sharp = {k: shallow.unpacked(numbers, "threshold") for k, numbers in hard.numbers.items()}
shown = scale.sides[:4]
rows = {
    "common part": [picture(sharp[k], f"{hard.area[k]:.1%} wrong") for k in shown],
    "free slopes": [picture(nets["disc", k], f"{kept.area['disc', k]:.1%} wrong") for k in shown],
}
figure = regions.half_planes(rows, titles=[f"{k} units" for k in shown], outline=planes.RADIUS, size=0.95)
run.figure("polygons", figure, caption="A disc (dashed) as polygons, and by logistic units of free slopes.", n=1)

# %% [markdown]
# Above, black lines are the sides. Below they are not: three lines that hardly touch the circle bend into one, where
# their gentle slopes add up.

# %%
free = cuts[(cuts.kind == "disc") & (cuts.units >= 3)]
lines = {"inscribed": planes.inscribed_error, "best regular": lambda k: planes.best_polygon(k)[1]}
area = pd.concat([
    polygons.assign(border="polygon, learned"), free.assign(border="free slopes, learned", sides=free.units),
    *[pd.DataFrame([dict(sides=k, area=line(k), border=name) for k in scale.sides]) for name, line in lines.items()],
])  # fmt: skip
figure = functions.rates(area, "sides", "area", hue="border", xlabel="units", ylabel="area wrong (disc = 1)")
figure.axes[0].set_xticks(scale.sides, scale.sides)
run.figure("area", figure, caption="Area on which k units are wrong about a disc, learned and by formula.")

# %%
exponents = [stats.power_law(part.sides, part.area).exponent for _, part in polygons.groupby("seed")]
middle, low, high, _ = stats.mean_interval(exponents)
print(f"learned polygons: k^({middle:.2f}), 95 % interval {low:.2f} to {high:.2f}; the formulas tend to k^(-2)")

# %% [markdown]
# The learned polygons follow the best regular ones, not the inscribed, until the examples rather than the sides are too
# few. Soft units are another matter: three of them round the corners, and come as near to the disc as the examples
# allow. A network of logistic units is not a polygon: half-planes tell what units *can* do, not what trained ones do.
#
# (The geometric explanation that the slides announce comes later in them, as clustering on a sphere.)

# %% [markdown]
# ## The claims
#
# How many hidden layers? A target counts as fitted if the error is below a tenth of its spread. With none, a fit is an
# affine map; with one, the best of all fits above is taken; squares stay where they went flat. Whether a squashing
# function is necessary is judged where layers are wide enough for ten classes (nine units).

# %%
single = pd.concat(
    [
        steep,
        trained.assign(activation=trained.activation + ", trained"),
        fans.assign(target="disc", rms=fans.error, activation="logistic, fan"),
    ]
)
single = single[single.activation != "identity"].groupby(["target", "activation", "units"]).rms.mean().reset_index()
least = single.loc[single.groupby("target").rms.idxmin()].set_index("target").loc[list(targets.TARGETS)]
flat = steep[steep.activation.isin(FLAT) & (steep.units == steep[steep.activation.isin(FLAT)].units.max())]
flat = flat.pivot_table(index="target", columns="activation", values="rms").loc[least.index]
none = flat["identity"]
needed = pd.DataFrame({"no hidden layer": none, "one, of squares": flat["square"], "one, the best": least.rms})
needed = needed.assign(units=least.units, of=least.activation)
run.table("layers", needed, caption="Least error (spreads) with no hidden layer and with one, mean over seeds.")

# %%
squashing = steep[steep.activation.isin(list(shallow.SQUASHING))]
squashing = squashing.pivot_table(index="seed", columns="units", values="rms")
errors = faults.pivot_table(index="seed", columns="fault", values="rms")
with_fault = errors[["10 steps", "4 units", "noise", "two values"]].min(axis=1)
run.claim("understanding.approx.sshape", shallow.shape_of(shallow.SQUASHING["logistic"]))
run.claim("understanding.approx.universal", squashing.to_numpy())
run.claim("understanding.approx.layers", 0 if (none < 0.1).all() else 1 if (least.rms < 0.1).all() else 2)
run.claim("understanding.approx.failure-causes", np.stack([with_fault, errors["none"]], axis=1))

# %%
deep = digits[digits.layers > 1].pivot_table(index=["seed", "width"], columns="activation", values="error")
deep = {width: part[["identity", "tanh"]].to_numpy() for width, part in deep.groupby("width")}
run.claim("understanding.linear.collapse", straight.groupby("seed").gap.max())
run.claim("understanding.linear.necessary", np.mean([deep[width] for width in deep if width >= 9], axis=0))
for width, part in deep.items():
    run.claim("understanding.linear.necessary", part, variant=f"{width} units a layer")
run.claim("understanding.linear.necessary.insufficient", squashing[[min(scale.widths), max(scale.widths)]].to_numpy())

# %%
by_sides = polygons.pivot_table(index="seed", columns="sides", values="area")
by_units = cuts[cuts.kind == "disc"].pivot_table(index="seed", columns="units", values="area")
run.claim("understanding.geometry.demand", by_sides.to_numpy())
run.claim("understanding.geometry.demand", by_units.clip(upper=1).to_numpy(), variant="free slopes")

# %%
run.finish()

# %% [markdown]
# ## What to try next
#
# - Add a sine to `shallow.ACTIVATIONS`. It does not squash; does it fit?
# - Draw the zero lines of random units in the neighbourhood of the step's break only. How few are enough?
# - Give `descended` ten times the steps, or the fit to few examples fewer units: which fault does that mend?
# - Build the ring from two polygons and a second layer of two units. How many units for an error of a hundredth?
