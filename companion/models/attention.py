"""Attention on mosaics: a network that scores patches, a weighted average, a network that classifies it."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from companion.models.pixels import Pixels
from companion.seeds import initial_weights

WHAT = 1_000_003  # added to a seed: the second network starts from other weights than the first


class PatchLeNet(nn.Module):
    """The small LeNet of the mosaic studies: convolutions 6 and 16 of 5x5, dense 120, 84, 10, `outputs`.

    62,017 parameters with one output (focus), 62,039 with three (classification).

    Parameters
    ----------
    seed : int
        Seed of the initial weights (PyTorch's default initialisation).
    outputs : int
        Number of outputs.

    Notes
    -----
    Mosaic, section 2.2; the authors' stage-wise and deep-dive notebooks.
    """

    def __init__(self, *, seed: int, outputs: int) -> None:
        super().__init__()
        self.pixels = Pixels("[-1,1]")
        with initial_weights(seed):
            self.conv1 = nn.Conv2d(3, 6, 5)
            self.conv2 = nn.Conv2d(6, 16, 5)
            self.dense = nn.Sequential(
                *(nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10), nn.ReLU()),
                nn.Linear(10, outputs),
            )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images (N, 3, 32, 32) to (N, outputs)."""
        maps = self.pixels(images)
        for convolution in (self.conv1, self.conv2):
            maps = F.relu(F.max_pool2d(convolution(maps), 2))  # the same as ReLU first, on a quarter of the elements
        return self.dense(maps.flatten(1))


class MosaicAttention(nn.Module):
    """Score every patch, average the patches by the softmax of their scores, classify the average.

    The document sums patches times scores; all the authors' code has the softmax, and so has this.

    Parameters
    ----------
    seed : int
        Seed of the initial weights of both networks (drawn apart, so neither depends on the other's size).
    classes : int
        Number of foreground classes.

    Notes
    -----
    Mosaic, section 2.2: "where" is the focus network, "what" the classification network.
    """

    def __init__(self, *, seed: int, classes: int = 3) -> None:
        super().__init__()
        self.pixels = Pixels("[-1,1]")
        self.where = PatchLeNet(seed=seed, outputs=1)
        self.what = PatchLeNet(seed=seed + WHAT, outputs=classes)

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        """Map patches (N, 9, 3, 32, 32) to logits (N, classes)."""
        return self.attend(patches)[1]

    def attend(self, patches: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the weights of the patches (N, 9) and the logits (N, classes)."""
        many, slots = patches.shape[:2]
        images = self.pixels(patches.flatten(0, 1)).contiguous(memory_format=torch.channels_last)
        weights = self.where(images).reshape(many, slots).softmax(1)
        return weights, self.what(weighted(images, weights))


def weighted(maps: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Average maps (N*K, C, H, W) of N mosaics of K patches by weights (N, K): (N, C, H, W)."""
    shape = maps.shape[1:]
    # Averaged in the layout in memory, channels last: a view there, a copy otherwise.
    flat = maps.permute(0, 2, 3, 1).reshape(*weights.shape, -1)
    average = (weights[:, None] @ flat).reshape(-1, shape[1], shape[2], shape[0])
    return average.permute(0, 3, 1, 2)
