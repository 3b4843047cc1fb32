"""A LeNet for images of 10x10 pixels, narrow or wide."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from companion.seeds import initial_weights


class SmallLeNet(nn.Module):
    """LeNet's scheme on 10x10 pixels: 3x3 convolutions of 6 and 16 filters, each pooled 2x2, dense 84 and 10.

    The second convolution pads its maps with zeros, so that pooling leaves 2x2 of them.

    Parameters
    ----------
    seed : int
        Seed of the initial weights (PyTorch's default initialisation).
    width : float
        Factor of the 6, 16 and 84 units, rounded.

    Raises
    ------
    ValueError
        If the width leaves a layer without units.
    """

    def __init__(self, *, seed: int, width: float = 1.0) -> None:
        super().__init__()
        first, second, dense = (round(units * width) for units in (6, 16, 84))
        if first < 1:
            raise ValueError(f"a width leaves at least one filter of 6, so it is more than 1/12, not {width}")
        with initial_weights(seed):
            self.conv1 = nn.Conv2d(1, first, 3)
            self.conv2 = nn.Conv2d(first, second, 3, padding=1)
            self.dense1 = nn.Linear(4 * second, dense)
            self.dense2 = nn.Linear(dense, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images (N, 1, 10, 10) in floating point to logits (N, 10)."""
        maps = F.relu(F.max_pool2d(self.conv1(images), 2))  # (N, first, 4, 4)
        maps = F.relu(F.max_pool2d(self.conv2(maps), 2))  # (N, second, 2, 2)
        return self.dense2(F.relu(self.dense1(maps.flatten(1))))
