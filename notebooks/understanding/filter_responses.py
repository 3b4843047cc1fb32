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
# **Time on two cores.** smoke: seconds; laptop: a minute and a half; paper (ten seeds, all images, five starts of 500
# steps): two hours, as far as the laptop's times tell. The laptop run reads digits well, but photographs about every
# second time: it shows every effect on digits, and of cats the shape of the curves rather than good cat filters.

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
    smoke=dict(digits=300, photos=100, tests=150, epochs=1, batch=32, steps=3, starts=1, seeds=1),
    laptop=dict(digits=6_000, photos=8_000, tests=4_000, epochs=4, batch=32, steps=60, starts=1, seeds=3),
    paper=dict(digits=60_000, photos=50_000, tests=10_000, epochs=10, batch=64, steps=500, starts=5, seeds=10),
)
FAVOURED = {"digits": None, "photographs": data.CIFAR10_CLASSES.index("cat")}
NAMES = {"digits": [*"0123456789"], "photographs": data.CIFAR10_CLASSES}

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
SIDES = {"digits": 32, "photographs": 30}
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
# **The maximal input.** Gradient ascent from the mean colour, pixels kept in the range of images; with decay towards
# that colour, a blur every four steps, a little jitter, and steps that prefer the directions in which the colours of
# images vary. None of this is what the unit wants: it makes the result fit to be looked at. We do it without, too.
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
SEEDS, SHOWN = run.seeds(scale.seeds), 4  # units of each layer that are shown
trained, controls = {}, {}
for one in SIDES:
    trained[one] = run.sweep(looked_at, subject=[one], kind=["trained"], shown=[SHOWN], seed=SEEDS, name=one)
    kinds = ["untrained", "linear"]
    controls[one] = run.sweep(looked_at, subject=[one], kind=kinds, shown=[2], seed=SEEDS, name=f"{one}_controls")

# %%
both = {subject: pd.concat([trained[subject], controls[subject]], ignore_index=True) for subject in SIDES}
accuracy = pd.concat([tables.summarise(table, "accuracy", ["subject", "kind"]) for table in both.values()])
run.table("accuracy", accuracy.reset_index(drop=True), caption="Test accuracy of the networks, mean over seeds.")

# %% [markdown]
# ## Digits
#
# Some units of each layer, from selective (left) to unselective: the middle ones of four equal groups. Below each: the
# two commonest digits among its nine.


# %%
def commonest(subject, top):
    labels = examples(subject, "test", scale.tests).labels[torch.from_numpy(top.astype(np.int64))]
    classes, counts = labels.unique(return_counts=True)
    first = counts.argsort(descending=True, stable=True)[:2]
    return ", ".join(f"{NAMES[subject][classes[k]]} ×{counts[k]}" for k in first)


def triptychs(row, at):
    """The units shown of one layer of one network."""
    layer, test = HIDDEN[row.subject][at], examples(row.subject, "test", scale.tests)
    field, found = slice(0, layer.field), []
    for k, unit in enumerate(row.units[at]):
        where = [torch.from_numpy(part[at, k].astype(np.int64)) for part in (row.top, row.places)]
        nine = responses.patches(test.inputs, layer, *where).movedim(1, -1).numpy().squeeze()
        painted, back = (part[at, k, field, field].squeeze() for part in (row.maximal, row.deconv))
        found.append(Triptych(nine, painted, back, f"unit {unit}: {commonest(row.subject, row.top[at, k])}"))
    return found


# %%
def hung(row):
    """All layers of one network as a gallery."""
    labels = [f"{layer.name}\n{layer.units} units\nsee {layer.field}×{layer.field}" for layer in HIDDEN[row.subject]]
    return gallery({label: triptychs(row, at) for at, label in enumerate(labels)})


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
# The units of each layer with most cats among their nine. Below: the two commonest classes.

# %%
told = (
    "Units with most cats among their nine, of a trained CIFAR-10 network: nine patches, maximal input, deconv image."
)
run.figure("cats", hung(first["photographs"]), caption=told, n=1)

# %% [markdown]
# Edges and colours, then dark against light, then parts of animals and their grounds, then whole photographs. There the
# nine do look alike, but by colour and pose as much as by kind: what is in the same pose on the same ground comes
# together. The maximal inputs of the last layer are legs, stripes, a bright animal on dark ground; a cat they are not.

# %% [markdown]
# ## Is it the training?
#
# The same panels, of the last hidden layer of both controls: two units for digits, one for photographs.

# %%
CONTROLS = {"untrained": "initial\nweights", "linear": "trained\nwithout ReLU\nand maximum"}
rows = {}
for kind, what in CONTROLS.items():
    networks = [table[table.kind == kind].iloc[0] for table in controls.values()]
    rows[f"{kind}\n{what}"] = [one for row in networks for one in triptychs(row, len(row.top) - 1)][:3]
told = "Units of the last hidden layer of an untrained and of a linear network: two for digits, one for photographs."
run.figure("controls", gallery(rows), caption=told, n=1)

# %% [markdown]
# Even with random weights the nine look alike: they share a weight of stroke, a slant, the colour of a ground, but not
# a class. That nine images look alike is thus no sign of learning by itself; what they share is. The linear network is
# trained, and its nine have more of a class in common; its maximal inputs are its templates, sign by sign.

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


def layered(parts, ylabel, *, even=False, **look):
    """Curves over the hidden layers; with `even`, from zero up, and a line where both are equal."""
    draw = partial(plots.curves, x="depth", **look)
    across = "hidden layer, from the image on"
    figure = plots.panels(parts, draw, across=2, size=(3.0, 2.3), xlabel=across, ylabel=ylabel)
    for ax in figure.axes:
        ax.set_xticks([1, 2, 3, 4])
        if even:
            ax.axhline(1, color="0.5", lw=0.8, ls=":")
            ax.set_ylim(bottom=0)
    return figure


# %%
figure = layered(by_layer("selectivity"), "selectivity", y="selectivity", hue="kind", share=True)
run.figure("selectivity", figure, caption="Mean class selectivity of the units, layer by layer, and 95 % intervals.")

# %% [markdown]
# Blue rises with depth. Before crediting the cascade with it, look at the other two. Where random weights rise as well,
# depth alone does it: a unit that answers to the best place of an image can hardly prefer a class, one that sees the
# whole image can. And the linear network, whose layers could be multiplied into one, is not less selective than the
# trained one where it matters, at the end. This index does not tell what non-linear layers in cascade are good for.
#
# The nine strongest images ask for more: not a higher mean, but the same class at the very top.

# %%
figure = layered(by_layer("purity"), "share of the nine", y="purity", hue="kind", share=True)
caption = "Mean share of the commonest class among the nine strongest images, and 95 % intervals."
run.figure("purity", figure, caption=caption)

# %%
for subject, table in both.items():
    pure = {kind: np.stack(rows["one_class"])[:, -1].mean() for kind, rows in table.groupby("kind", sort=False)}
    told = ", ".join(f"{share:.0%} {kind}" for kind, share in pure.items())
    print(f"{subject}: units of the last hidden layer with all nine of one class: {told}")

# %% [markdown]
# Here the three part. In the first layers no curve stands out: strokes and edges belong to every class. In the deep
# layers the trained network is above the linear one, and that above the random one. So far as the slides' claim can be
# put in numbers, this is it: non-linear layers, in cascade *and* trained, come to agree with the classes at the top of
# their range. Of photographs a briefly trained network holds few such units, and for cats fewer still: dogs come along.

# %%
SUMMED = ["selectivity", "of_means", "purity", "one_class", "silent"]
long = pd.concat([tables.unroll(table[["subject", "kind", "seed", name]], name, depth=[1, 2, 3, 4])
                  .rename(columns={name: "value"}).assign(quantity=name)
                  for table in both.values() for name in SUMMED])  # fmt: skip
summary = tables.summarise(long, "value", ["subject", "kind", "depth", "quantity"])
wide = summary.pivot_table(index=["subject", "kind", "depth"], columns="quantity", values="mean", sort=False)[SUMMED]
run.table("by_layer", wide.reset_index(), caption="Units of each layer, mean over seeds (shares).")
wide.query("depth == 4").round(3)

# %% [markdown]
# The last hidden layer. `of_means` is the selectivity of the mean over places instead of the strongest place (in dense
# layers the same); `silent` the share of units that answer to fewer than nine test images, which all else leaves out:
# a unit that answers to a handful of images is "selective", whatever they show.

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
figure = layered(parts, "times the strongest image", y="times", hue="ascent", even=True)
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
# rectifiers only: they let through what is positive on the way back (*deconvnet*), what was positive on the way there
# (*gradient*), or what is both (*guided*). Last, two of them in the same network before training, from the unit most
# excited there.


# %%
def view(subject):
    row, before = first[subject], controls[subject][controls[subject].kind == "untrained"].iloc[0]
    image = examples(subject, "test", 1).inputs[0].movedim(0, -1).numpy().squeeze()
    lines = []
    for at, layer in enumerate(HIDDEN[subject]):
        back = [one.squeeze() for one in [*row.back[at], *before.back[at, :2]]]
        lines.append((layer.name, (*row.corner[at].astype(int), layer.field), back))
    return View(image, lines)


columns = ["deconvnet", "guided", "gradient", "deconvnet,\nuntrained", "guided,\nuntrained"]
figure = views({"a 7": view("digits"), "a cat": view("photographs")}, columns, size=0.62)
told = "One digit and one cat, sent back from a unit of each layer by three rules, and before training by two."
run.figure("one_image", figure, caption=told, n=1)

# %% [markdown]
# From row to row the spot grows to a stroke and to the whole. Deconvnet and guided backpropagation give clean drawings,
# the gradient a grainier one. Now the last two columns. Is there a digit in them? Where there is, before anything was
# learned, it comes from the image, through switches and masks, and says nothing about the unit. Guided backpropagation
# is suspect for that (Adebayo et al. 2018); so the drawing alone proves little.

# %% [markdown]
# ### How much of it lies on the ink?
#
# The share of the energy (squares) of what comes back that lies on the ink of its digit, over the nine strongest images
# of every unit, divided by the share that a uniform image would have there. Photographs have no ink; in its place, a
# box around what stands out from the edges of the image by its colour. It is found without hands, and often right:

# %%
some = examples("photographs", "test", 12).inputs[::3].clone()
boxes = responses.salient_boxes(some)
rim = responses.framed(boxes, 30) & ~responses.framed(boxes + torch.tensor([1, 1, -1, -1]), 30)
some.masked_fill_(rim[:, None], 255)
figure = plots.images({"test images": some.repeat_interleave(3, 2).repeat_interleave(3, 3).movedim(1, -1).numpy()})
run.figure("boxes", figure, caption="Boxes (white) around what stands out from the edges of test images.", n=0)


# %%
def times(subject, kind, rule, mask=0):
    """Energy inside the mask in units of a uniform image's, by layer; mask 1 is another image's."""
    rows = both[subject][both[subject].kind == kind]
    inside, uniform = np.stack(rows["energy"]), np.stack(rows["uniform"])
    values = inside[:, :, mask, responses.RULES.index(rule)] / uniform[:, :, mask]
    return pd.DataFrame(values, columns=[1, 2, 3, 4]).melt(var_name="depth", value_name="times")


LINES = {
    "deconvnet": ("trained", "deconvnet"),
    "the same, another's mask": ("trained", "deconvnet", 1),
    "deconvnet, untrained": ("untrained", "deconvnet"),
    "guided, untrained": ("untrained", "guided backpropagation"),
}

# %%
parts = {
    subject: pd.concat([times(subject, *what).assign(way=way) for way, what in LINES.items()]) for subject in SIDES
}
figure = layered(parts, "times a uniform image", y="times", hue="way", even=True)
caption = "Energy of images sent back inside the mask of what they show, in units of a uniform image's energy there."
run.figure("energy", figure, caption=caption)

# %%
MASKS = ["own", "another's"]
every = [
    times(subject, kind, rule, mask).assign(network=subject, kind=kind, rule=rule, mask=MASKS[mask])
    for subject in SIDES for kind in ("trained", "untrained") for rule in responses.RULES for mask in (0, 1)
]  # fmt: skip
deep = tables.summarise(pd.concat(every).query("depth == 4"), "times", ["network", "kind", "mask", "rule"])
caption = "Last hidden layer: energy inside the mask, in units of a uniform image's, by rule; 95 % intervals."
run.table("energy", deep, caption=caption)
deep.pivot_table(index=["network", "kind", "mask"], columns="rule", values="mean", sort=False).round(2)

# %% [markdown]
# On digits the claim holds with room to spare: blue, the energy on a digit's *own* ink, is several times a uniform
# image's. Part of that is cheap, since ink is in the middle of every image: look how high the same maps score on
# another digit's ink. What lies between the two curves is about this digit, and the untrained deconvnet has little of
# it. On photographs the first two curves run close together: where the energy lies is a matter of the middle of the
# picture, where most things stand, more than of the thing itself. A bright picture of a cat in a "deconv image" is the
# photograph's structure where the unit looks; a mask is needed to tell more, and ours shows none.

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
for subject, identifier in {"digits": "benefit", "photographs": "benefit.cat"}.items():
    row = f"understanding.cascade.{identifier}"
    run.claim(row, np.stack(trained[subject]["selectivity"]))
    run.claim(row, np.stack(trained[subject]["of_means"]), variant="means over places")
    for kind, rows in controls[subject].groupby("kind", sort=False):
        run.claim(row, np.stack(rows["selectivity"]), variant=kind)

# %%
for subject, variant in {"digits": "faithful", "photographs": "photographs"}.items():
    before = controls[subject][controls[subject].kind == "untrained"]
    shares = [np.stack(table["one_class"])[:, -1] for table in (trained[subject], before)]
    run.claim("understanding.cascade.top9", np.stack(shares, 1), variant=variant)
    for name, how in {"restrained": variant, "unrestrained": f"{variant}, plain ascent"}.items():
        reached = np.stack(trained[subject][name]).mean(1)
        run.claim("understanding.cascade.maxinput", np.stack([reached, np.ones_like(reached)], 1), variant=how)

# %%
for subject, variant in {"digits": "faithful", "photographs": "photographs, box"}.items():
    for kind in ("trained", "untrained"):
        rows = both[subject][both[subject].kind == kind]
        inside, uniform = (np.stack(rows[name]).mean(1) for name in ("energy", "uniform"))
        for place, rule in enumerate(responses.RULES):
            how = ", ".join([variant] + [rule] * (place > 0) + [kind] * (kind != "trained"))
            run.claim("understanding.cascade.deconv", np.stack([inside[:, 0, place], uniform[:, 0]], 1), variant=how)

# %%
run.finish()

# %% [markdown]
# ## What to try next
#
# - `SCALE="photos=50000"` on the laptop profile, five times as long: which units begin to collect cats?
# - Set `FAVOURED["photographs"]` to another class, such as frogs or ships: which has filters of its own earliest?
# - Start the ascent from the strongest image instead of grey: how little has to change until the response is doubled?
# - Shuffle the weights of one layer of the trained network: from which layer on does the deconv image care?
