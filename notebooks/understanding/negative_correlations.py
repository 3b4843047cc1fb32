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
# # What becomes of negative correlations
#
# *Understanding Neural Networks* (C.-C. Jay Kuo), slides "Comparison of Positive & Negative Correlations", "Confusion
# Caused by Negative Correlations" and "Nonlinear Activation Functions".
#
# **Claimed.** Two linear stages cannot tell a positive correlation with a positive coefficient from a negative one with
# a negative coefficient (case 1), nor the two mixed pairs from one another (case 2). A non-linear activation between
# them clips negative correlations and ends the confusion. A threshold above zero is said to be better still, 0.5 best.
#
# **Time on two cores.** smoke: seconds; laptop: a minute; paper (60,000 digits, 10 seeds): two hours. The two
# cases are exact at any scale, and so is what oddness and evenness do to trained networks. The laptop run has 2,500
# digits and few thresholds: it shows which thresholds can be trained at all, not which is best.

# %% tags=["parameters"]
profile = "auto"  # smoke, laptop, paper; auto asks the machine
device = "auto"  # cpu, cuda
seed = 0  # the first of the seeds

# %%
import functools

import numpy as np
import pandas as pd
import torch

from companion import models, plots, recos, seeds, tables, training, widgets
from companion.run import Run

# %%
run = Run("understanding/negative_correlations", profile=profile, device=device, seed=seed)
scale = run.scale(
    smoke=dict(images=250, tests=250, epochs=1, seeds=2, patches=300, pairs=30,
               thresholds=(0.0, 0.4), threshold_seeds=2),
    laptop=dict(images=2_500, tests=2_000, epochs=3, seeds=2, patches=1_500, pairs=300,
                thresholds=(0.0, 0.2, 0.4, 0.6), threshold_seeds=2),
    paper=dict(images=60_000, tests=10_000, epochs=5, seeds=10, patches=3_000, pairs=2_000,
               thresholds=(0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8), threshold_seeds=5),
)  # fmt: skip

# %% [markdown]
# ## Positive and negative correlations
#
# Brought to zero mean and unit length, inputs lie on a sphere, and the correlation of an input with an anchor vector is
# the cosine of the angle between them. Here the anchor vectors are the mean digits of each class.

# %%
images, labels = recos.digits("train", 2_000)
vectors = recos.directions(images.flatten(1).double())
means = recos.directions(torch.stack([vectors[labels == digit].mean(0) for digit in range(10)]))
first = [int((labels == digit).nonzero()[0]) for digit in range(0, 10, 2)]
correlation = [(vectors[place] @ means[labels[place]]).item() for place in first]

# %%
shown = {
    "anchor": np.clip(0.5 + 8 * means[labels[first]].reshape(-1, 32, 32).numpy(), 0, 1),
    "input": images[first, 0].numpy(),
    "negative": 255 - images[first, 0].numpy(),
}
captions = {"input": [f"+{one:.2f}" for one in correlation], "negative": [f"−{one:.2f}" for one in correlation]}
figure = plots.images(shown, captions=captions, size=0.95)
run.figure("signs", figure, caption="Digits, their negatives, and the correlation with an anchor vector.", n=0)

# %% [markdown]
# A negative is the point on the other side of the sphere: the same number with the other sign. Rectification answers
# all inputs more than 90° away with zero, a threshold φ all those more than arccos φ away.

# %%
PHI = [0.0, 0.25, 0.5, 0.75]
degrees = torch.linspace(0, 180, 3_601, dtype=torch.double)  # steps of a twentieth of a degree
cosines = (recos.on_circle(degrees) @ recos.on_circle(torch.zeros(1, dtype=torch.double)).T)[:, 0]
responses = {phi: models.recos.activation(f"trelu {phi}")(cosines) for phi in PHI}
parts = [pd.DataFrame({"angle": degrees[::40], "response": one[::40], "φ": phi}) for phi, one in responses.items()]
figure = plots.curves(pd.concat(parts), "angle", "response", hue="φ", xlabel="angle to the anchor vector (degrees)")
run.figure("thresholds", figure, caption="Response of the threshold ReLU to inputs at an angle to the anchor.", n=0)

# %%
# NBVAL_CHECK_OUTPUT
blocked = {phi: degrees[(one > 1e-12).nonzero().max() + 1].item() for phi, one in responses.items()}
{phi: round(angle) for phi, angle in blocked.items()}  # degrees from which on nothing passes

# %% [markdown]
# ## The two cases, exactly
#
# One anchor vector, one coefficient. The correlation has a sign, the coefficient has one, and the cascade answers
# f(correlation) × coefficient.

# %%
# NBVAL_CHECK_OUTPUT
BETWEEN = ["identity", "relu", "leaky 0.1", "abs"]
recos.cases(0.8, 0.5, BETWEEN).round(3)


# %%
def four_cases(correlation, coefficient, leak):
    table = recos.cases(correlation, coefficient, ["identity", "tanh", "relu", f"leaky {leak}", "abs"])
    figure = plots.matrices(
        {"answer of the second stage": table.to_numpy()}, rows=table.index, columns=table.columns,
        share=False, diverging=True, cell=(0.85, 0.45), ylabel="correlation × coefficient", places=2,
    )  # fmt: skip
    return [figure]


table = recos.cases(0.8, 0.5, [*BETWEEN, "tanh", "sigmoid", "trelu 0.5"])
run.table("cases", table, caption="Answer of the second stage in the four cases of sign.")
run.figure("cases", four_cases(0.8, 0.5, 0.1)[0], caption="The four cases of sign, by activation.", n=0)

# %% [markdown]
# The upper two rows are case 1, the lower two case 2. In the columns of the odd functions (identity, tanh) both rows of
# a case have the same colour and number: the confusion. ReLU turns one row of each to zero: the cases are different,
# but what was negative is lost. The leaky ReLU keeps a trace of it. The absolute value has its own confusion: it cannot
# tell a correlation from its negative.

# %%
SLIDERS = dict(correlation=[0.2, 0.4, 0.6, 0.8, 1.0], coefficient=[0.25, 0.5, 1.0], leak=[0.0, 0.1, 0.5, 1.0])
widgets.explore(four_cases, **SLIDERS)

# %% [markdown]
# With a leak of 1 the leaky column is the identity again, with 0 it is ReLU.
#
# ## Odd and even
#
# Every activation is the sum of an odd part and an even part, f(c) = [f(c) − f(−c)]/2 + [f(c) + f(−c)]/2. Consider an
# input x, its negative, and coefficients b of the second stage:
#
# - *same coefficients*: the answers to x and −x differ by twice b · (odd part);
# - *coefficients turned*: the answers to x with b and to −x with −b, the slides' two cases, differ by twice b · (even
#   part).
#
# The identity has no even part, so it is confused in the slides' sense; the absolute value has no odd part, so it is
# blind to the sign. ReLU is (c + |c|)/2: half of each.
#
# How often this happens in larger systems: 64 random anchor vectors on 5×5 patches of digits, 200 random second stages,
# biases that take off the mean. Answers are taken to be equal if they differ by less than a tenth of their standard
# deviation.

# %%
KINDS = ["identity", "tanh", "sigmoid", "relu", "leaky 0.01", "leaky 0.1", "leaky 0.5", "trelu 0.2", "trelu 0.5", "abs"]
EDGES = list(range(0, 181, 15))


def systems(kind, seed):
    images = models.Pixels("[-1,1]")(recos.digits("train", 2_000).inputs)
    patches, _ = recos.patches(images, scale.patches, seed=seed)
    pairs, bins = recos.pairs_by_angle(patches, EDGES, scale.pairs, seed=seed)
    found = recos.confused(*(patches[pairs[:, k]] for k in (0, 1)), kind, seed=seed)
    by_angle = np.array([[one[bins == k].mean().item() for k in range(len(EDGES) - 1)] for one in found])
    opposite = recos.confused(patches, -patches, kind, seed=seed)
    return dict(by_angle=by_angle, opposite=np.array([one.mean().item() for one in opposite]))


# %%
collisions = run.sweep(systems, kind=KINDS, seed=run.seeds(max(5, scale.seeds)))
opposite = tables.unroll(collisions, "opposite", pairs=recos.PAIRS)
summary = tables.summarise(opposite, "opposite", ["kind", "pairs"])
run.table("opposite", summary, caption="Share of systems that answer opposite inputs equally.")
wide = summary.pivot_table(index="kind", columns="pairs", values="mean", sort=False)[list(recos.PAIRS)]

# %%
title = {"opposite inputs answered equally (%)": wide.to_numpy()}
figure = plots.matrices(title, rows=wide.index, columns=["same", "turned"], xlabel="coefficients", cell=(1.2, 0.3),
                        places=1)  # fmt: skip
run.figure("opposite", figure, caption="Share of random systems that answer an input and its negative equally.",
           n=max(5, scale.seeds))  # fmt: skip

# %% [markdown]
# In the column "turned" the odd functions are confused always; ReLU is not much more often than two unrelated inputs
# are. So the cure works for the slides' cases. In the column "same", where the same filters see an input and its
# negative, it is the other way round: a linear system tells these best of all, for its answers are opposite; every
# clipping loses a little of that, and the absolute value loses it all. (Random anchor vectors are so rarely within 60°
# of a patch that with a threshold of 0.5 most answers are the same nothing.)
#
# Inputs need not be exact opposites. Pairs of patches at any angle, both ways:

# %%
middles = [low + 7.5 for low in EDGES[:-1]]
told = collisions[collisions.kind.isin(["identity", "relu", "leaky 0.1", "trelu 0.2", "abs"])]
by_angle = tables.unroll(told, "by_angle", pairs=recos.PAIRS, angle=middles).dropna(subset="by_angle")
parts = {name: by_angle[by_angle.pairs == name] for name in recos.PAIRS}
line = functools.partial(plots.curves, x="angle", y="by_angle", hue="kind", share=True)
figure = plots.panels(parts, line, across=2, size=(3.3, 2.7), xlabel="angle between inputs (degrees)",
                      ylabel="answered equally")  # fmt: skip
run.figure("by_angle", figure, caption="Share of systems that answer two patches equally, by the angle between them.",
           n=max(5, scale.seeds))  # fmt: skip

# %% [markdown]
# Left: all are confused by near inputs, as they should be, and the absolute value by far ones too. Right: the identity
# turns this picture round, ReLU hardly rises.

# %% [markdown]
# ## Trained networks
#
# LeNet-5 with each activation, trained on digits and tested on digits and negatives. With pixels coded from −1 to 1 a
# negative is exactly −x. Pooling is by averages, so that nothing but the activation is non-linear.


# %%
HIDDEN = ["C1", "C3", "dense 120", "dense 84"]


def negatives(kind, linear, pooling, bias, seed):
    train, test = recos.digits("train", scale.images), recos.digits("test", scale.tests)
    layers = ["identity" if layer == linear else kind for layer in HIDDEN]
    net = models.recos_lenet5(seed=seed, activation=layers, pooling=pooling, bias=bias)
    training.fit(net, train, epochs=scale.epochs, lr=1e-3, optimizer="adam", batch=32, seed=seed)
    original, negative = (training.outputs(net, one).cpu() for one in (test.inputs, 255 - test.inputs))
    read = negative.argmax(1)
    return dict(
        originals=(original.argmax(1) == test.labels).double().mean(),
        negatives=(read == test.labels).double().mean(),
        same=(read == original.argmax(1)).double().mean(),
        reversed=(read == original.argmin(1)).double().mean(),
    )


# %%
ACTIVATIONS = ["identity", "tanh", "sigmoid", "relu", "leaky 0.1", "abs"]
plain = run.sweep(negatives, kind=ACTIVATIONS, linear=["none"], pooling=["average"], bias=[True, False],
                  seed=run.seeds(scale.seeds), name="activations")  # fmt: skip
plain["with"] = plain["bias"].map({True: "with biases", False: "without biases"})
POLARITIES = ["originals", "negatives"]
parts = {name: part.melt(["kind", "seed"], POLARITIES, "tested on", "accuracy")
         for name, part in plain.groupby("with", sort=False)}  # fmt: skip
strip = functools.partial(plots.strip, x="kind", y="accuracy", hue="tested on", share=True)
figure = plots.panels(parts, strip, across=1, size=(5.6, 2.1), ylabel="accuracy")
told = "Accuracy on originals and negatives by activation, average pooling."
run.figure("activations", figure, caption=told, n=scale.seeds)

# %%
rates = tables.summarise(plain, ["same", "reversed"], ["kind", "with"])
wide = rates.pivot_table(index="kind", columns=["with", "quantity"], values="mean", sort=False)
wide.columns = [f"{quantity}, {biases}" for biases, quantity in wide.columns]
run.table("answers", wide, caption="Share of negatives that get the original's answer, or its least likely one.")

# %% [markdown]
# `same`: the negative gets the answer that its original got. `reversed`: it gets the digit that was *least* likely for
# the original. Without biases both are laws: an odd network has f(−x) = −f(x), its ranking of digits is turned upside
# down, and it reads no negative unless it misread the original; a network of absolute values has f(−x) = f(x). Biases
# loosen both, a little. The sigmoid is odd about a half, not about zero, so it follows no law (and needs more training
# than a laptop run has).
#
# ReLU is between: it makes an input and its negative different, but it does not recognise both.

# %% [markdown]
# ### Pooling, and one layer at a time
#
# Max-pooling is a non-linearity as well, which the slides leave out. And which layer's rectification is it that counts?

# %%
UNPOOLED = ["identity", "tanh", "relu", "abs"]
points = [dict(kind="relu", linear=layer, pooling="average", bias=True) for layer in HIDDEN]
points += [dict(kind=kind, linear="none", pooling="max", bias=True) for kind in UNPOOLED]
variants = run.sweep(negatives, [one | dict(seed=s) for one in points for s in run.seeds(scale.seeds)], name="variants")

# %%
both = pd.concat([plain[plain.bias & plain.kind.isin(UNPOOLED)], variants[variants.linear == "none"]])
parts = {f"{kind} pooling": part.melt(["kind", "seed"], POLARITIES, "tested on", "accuracy")
         for kind, part in both.groupby("pooling", sort=False)}  # fmt: skip
figure = plots.panels(parts, strip, across=2, size=(3.2, 2.3), ylabel="accuracy")
told = "Accuracy on originals and negatives, with average and with max-pooling."
run.figure("pooling", figure, caption=told, n=scale.seeds)

# %% [markdown]
# The maximum of what is negative is not minus the maximum of what is positive. With max-pooling the identity and tanh
# are odd no longer, and the confusion argument does not hold for them.

# %%
ends = plain[plain.bias & plain.kind.isin(["relu", "identity"])]
ends = ends.assign(linear=ends["kind"].map({"relu": "none", "identity": "all"}))
by_layer = pd.concat([ends[ends.linear == "none"], variants[variants.pooling == "average"], ends[ends.linear == "all"]])
long = by_layer.melt(["linear", "seed"], POLARITIES, "tested on", "accuracy")
figure = plots.strip(long, "linear", "accuracy", hue="tested on", share=True, xlabel="layer left linear", width=7.0)
run.figure("layers", figure, caption="Accuracy with one layer left linear, average pooling.", n=scale.seeds)

# %% [markdown]
# One linear layer among rectified ones costs little on the originals. Compare the negatives with those at both ends
# (all rectified, all linear): whichever layers are rectified, the negatives do not come near the originals.

# %% [markdown]
# ## A threshold
#
# The threshold ReLU is zero below φ and (x − φ)/(1 − φ) above. It was reported best at φ = 0.5. For φ to be an angle,
# inputs and anchor vectors have to be of unit length; here they are brought to zero mean and unit length in every
# hidden layer, patch by patch. There are three ways to begin:
#
# - *correlations, random*: random anchor vectors;
# - *correlations, clustered*: anchor vectors from k-means, layer by layer ([anchor vectors](anchor_vectors.ipynb));
# - *inner products*: nothing normalised; He's initial weights keep responses near unit size.

# %%
STARTS = ["correlations, random", "correlations, clustered", "inner products"]


def threshold(start, phi, seed):
    train, test = recos.digits("train", scale.images), recos.digits("test", scale.tests)
    kind = dict(initial="he") if start == "inner products" else dict(unit_length=True)
    net = models.recos_lenet5(seed=seed, activation=f"trelu {phi}", **kind)
    if start == "correlations, clustered":
        recos.cluster_layers(net, train.inputs, n=min(3_000, scale.images), seed=seed)
    silent = (training.outputs(net[:-1], test.inputs[:500]) == 0).all(1).double().mean()
    history = training.fit(net, train, epochs=scale.epochs, lr=1e-3, optimizer="adam", batch=32, seed=seed)
    return dict(accuracy=training.accuracy(net, test), silent=silent, loss=history["loss"].iloc[-1])


# %%
passed = run.sweep(threshold, start=STARTS, phi=scale.thresholds, seed=run.seeds(scale.threshold_seeds))
line = functools.partial(plots.curves, x="phi", y="accuracy", hue="start", share=True)
figure = plots.panels({"": passed}, line, size=(3.9, 2.9), xlabel="threshold φ", ylabel="test accuracy")
run.figure("trelu", figure, caption="Test accuracy by threshold in all hidden layers.", n=scale.threshold_seeds)

# %%
quiet = tables.summarise(passed, ["silent", "accuracy"], ["start", "phi"])
wide = quiet.pivot_table(index=["start", "phi"], columns="quantity", values="mean", sort=False)
run.table("trelu", wide.reset_index(), caption="Share of digits with no response at all before training; accuracy.")

# %% [markdown]
# `silent` is the share of digits to which no unit of the last hidden layer responds *before* training. Random anchor
# vectors in hundreds of dimensions are nearly at right angles to every input: hardly any correlation passes even a
# small φ, and where nothing passes there is no gradient. Such a network cannot begin. Clustered anchor vectors are near
# the inputs and can; their curve is the one that tells whether a threshold above zero is of use. Without normalisation
# φ is not an angle, and the weights can grow until it does not matter.

# %%
best = passed.loc[passed.groupby(["start", "seed"])["accuracy"].idxmax()]
best = best.pivot_table(index="seed", columns="start", values="phi")
run.table("best_threshold", best[STARTS], caption="The threshold with the best test accuracy, by seed.")

# %% [markdown]
# ## The claims
#
# `confusion.cure` is judged for the slides' pairs, correlation and coefficient turned together; `same coefficients` is
# the other reading, one system that sees an input and its negative.

# %%
patches, _ = recos.patches(models.Pixels("[-1,1]")(images), 2_000, seed=seed)
anchors = recos.directions(torch.randn(64, 25, generator=seeds.generator(seed, "weights"), dtype=torch.double))
far = recos.angles(patches, anchors) > 90
run.claim("understanding.recos.negative", torch.relu(patches @ anchors.T)[far].max().item())
for name, phi in (("0", 0.0), ("half", 0.5)):
    run.claim(f"understanding.recos.trelu.angle.{name}", blocked[phi])
for start, variant in zip(STARTS, ["faithful", *STARTS[1:]], strict=True):
    run.claim("understanding.recos.trelu.best", best[start], variant=variant)

# %%
drawn = seeds.numpy_generator(seed, "points").uniform(0, 1, (20, 2))
answers = np.array([recos.cases(c, b, ["identity"])["identity"] for c, b in drawn])
run.claim("understanding.confusion.case1", answers[:, 0] - answers[:, 1])
run.claim("understanding.confusion.case2", answers[:, 2] - answers[:, 3])

# %%
by_pairs = opposite.pivot_table(index="seed", columns=["pairs", "kind"], values="opposite")
run.claim("understanding.confusion.cure", by_pairs["coefficients turned"][["identity", "relu"]].to_numpy())
run.claim(
    "understanding.confusion.cure", by_pairs["same coefficients"][["identity", "relu"]].to_numpy(),
    variant="same coefficients",
    reason="The same filters answer an input and its negative with opposite signs; clipping only weakens that.",
)  # fmt: skip

# %%
run.finish()

# %% [markdown]
# ## What to try next
#
# - Add "leaky 0.5" and "leaky 1" to `ACTIVATIONS`: how does the accuracy on negatives go over to that of the identity?
# - Give every ReLU a partner with the opposite anchor vector (concatenated ReLU): is anything still lost?
# - Train on digits *and* negatives: do networks with an odd activation learn it, with and without biases?
# - Set a threshold in the convolutions only: can a random start be trained then?
