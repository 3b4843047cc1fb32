"""What single units want to see, which others answer to that, and what is lost without them.

*Finding Generalizations in Multi-Class Image Classifiers* (C. Richoux), section 5, second paragraph: "deepdreaming".
Units are the 64 channels of the last convolution, then the 64 hidden units, in that order.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F
from torchvision.transforms.functional import gaussian_blur

from companion.models.cnn import CifarCNN
from companion.seeds import generator

BEFORE_RELU = {"conv3": 8, "dense1": 11}  # modules of `layer_by_layer` up to each layer's sums
FLATTENED, MAPS = 10, 9


def dream(
    net: CifarCNN, layer: str, *, seed: int, steps: int = 100, rate: float = 0.1, jitter: int = 2, blur: float = 1.2
) -> torch.Tensor:
    """Return for every unit of a layer an image that excites it, by gradient ascent from grey noise.

    Parameters
    ----------
    layer : {"conv3", "dense1"}
        What is raised is the sum before ReLU, averaged over the places of a channel: a unit that is silent at first
        has a gradient there, too.
    seed : int
        Of the noise and of the jitter.
    steps : int
        Of ascent, each of the size `rate` in the standard deviation of the logits of pixels.
    jitter : int
        Before each step the images are shifted by up to so many pixels.
    blur : float
        Standard deviation, in pixels, of the blur of every gradient: noise that only this network can see is left out.

    Returns
    -------
    Tensor, shape (units, 3, 32, 32)
        In [0, 1].

    Raises
    ------
    ValueError
        If the layer is neither.
    """
    if layer not in BEFORE_RELU:
        raise ValueError(f"the layers to dream of are {', '.join(BEFORE_RELU)}, not {layer!r}")
    draw, device = generator(seed, "points"), net.dense2.weight.device
    stages = net.layer_by_layer()[: BEFORE_RELU[layer]]
    units = (net.conv3 if layer == "conv3" else net.dense1).weight.shape[0]
    pixels = (0.1 * torch.randn(units, 3, 32, 32, generator=draw, device="cpu")).to(device)
    for _ in range(steps):
        by = torch.randint(-jitter, jitter + 1, (2,), generator=draw, device="cpu").tolist()
        pixels = pixels.roll(by, (2, 3)).requires_grad_()
        sums = stages(pixels.sigmoid())
        own = sums.unflatten(1, (units, -1)).flatten(2).mean(2).diagonal()
        (slope,) = torch.autograd.grad(own.sum(), pixels)
        slope = gaussian_blur(slope, [5, 5], [blur, blur])
        slope = slope / slope.std((1, 2, 3), keepdim=True).clamp_min(1e-12)
        pixels = (pixels.detach() + rate * slope).roll([-one for one in by], (2, 3))
    return pixels.sigmoid()


@torch.no_grad()
def responses(net: CifarCNN, images: torch.Tensor, *, batch: int = 1000) -> torch.Tensor:
    """Return how strongly each unit (N, 128) answers to images: after ReLU, the mean over the places of a channel."""
    parts = []
    for some in images.split(batch):
        maps = net.layer_by_layer()[:MAPS](some.to(net.dense2.weight.device))  # (n, 64, 4, 4)
        parts.append(torch.cat([maps.mean((2, 3)), F.relu(net.dense1(maps.flatten(1)))], 1))
    return torch.cat(parts)


def excited(patterns: torch.Tensor, usual: torch.Tensor, share: float = 0.05) -> tuple[torch.Tensor, torch.Tensor]:
    """Return which units answer unusually strongly to patterns.

    Parameters
    ----------
    patterns, usual : Tensor, shapes (P, U) and (N, U)
        Responses to the patterns and to ordinary images.
    share : float
        Of the units; those above the quantile 1 - share of a pattern count as excited.

    Returns
    -------
    strength, chosen : Tensors, shapes (P, U)
        Responses in standard deviations over ordinary images above their mean, 0 for units that never vary there; and
        whether they are above the quantile.
    """
    spread = usual.std(0)
    strength = torch.where(spread > 0, (patterns - usual.mean(0)) / spread.clamp_min(1e-9), 0.0)
    return strength, strength > strength.quantile(1 - share, dim=1, keepdim=True)


@torch.no_grad()
def silenced(net: CifarCNN, images: torch.Tensor, labels: torch.Tensor, sets: torch.Tensor) -> np.ndarray:
    """Return the accuracy on each class without sets of units.

    Parameters
    ----------
    images, labels : Tensor, shapes (N, 3, 32, 32) and (N,)
        All classes occur.
    sets : Tensor of bool, shape (S, 128)
        Which units put out zero.

    Returns
    -------
    array, shape (S, classes)
        Shares.
    """
    device = net.dense2.weight.device
    stages, labels = net.layer_by_layer()[:FLATTENED], labels.to(device)
    maps = torch.cat([stages(some.to(device)) for some in images.split(1000)])  # (N, 1024)
    member = F.one_hot(labels, net.dense2.out_features).double()
    correct = []
    for kept in (~sets.to(device)).to(maps.dtype):
        channels, hidden = kept.split([net.conv3.out_channels, net.dense1.out_features])
        units = F.relu(net.dense1(maps * channels.repeat_interleave(16))) * hidden
        correct.append((net.dense2(units).argmax(1) == labels).double() @ member)
    return (torch.stack(correct) / member.sum(0)).cpu().numpy()


def knocked_out(net: CifarCNN, images: torch.Tensor, labels: torch.Tensor) -> np.ndarray:
    """Return what silencing one unit at a time does to the accuracy on each class: changes (128, classes)."""
    units = net.conv3.out_channels + net.dense1.out_features
    each = torch.cat([torch.eye(units, dtype=torch.bool), torch.zeros(1, units, dtype=torch.bool)])
    accuracy = silenced(net, images, labels, each)
    return accuracy[:-1] - accuracy[-1]


def shuffled(sets: torch.Tensor, *, seed: int, groups: tuple[int, int] = (64, 64)) -> torch.Tensor:
    """Return sets (S, U) of as many units drawn at random, equally many in each of the two layers."""
    draw = generator(seed, "points")
    parts = []
    for part in sets.cpu().split(list(groups), dim=1):
        order = torch.rand(part.shape, generator=draw, device="cpu").argsort(1)
        parts.append(part.gather(1, order))
    return torch.cat(parts, 1)
