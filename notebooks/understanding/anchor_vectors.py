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
# # Anchor vectors, and clusters on the sphere
#
# *Understanding Neural Networks* (C.-C. Jay Kuo), slides "Engineering Practices", "Where CNN Stores 'Learned
# Knowledge'?", "Convolution is 'Vector Inner Product' or 'Projection'" and "REctified COrrelation on a Sphere (RECOS)
# Model".
#
# **Claimed.** Initial weights, learning rate, momentum, batch size, epochs and dropout matter; all that is learned is
# summarised in the filter weights; these are fixed *anchor vectors*, with which inputs on the unit sphere are compared
# by angle. The slides give no number.
#
# **Time on two cores.** smoke: seconds; laptop: a minute; paper (all 192 combinations of practices, 60,000 digits):
# two and a half hours, most of it for the combinations. The laptop run has 2,000 digits, 1,000 where it turns one
# practice at a time. It shows which practices can ruin a training, and what filters are worth; how much a practice
# matters once there are enough digits, it cannot show.

# %% tags=["parameters"]
profile = "auto"  # smoke, laptop, paper; auto asks the machine
device = "auto"  # cpu, cuda
seed = 0  # the first of the seeds

# %%
import copy
import functools
import itertools

import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown
from torch.nn import functional as F

from companion import models, plots, recos, seeds, stats, tables, training
from companion.run import Run

# %%
run = Run("understanding/anchor_vectors", profile=profile, device=device, seed=seed)
scale = run.scale(
    smoke=dict(images=250, tests=250, practised=100, epochs=2, seeds=2, grid="cut", patches=500,
               sizes=(50, 200), steps=10),
    laptop=dict(images=2_000, tests=2_000, practised=1_000, epochs=5, seeds=3, grid="cut", patches=6_000,
                sizes=(50, 200, 800), steps=200),
    paper=dict(images=60_000, tests=10_000, practised=60_000, epochs=5, seeds=3, grid="full", patches=50_000,
               sizes=(100, 300, 1_000, 3_000, 10_000, 60_000), steps=4_000),
)  # fmt: skip

# %% [markdown]
# ## Engineering practices
#
# LeNet-5 (61,706 weights, ReLU, max-pooling), trained by stochastic gradient descent. `DEFAULT` is where all practices
# stand but the one that is turned, or the two: initial weights and learning rate are turned together as well. With
# `grid="full"` all combinations are trained. Every training is tested after each epoch, so the number of epochs needs
# no trainings of its own.

# %%
PRACTICES = {
    "initial": ["glorot", "he", "normal", "zero"],
    "lr": [1e-4, 1e-3, 1e-2, 1e-1],
    "momentum": [0.0, 0.9],
    "batch": [16, 128, 1024],
    "dropout": [0.0, 0.5],
}
DEFAULT = {"initial": "glorot", "lr": 1e-2, "momentum": 0.9, "batch": 16, "dropout": 0.0}

# %% [markdown]
# "normal" is N(0, 1) as in public code on the subject; "zero" sets all weights to zero. A training whose loss or
# weights overflow counts as one that answers the same digit to everything, 10 %.


# %%
def practice(initial, lr, momentum, batch, dropout, seed):
    train, test = recos.digits("train", scale.practised), recos.digits("test", scale.tests)
    net = models.recos_lenet5(seed=seed, initial=initial, dropout=dropout)
    settings = dict(epochs=scale.epochs, lr=lr, momentum=momentum, batch=batch, seed=seed)
    try:
        history = training.fit(net, train, measure=lambda net: {"test": training.accuracy(net, test)}, **settings)
        accuracy = list(history["test"])
    except training.Diverged as stop:
        accuracy = [row["test"] for row in stop.rows]
    rest = scale.epochs - len(accuracy)
    return dict(accuracy=np.array(accuracy + rest * [0.1]), diverged=rest > 0)


# %%
combinations = (dict(zip(PRACTICES, levels, strict=True)) for levels in itertools.product(*PRACTICES.values()))
turned_in = ((one, {name for name in PRACTICES if one[name] != DEFAULT[name]}) for one in combinations)
chosen = [one for one, turns in turned_in
          if scale.grid == "full" or len(turns) <= 1 or turns == {"initial", "lr"}]  # fmt: skip
trained = run.sweep(practice, [one | dict(seed=s) for one in chosen for s in run.seeds(scale.seeds)])

# %%
FACTORS = PRACTICES | {"epochs": list(range(1, scale.epochs + 1))}
HOME = DEFAULT | {"epochs": scale.epochs}
every = tables.unroll(trained, "accuracy", epochs=FACTORS["epochs"])
effects = recos.effects(every, HOME, FACTORS)
run.table("practices", effects, caption="Change of test accuracy (points) from the default, by practice.")

# %%
figure = plots.intervals(effects, "practice", "change", xlabel="change of test accuracy (points)")
run.figure("practices", figure, caption="Change of test accuracy when one practice is turned; 95 % intervals.")

# %%
default = ", ".join(f"{name} {level}" for name, level in HOME.items())
usual = recos.turned(every, HOME)["accuracy"].mean()
Markdown(f"With the default ({default}), **{100 * usual:.1f} %** of the test digits are read on average.")

# %% [markdown]
# Zeros and N(0, 1) leave the network near chance: zeros are the same filter many times over, none of which gets a
# gradient; N(0, 1) is so large that the first steps wreck it. Too large a rate does the same, too small a rate or too
# large a batch makes too little of the digits that it is shown. Nothing raises the accuracy as much as these can lower
# it: around a good default the practices are ways to fail.
#
# The learning rate cannot be judged alone; which one is right hangs on the weights it starts from, and (in the full
# grid) on momentum and batch.

# %%
parts = {f"momentum {m:g}, batch {b}": recos.plane(every, HOME | dict(momentum=m, batch=b), "initial", "lr", FACTORS)
         for b in PRACTICES["batch"] for m in PRACTICES["momentum"]}  # fmt: skip
parts = {name: matrix for name, matrix in parts.items() if np.isfinite(matrix).all()}
figure = plots.matrices(parts, rows=FACTORS["initial"], columns=FACTORS["lr"], ylabel="initial weights",
                        xlabel="learning rate", across=2, cell=(0.62, 0.4))  # fmt: skip
run.figure("grid", figure, caption="Test accuracy by initial weights, learning rate, momentum and batch; no dropout.")

# %% [markdown]
# ## Convolution is an inner product
#
# Cut an image into its 5×5 patches, lay each out as a vector, multiply by the matrix whose rows are the filters: that
# is what the layer does. A filter is an *anchor vector*, a patch is projected on it.

# %%
# NBVAL_CHECK_OUTPUT
net = models.recos_lenet5(seed=seed)
images = net[0](recos.digits("test", 20).inputs)
patches = F.unfold(images, 5).transpose(1, 2)  # images × places × 25
filters = recos.anchors(net[1])
by_hand = patches @ filters.T + net[1].layer.bias
answers = net[1].responses(images).flatten(2).transpose(1, 2)
tuple(patches.shape), tuple(filters.shape), torch.allclose(by_hand, answers, atol=1e-5)

# %% [markdown]
# ## Anchor vectors before and after training
#
# From here on LeNet-5 is trained with Adam (0.001, batches of 32). Filters are looked at after steps that double in
# number. Angles are between filters whose mean is taken off, as patches are normalised in RECOS: to zero mean and unit
# length, patch by patch.

# %%
LAYERS = {1: "C1", 2: "C3"}
ADAM = dict(optimizer="adam", lr=1e-3, batch=32)
STEPS = [0] + [2**k for k in range(30) if 2**k < scale.epochs * scale.images // ADAM["batch"]]


def fitted(net, examples, seed):
    training.fit(net, examples, epochs=scale.epochs, seed=seed, **ADAM)
    return net


# %% [markdown]
# Do they move to the centres of clusters? These are found by k-means on the sphere, with as many centres as the layer
# has filters, in what the trained network's layer is given.


# %%
def atlas(seed):
    train, net = recos.digits("train", scale.images), models.recos_lenet5(seed=seed)
    with recos.watched(net, STEPS) as seen:
        fitted(net, train, seed)
    seen.append([recos.anchors(net[layer]) for layer in LAYERS])
    inputs = (recos.inputs_of(net, layer, train.inputs, scale.patches, seed=seed) for layer in LAYERS)
    centres = [recos.kmeans(some, len(one), seed=seed).centres for some, one in zip(inputs, seen[0], strict=True)]
    moved = [recos.moved([taken[k] for taken in seen], centres[k]) for k in range(len(LAYERS))]
    from_start, to_centre = (np.stack(both) for both in zip(*moved, strict=True))
    return dict(first=seen[0][0], last=seen[-1][0], centres=centres[0], from_start=from_start, to_centre=to_centre)


# %%
pictured = run.sweep(atlas, seed=run.seeds(scale.seeds))
steps = [*STEPS, scale.epochs * -(-scale.images // ADAM["batch"])]
kinds = {"from_start": "where it started", "to_centre": "the nearest centre"}
along = pd.concat([
    tables.unroll(pictured, name, layer=LAYERS.values(), step=steps).rename(columns={name: "angle"}).assign(to=told)
    for name, told in kinds.items()
])  # fmt: skip
along["shown"] = along["step"] + 1  # gives the start a place on the logarithmic axis

# %%
line = functools.partial(plots.curves, x="shown", y="angle", hue="to", log_x=True)
parts = dict(list(along.groupby("layer", sort=False)))
figure = plots.panels(parts, line, across=2, size=(3.0, 2.5), xlabel="steps + 1",
                      ylabel="angle of a filter to … (degrees)")  # fmt: skip
run.figure("angles", figure, caption="Mean angle of filters to their start and to the nearest centre, by step.")

# %% [markdown]
# Filters leave their random start by a few tens of degrees. The angle to the nearest centre is at first what chance
# gives, and falls: training does turn filters towards the centres, but they stay far from them. What they become
# depends on where they began.

# %%
one = pictured.iloc[0]
shown = {"before training": one["first"], "after": one["last"], "centres": one["centres"]}
shown = {name: recos.directions(torch.tensor(some, dtype=torch.double)) for name, some in shown.items()}
figure = plots.images({name: some.reshape(-1, 5, 5).numpy() + 0.5 for name, some in shown.items()})
run.figure("filters", figure, caption="C1 filters of one network before and after training, and cluster centres.", n=1)

# %% [markdown]
# Centres are edges, the commonest patches with contrast. The trained filters have kept much of their noise: look for
# the same light and dark places in the first two rows.

# %% [markdown]
# ## Where is the knowledge?
#
# If what is learned is in the filters, other filters should cost. The convolutions of a trained network are replaced,
# at the same lengths, and either nothing else is done, or the *later* layers are trained afresh from their own random
# start. `trained` keeps the filters and trains the later layers afresh like the others.


# %%
def replaced(seed):
    train, test = recos.digits("train", scale.images), recos.digits("test", scale.tests)
    original = fitted(models.recos_lenet5(seed=seed), train, seed)
    rows = [dict(filters="as trained", layers=2, kept=training.accuracy(original, test))]
    for kind, layers in itertools.product(recos.KINDS, (1, 2)):
        net = copy.deepcopy(original)
        recos.replace_filters(net, kind, train.inputs, layers=layers, n=scale.patches, seed=seed)
        fixed, later = net[: layers + 1], models.recos_lenet5(seed=seed)[layers + 1 :]
        features = [training.outputs(fixed, part.inputs) for part in (train, test)]
        fitted(later, (features[0], train.labels), seed)
        refitted = training.accuracy(later, (features[1], test.labels))
        rows.append(dict(filters=kind, layers=layers, kept=training.accuracy(net, test), refitted=refitted))
    return [dict(refitted=rows[0]["kept"]) | row for row in rows]


# %%
given = run.sweep(replaced, seed=run.seeds(scale.seeds))
given["replaced"] = given["layers"].map({1: "C1", 2: "C1 and C3"})
summary = tables.summarise(given, ["kept", "refitted"], ["filters", "replaced"])
wide = summary.pivot_table(index=["replaced", "filters"], columns="quantity", values="mean", sort=False)
run.table("replaced", wide.reset_index(), caption="Test accuracy with other filters: later layers kept, or refitted.")

# %%
parts = {f"{name} replaced": given[(given.replaced == name) & (given.filters != "as trained")]
         for name in ("C1", "C1 and C3")}  # fmt: skip
parts = {name: part.melt(["filters", "seed"], ["kept", "refitted"], "later layers", "accuracy")
         for name, part in parts.items()}  # fmt: skip
strip = functools.partial(plots.strip, x="filters", y="accuracy", hue="later layers", share=True)
figure = plots.panels(parts, strip, across=2, size=(3.3, 2.5), ylabel="test accuracy")
run.figure("replaced", figure, caption="Test accuracy with other filters, later layers kept or trained afresh.")

# %% [markdown]
# Kept layers cannot read what other filters send: filters and later layers are one code. Trained afresh, they can, even
# with random filters, and the gap to trained ones is what *learned* filters are worth. Centres of clusters of patches,
# which have seen no label, close all or most of that gap. So the weights do hold all that is learned (there is no other
# place), but what the convolutions hold of it can be had from the images alone.

# %% [markdown]
# ## RECOS: three anchor vectors on a circle
#
# Inputs of unit length in the plane, three anchor vectors at 0°, 120° and 240°. Each answers with the cosine of the
# angle to the input, which then is rectified, or has to pass a threshold (threshold ReLU, 0.5).

# %%
degrees = torch.arange(0.0, 360, dtype=torch.double)
inputs, anchors = recos.on_circle(degrees), recos.on_circle(torch.tensor([0.0, 120, 240], dtype=torch.double))
ACTIVATIONS = {"raw": "identity", "ReLU": "relu", "threshold ReLU": "trelu 0.5"}
codes = {name: models.recos.activation(kind)(inputs @ anchors.T) for name, kind in ACTIVATIONS.items()}
parts = {
    name: pd.DataFrame({"input": degrees.repeat_interleave(3), "response": code.flatten(),
                        "anchor at": [0, 120, 240] * len(degrees)})
    for name, code in codes.items()
}  # fmt: skip
run.figure("circle", plots.polar(parts, "input", "response", hue="anchor at"), n=0,
           caption="Response of three anchor vectors to inputs all round the circle; dotted: negative.")  # fmt: skip

# %% [markdown]
# The dotted lobes are the negative correlations, the question of the slide: rectification takes them away, and a
# threshold narrows what is left. Does an input still have a code of its own? For all pairs of inputs, the angle between
# them against the distance of their codes:

# %%
between = recos.angles(inputs, inputs)
told = {}
for name, code in codes.items():
    apart = torch.cdist(code, code)
    close = apart < 0.1
    told[name] = {"closest codes of inputs over 90° apart": apart[between > 90].min().item(),
                  "share of these with codes closer than 0.1": close[between > 90].double().mean().item(),
                  "widest angle with codes closer than 0.1": between[close].max().item()}  # fmt: skip
run.table("circle", pd.DataFrame(told).T.rename_axis("codes"), caption="Do inputs far apart have codes of their own?")

# %% [markdown]
# Raw correlations never confuse anything in *one* stage: they are a linear map of the input with nothing lost.
# Rectification already merges inputs that only one anchor vector sees (up to 60° apart, the same angle on either side
# of it). The threshold leaves gaps in which no anchor vector answers, and inputs from different gaps, far apart, have
# the same empty code. What rectification is good for shows in the second stage
# ([negative correlations](negative_correlations.ipynb)).

# %% [markdown]
# ## Four clusters on the sphere
#
# Points about four corners of a tetrahedron, clustered by angle without their labels. Purity is the share of points
# that are of the kind that is most frequent in their cluster.

# %%
SPREADS = [0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.2]


def four(spread, seed):
    points, labels = recos.planted(1_000, spread=spread, seed=seed)
    found = recos.kmeans(points, 4, seed=seed)
    other = points.flip(0)  # every point with another
    angle = recos.angles(points, other).diagonal().deg2rad()
    gap = (recos.arc_lengths(points, other) - angle).abs().max()
    return dict(purity=recos.purity(found.labels, labels), gap=gap)


four_clusters = run.sweep(four, spread=SPREADS, seed=run.seeds(max(5, scale.seeds)))

# %%
shown = {f"spread {spread}": recos.planted(400, spread=spread, seed=seed) for spread in (0.2, 0.4, 0.8)}
found = {name: recos.kmeans(points, 4, seed=seed) for name, (points, _) in shown.items()}
figure = plots.sphere({name: (points.numpy(), found[name].labels.numpy()) for name, (points, _) in shown.items()},
                      centres={name: one.centres.numpy() for name, one in found.items()})  # fmt: skip
run.figure("sphere", figure, caption="Points about four directions, coloured by cluster; pins: the centres.", n=1)

# %%
figure = plots.curves(four_clusters, "spread", "purity", share=True, xlabel="spread of each coordinate")
run.figure("purity", figure, caption="Share of points in the cluster of their kind, by spread.", n=max(5, scale.seeds))

# %% [markdown]
# Clusters are found as long as they are clusters; with a spread near 1 the points cover the sphere, and four centres
# divide it anyhow. The claim is judged at a spread of 0.3.
#
# Now the centres serve as anchor vectors, and pairs of points are compared: the angle between them, and the distance of
# their codes.

# %%
points, _ = recos.planted(300, spread=0.4, seed=seed)
centres = recos.kmeans(points, 4, seed=seed).centres
pairs = torch.randperm(300 * 300, generator=seeds.generator(seed, "order"), device="cpu")[:700]
places = pairs // 300, pairs % 300
parts = {}
for name, kind in ACTIVATIONS.items():
    code = models.recos.activation(kind)(points @ centres.T)
    distance = (code[places[0]] - code[places[1]]).norm(dim=1)
    parts[name] = pd.DataFrame({"angle": recos.angles(points, points)[places], "distance": distance})

# %%
cloud = functools.partial(plots.scatter, x="angle", y="distance")
figure = plots.panels(parts, cloud, size=(2.4, 2.3), xlabel="angle between inputs (degrees)", ylabel="code distance")
run.figure("distortion", figure, caption="Angle of two inputs against the distance of their codes.", n=1)

# %% [markdown]
# Raw codes keep the angle: the cloud is nearly a line. Rectified ones blur it: some inputs tens of degrees apart have
# nearly the same code, and how far apart distant ones are hardly matters any more. The threshold blurs it further.

# %% [markdown]
# ## Patches of digits
#
# Patches of 5×5 pixels, zero mean, unit length. How much of a patch does the nearest of k centres explain (its squared
# correlation)? Does its cluster tell the digit that it is from?


# %%
def patch_clusters(k, seed):
    images, labels = recos.digits("train", scale.images)
    patches, source = recos.patches(models.Pixels("[-1,1]")(images.cpu()), scale.patches, seed=seed)
    digit = labels[source]
    found = recos.kmeans(patches, k, seed=seed)
    chance = recos.directions(torch.randn(k, 25, generator=seeds.generator(seed, "weights"), device="cpu").double())
    rows = []
    for name, centres in {"centres": found.centres, "random": chance}.items():
        cosine, nearest = (patches @ centres.T).max(1)
        rows.append(dict(anchors=name, explained=cosine.clamp(min=0).square().mean(),
                         purity=recos.purity(nearest, digit), vectors=centres[:6],
                         chance=(torch.bincount(digit).max() / len(digit)).item()))  # fmt: skip
    return rows


# %%
local = run.sweep(patch_clusters, k=[6, 16, 64], seed=run.seeds(scale.seeds))
summary = tables.summarise(local, ["explained", "purity", "chance"], ["k", "anchors"])
wide = summary.pivot_table(index=["k", "anchors"], columns="quantity", values="mean", sort=False)
run.table("patches", wide.reset_index(), caption="What the nearest of k anchor vectors tells of a 5x5 patch.")

# %%
kept = local[local.anchors == "centres"].groupby("k")["vectors"].first()
figure = plots.images({f"6 of {k} centres": some.reshape(-1, 5, 5) + 0.5 for k, some in kept.items()}, size=0.6)
run.figure("centres", figure, caption="Six centres each of clusters of 5x5 patches of digits.", n=1)

# %% [markdown]
# Edges of all directions and both signs, then finer divisions of them. A few centres explain about half of a patch and
# more, several times as much as random anchor vectors do. `purity` is not far above `chance` (always the commonest
# digit), and random anchor vectors come nearly as far: a patch alone does not tell its digit, clusters of patches are a
# code, not yet a classification.

# %% [markdown]
# ## Clusters all the way up, as a start for training
#
# The same can be done layer by layer: cluster what reaches a layer, make the centres its anchor vectors, go on with
# what they answer. The last layer has ten of them: ten clusters of digits, found without a label. Is such a network a
# better start than a random one, when few digits have labels? Both are trained for the same number of steps; their
# hidden layers give correlations, inputs and anchor vectors brought to zero mean and unit length, as RECOS has it.


# %%
def start(kind, seed):
    pool, test = recos.digits("train", scale.images), recos.digits("test", scale.tests)
    net = models.recos_lenet5(seed=seed, unit_length=True)
    if kind == "k-means":
        clusters = recos.cluster_layers(net, pool.inputs, seed=seed, n=min(scale.patches, 10_000))
    else:
        clusters = training.predictions(net, pool.inputs).cpu()
    order = torch.randperm(len(pool.labels), generator=seeds.generator(seed, "points"), device="cpu")
    rows = []
    for size in scale.sizes:
        few, copied = [part[order[:size]] for part in pool], copy.deepcopy(net)
        epochs = -(-scale.steps * ADAM["batch"] // size)
        training.fit(copied, few, epochs=epochs, seed=seed, **ADAM)
        rows.append(dict(labels=size, accuracy=training.accuracy(copied, test)))
    return [row | dict(purity=recos.purity(clusters, pool.labels)) for row in rows]


# %%
begun = run.sweep(start, kind=["random", "k-means"], seed=run.seeds(scale.seeds))
figure = plots.curves(begun, "labels", "accuracy", hue="kind", share=True, log_x=True, xlabel="digits with labels",
                      ylabel="test accuracy")  # fmt: skip
run.figure("start", figure, caption="Test accuracy by number of labelled digits, from random and from clustered start.",
           n=scale.seeds)  # fmt: skip

# %%
wide = begun.pivot_table(index="seed", columns=["labels", "kind"], values="accuracy")
gains = pd.concat([(wide[size, "k-means"] - wide[size, "random"]).rename("gain").reset_index().assign(labels=size)
                   for size in scale.sizes])  # fmt: skip
run.table("start", tables.summarise(gains, "gain", "labels"), caption="Accuracy from clustered less from random start.")

# %% [markdown]
# Where the interval of the gain lies below zero, clusters are a worse start than chance: centres are good anchor
# vectors for what is frequent, and they are alike; a random start lies in all directions. Is it that the clusters are
# poor? The same without a network is k-means on whole images:


# %%
def whole(seed):
    images, labels = recos.digits("train", min(scale.images, 10_000))
    found = recos.kmeans(recos.directions(images.flatten(1).double().cpu()), 10, seed=seed)
    return dict(kind="k-means on whole images", purity=recos.purity(found.labels, labels))


clusters = pd.concat([begun.drop_duplicates(["kind", "seed"]), run.sweep(whole, seed=run.seeds(scale.seeds))])
names = {"k-means": "k-means, layer by layer", "random": "random network"}
clusters["clusters from"] = clusters["kind"].replace(names)
run.table(
    "clusters", tables.summarise(clusters, "purity", "clusters from"), caption="Purity of ten clusters of digits."
)

# %% [markdown]
# Layer by layer, without anything to guide them, the clusters of patches have to be compared with what the images give
# at once. A layer keeps what is frequent in patches, not what tells digits apart.

# %% [markdown]
# ## The claims
#
# `practice.list` takes, for every practice, the levels with the best and with the worst mean accuracy, and judges the
# practice for which they are nearest to one another.

# %%
last = every[every.epochs == HOME["epochs"]]
around = {name: recos.turned(every, HOME, name) for name in FACTORS}
whole_grid = {name: every if name == "epochs" else last for name in FACTORS}
full = {"faithful": whole_grid, "around the default": around}
designs = full if scale.grid == "full" else {"faithful": around}

# %%
for variant, parts in designs.items():
    matters = {name: stats.mean_interval(recos.best_less_worst(part, name)) for name, part in parts.items()}
    weakest = min(matters, key=lambda name: matters[name].mean)
    interval = matters[weakest]
    run.claim(
        "understanding.practice.list", estimate=interval.mean, low=interval.low, high=interval.high,
        n=interval.n, variant=variant, reason=f"The weakest practice here is: {weakest}.",
    )  # fmt: skip

# %%
by_kind = given[given.layers == 2].pivot_table(index="seed", columns="filters", values="refitted")
run.claim("understanding.weights.store", by_kind[["as trained", "random"]].to_numpy())
run.claim("understanding.weights.store", by_kind[["trained", "random"]].to_numpy(), variant="both refitted")

# %%
products = []
for s in run.seeds(max(2, scale.seeds)):
    net, digits = models.recos_lenet5(seed=s), recos.digits("test", 100)
    before, images = copy.deepcopy(net), net[0](digits.inputs)
    conv = net[1].responses(images).flatten(2).transpose(1, 2) - net[1].layer.bias
    products.append((F.unfold(images, 5).transpose(1, 2) @ recos.anchors(net[1]).T - conv).abs().max().item())
training.accuracy(net, digits)
run.claim("understanding.conv.inner", products)
changed = [(a - b).abs().max().item() for a, b in zip(net.parameters(), before.parameters(), strict=True)]
run.claim("understanding.weights.anchor", max(changed))

# %%
run.claim("understanding.recos.sphere", four_clusters.query("spread == 0.3")["purity"])
run.claim("understanding.recos.angle", four_clusters.groupby("seed")["gap"].max())

# %%
run.finish()

# %% [markdown]
# ## What to try next
#
# - Add 0.03 to `PRACTICES["lr"]`: only the new trainings are run.
# - Replace filters *during* training: stop after one epoch, put random ones in, go on. How long until it has recovered?
# - In `atlas`, train with correlations (`models.recos_lenet5(seed=seed, unit_length=True)`): do filters then come
#   nearer to the centres?
# - Cluster whole images into 50 clusters, label one digit of each: is that better than ten clusters layer by layer?
