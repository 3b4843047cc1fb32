"""Attention that averages patches at a layer of one's choice: raw images, or maps of the focus network."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from companion.models.attention import WHAT, weighted
from companion.models.pixels import Pixels
from companion.seeds import initial_weights

SIDE, COLOURS = 32, 3


@dataclass(frozen=True)
class Convolution:
    """One convolution of a stack: filters, side of a filter, padding, and whether a 2x2 max-pool follows."""

    filters: int
    size: int = 5
    padding: int = 0
    pooled: bool = False

    def out(self, side: int) -> int:
        """Return the side of the maps that come out of maps of `side`."""
        return (side - self.size + 1 + 2 * self.padding) // (2 if self.pooled else 1)


@dataclass(frozen=True)
class Design:
    """A focus network, and the classification network that goes with each layer that can be averaged."""

    focus: tuple[Convolution, ...]
    classify: Mapping[int, tuple[Convolution, ...]]


def _padded(filters: int, pooled: bool) -> Convolution:
    return Convolution(filters, size=3, padding=1, pooled=pooled)


_SIX = tuple(_padded(filters, pooled) for filters in (32, 64, 128) for pooled in (False, True))
DESIGNS = {
    "three": Design(
        (Convolution(6, pooled=True), Convolution(12), Convolution(20)),
        {
            0: (Convolution(6, pooled=True), Convolution(8, pooled=True)),
            1: (Convolution(12, pooled=True), Convolution(20)),
            2: (Convolution(20),),
            3: (),
        },
    ),
    "six": Design(_SIX, {layer: _SIX[layer:] for layer in (0, 3, 6)}),
}


class LayerAttention(nn.Module):
    """Attention on mosaics whose average is taken of the raw images (layer 0) or of maps of the focus network.

    What is averaged at layer k is tanh of what the focus network's k-th convolution returns; its ReLU goes on to the
    score. So the first k convolutions serve both tasks. The average goes to the classification network.

    Parameters
    ----------
    seed : int
        Seed of the initial weights (PyTorch's default initialisation); both networks draw apart.
    average_at : int
        The layer.
    design : {"three", "six"}
        The three convolutions of Table 1 (105,833 parameters), or six (32, 32, 64, 64, 128, 128 filters of 3x3). The
        authors' later six-layer network is not told; this one is assumed.
    hidden : int
        Width of the first dense layer of the classification network; 120 is the authors'.
    classes : int
        Number of foreground classes.

    Raises
    ------
    ValueError
        If the design is not known, or has no such layer.

    Notes
    -----
    Mosaic, section 3.1 (and the authors' model/Models.py).
    """

    def __init__(
        self, *, seed: int, average_at: int, design: str = "three", hidden: int = 120, classes: int = 3
    ) -> None:
        super().__init__()
        plan = _plan(design, average_at)
        self.average_at = average_at
        self.pixels = Pixels("[-1,1]")
        with initial_weights(seed):
            self.where = _Stack(plan.focus, COLOURS, SIDE)
            self.score = _dense(self.where.features, 120, 1)
        with initial_weights(seed + WHAT):
            self.what = _Stack(plan.classify[average_at], *_averaged_shape(plan, average_at))
            self.answer = _dense(self.what.features, hidden, classes)

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        """Map patches (N, 9, 3, 32, 32) to logits (N, classes)."""
        return self.attend(patches)[1]

    def attend(self, patches: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the weights of the patches (N, 9) and the logits (N, classes)."""
        many, slots = patches.shape[:2]
        images = self.pixels(patches.flatten(0, 1)).contiguous(memory_format=torch.channels_last)
        features, returned = self.where(images)
        weights = self.score(features).reshape(many, slots).softmax(1)
        maps = images if self.average_at == 0 else torch.tanh(returned[self.average_at - 1])
        return weights, self.answer(self.what(weighted(maps, weights))[0])


def classifier_size(average_at: int, *, design: str = "three", hidden: int = 120, classes: int = 3) -> int:
    """Return the number of parameters of the classification network."""
    plan = _plan(design, average_at)
    stack = _Stack(plan.classify[average_at], *_averaged_shape(plan, average_at))
    parts = stack, _dense(stack.features, hidden, classes)
    return sum(weights.numel() for part in parts for weights in part.parameters())


def matched_hidden(average_at: int, size: int, *, design: str = "three", classes: int = 3) -> int:
    """Return the width of the first dense layer that brings the classification network nearest to `size` parameters.

    Raises
    ------
    ValueError
        If no width of one unit or more comes near, within a tenth.
    """
    options = dict(design=design, classes=classes)
    least = classifier_size(average_at, hidden=1, **options)
    step = classifier_size(average_at, hidden=2, **options) - least
    hidden = max(round((size - least) / step) + 1, 1)
    if abs(classifier_size(average_at, hidden=hidden, **options) - size) > size / 10:
        raise ValueError(f"no classification network at layer {average_at} has about {size} parameters")
    return hidden


class _Stack(nn.Module):
    """Convolutions with ReLU; returns the features they end in, and what each convolution returned."""

    def __init__(self, plan: Sequence[Convolution], channels: int, side: int) -> None:
        super().__init__()
        self.pooled = [step.pooled for step in plan]
        self.convolutions = nn.ModuleList()
        for step in plan:
            self.convolutions.append(nn.Conv2d(channels, step.filters, step.size, padding=step.padding))
            channels, side = step.filters, step.out(side)
        self.features = channels * side**2

    def forward(self, maps: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Map (N, C, H, W) to features (N, F) and a list of maps."""
        returned = []
        for convolution, pooled in zip(self.convolutions, self.pooled, strict=True):
            returned.append(convolution(maps))
            # ReLU after the pool: the same, on a quarter of the elements.
            maps = F.relu(F.max_pool2d(returned[-1], 2) if pooled else returned[-1])
        return maps.flatten(1), returned


def _dense(features: int, hidden: int, outputs: int) -> nn.Sequential:
    widths = (features, hidden, 84, 10)
    layers = [layer for pair in itertools.pairwise(widths) for layer in (nn.Linear(*pair), nn.ReLU())]
    return nn.Sequential(*layers, nn.Linear(10, outputs))


def _plan(design: str, average_at: int) -> Design:
    if design not in DESIGNS:
        raise ValueError(f"unknown design {design!r}; the designs are {', '.join(DESIGNS)}")
    plan = DESIGNS[design]
    if average_at not in plan.classify:
        known = ", ".join(map(str, plan.classify))
        raise ValueError(f"the design {design!r} averages at layers {known}, not {average_at}")
    return plan


def _averaged_shape(plan: Design, average_at: int) -> tuple[int, int]:
    """Return channels and side of what is averaged: a convolution's output before its pool."""
    channels, side = COLOURS, SIDE
    for step in plan.focus[:average_at]:
        # The pool of the layer before has been done; that of the averaged layer has not.
        channels, side, unpooled = step.filters, step.out(side), side - step.size + 1 + 2 * step.padding
    return (channels, unpooled) if average_at else (channels, side)
