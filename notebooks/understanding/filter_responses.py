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
# # What filters respond to
#
# *Understanding Neural Networks* (C.-C. Jay Kuo), slides "Benefit of Cascaded RECOS Model", examples 1 (a cat) and 2
# (handwritten digits).
#
# **Claimed.** Filters that see only a few pixels, put in cascade, become filters for whole patterns. Three panels show
# it for a filter: the nine images that activate it most, a reconstructed input that would activate it most of all, and
# the "deconv image". The slides hold pictures only, no number and no name of the network.
#
# **Time on two cores.** smoke: seconds; laptop: a minute; paper (ten and five seeds, all images): PAPER. The laptop run
# reads digits well, but photographs about every second time: it shows every effect on digits, and of cats the shape of
# the curves rather than good cat filters.

# %% tags=["parameters"]
profile = "auto"  # smoke, laptop, paper; auto asks the machine
device = "auto"  # cpu, cuda
seed = 0  # the first of the seeds

# %%
from functools import partial

import numpy as np
import pandas as pd
import torch
from torch.nn import functional as F

from companion import data, models, plots, responses, tables, training, widgets
from companion.plots.gallery import Triptych, View, gallery, views
from companion.run import Run

# %%
run = Run("understanding/filter_responses", profile=profile, device=device, seed=seed)
scale = run.scale(
    smoke=dict(digits=300, photos=200, tests=200, epochs=1, batch=32, steps=4, starts=1, digit_seeds=2, photo_seeds=2),
    laptop=dict(
        digits=8_000, photos=10_000, tests=5_000, epochs=4, batch=32, steps=60, starts=1, digit_seeds=3, photo_seeds=2
    ),
    paper=dict(
        digits=60_000, photos=50_000, tests=10_000, epochs=10, batch=64, steps=500, starts=5, digit_seeds=10,
        photo_seeds=5,
    ),
)  # fmt: skip
FAVOURED = {"digits": None, "cats": data.CIFAR10_CLASSES.index("cat")}
NAMES = {"digits": [*"0123456789"], "cats": data.CIFAR10_CLASSES}

# %% [markdown]
# ## Two networks
#
# For digits LeNet-5, for cats the small CIFAR-10 network of the other notebooks, trained on all ten kinds of
# photographs. (The slides' cat probably comes from an ImageNet network.) Photographs lose their last two rows and
# columns, which that network never uses.


# %%
def examples(subject, split, n):
    if subject == "digits":
        images, labels = data.mnist(split)
        return data.Images(F.pad(images[:n], (2, 2, 2, 2)), labels[:n])
    images, labels = data.cifar10(split)
    return data.Images(images[:n, :, :30, :30].contiguous(), labels[:n])


# %% [markdown]
# Each is studied in three states: trained; with its initial weights; and trained after every ReLU was taken out and
# every maximum became an average, so that its outputs are a linear map of the pixels. What the trained network shows
# and these two do not is owed to learning, or to the non-linearity.


# %%
def network(subject, kind, seed):
    digits = subject == "digits"
    net = models.LeNet5(seed=seed, coding="[0,1]") if digits else models.CifarCNN(seed=seed)
    layers = responses.layer_by_layer(net)
    if kind == "linear":
        net = layers = responses.linear(layers)
    if kind != "untrained":
        known = examples(subject, "train", scale.digits if digits else scale.photos)
        settings = dict(epochs=scale.epochs, lr=1e-3, optimizer="adam", batch=scale.batch)
        training.fit(net, known, seed=seed, **settings)
    return layers.to(torch.get_default_device())


# %% [markdown]
# A unit of a convolution looks at one square of the image at a time. How large it is follows from the layers below.

# %%
SIDES = {"digits": 32, "cats": 30}
HIDDEN = {
    subject: responses.hidden_layers(network(subject, "untrained", seed), side) for subject, side in SIDES.items()
}
sizes = pd.concat([pd.DataFrame(HIDDEN[subject]).assign(network=subject) for subject in HIDDEN])
sizes = sizes[["network", "name", "units", "field", "stride"]].reset_index(drop=True)
run.table(
    "layers", sizes, caption="Hidden layers: units, side of the square that each sees, pixels between two squares."
)

# %% [markdown]
# That square is all there is: shown nothing else, a unit answers the same.

# %%
# NBVAL_CHECK_OUTPUT
layers, digits = network("digits", "untrained", 1), examples("digits", "test", 50)
layer = HIDDEN["digits"][1]
(_, found), everywhere = responses.respond(layers, HIDDEN["digits"][:2], digits.inputs), torch.arange(50)
squares = responses.patches(digits.inputs, layer, everywhere, found.place[:, 3])
with torch.no_grad():
    alone = layers[: layer.stop](squares)[:, 3, 0, 0]
squares.shape, bool(torch.allclose(alone.cpu(), found.peak[:, 3], atol=1e-4))

# %% [markdown]
# ## Three ways to ask a unit
#
# **The nine strongest.** The test images with the unit's greatest responses after ReLU, each cut to the square where
# the response is.
#
# **The maximal input.** Gradient ascent from grey, pixels kept in the range of images: steps along the gradient, a
# decay towards the mean colour, a blur every four steps, and a little jitter. These are not part of what the unit
# wants; they are there so that the result is fit to be looked at. We do it without them, too.
#
# **The deconv image.** Take one image, keep the response of that unit only, and go back: a pooling hands everything to
# the place where the maximum was, a rectifier lets through what is positive *of what comes back*, a convolution is
# transposed (Zeiler and Fergus 2014). It is the gradient but for what it does at rectifiers.
#
# One unit of the sweep is one network, looked at in all these ways.


# %%
def looked_at(subject, kind, shown, seed):
    layers, test = network(subject, kind, seed), examples(subject, "test", scale.tests)
    hidden = responses.hidden_layers(layers, test.inputs.shape[-1])
    found = responses.respond(layers, hidden, test.inputs)
    inside = responses.ink if subject == "digits" else responses.boxed
    result = dict(accuracy=training.accuracy(layers, test))
    result |= responses.measured(layers, hidden, found, test, inside, seed=seed)
    colours = (test.inputs[:500] / 255).movedim(1, 0).flatten(1)
    ascent = dict(seed=seed, steps=scale.steps, starts=scale.starts)
    if kind == "trained":
        result |= responses.exceeded(layers, hidden, found, colours, **ascent)
    units = responses.representative(found, test.labels, shown, favour=FAVOURED[subject])
    result |= responses.pictured(layers, hidden, found, test, units, colours, **ascent)
    return result | responses.sent_back(layers, hidden, found, test)


# %%
SEEDS = {"digits": run.seeds(scale.digit_seeds), "cats": run.seeds(scale.photo_seeds)}
trained = {
    subject: run.sweep(looked_at, subject=[subject], kind=["trained"], shown=[5], seed=seeds, name=subject)
    for subject, seeds in SEEDS.items()
}
controls = {
    subject: run.sweep(
        looked_at, subject=[subject], kind=["untrained", "linear"], shown=[2], seed=seeds, name=f"{subject}_controls"
    )
    for subject, seeds in SEEDS.items()
}

# %%
both = {subject: pd.concat([trained[subject], controls[subject]], ignore_index=True) for subject in SEEDS}
accuracy = pd.concat([tables.summarise(table, "accuracy", ["subject", "kind"]) for table in both.values()])
run.table("accuracy", accuracy.reset_index(drop=True), caption="Test accuracy of the networks, mean over seeds.")

# %% [markdown]
# ## Digits
#
# Five units of each layer, from the most selective to the least (the middle ones of five equal groups). Below each: the
# commonest digit among its nine, and how often it is there.


# %%
def triptychs(row, at):
    """The units shown of one layer of one network."""
    layer, test = HIDDEN[row.subject][at], examples(row.subject, "test", scale.tests)
    field, names = slice(0, layer.field), NAMES[row.subject]
    hung = []
    for k, unit in enumerate(row.units[at]):
        nine = [torch.from_numpy(part[at, k].astype(np.int64)) for part in (row.top, row.places)]
        nine = responses.patches(test.inputs, layer, *nine).movedim(1, -1).numpy().squeeze()
        painted, back = (part[at, k, field, field].squeeze() for part in (row.maximal, row.deconv))
        caption = f"unit {unit}: {names[row.likes[at, k]]}, {row['count'][at, k]} of 9"
        hung.append(Triptych(nine, painted, back, caption))
    return hung


def labelled(subject, at):
    layer = HIDDEN[subject][at]
    return f"{layer.name}\n{layer.units} units\nsee {layer.field}×{layer.field}"


def hung(row):
    return gallery({labelled(row.subject, at): triptychs(row, at) for at in range(len(HIDDEN[row.subject]))})


# %%
first = {subject: table.iloc[0] for subject, table in trained.items()}
told = "Units of a trained LeNet-5: the nine strongest patches, the maximal input, the deconv image of the strongest."
run.figure("digits", hung(first["digits"]), caption=told, n=1)

# %% [markdown]
# Go down a column of rows. *conv1* answers to edges, *conv2* to strokes and bends; the dense layers see the whole image
# and answer to digits, or to what two digits share. The maximal input says *which part* of the digit matters: it is
# rarely a digit, but often one can see why those nine came first. In the deconv image, blue marks where more ink would
# have helped the unit. It repeats the image it came from, and shows which of its strokes count.

# %% [markdown]
# ## Cats
#
# Five units of each layer with the most cats among their nine. Below: the commonest class among the nine.

# %%
told = (
    "Units with most cats among their nine, of a trained CIFAR-10 network: nine patches, maximal input, deconv image."
)
run.figure("cats", hung(first["cats"]), caption=told, n=1)

# %% [markdown]
# Edges and colours, then dark against light, then parts of animals and their grounds, then whole photographs. There the
# nine do look alike, but by colour and pose as much as by kind: what is in the same pose on the same ground comes
# together. The maximal inputs of the last layer are legs, stripes, a bright animal on dark ground; a cat they are not.

# %% [markdown]
# ## Is it the training?
#
# The last hidden layer again, and the same layer in both controls. Left digits, right photographs.


def last(kind):
    units = [triptychs(table[table.kind == kind].iloc[0], len(HIDDEN[subject]) - 1) for subject, table in both.items()]
    return [one for some in units for one in some[:: len(some) // 2][:2]]


CONTROLS = {"trained": "as above", "untrained": "initial\nweights", "linear": "trained, no\nReLU, no max"}
told = "Units of the last hidden layer in trained, untrained and linear networks; two for digits, two for photographs."
figure = gallery({f"{kind}\n{what}": last(kind) for kind, what in CONTROLS.items()})
run.figure("controls", figure, caption=told, n=1)

# %% [markdown]
# Even with random weights the nine look alike: they share a weight of stroke, a slant, a colour of the ground, but not
# a digit or a kind. That nine images look alike is thus no sign of learning by itself; what they share is. The linear
# network is trained, and its nine have more of a class in common again. Its maximal inputs are plain templates.

# %% [markdown]
# ## The benefit of cascade, in numbers
#
# *Selectivity* of a unit: the mean response to its best class, less the mean over the others, divided by their sum; 0
# for a unit that answers to all classes alike, 1 for one that answers to a single class. The response to an image is
# the strongest over all places. Linear units are read through a rectifier, or the ratio would mean nothing.


# %%
def by_layer(name):
    """One row per network and hidden layer, counted from the image on."""
    return {subject: tables.unroll(table, name, depth=[1, 2, 3, 4]) for subject, table in both.items()}


def layered(parts, **look):
    draw = partial(plots.curves, x="depth", **look)
    figure = plots.panels(parts, draw, across=2, size=(3.0, 2.3), xlabel="hidden layer, from the image on")
    figure.axes[0].set_xticks([1, 2, 3, 4])
    return figure


# %%
figure = layered(by_layer("selectivity"), y="selectivity", hue="kind", share=True)
run.figure("selectivity", figure, caption="Mean class selectivity of the units, layer by layer, and 95 % intervals.")

# %% [markdown]
# Blue rises with depth, for digits and for photographs. But look at the controls before crediting the training: a good
# part of the rise is there with random weights, and the linear network, in which cascade adds nothing that a single
# layer could not do, rises too. The leap comes where a unit stops looking at a square and sees the whole image: a unit
# that answers to the best place in an image hardly *can* prefer a class. What only the trained network has is that the
# rise goes on.

# %% [markdown]
# The nine strongest images ask for more: not a higher mean, but the same class at the very top.

# %%
COUNTED = {"purity": "commonest class", "one_class": "all nine of one class"}
parts = {
    f"{subject}: {what}": part.rename(columns={name: "share"})
    for name, what in COUNTED.items()
    for subject, part in by_layer(name).items()
}
figure = layered(parts, y="share", hue="kind", share=True)
caption = "Nine strongest images: mean share of the commonest class, and share of units with nine of one class."
run.figure("purity", figure, caption=caption)

# %% [markdown]
# Here training shows. In the deep layers of LeNet-5 a unit with nine images of one digit is common if it is trained and
# rare if it is not. For photographs it takes a better network than a brief training gives: there the commonest class
# has more of the nine, but seldom all of them.

# %%
SUMMED = ["selectivity", "of_means", "purity", "one_class", "silent"]
long = pd.concat([tables.unroll(table[["subject", "kind", "seed", name]], name, depth=[1, 2, 3, 4])
                  .rename(columns={name: "value"}).assign(quantity=name)
                  for table in both.values() for name in SUMMED])  # fmt: skip
summary = tables.summarise(long, "value", ["subject", "kind", "depth", "quantity"])
wide = summary.pivot_table(index=["subject", "kind", "depth"], columns="quantity", values="mean", sort=False)[SUMMED]
run.table("by_layer", wide.reset_index(), caption="Units of each layer, mean over seeds (shares).").round(3)

# %% [markdown]
# `of_means` is the selectivity of the mean over places instead of the strongest place; `silent` the share of units that
# answer to no test image at all, which every other column leaves out. Selectivity has a weakness that this index is
# known for: a unit that answers to a handful of images is "selective", whatever they show.

# %% [markdown]
# ## Maximal inputs: more than any image
#
# The response to the maximal input, in units of the unit's strongest response to a test image (median over units).

# %%
REACHED = {"restrained": "as shown above", "unrestrained": "gradient ascent only"}
parts = {}
for subject, table in trained.items():
    reached = [tables.unroll(table, name, depth=[1, 2, 3, 4]).rename(columns={name: "times"}).assign(ascent=what)
               for name, what in REACHED.items()]  # fmt: skip
    parts[subject] = pd.concat(reached)
figure = layered(parts, y="times", hue="ascent", log=True)
for ax in figure.axes:
    ax.axhline(1, color="0.5", lw=0.8, ls=":")
run.figure("maximal", figure, caption="Response to the maximal input over the strongest response to a test image.")

# %% [markdown]
# Above the dotted line an input has been found that excites the unit more than every test image does. Plain ascent
# finds one for nearly every unit, and goes further on photographs, where it has more pixels and colours to play with.
# Blur and decay cost some of that, most in the first layers, where a filter *is* a pattern of single pixels. To be
# looked at and to be maximal are two things.

# %% [markdown]
# ## The deconv image: one image, three ways back
#
# The first test image of each set (a 7, and a cat). Each row: the unit of that layer that it excites most, measured by
# what else excites the unit; what that unit sees is framed. Then what comes back by three rules that differ at
# rectifiers only: what is positive on the way back (*deconvnet*), what was positive on the way there (*gradient*), or
# both (*guided*). Last, the deconvnet in the same network before training, from the unit most excited there.


# %%
def view(subject):
    row, before = first[subject], controls[subject][controls[subject].kind == "untrained"].iloc[0]
    image = examples(subject, "test", 1).inputs[0].movedim(0, -1).numpy().squeeze()
    lines = []
    for at, layer in enumerate(HIDDEN[subject]):
        back = [*row.back[at], before.back[at, 0]]
        lines.append((layer.name, (*row.corner[at].astype(int), layer.field), [one.squeeze() for one in back]))
    return View(image, lines)


columns = ["deconvnet", "guided", "gradient", "deconvnet,\nuntrained"]
figure = views({subject: view(subject) for subject in SEEDS}, columns, size=0.72)
run.figure(
    "one_image", figure, caption="One digit and one cat sent back from a unit of each layer by three rules.", n=1
)

# %% [markdown]
# Deconvnet and guided backpropagation give clean drawings, the gradient a grainy one. Is the drawing what *this unit*
# responds to, or what any unit would send back from this image? The last column warns: much of the shape comes from the
# image through the stored switches, not from what was learned.

# %% [markdown]
# ### How much of it lies on the ink?
#
# The share of a deconv image's energy (squares) on the ink of its digit, over the nine strongest images of every unit,
# divided by the share that a uniform image would have there. Photographs have no ink; in its place, the box of what
# stands out from the image's edges, found by colour and no hand. One curve takes the mask of *another* image at the
# same place.


# %%
def energies(subject, kind):
    """Energy inside the mask in units of a uniform image's, by layer, rule and mask."""
    rows = both[subject][both[subject].kind == kind]
    inside, uniform = np.stack(rows["energy"]), np.stack(rows["uniform"])  # (seeds, layers, masks, rules), (.., masks)
    times = inside / uniform[..., None]
    named = {rule: times[:, :, 0, place] for place, rule in enumerate(responses.RULES)}
    named["deconvnet, another's mask"] = times[:, :, 1, 0]
    return pd.concat([
        pd.DataFrame(values, columns=[1, 2, 3, 4]).melt(var_name="depth", value_name="times").assign(way=way)
        for way, values in named.items()
    ])  # fmt: skip


# %%
KINDS = ["trained", "untrained"]
parts = {f"{subject}, {kind}": energies(subject, kind) for subject in SEEDS for kind in KINDS}
figure = layered(parts, y="times", hue="way")
for ax in figure.axes:
    ax.axhline(1, color="0.5", lw=0.8, ls=":")
caption = "Energy of images sent back inside the mask of what they show, in units of a uniform image's energy there."
run.figure("energy", figure, caption=caption)

# %% [markdown]
# On digits the claim holds with room to spare: the energy lies on the digit's *own* ink, several times what a uniform
# image would put there and far above what lands on another digit's; and in the trained network more than in the
# untrained one. On photographs compare blue with the curve of another's mask: where the two run together, the energy is
# in the middle of the picture, where most things stand, and not on the thing itself.

# %% [markdown]
# ## An explorer
#
# The same layer in other seeds: choose one. Everything is read from the results above.


# %%
def same_layer(layer):
    subject, name = layer.split(", ")
    at = [one.name for one in HIDDEN[subject]].index(name)
    rows = trained[subject].head(3).iterrows()
    return [gallery({f"seed {row.seed}\n{name}": triptychs(row, at) for _, row in rows})]


widgets.explore(same_layer, layer=[f"{subject}, {layer.name}" for subject in HIDDEN for layer in HIDDEN[subject]])

# %% [markdown]
# ## The claims
#
# `faithful` is LeNet-5: for the first panel its last hidden layer; for the second, ascent with all that makes it fit to
# be looked at, mean over layers; for the third the deconvnet, mean over layers.

# %%
run.claim("understanding.cascade.top9.count", first["digits"].top.shape[-1])
for subject, identifier in {"digits": "benefit", "cats": "benefit.cat"}.items():
    row = f"understanding.cascade.{identifier}"
    run.claim(row, np.stack(trained[subject]["selectivity"]))
    run.claim(row, np.stack(trained[subject]["of_means"]), variant="means over places")
    for kind, rows in controls[subject].groupby("kind", sort=False):
        run.claim(row, np.stack(rows["selectivity"]), variant=kind)

# %%
for subject, variant in {"digits": "faithful", "cats": "photographs"}.items():
    before = controls[subject][controls[subject].kind == "untrained"]
    shares = [np.stack(table["one_class"])[:, -1] for table in (trained[subject], before)]
    run.claim("understanding.cascade.top9", np.stack(shares, 1), variant=variant)
    for name, how in {"restrained": variant, "unrestrained": f"{variant}, plain ascent"}.items():
        reached = np.stack(trained[subject][name]).mean(1)
        run.claim("understanding.cascade.maxinput", np.stack([reached, np.ones_like(reached)], 1), variant=how)

# %%
for subject, variant in {"digits": "faithful", "cats": "photographs, box"}.items():
    for kind, rows in both[subject].groupby("kind", sort=False):
        inside, uniform = (np.stack(rows[name]).mean(1) for name in ("energy", "uniform"))
        for place, rule in enumerate(responses.RULES if kind != "linear" else ()):
            how = ", ".join([variant] + [rule] * (place > 0) + [kind] * (kind != "trained"))
            run.claim("understanding.cascade.deconv", np.stack([inside[:, 0, place], uniform[:, 0]], 1), variant=how)

# %%
run.finish()

# %% [markdown]
# ## What to try next
#
# - `SCALE="photos=50000"` on the laptop profile, five times as long: which units begin to collect cats?
# - Set `FAVOURED["cats"]` to another class, such as frogs or ships: which has filters of its own earliest?
# - Start the ascent from the strongest image instead of grey: how little has to change until the response is doubled?
# - Shuffle the weights of one layer of the trained network: from which layer on does the deconv image care?
