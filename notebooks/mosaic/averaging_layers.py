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
# # Averaging at different layers
#
# *Attention Model on Mosaic image* (L. N. Pandey and R. Vashisht), section 3.1, Table 1, and the authors' notebooks.
#
# **Claimed.** The deeper the layer whose maps are averaged under the attention weights, the better the network: test
# accuracy from 85.58 % (raw images) to 90.01 % (third convolution). One run each, classification networks of different
# size, and "test" mosaics made of training images.
#
# **Time on two cores.** smoke: seconds; laptop: under two minutes; paper (30,000 mosaics, 110 epochs, 5 seeds): work
# for a GPU; here a day, and weeks more for the six-layer networks. The laptop run has a seventh of the mosaics, few
# epochs, one seed, and Adam in place of the authors' gradient descent with momentum, which would spend all of it on the
# plateau at the start. It shows how a network leaves the plateau, where it looks then and what a new image costs; it
# cannot rank the layers.

# %% tags=["parameters"]
profile = "auto"  # smoke, laptop, paper; auto asks the machine
device = "auto"  # cpu, cuda
seed = 0  # the first of the seeds

# %%
import functools

import numpy as np
import pandas as pd

from companion import claims, data, models, plots, tables, training, widgets
from companion.attention.examples import OnMosaics
from companion.attention.shares import SHARES, focus_shares
from companion.run import Run

# %%
run = Run("mosaic/averaging_layers", profile=profile, device=device, seed=seed)
scale = run.scale(
    smoke=dict(mosaics=100, tests=50, watched=50, epochs=2, milestones=(1, 2), batch=25, optimizer="adam", lr=1e-3,
               seeds=2, matched_seeds=1, second_seeds=0, six_seeds=0),
    laptop=dict(mosaics=4_000, tests=1_500, watched=500, epochs=8, milestones=(1, 2, 3, 4, 5, 6, 7, 8), batch=20,
                optimizer="adam", lr=1e-3, seeds=1, matched_seeds=1, second_seeds=0, six_seeds=0),
    paper=dict(mosaics=30_000, tests=10_000, watched=2_000, epochs=110,
               milestones=(1, 2, 4, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 70, 80, 90, 100, 110), batch=250,
               optimizer="sgd", lr=0.01, seeds=5, matched_seeds=5, second_seeds=3, six_seeds=5),
)  # fmt: skip

# %% [markdown]
# ## What is averaged
#
# The focus network has three convolutions. Averaging at layer 0 takes the raw images; at layer k, tanh of what its k-th
# convolution returns. So from layer 1 on its first convolutions serve two tasks: to score a patch, and to describe it.
# A smaller classification network takes over where the average was taken.

# %%
# NBVAL_CHECK_OUTPUT
LAYERS = (0, 1, 2, 3)
EVEN, NEAR = models.classifier_size(3), 0.1
hidden = dict.fromkeys(LAYERS, 120)  # as published
for layer in LAYERS:
    if abs(models.classifier_size(layer) / EVEN - 1) > NEAR:
        hidden[layer] = models.matched_hidden(layer, EVEN)
sizes = pd.DataFrame({
    "published": {layer: models.classifier_size(layer) for layer in LAYERS},
    "matched": {layer: models.classifier_size(layer, hidden=hidden[layer]) for layer in LAYERS},
}).rename_axis("averaged at")  # fmt: skip
sizes

# %% [markdown]
# The published classification networks differ fivefold in size. In the *matched* control the width of the first dense
# layer of the smallest and the largest is chosen so that they have as many weights as the one of layer 3, within a
# percent. Layer 2 is near it as published, and serves as its own control.
#
# One unit is one network, trained on mosaics of CIFAR-10's training images. It is tested on those mosaics, on new
# mosaics of the same images (the authors' "test") and on mosaics of CIFAR-10's test images (*new images*).

# %%
CODED, DOCUMENTED = (7, 8, 9), (0, 1, 2)  # horse, ship, truck; airplane, automobile, bird
PICTURES = 24  # mosaics of new images whose weights are kept
COURSE = {"accuracy": "prediction true", "focus": "focus true", "ftpt": "both true"}
MILESTONES = tuple(epoch for epoch in scale.milestones if epoch <= scale.epochs)  # of a shortened run too
SETS = {"train": "training mosaics", "test": "new mosaics", "held": "new images"}


def drawn(foreground, seed):
    """The three sets of mosaics of one seed."""
    mosaics = data.mosaic_set(data.cifar10("train"), foreground, n=scale.mosaics + scale.tests, seed=seed)
    train, test = mosaics.part(0, scale.mosaics), mosaics.part(scale.mosaics, scale.mosaics + scale.tests)
    held = data.mosaic_set(data.cifar10("test"), foreground, n=scale.tests, seed=seed)
    return dict(train=train, test=test, held=held)


# %%
def attended(net, mosaics):
    """Weights and logits, computed where the network is."""
    return OnMosaics(net, mosaics).to(next(net.parameters()).device).attend(mosaics.members)


def tested(net, sets):
    """Shares of focus and answer on each set, named set_share."""
    found = {}
    for name, mosaics in sets.items():
        shares = focus_shares(*attended(net, mosaics), mosaics.position, mosaics.labels)
        shares |= dict(accuracy=shares["ftpt"] + shares["ffpt"], focus=shares["ftpt"] + shares["ftpf"])
        found |= {f"{name}_{share}": value for share, value in shares.items()}
    return found


# %%
def attention(layer, hidden, foreground, design, seed, checkpoint=None):
    sets = drawn(foreground, seed)
    watched = dict(held=sets["held"].part(0, scale.watched))
    net = models.LayerAttention(seed=seed, average_at=layer, design=design, hidden=hidden)
    settings = dict(epochs=scale.epochs, lr=scale.lr, batch=scale.batch, optimizer=scale.optimizer)
    train = sets["train"]
    history = training.fit(
        OnMosaics(net, train), (train.members, train.labels), seed=seed, checkpoint=checkpoint,
        momentum=0.9 if scale.optimizer == "sgd" else 0.0, measure=lambda wrapped: tested(wrapped.net, watched),
        measure_at=MILESTONES, **settings,
    )  # fmt: skip
    course = {share: history[f"held_{share}"].dropna().to_numpy() for share in COURSE}
    result = dict(loss=history["loss"].to_numpy()) | {f"at_{share}": values for share, values in course.items()}
    weights, logits = attended(net, sets["held"].part(0, PICTURES))
    return result | tested(net, sets) | dict(weights=weights.numpy(), answers=logits.argmax(1).float().numpy())


# %% [markdown]
# The same units serve the published networks and the matched ones; a matched network of published size is the same unit
# and is not trained again.


# %%
def settings(seeds, *, layers=LAYERS, matched=False, foreground=CODED, design="three"):
    return [
        dict(layer=layer, hidden=hidden[layer] if matched else 120, foreground=foreground, design=design, seed=one)
        for one in run.seeds(seeds)
        for layer in layers
    ]


table = run.sweep(attention, settings(scale.seeds), name="published")
matched = run.sweep(attention, settings(scale.matched_seeds, matched=True), name="matched")

# %% [markdown]
# ## The plateau
#
# At the start all weights are nearly even, the average is a haze, and the loss stays at ln 3, that of a guess.

# %%
CHANCE = np.log(3)
losses = table[["layer", "seed", "loss"]].explode("loss").astype({"loss": float})
losses["epoch"] = losses.groupby(["layer", "seed"]).cumcount() + 1
losses["averaged at"] = "layer " + losses["layer"].astype(str)
figure = plots.curves(losses, "epoch", "loss", hue="averaged at", ylabel="training cross-entropy (nats)")
run.figure("loss", figure, caption="Training loss by epoch; a guess has ln 3 = 1.0986.", n=scale.seeds)

# %%
escaped = losses[losses["loss"] < CHANCE - 0.05]
left = escaped.pivot_table(index="averaged at", columns="seed", values="epoch", aggfunc="min")
left = left.reindex([f"layer {layer}" for layer in LAYERS]).add_prefix("seed ").reset_index()
run.table("plateau", left, caption="First epoch whose mean loss is 0.05 below ln 3 (empty: none).")

# %% [markdown]
# The authors' layer-0 network stayed on the plateau until about epoch 9 of 110. How long it lasts hangs on the seed,
# and a network that has just left it is far from what it will be: rankings taken early are rankings of plateaus.
#
# ## Table 1

# %%
long = table.melt("layer", [f"{name}_accuracy" for name in SETS], "mosaics", "accuracy")
long["mosaics"] = long["mosaics"].str.removesuffix("_accuracy").map(SETS)
figure = plots.strip(long, "layer", "accuracy", hue="mosaics", share=True, xlabel="averaged at layer")
run.figure("table1", figure, caption="Accuracy by the layer that is averaged.", n=scale.seeds)


# %%
def reported(layer, name):
    return claims.claim(f"mosaic.t1.{name}.layer{layer}").reported_internal


summary = tables.summarise(table, [f"{name}_accuracy" for name in SETS], "layer")
printed = {(layer, f"{name}_accuracy"): reported(layer, name) for layer in LAYERS for name in ("train", "test")}
summary["reported"] = [printed.get(key, np.nan) for key in zip(summary["layer"], summary["quantity"], strict=True)]
run.table("table1", summary, caption="Accuracy (share) over seeds, and Table 1.")

# %% [markdown]
# *New mosaics* are new combinations of images seen in training; *new images* were never seen. Where the first is above
# the second, the difference is what the document's word "test" leaves out.
#
# ## Where it looks
#
# The focus is true (FT) where the largest weight is the foreground's, the prediction is true (PT) where the class is.

# %%
cases = table.melt("layer", [f"held_{share}" for share in SHARES], "case", "share")
cases["case"] = cases["case"].str.removeprefix("held_").str.upper()
cases = cases.groupby(["layer", "case"], sort=False, as_index=False)["share"].mean()
figure = plots.stacked(cases, "layer", "share", hue="case", xlabel="averaged at layer", ylabel="new images (share)")
run.figure("cases", figure, caption="Focus and prediction on mosaics of new images.", n=scale.seeds)

# %%
at = [f"at_{share}" for share in COURSE]
course = table[["layer", "seed", *at]].explode(at).astype(dict.fromkeys(at, float))
course["epoch"] = np.tile(MILESTONES, len(table))
course["averaged at"] = "layer " + course["layer"].astype(str)
parts = {title: course.assign(share=course[f"at_{share}"]) for share, title in COURSE.items()}
draw = functools.partial(plots.curves, x="epoch", y="share", hue="averaged at", share=True)
figure = plots.panels(parts, draw, size=(2.5, 2.4), xlabel="epoch", ylabel="new images (share)")
run.figure("course", figure, caption="New images during training: prediction, focus, and both.", n=scale.seeds)

# %% [markdown]
# A guess is right in a third of the mosaics, a random focus in a ninth, both in one of 27. Where the first rises while
# the second does not, the network answers from the haze; a focus *below* a ninth avoids the foreground. A right answer
# with a false focus (FFPT) is not always luck: with weights far from zero and one, the average still holds the
# foreground.


# %%
def shown(layer, count=6):
    """Mosaics of new images under the weights of the first network that averages at `layer`."""
    one = table[table["layer"] == layer].iloc[0]
    some = drawn(CODED, run.first_seed)["held"].part(0, count)
    names = [data.CIFAR10_CLASSES[CODED[int(answer)]] for answer in one["answers"][:count]]
    parts = zip(some.patches(slice(None)).numpy(), one["weights"][:count], some.position.tolist(), names, strict=True)
    return [plots.Attended(*part) for part in parts]


# %%
told = "Mosaics of new images; framed the foreground, above the answer, below the average that the weights make."
run.figure("attention_0", plots.attended(shown(0)), caption=f"Averaging raw images. {told}", n=1)

# %%
run.figure("attention_3", plots.attended(shown(3)), caption=f"Averaging after the third convolution. {told}", n=1)

# %% [markdown]
# The bar at the foot of a patch is its weight. The network that averages maps never sees the averages shown below its
# mosaics: they say what its weights would make of the raw images.
#
# ## As many weights at each layer

# %%
both = pd.concat([table.assign(network="published"), matched.assign(network="matched")])
both = both[both["seed"].isin(run.seeds(scale.matched_seeds))]
figure = plots.strip(
    both, "layer", "test_accuracy", hue="network", share=True, xlabel="averaged at layer",
    ylabel="accuracy on new mosaics",
)  # fmt: skip
run.figure("matched", figure, caption="Published and matched sizes, same seeds.", n=scale.matched_seeds)


# %% [markdown]
# Is there a trend with depth? A straight line through the four layers, one for each seed:


# %%
def trend(results):
    """Test accuracy, one row for each seed and one column for each layer."""
    return results.pivot_table(index="seed", columns="layer", values="test_accuracy")


rise = {name: trend(results) for name, results in {"published": table, "matched": matched}.items()}
slopes = {name: np.polyfit(LAYERS, by_seed.to_numpy().T, 1)[0] for name, by_seed in rise.items()}
print({name: [f"{100 * one:+.1f} points a layer" for one in values] for name, values in slopes.items()})

# %% [markdown]
# ## Foreground as documented, and a deeper network
#
# Only the paper profile has the seeds and the time for these: classes 0, 1, 2 as the document says, and the authors'
# later repeat with six convolutions, averaged at layer 0, 3 and 6. Its layers are not told; six of 3×3 with 32 to 128
# filters are assumed here.

# %%
second = run.sweep(attention, settings(scale.second_seeds, foreground=DOCUMENTED), name="second")
SIX = (0, 3, 6)
six = run.sweep(attention, settings(scale.six_seeds, layers=SIX, design="six"), name="six")
for name, results in {"second": second, "six": six}.items():
    if len(results):
        columns = ["train_accuracy", "test_accuracy", "held_accuracy", "test_ftpt", "test_ffpt"]
        run.table(name, tables.summarise(results, columns, "layer"), caption="Shares over seeds.")

# %% [markdown]
# ## Browse the mosaics
#
# Weights, average and answer of the four networks for mosaics of new images; needs a running kernel.


# %%
def browse(mosaic):
    """One mosaic under all four networks."""
    parts = [shown(layer, PICTURES)[mosaic] for layer in LAYERS]
    return [plots.attended([part._replace(title=f"layer {k}: {part.title}") for k, part in enumerate(parts)])]


widgets.explore(browse, mosaic=range(PICTURES))

# %% [markdown]
# ## The claims
#
# `faithful` are the published sizes and the classes of the code; `matched` is the control.

# %%
for layer in LAYERS:
    for name in ("train", "test"):
        values = table.loc[table["layer"] == layer, f"{name}_accuracy"]
        run.claim(f"mosaic.t1.{name}.layer{layer}", values)
        if layer == 0:
            run.claim(f"mosaic.x.t1.{name}.layer0", values)
run.claim("mosaic.d1", claims.claim("mosaic.x.t1.test.layer0").reported_internal)

# %%
run.claim("mosaic.s31.obs1", rise["published"].to_numpy())
run.claim("mosaic.s31.obs1", rise["matched"].to_numpy(), variant="matched")
run.claim("mosaic.d3", table.query("layer == 0")[["test_accuracy", "held_accuracy"]].to_numpy())
run.claim("mosaic.d18", rise["published"][[0, 1]].to_numpy())

# %%
COLUMNS = {"acc": "accuracy", "FTPT": "ftpt", "FFPT": "ffpt"}
for layer in SIX if len(six) else ():
    for name in ("train", "test"):
        for ending, column in COLUMNS.items():
            values = six.loc[six["layer"] == layer, f"{name}_{column}"]
            for attempt in (1, 2):
                run.claim(f"mosaic.x.s31six.l{layer}.run{attempt}.{name}_{ending}", values)

# %%
run.finish()

# %% [markdown]
# ## What to try next
#
# - `SCALE="epochs=30 mosaics=10000"` at laptop, ten times as long: does FTPT catch up with accuracy?
# - Put a factor before the softmax (`3 * scores`): a sharper start leaves the plateau sooner, or looks at the wrong
#   patch for good.
# - Average at layer 3, but let the classification network have convolutions of its own: is it depth, or sharing?
