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
# # Messing up a class in other ways
#
# *Finding Generalizations in Multi-Class Image Classifiers* (C. Richoux), section 5, "Next steps".
#
# **Asked**, not claimed: would "messing up the input in other ways" than by swapped labels give the same effects of one
# class on another? And would "analysis over weight distributions" show what a network was mistaught?
#
# **Time on two cores.** smoke: seconds; laptop (three seeds): two to three minutes; paper (twenty seeds): a day, or two
# hours in 16 bits.

# %% tags=["parameters"]
profile = "auto"  # smoke, laptop, paper; auto asks the machine
device = "auto"  # cpu, cuda
seed = 0  # the first of the seeds

# %%
import numpy as np
import pandas as pd
import torch
from scipy import stats as scipy_stats
from torchvision.transforms.functional import gaussian_blur

from companion import claims, confusion, data, models, plots, seeds, stats, tables, training
from companion.run import Run

# %%
run = Run("generalizations/other_damage", profile=profile, device=device, seed=seed)
scale = run.scale(
    smoke=dict(images=200, scored=200, epochs=1, seeds=2, arithmetic="fp32"),
    laptop=dict(images=1_200, scored=1_000, epochs=3, seeds=3, arithmetic="fp32"),
    paper=dict(images=50_000, scored=10_000, epochs=10, seeds=20, arithmetic="fp32"),
)
CLASSES = data.CIFAR10_CLASSES

# %% [markdown]
# ## Five ways to lose a class
#
# Each of the ten classes is damaged in each way. *Swapped* is the paper's: half of its labels are exchanged with a
# partner's. *Merged* gives all its images the partner's label. The other three need no partner: its training images are
# *blurred*, replaced by *noise*, or *dropped*. The partner changes from seed to seed.

# %%
DAMAGES = ("swapped", "merged", "blurred", "noise", "dropped")


def partner_of(lost, seed):
    return (lost + 1 + seed % 9) % 10


def damaged_examples(damage, lost, seed):
    images, labels = (part[: scale.images].clone() for part in data.cifar10("train"))
    hit, partner = labels == lost, partner_of(lost, seed)
    if damage == "swapped":
        labels = data.swap_halves(labels, (lost, partner), seed=seed)
    if damage == "merged":
        labels[hit] = partner
    if damage == "blurred":
        images[hit] = gaussian_blur(images[hit], [13, 13], [3.0, 3.0])
    if damage == "noise":
        draw = seeds.generator(seed, "corruption")
        images[hit] = torch.randint(256, images[hit].shape, generator=draw, dtype=torch.uint8, device="cpu")
    return (images[~hit], labels[~hit]) if damage == "dropped" else (images, labels)


# %%
horses = {}
for damage in ("none", "blurred", "noise"):
    images, labels = damaged_examples(damage, 7, 0)
    horses[damage] = images[labels == 7][:8].permute(0, 2, 3, 1).numpy()
run.figure("images", plots.images(horses), caption="Horses as they are, blurred, and replaced by noise.", n=1)

# %% [markdown]
# ## The experiment
#
# One unit is one network. Networks of one seed share their initial weights and (where no image is dropped) the order of
# the images; "none" is the network that they are compared with, seed by seed. What is kept is the paper's score of
# every class on undamaged test images (see [confused_pairs](confused_pairs.ipynb)), and five numbers for the weights of
# each layer.

# %%
LAYERS = ("conv1", "conv2", "conv3", "dense1", "dense2")
SHAPES = ("norm", "mean", "kurtosis", "largest singular value", "effective rank")


def shape_of(weights):
    """How the weights of one layer are distributed: five numbers."""
    values = np.linalg.svd(weights.reshape(len(weights), -1), compute_uv=False)
    share = values**2 / (values**2).sum()
    rank = np.exp(-(share * np.log(share + 1e-12)).sum())
    return [np.linalg.norm(weights), weights.mean(), scipy_stats.kurtosis(weights.ravel()), values[0], rank]


# %%
def damaged(damage, lost, seed):
    net = models.CifarCNN(seed=seed)
    settings = dict(epochs=scale.epochs, batch=64, optimizer="adam", lr=1e-3, eps=1e-7, arithmetic=scale.arithmetic)
    training.fit(net, damaged_examples(damage, lost, seed), seed=seed, **settings)
    unseen = data.cifar10("test")
    found = training.evaluate_many(
        training.Replicas.of([net]), unseen.inputs[: scale.scored], unseen.labels[: scale.scored]
    )
    weights = [getattr(net, layer).weight.detach().cpu().double().numpy() for layer in LAYERS]
    shapes = np.array([shape_of(one) for one in weights])
    return dict(score=-found["bits"][0].astype(np.float32), shapes=shapes.astype(np.float32))


# %%
intact = [dict(damage="none", lost=0, seed=one) for one in run.seeds(scale.seeds)]
grid = [dict(damage=how, lost=c, seed=one["seed"]) for how in DAMAGES for c in range(10) for one in intact]
results = run.sweep(damaged, intact + grid).set_index(["damage", "lost", "seed"])

# %% [markdown]
# ## What the others lose
#
# The effect on a target T is its score in the intact network less its score in the damaged one: positive where T gains
# from an undamaged C, as in the paper's table. The damaged class itself and its partner are left out.


# %%
def effect(damage, lost, one):
    """What each class gains from an undamaged one (10,), NaN for that class and its partner."""
    gain = results["score"]["none", 0, one] - results["score"][damage, lost, one]
    touched = {lost, partner_of(lost, one)} if damage in ("swapped", "merged") else {lost}
    return np.where(np.isin(np.arange(10), list(touched)), np.nan, gain)


each = [one["seed"] for one in intact]
effects = {how: np.array([[effect(how, c, one) for c in range(10)] for one in each]).swapaxes(1, 2) for how in DAMAGES}
off = ~np.eye(10, dtype=bool)
mean = {how: np.where(off, np.nansum(found, 0) / np.maximum(1, np.isfinite(found).sum(0)), np.nan)
        for how, found in effects.items()}  # fmt: skip

# %%
figure = plots.matrices(
    mean, rows=CLASSES, columns=range(10), share=False, diverging=True, blocks=[(2, 7)], cell=(0.36, 0.26),
    ylabel="target", xlabel="damaged class", unit="bits gained from the undamaged class",
)  # fmt: skip
run.figure("effects", figure, caption="What each class (rows) gains if another is not damaged, by kind of damage.")

# %% [markdown]
# Look for columns first: a damaged class that pulls *all* others up or down acts through what is common to them, the
# softmax, not through shared features. Then for the frame: gains within the animals and losses outside it would be the
# paper's thesis.

# %%
rows = []
for how, found in effects.items():
    whole = np.where(np.isfinite(found), found, mean[how])  # a seed's missing partners take the mean of the others
    contrast = stats.mean_interval(confusion.category_contrast(whole))
    rows.append(dict(damage=how, all_others=np.nanmean(found), within_minus_across=contrast.mean))
    rows[-1] |= dict(low=contrast.low, high=contrast.high, p=confusion.partition_p(mean[how]))
run.table("families", pd.DataFrame(rows), caption="Mean gain in bits, and families: with 95 % interval and p.").round(4)

# %% [markdown]
# *p* is the share of the 210 ways to call four classes vehicles that part the map at least as well.
#
# Do the kinds of damage agree with one another? If the effect of a class on another is a property of the two classes,
# the maps must be alike, whatever it was that took the class away.

# %%
maps = np.array([mean[how][off] for how in DAMAGES])
centred = maps - maps.mean(1, keepdims=True)
spread = np.maximum(np.linalg.norm(centred, axis=1), 1e-12)
alike = centred @ centred.T / np.outer(spread, spread)
figure = plots.matrices(
    {"correlation of two maps": alike}, rows=DAMAGES, columns=DAMAGES, share=False, diverging=True, limits=(-1, 1)
)
run.figure("agreement", figure, caption="Correlation over the 90 ordered pairs of what two kinds of damage do.")

# %% [markdown]
# Mind that all maps are differences from the *same* intact networks: their luck is common to all five and makes them
# look more alike than they are. The control takes the intact networks away: the mean of each row, over all damaged
# classes, is subtracted.

# %%
rowwise = np.array([(mean[how] - np.nanmean(mean[how], 1, keepdims=True))[off] for how in DAMAGES])
spread = np.maximum(np.linalg.norm(rowwise, axis=1), 1e-12)
without = rowwise @ rowwise.T / np.outer(spread, spread)
pairs = np.triu_indices(len(DAMAGES), 1)
print(
    f"Mean correlation of two kinds of damage: {alike[pairs].mean():+.2f}; without the intact networks' luck", end=" "
)
print(f"{without[pairs].mean():+.2f} (from {without[pairs].min():+.2f} to {without[pairs].max():+.2f}).")

# %% [markdown]
# ## The paper's nine rows

# %%
NINE = ["airplane.dog", "automobile.frog", "automobile.truck", "bird.dog", "bird.ship", "deer.airplane", "deer.truck"]
NINE += ["frog.airplane", "truck.deer"]
known = claims.registry("generalizations")
rows = []
for row in NINE:
    target, lost = (CLASSES.index(name) for name in row.split("."))
    told = known[f"generalizations.welch.{row}"].reported
    gains = {how: found[:, target, lost][np.isfinite(found[:, target, lost])] for how, found in effects.items()}
    rows += [dict(row=row, printed=told, damage=how, gain=x) for how, values in gains.items() for x in values]
nine = pd.DataFrame(rows)
run.table("nine", tables.summarise(nine, "gain", ["row", "printed", "damage"]), caption="The nine rows, in bits.")
nine.pivot_table(index=["row", "printed"], columns="damage", values="gain", sort=False)[list(DAMAGES)].round(4)

# %%
signs = nine.groupby(["row", "printed", "damage"], sort=False)["gain"].mean().reset_index()
signs["agrees"] = np.sign(signs["gain"]) == np.sign(signs["printed"])
print("Signs that agree with the printed t, of nine:", signs.groupby("damage", sort=False)["agrees"].sum().to_dict())
stable = signs.groupby("row")["gain"].agg(lambda gains: abs(np.sign(gains).sum()) == len(DAMAGES))
print(f"Rows with one sign under all five kinds of damage: {stable.sum()};", end=" ")
print(f"by chance {9 * 2 / 2 ** len(DAMAGES):.1f}, were the five independent (they share the intact networks).")

# %% [markdown]
# ## Does it show in the weights?
#
# For every layer and each of the five numbers: the difference between a damaged network and the intact one of the same
# seed, averaged over the ten damaged classes, in units of its standard deviation over seeds (a paired t); corrected for
# the number of tests.


# %%
def shifts(how):
    """Differences (seeds, layers, shapes), averaged over the damaged classes."""
    intact_shapes = np.stack([results["shapes"]["none", 0, one] for one in each])
    return np.mean([[results["shapes"][how, c, one] for one in each] for c in range(10)], axis=0) - intact_shapes


rows = []
for how in DAMAGES:
    for (i, layer), (j, shape) in ((a, b) for a in enumerate(LAYERS) for b in enumerate(SHAPES)):
        found = stats.paired(shifts(how)[:, i, j], np.zeros(scale.seeds))
        rows.append(dict(damage=how, layer=layer, shape=shape, difference=found.difference, t=found.t, p=found.p))
weights = pd.DataFrame(rows)
weights["bh"] = stats.false_discovery(weights["p"])
run.table("weights", weights, caption="Weights of damaged networks less those of intact ones, layer by layer.")

# %%
seen = weights[weights["bh"] < 0.05]
print(f"{len(seen)} of {len(weights)} differences hold after correction:", end=" ")
print(seen.groupby("damage", sort=False).size().to_dict())
shown = seen.sort_values("bh").head(8) if len(seen) else weights.sort_values("p").head(8)
shown[["damage", "layer", "shape", "difference", "t", "bh"]].round(4)

# %% [markdown]
# A class of noise or without images is one that can be told, or left alone, without effort; where the weights' norms
# fall or rise for that reason, it is the *amount* to be learned that shows, not which class was lost. Finding the class
# needs the layers' view of classes, as in [next_steps](next_steps.ipynb).
#
# **What each profile can show.** Three seeds of a short training show damage that acts on all classes at once. Effects
# of one class on another, if there are any, are smaller than the luck of single networks, and need the paper's scale.

# %%
run.finish()

# %% [markdown]
# ## What to try next
#
# - Blur *all* classes but one. Is that one known better for it?
# - Damage the test images in the same way. Which kinds of damage did the network learn to read through?
# - Give the noise of one class the colours of that class. How much of what the others gain goes away?
