"""Colour channels brought to mean 0 and standard deviation 1, in front of any network that takes floats."""

from __future__ import annotations

import torch
from torch import nn

# Per channel over the 50,000 training images of CIFAR-10, bytes divided by 255.
CIFAR10_MEAN = (0.49139968, 0.48215841, 0.44653091)
CIFAR10_SD = (0.24703223, 0.24348513, 0.26158784)


class Standardised(nn.Module):
    """A network behind per-channel standardisation.

    Parameters
    ----------
    net : nn.Module
        Takes images in floating point as they are.
    mean, sd : tuple of float
        One per channel, of bytes divided by 255; those of CIFAR-10 by default.
    """

    def __init__(
        self, net: nn.Module, *, mean: tuple[float, ...] = CIFAR10_MEAN, sd: tuple[float, ...] = CIFAR10_SD
    ) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("mean", torch.tensor(mean)[:, None, None])
        self.register_buffer("sd", torch.tensor(sd)[:, None, None])

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map bytes (N, C, H, W) to what the network makes of them."""
        return self.net((images / 255 - self.mean) / self.sd)
