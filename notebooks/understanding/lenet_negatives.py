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
# # LeNet-5 on original and negative digits
#
# *Understanding Neural Networks* (C.-C. Jay Kuo), slides "Test Performance of LeNet-5".
#
# **Claimed.** A LeNet-5 trained on MNIST reads 98.94 % of the test digits and 37.36 % of their negatives; trained on
# negatives, it reads 37.36 % of the originals and 98.94 % of the negatives. The slides give four numbers, one run each.
#
# **Time on two cores.** smoke: seconds; laptop: 2 to 3 minutes; paper (20 seeds, 20 epochs): about an hour and a half.

# %% tags=["parameters"]
profile = "auto"  # smoke, laptop, paper; auto asks the machine
device = "auto"  # cpu, cuda
seed = 0  # the first of the seeds

# %%
import copy

import torch
from torch.nn import functional as F

from companion import data, models, plots, training
from companion.run import Run

# %%
run = Run("understanding/lenet_negatives", profile=profile, device=device, seed=seed)
scale = run.scale(
    smoke=dict(images=1_000, tests=500, epochs=1, seeds=2, variant_seeds=1),
    laptop=dict(images=12_000, tests=10_000, epochs=4, seeds=6, variant_seeds=3),
    paper=dict(images=60_000, tests=10_000, epochs=20, seeds=20, variant_seeds=5),
)

# %% [markdown]
# ## The experiment
#
# Training details are not given. We follow the spec of the companion texts: 32×32 input, six and sixteen 5×5 filters,
# 61,706 weights, ReLU and max-pooling, Adam at 0.001 with batches of 128. A *negative* is 255 minus the byte; the border
# that makes 28×28 into 32×32 has the colour of the image's own background.


# %%
def digits(split, polarity, n, border):
    images, labels = data.mnist(split)
    images, labels = images[:n], labels[:n]
    if border == "background":
        images = F.pad(images, (2, 2, 2, 2))
    if polarity == "negatives":
        images = 255 - images
    if polarity == "both":  # every second image negative: as many steps as with one kind
        images = torch.where(torch.arange(len(images))[:, None, None, None] % 2 == 0, images, 255 - images)
    return images, labels


# %%
def contrast(images, c):
    """Scale the contrast about middle grey: 1 leaves the image, 0 erases it, -1 is its negative."""
    return (127.5 + c * (images.float() - 127.5)).round().to(torch.uint8)


CONTRASTS = [1.0, 0.75, 0.5, 0.25, 0.1, 0.0, -0.1, -0.25, -0.5, -0.75, -1.0]

# %% [markdown]
# One unit is one trained network. It is tested on originals and negatives, on the contrasts in between, and once more
# after the sign of every first-layer filter is turned, without and with the bias that makes the turn exact.


# %%
def lenet(train_on, coding, activation, pooling, border, seed, checkpoint=None):
    examples = digits("train", train_on, scale.images, border)
    net = models.LeNet5(
        seed=seed, coding=coding, activation=activation, pooling=pooling, border=0 if border == "background" else 2
    )
    training.fit(
        net, examples, epochs=scale.epochs, lr=1e-3, optimizer="adam", batch=128, seed=seed, checkpoint=checkpoint
    )
    original, negative = (digits("test", polarity, scale.tests, border) for polarity in ("originals", "negatives"))
    result = dict(original=training.accuracy(net, original), negative=training.accuracy(net, negative))
    result["confusion"] = training.confusion_matrix(net, negative)
    images, labels = original[0][:2_000], original[1][:2_000]
    result["by_contrast"] = [training.accuracy(net, (contrast(images, c), labels)) for c in CONTRASTS]
    for name, correct in (("flipped", False), ("corrected", True)):
        turned = models.flip_first_layer(copy.deepcopy(net), correct_bias=correct)
        result[f"{name}_original"] = training.accuracy(turned, original)
        result[f"{name}_negative"] = training.accuracy(turned, negative)
    return result


# %%
def settings(train_on, seeds, coding="[-1,1]", activation="relu", pooling="max", border="background"):
    return [
        dict(train_on=kind, coding=coding, activation=activation, pooling=pooling, border=border, seed=one)
        for one in run.seeds(seeds)
        for kind in train_on
    ]


# %%
table = run.sweep(lenet, settings(["originals", "negatives"], scale.seeds))

# %%
OTHER_CODINGS = ["[0,1]", "standardised", "1998"]
by_coding = run.sweep(
    lenet,
    [
        point
        for coding in OTHER_CODINGS
        for point in settings(["originals", "negatives"], scale.variant_seeds, coding=coding)
    ],
    name="codings",
)

# %%
VARIANTS = {
    "both polarities": dict(train_on=["both"]),
    "zero border": dict(train_on=["originals"], border="zeros"),
    "average pooling": dict(train_on=["originals"], pooling="average"),
    "tanh": dict(train_on=["originals"], activation="tanh"),
    "tanh, average pooling": dict(train_on=["originals"], activation="tanh", pooling="average"),
}
variants = run.sweep(
    lenet,
    [point for kind in VARIANTS.values() for point in settings(seeds=scale.variant_seeds, **kind)],
    name="variants",
)
