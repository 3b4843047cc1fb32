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
# # What is the convergence rate?
#
# *Understanding Neural Networks* (C.-C. Jay Kuo), slide "What is Convergence Rate?", and the plans in "Conclusions".
#
# **Asked, not claimed.** How fast do errors vanish with more training samples, or with a larger network? Scenario #1:
# given the data, how does the rate depend on layers, filters and filter size? Scenario #2: given the application, which
# training data are worth having, and can the statistics of samples tell? The slide has no number.
#
# **Time on two cores.** smoke: seconds; laptop: a minute; paper (80 networks, 60,000 images, 5 to 10 seeds): 28 hours,
# of which the family of networks takes 24; that part is work for a GPU. The laptop run trains small networks on 1,000
# digits for 128 steps: enough to see exponents of images and of filters. For layers and filter size it has four levels
# each, which cannot be told from a constant plus a step, and its short training is hard on deep networks.

# %% tags=["parameters"]
profile = "auto"  # smoke, laptop, paper; auto asks the machine
device = "auto"  # cpu, cuda
seed = 0  # the first of the seeds

# %%
import functools
import math

import numpy as np
import pandas as pd
import torch
from matplotlib.ticker import LogLocator, NullLocator
from scipy import stats as scipy_stats
from torch.nn import functional as F

from companion import data, models, plots, stats, tables, training
from companion.run import Run
from companion.seeds import generator

# %%
run = Run("understanding/convergence_rate", profile=profile, device=device, seed=seed)
scale = run.scale(
    smoke=dict(layers=(1, 2, 3), filters=(4, 6, 8), sizes=(3, 5, 7), crossed=False, centre=(2, 6), images=200,
               fewer=(50, 100), epochs=1, batch=32, rate=4e-3, seeds=2, colour_layers=(2,), colour_seeds=2, tests=100,
               reach=0.6, pool=400, known=(50, 100, 200), steps=10, selected=100, labelled=(50, 100), chosen_seeds=2,
               colour_known=(20, 50, 100), colour_steps=4),
    laptop=dict(layers=(1, 2, 3, 4), filters=(4, 8, 16, 24), sizes=(3, 5, 7, 9), crossed=False, centre=(2, 8),
                images=1_000, fewer=(150, 400), epochs=4, batch=32, rate=4e-3, seeds=3, colour_layers=(2,),
                colour_seeds=2, tests=800, reach=0.25, pool=5_000, known=(100, 300, 1_000, 2_000, 5_000), steps=160,
                selected=1_000, labelled=(100, 300, 1_000), chosen_seeds=4, colour_known=(100, 300, 1_000, 3_000),
                colour_steps=240),
    paper=dict(layers=(1, 2, 3, 4), filters=(4, 8, 16, 32, 64), sizes=(3, 5, 7, 9), crossed=True, centre=(2, 16),
               images=60_000, fewer=(1_000, 5_000, 20_000), epochs=20, batch=128, rate=1e-3, seeds=5,
               colour_layers=(1, 2, 3, 4), colour_seeds=5, tests=10_000, reach=0.02, pool=60_000,
               known=(100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 60_000), steps=12_000, selected=1_000,
               labelled=(100, 200, 500, 1_000, 2_000), chosen_seeds=10,
               colour_known=(100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000), colour_steps=15_630),
)  # fmt: skip

# %% [markdown]
# ## Which error, and which rate?
#
# The slide speaks of the approximation error "as the number of training samples becomes larger or the network
# architecture becomes more complex". Three things are mixed in this, and are kept apart here:
#
# - the **training** cross-entropy, how well the family can fit what it is shown (approximation, with optimisation);
# - the **test** cross-entropy, which also counts what the sample did not tell (estimation);
# - the **speed**, steps of training until an error is reached, which is what "convergence rate" means in optimisation.
#
# The law that is fitted to all of them is err(z) = a z⁻ᵇ + c, with c ≥ 0: z is the number of images, filters,
# parameters, layers, or the filter size. The exponent b is the rate, c is what no larger z will take away.

# %% [markdown]
# ## Scenario #1: the same data, other networks
#
# The slide names ImageNet and Places; MNIST stands in for them, CIFAR-10 beside it. The family: L convolutions of w
# filters of k×k, max-pooling after each of the first three, one linear layer at the end.

# %%
DRAWN = {f"L = {layers}, w = 8, k = 3": models.Tower(layers, 8, 3, seed=seed) for layers in (1, 4)}
figure = plots.architecture({name: models.layer_table(net, (1, 28, 28)) for name, net in DRAWN.items()})
run.figure("family", figure, caption="The shallowest and the deepest network of one width and filter size.", n=0)

# %% [markdown]
# Notice the last layer: each pooling leaves a quarter of the positions, so the *deeper* tower has the smaller linear
# layer. In this family more layers can mean fewer parameters.
#
# Every network is trained with Adam on a falling (cosine) rate, for as many steps as any other. At the end it is also
# tested on four changed test sets; that is for the last section.

# %%
SHAPES = {"mnist": (1, 28), "cifar10": (3, 32)}


def examples(source, split, n):
    inputs, labels = data.mnist(split) if source == "mnist" else data.cifar10(split)
    return inputs[:n], labels[:n]


def learn(net, known, steps, batch, seed, lr, looks=1, **settings):
    """Train for about so many steps, in whole epochs, on a cosine; measure as often as there are looks."""
    each = math.ceil(len(known[0]) / batch)
    epochs = max(1, round(steps / each))
    cosine = [(1 + math.cos(math.pi * done / epochs)) / 2 for done in range(epochs)]
    history = training.fit(
        net, known, epochs=epochs, lr=lr, optimizer="adam", batch=batch, seed=seed,
        schedule=lambda epoch: cosine[epoch - 1], measure_at={round(epochs * k / looks) for k in range(1, looks + 1)},
        **settings,
    )  # fmt: skip
    return history.assign(steps=history["epoch"] * each)


# %%
def changed(images):
    """Test sets that the benchmark does not have: same digits, other pictures."""
    side, frame = images.shape[-1], images.shape[-1] // 7
    tight = images[..., frame : side - frame, frame : side - frame].float()
    coarse = F.adaptive_avg_pool2d(tight, 16)  # the format of USPS: 16x16, no margin
    return {
        "negative": 255 - images,
        "rotated by 30°": data.rotate(images.float(), 30).round().to(torch.uint8),
        "shifted by up to 4": data.shift(images, generator(0, "augmentation", images.device)),
        "like USPS": F.interpolate(coarse, size=side, mode="bilinear").round().to(torch.uint8),
    }


# %%
def steps_to(level, history):
    """Steps until the error is down to a level, between the looks by straight lines; NaN if it never is."""
    seen = history.dropna(subset="error")
    steps, errors = np.array([0, *seen["steps"]]), np.array([0.9, *seen["error"]])  # at first ten classes by chance
    there = np.flatnonzero(errors <= level)
    if not len(there):
        return np.nan
    between = [there[0], there[0] - 1]
    return float(np.interp(level, errors[between], steps[between]))


# %%
def tower(source, layers, filters, size, images, lr, seed, checkpoint=None):
    """One network of the family, trained on so many of the images."""
    inputs, labels = examples(source, "train", scale.images)
    chosen = data.select("random", inputs, labels, images, seed=seed)
    known, unseen = (inputs[chosen], labels[chosen]), examples(source, "test", scale.tests)
    net = models.Tower(layers, filters, size, seed=seed, shape=SHAPES[source])
    steps = scale.epochs * math.ceil(scale.images / scale.batch)
    history = learn(net, known, steps, scale.batch, seed, lr, looks=scale.epochs, checkpoint=checkpoint,
                    measure=lambda net: {"error": 1 - training.accuracy(net, unseen)})  # fmt: skip
    elsewhere = {name: training.accuracy(net, (other, unseen[1])) for name, other in changed(unseen[0]).items()}
    return dict(
        parameters=sum(weights.numel() for weights in net.parameters()), training=training.mean_loss(net, known),
        test=training.mean_loss(net, unseen), error=history["error"].iloc[-1],
        steps=steps_to(scale.reach, history), **elsewhere,
    )  # fmt: skip


# %%
MIDDLE, SMALLEST = scale.centre[0], min(scale.sizes)
FAMILY = [dict(layers=layers, filters=filters, size=size)
          for layers in scale.layers for filters in scale.filters for size in scale.sizes
          if scale.crossed or size == SMALLEST or (layers, filters) == scale.centre]  # fmt: skip
LINE = [net for net in FAMILY if net["layers"] == MIDDLE and net["size"] == SMALLEST]  # widths at one depth
COLOUR = [net for net in FAMILY if net["layers"] in scale.colour_layers and net["size"] == SMALLEST]


def settings(nets, source="mnist", images=(scale.images,), seeds=scale.seeds, lr=(scale.rate,)):
    return [dict(net, source=source, images=n, lr=rate, seed=one)
            for net in nets for n in images for rate in lr for one in run.seeds(seeds)]  # fmt: skip


# %%
family = run.sweep(tower, settings(FAMILY), name="family")
colour = run.sweep(tower, settings(COLOUR, "cifar10", seeds=scale.colour_seeds), name="family_cifar10")
print(f"{len(FAMILY)} networks of {family.parameters.min():,} to {family.parameters.max():,} parameters")

# %% [markdown]
# ### Layers and filters


# %%
def by_layers_and_filters(quantity, function=np.mean):
    """Maps for every filter size that was trained with all layers and filters."""
    cuts = {size: part for size, part in family.groupby("size") if part.groupby(["layers", "filters"]).ngroups
            == len(scale.layers) * len(scale.filters)}  # fmt: skip
    return {f"{size}×{size}": part.pivot_table(index="layers", columns="filters", values=quantity, aggfunc=function,
                                                  dropna=False)
            for size, part in cuts.items()}  # fmt: skip


maps = {f"{name}, {cut}": table.to_numpy() for name in ("training", "test")
        for cut, table in by_layers_and_filters(name).items()}  # fmt: skip
figure = plots.matrices(maps, rows=scale.layers, columns=scale.filters, share=False, xlabel="filters", ylabel="layers",
                        cell=(0.62, 0.42), across=max(2, len(maps) // 2), unit="nats")  # fmt: skip
run.figure("layers_and_filters", figure, caption="Cross-entropy in training and test by layers and filters.")

# %% [markdown]
# Go along a row, then down a column. Along the row more filters help, and by less and less. Down the column there are
# two effects: what a further layer can express, and how hard it is to train in the steps that there are. The best
# number of layers for each number of filters:

# %%
shallow = family[family["size"] == SMALLEST].groupby(["filters", "layers"])[["training", "test"]].mean()
best = shallow.groupby("filters").idxmin().map(lambda place: place[1])
best.rename_axis(f"filters (of {SMALLEST}×{SMALLEST})").T.rename_axis("layers with the least loss in")

# %% [markdown]
# ### One factor at a time
#
# For each factor, take all settings of the other two for which *every* level was trained, and average the log error
# over them: one curve a seed, and one law fitted to all seeds.


# %%
FACTORS = {"filters": "w", "layers": "L", "size": "k"}


def complete(table, factor):
    """Groups of networks that differ in one factor alone and have all its levels."""
    others = [name for name in FACTORS if name != factor]
    levels = table[factor].nunique()
    return {where: part for where, part in table.groupby(others) if part[factor].nunique() == levels}


def marginal(table, factor, quantity):
    """Geometric mean over the complete groups: sizes (points,) and errors (seeds, points)."""
    rows = pd.concat(complete(table, factor).values())
    means = rows.pivot_table(index="seed", columns=factor, values=quantity, aggfunc=scipy_stats.gmean)
    return means.columns.to_numpy(float), means.to_numpy()


# %%
def tidy(sizes, errors, **labels):
    return pd.DataFrame(errors, columns=sizes).melt(var_name="size", value_name="error").assign(**labels)


def with_laws(curves):
    """Points and laws as `plots.decays` takes them, from sizes and errors by label."""
    laws = {label: stats.decay(*curve) for label, curve in curves.items()}
    return pd.concat([tidy(*curve, of=label) for label, curve in curves.items()]), laws


PANELS = {"filters": (family, "filters"), "layers": (family, "layers"), "filter size": (family, "size"),
          "filters, CIFAR-10": (colour, "filters")}  # fmt: skip
parts = {panel: with_laws({name: marginal(*of, name) for name in ("training", "test")}) for panel, of in PANELS.items()}
figure = plots.decays(parts, "size", "error", hue="of", ylabel="cross-entropy (nats)")
run.figure("factors", figure, caption="Errors by filters, layers and filter size, others averaged, with fitted laws.")

# %% [markdown]
# Points are means with 95 % intervals over seeds, lines the fitted laws. Training and test fall together as filters are
# added: what more filters bring is approximation first. Where the training loss goes on falling and the test loss does
# not, it is the data that are short. In the other panels count the points: a, b and c are fitted to three or four
# levels, so a line through them is no evidence of a law, and the exponent is any that goes with its floor.
#
# The same without averaging, one fit for each setting of the other two factors that has all levels:

# %%
separate = pd.DataFrame([
    dict(factor=factor, others=f"{others}", exponent=law.exponent, low=law.low, high=law.high, floor=law.floor)
    for factor in FACTORS for others, part in complete(family, factor).items()
    for law in [stats.decay(*marginal(part, factor, "test"))]
])  # fmt: skip
separate["known within 1"] = separate["high"] - separate["low"] < 1
run.table("separate_fits", separate, caption="Exponents of the test cross-entropy, the other two factors fixed.")
each = separate.groupby("factor", sort=False)
each["exponent"].describe()[["count", "min", "50%", "max"]].join(each["known within 1"].sum())

# %% [markdown]
# An exponent of 10 or −10 is the end of what the fit allows: the error steps down (or up) once and then stays.

# %% [markdown]
# ### Parameters
#
# Are layers, filters and filter size only three ways of adding parameters?


# %%
def by_networks(quantity):
    """Number of parameters (networks,) and errors (seeds, networks)."""
    errors = family.pivot_table(index="seed", columns=[*FACTORS, "parameters"], values=quantity)
    return errors.columns.get_level_values("parameters").to_numpy(float), errors.to_numpy()


pooled = stats.decay(*by_networks("test"))
figure = plots.decays({"parameters": (family, {"one law for all": pooled})}, "parameters", "test", hue="layers",
                      legend="layers", ylabel="test cross-entropy (nats)", size=(4.4, 3.1))  # fmt: skip
run.figure("parameters", figure, caption="Test cross-entropy against the number of parameters, all networks.")

# %%
print(f"b = {pooled.exponent:.2f}, 95 % interval {pooled.low:.2f} to {pooled.high:.2f}")
print(f"The networks scatter about the law {pooled.misfit**0.5:.0f} times as widely as seeds would make them.")

# %% [markdown]
# Where colours lie at different heights above the same number of parameters, that number is not what counts. The
# interval of b, which comes from resampling seeds, does not know of this: it tells how well *this* family's exponent is
# known, not what another family's would be.

# %% [markdown]
# ### Speed, and one check
#
# Steps of training until the test error falls to a given level, between the epochs by interpolation; empty where a
# seed did not come so far.


# %%
speed = pd.concat(by_layers_and_filters("steps", lambda steps: steps.mean(skipna=False)), names=["filter size"])
run.table("steps", speed.round(), caption=f"Steps until the test error is {scale.reach:.0%}, mean over seeds.")

# %%
ENDS = [net for net in FAMILY if net["size"] == SMALLEST and net["layers"] in (min(scale.layers), max(scale.layers))
        and net["filters"] in (min(scale.filters), max(scale.filters))]  # fmt: skip
rates = run.sweep(tower, settings(ENDS, seeds=1, lr=[scale.rate / 3, scale.rate, 3 * scale.rate]), name="rates")
run.table("rates", rates.pivot_table(index=["layers", "filters"], columns="lr", values="test"),
          caption="Test cross-entropy at the corners of the family with three learning rates, one seed.")  # fmt: skip

# %% [markdown]
# One learning rate serves all networks. Where the best of the three changes from corner to corner, part of what looks
# like the effect of a size is the effect of a rate that suits it; where the largest is best everywhere, all of them
# were trained too briefly, and the exponents above are those of a training cut short.

# %% [markdown]
# ## Scenario #2: the same network, other data
#
# LeNet-5 on MNIST, and on CIFAR-10 the network of the [TensorFlow tutorial](../generalizations/network.ipynb), each for
# a fixed number of steps, whatever the number of images.


# %%
def training_set(kind, images, seed):
    """So many labelled digits from the pool."""
    inputs, labels = examples("mnist", "train", scale.pool)
    chosen = data.select(kind if kind in data.selection.KINDS else "random", inputs, labels, images, seed=seed)
    wrong = 0.05 if kind == "noisy labels" else 0.0
    return inputs[chosen], data.mislabel(labels[chosen], wrong, seed=seed)


SELECTIONS = [*data.selection.KINDS, "augmented", "noisy labels"]


# %%
def scored(net, unseen):
    return dict(test=training.mean_loss(net, unseen), error=1 - training.accuracy(net, unseen))


def lenet(kind, images, seed, checkpoint=None):
    """LeNet-5 on a choice of digits, and the statistics of the choice."""
    known, unseen = training_set(kind, images, seed), examples("mnist", "test", scale.tests)
    net = models.LeNet5(seed=seed, coding="[0,1]", border=2)
    augment = functools.partial(data.shift, reach=2) if kind == "augmented" else None
    learn(net, known, scale.steps, 64, seed, scale.rate, augment=augment, checkpoint=checkpoint)
    pool = examples("mnist", "train", scale.pool)[0]
    return scored(net, unseen) | data.sample_statistics(known[0], pool, unseen[0][:2_000], seed=seed)


def cifar(images, seed, checkpoint=None):
    """The CIFAR-10 network on so many images."""
    inputs, labels = examples("cifar10", "train", 50_000)
    chosen = data.select("random", inputs, labels, images, seed=seed)
    net = models.CifarCNN(seed=seed)
    learn(net, (inputs[chosen], labels[chosen]), scale.colour_steps, 32, seed, 1e-3, checkpoint=checkpoint)
    return scored(net, examples("cifar10", "test", scale.tests))


# %%
digits = run.sweep(lenet, kind=["random"], images=scale.known, seed=run.seeds(scale.chosen_seeds), name="images")
colours = run.sweep(cifar, images=scale.colour_known, seed=run.seeds(scale.colour_seeds), name="images_cifar10")


# %%
def by_images(table, quantity):
    errors = table.pivot_table(index="seed", columns="images", values=quantity)
    return errors.columns.to_numpy(float), errors.to_numpy()


KINDS = {"test": "cross-entropy (nats)", "error": "0–1 error"}
parts = {f"{name} images": with_laws({told: by_images(table, what) for what, told in KINDS.items()})
         for name, table in {"MNIST": digits, "CIFAR-10": colours}.items()}  # fmt: skip
figure = plots.decays(parts, "size", "error", hue="of", ylabel="test error", size=(3.4, 3.1))
run.figure("images", figure, caption="Test error against the number of training images, with fitted laws.")

# %% [markdown]
# Over as many images the error on digits falls many times as far as that on photographs: the rate is a property of the
# *problem* before it is one of the network. But b alone is no measure of it: a small fall that is soon over is a large
# b above a high floor. And the curves bend where images are no longer what is short; with a fixed number of steps that
# is, at the latest, where a training sees each image only a few times. Then the floor c is one of steps, not of data.
#
# ### All exponents, and other laws
#
# Is a power the right law at all? AIC tells how much worse the same error is described by a power without floor, by an
# exponential or by a logarithm (differences to the best; a few units are none).


# %%
CURVES = {}
for what in ("training", *KINDS):
    CURVES |= {(letter, what): marginal(family, factor, what) for factor, letter in FACTORS.items()}
    CURVES["P", what] = by_networks(what)
for what in KINDS:
    CURVES |= {("N", what): by_images(digits, what), ("N, CIFAR-10", what): by_images(colours, what)}

# %%
rows = []
for (z, what), (sizes, errors) in CURVES.items():
    errors = np.maximum(errors, 0.5 / scale.tests)  # an error of none counts as half of one
    laws = {kind: stats.decay(sizes, errors, law=kind, resamples=400 * (kind == "power")) for kind in stats.LAWS}
    least, law = min(one.aic for one in laws.values()), laws["power"]
    rows.append(dict(z=z, error=what, points=len(sizes), b=law.exponent, low=law.low, high=law.high, c=law.floor,
                     misfit=law.misfit, **{f"AIC, {kind}": one.aic - least for kind, one in laws.items()}))  # fmt: skip
exponents = pd.DataFrame(rows).sort_values(["error", "z"], ignore_index=True)
run.table("exponents", exponents, caption="err = a z^(-b) + c for every z: b with interval, c, and AIC of four laws.")
exponents.round(2)

# %% [markdown]
# `training` and `test` are cross-entropies, `error` is the 0–1 error. Read b with its interval and with `points`: with
# three or four, nothing is left to check the law by. `misfit` is what is left over in units of the seeds' scatter:
# about 1 if the law tells all, far above 1 where it does not, as for P, since networks of equal size differ. For large
# tasks the literature has exponents of images between 0.07 and 0.35; a digit is an easier thing.

# %% [markdown]
# ### Images and parameters at once
#
# err = a N⁻ᵇ + d P⁻ᵉ + c, fitted to towers of one depth and filter size, each width with each number of images.

# %%
fewer = run.sweep(tower, settings(LINE, images=scale.fewer), name="images_and_filters")
line = family[(family["layers"] == MIDDLE) & (family["size"] == SMALLEST)]
grid = pd.concat([fewer, line], ignore_index=True)
cells = grid.pivot_table(index="seed", columns=["images", "parameters"], values="test")
joint = stats.joint_decay(*(cells.columns.get_level_values(name) for name in cells.columns.names), cells.to_numpy())
laws = {filters: functools.partial(joint, p=part["parameters"].iloc[0]) for filters, part in grid.groupby("filters")}
figure = plots.decays({"images": (grid, laws)}, "images", "test", hue="filters", legend="filters",
                      ylabel="test cross-entropy (nats)", size=(4.4, 3.1))  # fmt: skip
told = "Test cross-entropy by images and filters, with one law for all cells."
run.figure("joint", figure, caption=told, n=scale.seeds)

# %%
for name, end in (("b, of images", joint.first), ("e, of parameters", joint.second)):
    print(f"{name}: {end.mean:.2f} (95 % interval {end.low:.2f} to {end.high:.2f}, {end.n} seeds)")
print(f"floor c = {joint.floor:.3f} nats; misfit {joint.misfit:.1f}")

# %% [markdown]
# If both shortages simply added up, the curves of narrow networks would level off at their own height and those of wide
# ones go on, in the same order everywhere. See whether the points keep that order at the left: where a wide network has
# no advantage with few images, a sum of two powers cannot say so.

# %% [markdown]
# ### Which images?
#
# The same number of labelled digits, chosen in seven ways. *k-centre* takes again and again the image farthest from all
# those chosen; *one cluster* takes of every class one of its ten clusters on the sphere; *duplicates* are a random half
# twice; *augmented* digits are moved by up to two pixels whenever they are shown; of *noisy labels* 5 % are wrong.

# %%
shown = {kind: training_set(kind, scale.selected, seed)[0] for kind in data.selection.KINDS}
spaced = {
    kind: np.pad(images[:: len(images) // 14][:14, 0], ((0, 0), (1, 1), (1, 1))) for kind, images in shown.items()
}
figure = plots.images({kind: np.concatenate(row, 1)[None] for kind, row in spaced.items()})
figure.set_size_inches(7.2, 2.6)
run.figure("chosen", figure, caption="Every so many digits of five choices.", n=1)

# %%
choices = run.sweep(lenet, kind=SELECTIONS, images=[scale.selected], seed=run.seeds(scale.chosen_seeds), name="choices")
figure = plots.strip(choices, "kind", "test", ylabel="test cross-entropy (nats)", width=7.5)
figure.axes[0].tick_params(axis="x", rotation=15)
figure.axes[0].set_yscale("log")
figure.axes[0].yaxis.set(major_locator=LogLocator(subs=(1, 2, 5)), major_formatter="{x:g}")
figure.axes[0].yaxis.set(minor_locator=NullLocator())
run.figure("choices", figure, caption="Test cross-entropy after training on as many digits, by how they were chosen.")

# %%
columns = ["test", "error", "rank", "distance", "coverage"]
run.table("choices", tables.summarise(choices, columns, "kind"), caption="Scores and statistics of seven choices.")
by_kind = np.log(choices.pivot_table(index="seed", columns="kind", values="test"))
ratios = {kind: stats.paired(by_kind[kind], by_kind["random"]) for kind in SELECTIONS[1:]}
ratios = pd.DataFrame(ratios, index=stats.Comparison._fields).loc[["difference", "low", "high"]].apply(np.exp)
ratios.T.rename(columns={"difference": "loss, times that of random"}).round(2)

# %% [markdown]
# The typical is a poor teacher: digits near the mean of their class, or from one cluster of it, are the worst choices.
# But diversity has no value in itself either. The k-centres are the most diverse by rank, and worse than chance: the
# farthest digits are odd ones, and the test is on ordinary ones. Repeating half costs about what having half costs.

# %% [markdown]
# ## Can the statistics of the samples tell?
#
# Three numbers that need no label: the effective *rank* of the covariance, the mean *distance* of a test digit to the
# nearest training digit, and the *coverage*, the share of the pool's clusters (on the sphere) that were touched.

# %%
STATISTICS = {"rank": "effective rank", "distance": "distance to a test digit", "coverage": "coverage"}
both = pd.concat([digits.assign(of=[f"random, {n:,}" for n in digits["images"]]),
                  choices[choices.kind != "random"].assign(of=choices.kind)], ignore_index=True)  # fmt: skip
figure = plots.configurations(both, STATISTICS, "test", hue="of", ylabel="test cross-entropy (nats)")
run.figure("statistics", figure, caption="Test cross-entropy against three statistics of the training images.")

# %% [markdown]
# One point is one network. Follow the random choices, from few images to many, and see which of the others leave their
# path: to the right of it in the first panel, the k-centres, whose high rank does not pay.
#
# Can the error be *predicted* from such numbers? Leave out one configuration, fit a straight line between logarithms to
# all the others, predict; and so on for each.

# %%
logs = np.log(both[[*STATISTICS, "test", "images"]])
SETS = {"number of images": ["images"], **{name: [name] for name in STATISTICS}, "all three": [*STATISTICS]}
left_out = {name: stats.predict_left_out(logs[columns], logs["test"], both["of"]) for name, columns in SETS.items()}
told = {name: stats.explained_left_out(one, logs["test"], both["of"]) for name, one in left_out.items()}
told = pd.Series(told, name="explained").rename_axis("predicted from").reset_index()
run.table("predicted", told, caption="Share of the squared log error that is predicted for configurations left out.")

# %%
came = pd.DataFrame({"predicted": left_out["all three"], "came": logs["test"], "of": both["of"]})
came = came.groupby("of", sort=False).mean().apply(np.exp).reset_index()
figure = plots.configurations(came, {"predicted": "predicted from three statistics (nats)"}, "came", hue="of",
                              ylabel="test cross-entropy (nats)", diagonal=True, size=(3.6, 3.3))  # fmt: skip
run.figure("predicted", figure, caption="Test error of each configuration against its prediction from all the others.")

# %% [markdown]
# `explained` compares the squared errors with those of the plain mean of the other configurations: 1 is perfect, 0 or
# less is no use. See how much the number of images tells once images are chosen, and how much the statistics. Not all:
# points above the line did worse than their images let one expect. And wrong labels and moved digits cannot show, since
# the statistics see the images only, as they were stored.

# %% [markdown]
# ## Which labels to ask for?
#
# "We need to know what to build to improve training diversity." Here the network itself asks: begin with a few labelled
# digits, train, then label those whose two likeliest classes are closest, and train afresh. Is a label worth more then
# than one given at random?


# %%
def asking(seed):
    """Test scores as labels are added that the network asks for."""
    inputs, labels = examples("mnist", "train", scale.pool)
    unseen, net, rows = examples("mnist", "test", scale.tests), None, []
    known = data.select("random", inputs, labels, scale.labelled[0], seed=seed)
    for size in scale.labelled:
        if size > len(known):
            margin = -training.probabilities(net, inputs).cpu().topk(2)[0].diff(dim=1)[:, 0]
            margin[known] = torch.inf
            known = torch.cat([known, margin.argsort(stable=True)[: size - len(known)]])
        net = models.LeNet5(seed=seed, coding="[0,1]", border=2)
        learn(net, (inputs[known], labels[known]), scale.steps, 64, seed, scale.rate)
        rows.append(scored(net, unseen))
    return {name: [row[name] for row in rows] for name in ("test", "error")}


# %%
asked = run.sweep(asking, seed=run.seeds(scale.chosen_seeds), name="asked")
asked = tables.unroll(asked, "error", images=scale.labelled).assign(labels="asked for")
random = digits[digits.images.isin(scale.labelled)].assign(labels="at random")
labelled = pd.concat([random, asked])[["labels", "images", "seed", "error"]]
figure = plots.decays({"labels": (labelled, {})}, "images", "error", hue="labels", ylabel="test error", size=(3.4, 2.7))
run.figure("labels", figure, caption="Test error against the number of labels, at random and asked for.")

# %% [markdown]
# At the left both are the same networks. Where the second colour lies below the first, a label that was asked for is
# worth more than one given at random; go right along the first colour to see how many of those would have done as well.
# Note what is asked for: not what is far from all that is known (the k-centres), but what lies between two classes.

# %% [markdown]
# ## Does the benchmark rank networks rightly?
#
# "Being top in some datasets does not imply solving real problems." Every tower of the family, by its accuracy on the
# test set and on four changed ones.

# %%
ELSEWHERE = ["negative", "rotated by 30°", "shifted by up to 4", "like USPS"]
nets = family.assign(benchmark=1 - family["error"]).groupby(list(FACTORS), sort=False)
nets = nets[["benchmark", *ELSEWHERE]].mean().reset_index()
ranks = {name: stats.bootstrap(lambda a, b: scipy_stats.spearmanr(a, b).statistic, nets["benchmark"], nets[name],
                               paired=True, resamples=999) for name in ELSEWHERE}  # fmt: skip
run.table("ranks", pd.DataFrame(ranks, index=["correlation", "low", "high", "networks"]).T.rename_axis("test set"),
          caption="Rank correlation of accuracies on a changed test set and on MNIST's, over networks.")  # fmt: skip

# %%
parts = {name: nets.rename(columns={name: "elsewhere"}) for name in ELSEWHERE}
dots = functools.partial(plots.scatter, x="benchmark", y="elsewhere", hue="layers")
figure = plots.panels(parts, dots, across=2, size=(3.0, 2.3), xlabel="accuracy on MNIST's test set",
                      ylabel="accuracy on the changed one")  # fmt: skip
run.figure("elsewhere", figure, caption="Accuracy of every network on changed test sets against that on MNIST's.")

# %% [markdown]
# Compare the colours. Networks of different depth that are equal on the benchmark can be far apart on shifted or
# USPS-like digits: each further pooling tolerates more of a shift, and the benchmark, whose digits are centred, does
# not ask for it. On negatives none is of much use, whatever its rank. A ranking by one test set is a ranking *for* it.

# %% [markdown]
# ## The claims
#
# The slide only asks. What is judged is that errors fall at all, and that exponents lie above 0: for images on LeNet-5,
# for layers, filters and filter size on the averaged curves, for parameters over all networks.

# %%
run.claim("understanding.rate.open", by_images(digits, "test")[1])
sizes, losses = by_networks("training")
run.claim("understanding.rate.s1", losses[:, sizes.argsort(kind="stable")])
pair = choices.pivot_table(index="seed", columns="kind", values="test")[["one cluster", "random"]]
run.claim("understanding.rate.s2", pair.to_numpy())

# %%
VARIANTS = {"test": "faithful", "error": "0-1 error"}
for row in exponents[exponents.z.isin(list("NwPLk")) & exponents.error.isin(VARIANTS)].itertuples():
    seeds = scale.chosen_seeds if row.z == "N" else scale.seeds
    run.claim(f"understanding.rate.fit.{row.z}", estimate=row.b, low=row.low, high=row.high, n=seeds,
              variant=VARIANTS[row.error])  # fmt: skip

# %%
run.finish()

# %% [markdown]
# ## What to try next
#
# - Train the towers for ten times as many steps (`SCALE="epochs=40"`): do the exponents of depth change more than those
#   of width?
# - Give `SELECTIONS` a choice that mixes: half k-centre, half random. Does it beat both?
# - Fit the joint law on CIFAR-10, with `settings(LINE, "cifar10", images=scale.fewer)`.
# - Put photographs behind the digits in `changed`: does any tower of the family keep its rank?
