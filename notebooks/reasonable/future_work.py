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
# # What the authors leave for later: augmentations, pixels, and what the vector means
#
# *Reasonable: using spatial features to learn the reasoning in computer vision* (M. Mametkulov, A. Artykbayev,
# A. Assan, B. Taktarbekova), section V-A, "Future work".
#
# **Proposed, not tried.** The methods could sort out augmented images that "have no meaning"; Bach et al.'s pixel-wise
# explanations could get a "lighter version"; and whether the net-reasoning vector can be interpreted is left open.
# Here each is an experiment. Graphs, detection and larger tasks are in [other_tasks](other_tasks.ipynb).
#
# **Time on two cores.** smoke: seconds; laptop: a minute; paper (five seeds, all digits): about five hours. The laptop
# run trains on a twentieth of the digits: its networks, the judges too, still misread many, and its intervals are wide.

# %% tags=["parameters"]
profile = "auto"  # smoke, laptop, paper; auto asks the machine
device = "auto"  # cpu, cuda
seed = 0  # the first of the seeds

# %%
import time
from functools import partial

import numpy as np
import pandas as pd
import torch

from companion import data, models, plots, reasoning, stats, tables, training
from companion.plots.theme import DIVERGING
from companion.reasoning import attributes, augmentations, filters, relevance
from companion.run import Run
from companion.seeds import generator

# %%
run = Run("reasonable/future_work", profile=profile, device=device, seed=seed)
scale = run.scale(
    smoke=dict(
        images=300, held=100, epochs=1, lr=3e-3, width=4, judged=1, strengths=2, augmented=40, looked=10, seeds=2
    ),
    laptop=dict(
        images=3_000, held=600, epochs=2, lr=3e-3, width=8, judged=2, strengths=4, augmented=200, looked=200, seeds=3
    ),
    paper=dict(
        images=59_500, held=5_250, epochs=10, lr=1e-3, width=32, judged=10, strengths=10, augmented=2_000, looked=2_000,
        seeds=5,
    ),
)  # fmt: skip
SETTINGS = dict(lr=scale.lr, epochs=scale.epochs)
STRENGTHS = [round((step + 1) / scale.strengths, 2) for step in range(scale.strengths)]
AUGMENTATIONS, FILTERS = list(augmentations.AUGMENTATIONS), list(filters.FILTERS)

# %% [markdown]
# The paper's learning rate, 1e-5, leaves every network under-trained; all networks here learn at 1e-3 (at 3e-3 where
# the profile has few digits, and so few steps). Seventy thousand digits are split at random, once per seed.


# %%
def few(seed):
    """Digits to train on, to set thresholds by, and to test with: the first of each part of a random split."""
    sizes = scale.images, scale.held, scale.held
    parts = zip(reasoning.digits(seed), sizes, strict=True)
    return reasoning.Digits(*(data.Images(part.inputs[:n], part.labels[:n]) for part, n in parts))


# %% [markdown]
# ## Augmentations that go too far
#
# Eight ways to augment a digit, each from strength 0, where nothing happens, to 1, where nothing (or another digit) is
# left. Strength 1 is half a turn, an image nine tenths of which are erased, the negative, and so on.

# %%
SHOWN = [0.1, 0.2, 0.3, 0.5, 0.75, 1.0]
eight = few(run.first_seed).test.inputs[: len(SHOWN) + 1]
rows = {}
for kind in AUGMENTATIONS:
    draw = generator(run.first_seed, "augmentation")
    strong = [augmentations.augmented(eight, kind, strength, draw)[1] for strength in SHOWN]
    rows[kind] = torch.cat([eight[1:2, 0] / 255, *strong]).clamp(0, 1).numpy()
figure = plots.images(rows, titles=["as it is", *map(str, SHOWN)], size=0.46)
run.figure("augmentations", figure, caption="One digit under eight augmentations at rising strength.", n=1)

# %% [markdown]
# Go along a row and ask where you would no longer sign the label. Nobody looks at sixty thousand of these, so a filter
# would have to. Contrast is special: the row is empty at one half and can be read again at its end.
#
# **The filters.** The paper's two, trained on plain digits only: *equation 6*, the cross-entropy of the predicted class
# plus λ = 10 times the squared distance between the predicted net-reasoning vector and the stored one; *noise label*,
# what ReasonNet holds to be no noise. And two that need none of this: the vanilla network's largest *softmax*
# probability, and the *strength* itself, which whoever augments has chosen and knows.
#
# **The truth.** A wider network, trained *with* that augmentation at all strengths, judges: an augmented digit is
# readable if the judge still gives its label. At random it is right one time in ten, and a judge trained briefly calls
# unreadable what a better one would read.


# %%
def sieved(augmentation, seed):
    """For each augmentation: what can still be read of it, and what the filters make of that."""
    given = few(seed)
    scores = filters.filters(given, seed=seed, **SETTINGS)
    given = given._replace(test=data.Images(*(part[: scale.augmented] for part in given.test)))
    judged = dict(width=scale.width, lr=scale.lr, epochs=scale.judged)
    return [
        filters.sieved(scores, filters.judge(given, kind, seed=seed, **judged), given, kind, STRENGTHS, seed=seed)
        for kind in augmentation
    ]


# %%
sieves = run.sweep(sieved, augmentation=AUGMENTATIONS, seed=run.seeds(scale.seeds), batch="augmentation", chunk=4)

# %%
shares = tables.unroll(sieves, "accepted", share=FILTERS, strength=STRENGTHS).rename(columns={"accepted": "y"})
readable = tables.unroll(sieves, "readable", strength=STRENGTHS).rename(columns={"readable": "y"})
shares = pd.concat([readable.assign(share="readable"), shares], ignore_index=True)
shares = shares.groupby(["augmentation", "share", "strength"], sort=False)["y"].mean().reset_index()  # over seeds
draw = partial(plots.curves, x="strength", y="y", hue="share", share=True)
parts = {kind: shares[shares.augmentation == kind] for kind in AUGMENTATIONS}
figure = plots.panels(parts, draw, across=4, size=(1.75, 1.55), xlabel="strength", ylabel="share of digits")
run.figure("accepted", figure, caption="What can be read, and what each filter accepts, by augmentation and strength.")

# %% [markdown]
# A useful filter would follow the blue line, "readable". Each accepts 95 % of plain digits. Look for the two failures:
# a line that stays high where blue falls lets nonsense through; one that falls where blue stays high throws good
# examples away. Under noise, look at equation 6 and the noise label: they are the two methods of one paper.
#
# Thresholds can be moved, so the ranking is judged by the area under the ROC curve: how often a readable digit scores
# above an unreadable one. "At one strength" compares digits augmented alike, where knowing the strength is worth 0.5.

# %%
RANKED = [*FILTERS, "strength"]
areas = tables.unroll(sieves, "auroc", filter=RANKED)
alike = tables.unroll(sieves, "within", filter=FILTERS).rename(columns={"within": "auroc"})


def grid(table, value, row, column):
    return table.pivot_table(value, row, column)  # the mean over seeds, where there is one


over = grid(areas, "auroc", "filter", "augmentation").reindex(index=RANKED, columns=AUGMENTATIONS)
one = grid(alike, "auroc", "filter", "augmentation").reindex(index=RANKED, columns=AUGMENTATIONS)
both = {"over all strengths": over.to_numpy(), "at one strength": one.to_numpy()}

# %%
figure = plots.matrices(
    both, rows=RANKED, columns=AUGMENTATIONS, share=False, limits=(0.3, 1), cell=(0.44, 0.36), places=2, across=2
)
run.figure("auroc", figure, caption="Area under the ROC curve of each filter, readable against unreadable digits.")

# %% [markdown]
# 0.5 is a coin. Numbers *below* it, in pale cells, are filters that prefer what cannot be read. Compare the last row of
# the left panel with those above it: the strength costs nothing to know. Empty cells had too few of either kind.

# %%
areas = areas.dropna(subset=["auroc"])
table = tables.summarise(areas, "auroc", ["augmentation", "filter"])[["augmentation", "filter", "mean", "low", "high"]]
run.table("auroc", table, caption="Area under the ROC curve with 95 % intervals over seeds.")
best = over.idxmax()
wins = best.value_counts().reindex(RANKED, fill_value=0)
print("Best filter, number of augmentations:", ", ".join(f"{name} {n}" for name, n in wins.items()))
print("Mean area:", ", ".join(f"{name} {area:.2f}" for name, area in over.mean(axis=1).items()))

# %%
roc = tables.unroll(sieves, "roc", filter=RANKED, false=filters.GRID).dropna(subset=["roc"])
roc = roc.groupby(["augmentation", "filter", "false"], sort=False)["roc"].mean().reset_index()  # over seeds
parts = {kind: roc[roc.augmentation == kind] for kind in AUGMENTATIONS if (roc.augmentation == kind).any()}
draw = partial(plots.curves, x="false", y="roc", hue="filter", share=True)
figure = plots.panels(
    parts, draw, across=4, size=(1.75, 1.55), xlabel="share of unreadable digits kept", ylabel="share of readable kept"
)
run.figure("roc", figure, caption="ROC curves of the filters, readable against unreadable digits, all strengths.")

# %% [markdown]
# A good filter hugs the upper left corner; the diagonal is chance. Look for curves under the diagonal and for the
# augmentations where one method is of use: each score knows only the kind of oddity that it happens to react to.
#
# ## Does filtering help training?
#
# That is what the proposal is for. Every training digit gets a copy under one of the eight augmentations, of random
# strength. A network learns from digits and copies; where a filter rejects a copy, the plain digit stands in, so that
# all networks take equally many steps. *None* replaces all copies, *chance* as many as equation 6 does, *judge* those
# that a network trained on all eight cannot read. The test digits are plain, or *mildly* augmented (strength 0.2).

# %%
MILD = 0.2


def mildly(given, seed):
    draw = generator(seed + 1, "augmentation")
    return {kind: augmentations.augmented(given.test.inputs, kind, MILD, draw) for kind in AUGMENTATIONS}


def taught(arm, seed):
    """Networks that learned from the copies that each arm keeps."""
    given = few(seed)
    scores = filters.filters(given, seed=seed, **SETTINGS)
    reader = filters.judge(given, None, seed=seed, width=scale.width, lr=scale.lr, epochs=2 * scale.judged)
    extra = augmentations.mixed(given.train.inputs, generator(seed, "augmentation"))
    kept = filters.chosen(scores, reader, given, extra, seed=seed)
    found = []
    for one in arm:
        fed = given._replace(train=filters.with_kept(given.train, extra, kept[one]))
        net, _ = reasoning.classifier(reasoning.KINDS["vanilla"], fed, seed=seed, **SETTINGS)
        tests = {"plain": given.test.inputs, **mildly(given, seed)}
        read = [training.accuracy(net, (images, given.test.labels)) for images in tests.values()]
        found.append(dict(kept=kept[one].double().mean().item(), accuracy=np.array(read, np.float32)))
    return found


# %%
lessons = run.sweep(taught, arm=list(filters.ARMS), seed=run.seeds(scale.seeds), batch="arm")

# %%
TESTS = ["plain", *AUGMENTATIONS]
read = tables.unroll(lessons, "accuracy", tested=TESTS)
read["on"] = np.where(read.tested == "plain", "plain digits", "mildly augmented")
means = read.groupby(["arm", "seed", "on"], sort=False)["accuracy"].mean().reset_index()
kept = lessons.groupby("arm", sort=False)["kept"].mean()
means["copies kept"] = [f"{arm}\n{kept[arm]:.0%}" for arm in means.arm]
figure = plots.strip(means, "copies kept", "accuracy", hue="on", share=True, xlabel="copies kept: which, and how many")
run.figure("taught", figure, caption="Accuracy of networks taught with all, filtered or no augmented copies.")

# %% [markdown]
# Compare *none* with *all* first: what the copies are good for, on mildly augmented digits, and what they cost on plain
# ones. A filter earns its place if it lies above *all*, and above *chance*, which keeps as many copies without looking.
# Even the *judge*'s column says something: how much there is to be won by a filter that knows which labels still hold.

# %%
wide = means.pivot_table(index=["seed", "on"], columns="arm", values="accuracy")
rows = []
for arm in [*FILTERS, "chance", "judge"]:
    for on, gain in (100 * (wide[arm] - wide["all"])).groupby("on"):
        rows.append(dict(filter=arm, tested=on, gain=gain.to_numpy()))
gains = pd.DataFrame(rows).explode("gain").astype({"gain": float})
gains = tables.summarise(gains, "gain", ["filter", "tested"])
gains["row"] = gains["filter"] + ", " + gains["tested"]
columns = ["filter", "tested", "mean", "low", "high", "n"]
run.table("gains", gains[columns], caption="Accuracy less that with all copies, in points.")
figure = plots.intervals(gains, "row", "mean", xlabel="accuracy less that with all copies (points)")
run.figure("gains", figure, caption="What filtering the copies gains or costs, in points, with 95 % intervals.")

# %% [markdown]
# To the right of zero filtering helps. An interval across zero leaves it open at this number of seeds. By kind of test:

# %%
by_test = grid(read, "accuracy", "arm", "tested").loc[list(filters.ARMS), TESTS]
change = 100 * (by_test - by_test.loc["all"]).drop(index="all")
figure = plots.matrices(
    {"accuracy less that with all copies, in points": change.to_numpy()}, rows=change.index, columns=TESTS, share=False,
    diverging=True, places=1, cell=(0.6, 0.34), ylabel="copies kept", xlabel="tested on",
)  # fmt: skip
run.figure("by_test", figure, caption="Gain over keeping all copies, by filter and kind of test digits.")

# %% [markdown]
# Look for orange in a filter's row, and go back to that filter's line under the same augmentation above: where it
# accepts next to nothing even at low strength, the network never sees that augmentation, and misses it in the test.
# Rejecting what looks odd is also rejecting what there was to learn.
#
# ## Which pixels?
#
# *Layer-wise relevance propagation* (Bach et al. 2015) hands an output back, layer by layer, to the inputs in
# proportion to what each contributed; ε in the denominator lets weak contributions fade. Two outputs are explained: the
# logit of the predicted class, and minus the squared distance of equation 6, as a sum of 256 parts. The *lighter
# version* goes back no further than the sixteen maps of 4×4, and spreads each of their entries over the 16×16 pixels
# that it sees. Where that is multiplied by the ink, it becomes a map of pixels after all.

# %%
EACH, STEPS = 4, 20  # pixels turned at a time, and how often


def pair(given, seed):
    vanilla, _ = reasoning.classifier(reasoning.KINDS["vanilla"], given, seed=seed, **SETTINGS)
    return vanilla, reasoning.reasons(vanilla, given, seed=seed, **SETTINGS)[0]


# %% [markdown]
# *Pixel-flipping* tests a map: turn the four highest pixels to their negative, then the next four, and watch the
# output fall. Also asked: a piece of another digit is pasted in (cut-mix); does the relevance that takes the vector
# *away* from the stored one lie on that piece, more than the ink does?


# %%
def looked_at(seed):
    given = few(seed)
    vanilla, reason = pair(given, seed)
    images = given.test.inputs[: scale.looked] / 255
    pasted = augmentations.augmented(images, "cut-mix", 0.3, generator(seed, "augmentation"))
    ten = torch.stack([given.test.inputs[given.test.labels == digit][0] for digit in range(10)]) / 255
    images, pasted, ten = (part.to(vanilla[-1].weight.device) for part in (images, pasted, ten))
    curves = [
        relevance.flipping_curves(layers, images, place, each=EACH, steps=STEPS, seed=seed)
        for layers, place in relevance.both(vanilla, reason, images).values()
    ]
    shares = relevance.intruder(vanilla, reason, images, pasted)
    return dict(curves=np.stack(curves).astype(np.float32), maps=relevance.maps(vanilla, reason, ten), **shares)


# %%
looks = run.sweep(looked_at, seed=run.seeds(scale.seeds))
given = few(run.first_seed)
ten = np.stack([given.test.inputs[given.test.labels == digit][0, 0] for digit in range(10)])


def coloured(maps):
    """Blue for, orange against, each map on its own scale."""
    top = abs(maps).max((1, 2), keepdims=True)
    return DIVERGING((maps / np.maximum(top, 1e-12) + 1) / 2)[..., :3]


names = ["logit", "logit, lighter", "nearness", "nearness, lighter"]
rows = {"digit": ten} | dict(zip(names, map(coloured, looks.maps[0]), strict=True))
told = "Relevance of the pixels of ten digits for two outputs, in full and in the lighter version."
run.figure("maps", plots.images(rows, size=0.72), caption=told, n=1)

# %% [markdown]
# Blue ink speaks for the output, orange against it: for the logit of the predicted class, or for the vector's being
# near the stored one. (The latter is never positive, so orange has to prevail unless biases and the stored vector make
# up for it.) Look whether the full maps pick strokes that make the digit what it is, and how much of that the lighter
# rows keep: they can only shade regions. Paper has no relevance at all, although it is the paper inside that makes a
# zero: what is multiplied by ink cannot see it.

# %%
curves = np.stack(looks.curves).astype(float)  # (seeds, outputs, orders, steps + 1)
relative = looks[["seed"]].assign(value=list(curves / curves[..., :1]))
turned = [EACH * step for step in range(STEPS + 1)]
flips = tables.unroll(relative, "value", output=["logit", "nearness"], order=relevance.METHODS, pixels=turned)
flips = flips.groupby(["output", "order", "pixels"], sort=False)["value"].mean().reset_index()  # over seeds
outputs = {"logit": "logit of the predicted class", "nearness": "squared distance of equation 6"}
parts = {title: flips[flips.output == output] for output, title in outputs.items()}
draw = partial(plots.curves, x="pixels", y="value", hue="order")
figure = plots.panels(
    parts, draw, size=(2.6, 2.3), xlabel="pixels turned", ylabel="output, relative to what it was before"
)
run.figure("flipping", figure, caption="Logit and squared distance while pixels are turned, by the order of pixels.")

# %% [markdown]
# The better map makes the steeper fall on the left and the steeper rise on the right. Look how close *relevance* and
# *gradient × input* run, what the lighter maps lose, and which chance order does more harm: among all pixels it mostly
# adds ink, on ink it takes some away.
#
# In a table: the *area over the perturbation curve*, the mean fall of the output, as a multiple of that of chance.

# %%
area = curves[..., :1].mean(-1) - curves.mean(-1)
ratio = area / area[:, :, [relevance.METHODS.index("chance")]]
rows = [
    dict(output=output, order=order, area=ratio[k, i, j])
    for i, output in enumerate(["logit", "nearness"])
    for j, order in enumerate(relevance.METHODS)
    for k in range(len(ratio))
]
table = tables.summarise(pd.DataFrame(rows), "area", ["output", "order"])
run.table("areas", table, caption="Area over the perturbation curve as a multiple of that of chance.").round(2)

# %% [markdown]
# The likeness is no accident. As ε goes to zero, the ε-rule *is* gradient times input in a network that is linear by
# pieces, as this one of convolutions, rectifiers and max-pools is. With random weights and images, to a thousandth of
# the largest entry (the rest is what captum adds to denominators against a division by zero):

# %%
# NBVAL_CHECK_OUTPUT
with torch.device("cpu"):
    layers = relevance.logits(models.DigitCNN(seed=0).double())
    images = torch.rand(8, 1, 28, 28, dtype=torch.double, generator=generator(0, "points"))
    full = relevance.relevance(layers, images, torch.arange(8), epsilon=1e-12)
    product = relevance.gradient_times_input(layers, images, torch.arange(8))
bool((full - product).abs().max() < 1e-3 * product.abs().max())

# %% [markdown]
# And the time, which is what "lighter" is about? It does not depend on the weights, so an untrained network will do;
# the ratios are this machine's, in this run.


# %%
def seconds(compute):
    """The processor's, the least of several runs: what else the machine does hardly counts."""
    took = []
    for _ in range(15):
        begun = time.process_time()
        compute()
        took.append(time.process_time() - begun)
    return min(took)


with torch.device("cpu"):
    layers, images, place = (
        relevance.logits(models.DigitCNN(seed=0)),
        torch.rand(100, 1, 28, 28),
        torch.arange(100) % 10,
    )
ways = dict(relevance=relevance.relevance, gradient=relevance.gradient_times_input, light=relevance.coarse)
took = {name: seconds(partial(way, layers, images, place)) for name, way in ways.items()}
print(f"The full relevance takes {took['relevance'] / took['light']:.1f} times as long as the lighter version", end=" ")
print(f"and gradient × input {took['gradient'] / took['light']:.1f} times as long.")

# %% [markdown]
# A plain gradient, times the input, gives the full map: weigh that against what the lighter map saves and loses.
#
# The intruder: which share of the relevance *against* nearness lies on the pasted piece, and which share of the ink?

# %%
sides = tables.summarise(looks.assign(on="the pasted piece"), ["relevance", "ink"], "on")
run.table("intruder", sides, caption="Share of the relevance against nearness, and of the ink, that is there.").round(3)

# %% [markdown]
# If the first row is above the second, the distance's explanation finds the strange piece; if they are alike, it only
# follows the ink.
#
# ## What does the vector know?
#
# The net-reasoning vector "is a subject to study". Six things can be measured on any digit, without a network: the
# number of *holes*, the *slant* in degrees, the *thickness* of the stroke, the share of *ink*, *width* and *height*.

# %%
numbers = attributes.measured(ten)
captions = [f"holes {holes:.0f}\n{slant:+.0f}°\n{thick:.1f} px" for holes, slant, thick, *_ in numbers]
figure = plots.images({"digit": ten}, captions={"digit": captions})
run.figure("attributes", figure, caption="Ten digits with their holes, slant and thickness of stroke as measured.", n=1)

# %% [markdown]
# Check the numbers against the pictures; positive slant leans to the right, and a loop that is not closed is no hole.
#
# A *probe* is a ridge regression, fitted on one half of unseen digits and tested on the other, that predicts an
# attribute from a vector. The share of variance that it explains is asked of the Reasonable network's output `r(x)`
# and, to compare, of the 256 features of the vanilla network, of those of an untrained one, of the row `W` of the
# predicted class (which is all that `r(x)` is trained to say), of pixels, and of a Reasonable network trained on random
# codes.

# %%
SORTED = [("slant", 1), ("slant", 9), ("thickness", 3), ("width", 0)]


def probed(seed):
    given = few(seed)
    (vanilla, reason), digits = pair(given, seed), given.held.inputs
    coded = reasoning.reasons(vanilla, given, target="random codes", seed=seed, **SETTINGS)[0]
    named = training.predictions(vanilla, digits)
    sources = {
        "r(x)": training.outputs(reason, digits),
        "r(x), random codes": training.outputs(coded, digits),
        "row W": vanilla[-1].weight.detach()[named],
        "features": training.outputs(vanilla.features, digits),
        "features, untrained": training.outputs(models.DigitCNN(seed=seed).features.cpu(), digits),
        "pixels": digits.flatten(1) / 255,
    }
    vectors = {name: one.cpu().numpy() for name, one in sources.items()}
    found = attributes.probed(vectors, attributes.measured(digits[:, 0].numpy()), named.cpu().numpy())
    half = len(digits) // 2
    said, labels = found.pop("predicted")[0], given.held.labels[half:].numpy()
    places = [attributes.spaced(said[:, attributes.ATTRIBUTES.index(what)], labels == digit) for what, digit in SORTED]
    return found | dict(places=half + np.stack(places))


# %%
probes = run.sweep(probed, seed=run.seeds(scale.seeds))
SOURCES = ["r(x)", "r(x), random codes", "row W", "features", "features, untrained", "pixels"]
every = tables.unroll(probes, "explained", source=SOURCES, attribute=attributes.ATTRIBUTES)
within = tables.unroll(probes, "within", source=SOURCES, attribute=attributes.ATTRIBUTES)
asked = list(attributes.ATTRIBUTES)
shown = {
    "all digits": grid(every, "explained", "source", "attribute").loc[SOURCES, asked].to_numpy(),
    "within a class": grid(within, "within", "source", "attribute").loc[SOURCES, asked].to_numpy(),
}
figure = plots.matrices(shown, rows=SOURCES, columns=asked, cell=(0.55, 0.36), across=2)
run.figure("probes", figure, caption="Variance of attributes explained by linear probes, in percent.")

# %% [markdown]
# Left, much of what `r(x)` explains is the class: an 8 has two holes, a 1 little ink; the row `W` has that as well. So
# on the right the mean of the predicted class is taken from every vector and every attribute: `W` is left with nothing
# (numbers near or below zero explain nothing), and what `r(x)` still explains it was *not* trained to say.

# %%
held = within[within.source.isin(["r(x)", "r(x), random codes", "features", "pixels"])]
figure = plots.strip(held, "attribute", "within", hue="source", ylabel="share explained within a class")
run.figure("within", figure, caption="Variance explained within a class, every seed, with 95 % intervals.")

# %%
columns = ["source", "attribute", "mean", "low", "high", "n"]
told = tables.summarise(within.dropna(subset=["within"]), "within", ["source", "attribute"])[columns]
run.table("within", told, caption="Variance explained within a class, with 95 % intervals over seeds.")
rows = told[told.source == "r(x)"]
for row in rows.itertuples():
    sure = "more than nothing" if row.low > 0 else "not surely more than nothing"
    print(f"r(x), {row.attribute}: {row.mean:.0%} [{row.low:.0%}, {row.high:.0%}], {sure}")
by_seed = within.pivot_table("within", "seed", "source")
more = stats.mean_interval(by_seed["r(x)"] - by_seed["r(x), random codes"])
print(f"r(x) less that of random codes: {100 * more.mean:+.1f} points [{100 * more.low:+.1f}, {100 * more.high:+.1f}]")

# %% [markdown]
# Compare `r(x)` with *random codes*: if both know as much, then the knowledge comes from the images through any network
# trained on classes, and not from the vanilla network's weights. Compare it with *features*, too: the way to the 256
# output numbers loses what the layers before it have. What the probe on `r(x)` sees, digits in the order of its answer:

# %%
pool = given.held.inputs[:, 0].numpy()
rows = {f"{what}, {digit}": pool[places] for (what, digit), places in zip(SORTED, probes.places[0], strict=True)}
figure = plots.images(rows, titles=["least", *[""] * 8, "most"])
told = "Unseen digits of one class, in the order of the attribute that a probe reads from r(x)."
run.figure("sorted", figure, caption=told, n=1)

# %% [markdown]
# From left to right the rows lean more, get bolder, get wider, if the probe reads well; it reads best what it explains
# most of. Where it does, the vector is not quite "meaningless" to a person: trained to name ten constants, it still
# leaks how the digit was written. That is no reason for the label; it is what a classifier failed to forget.

# %%
run.finish()

# %% [markdown]
# ## What to try next
#
# - Take λ = 0 or 10,000 for 10 in `companion/reasoning/filters.py`: does the cross-entropy filter, or the distance?
# - Train the filters on mildly augmented digits first: do they still reject what is merely unusual?
# - Raise `epsilon` to 1 in `relevance.relevance`: where does it part from gradient × input?
# - Take the hidden layer of the Reasonable network instead of its output: where on the way is the slant lost?
