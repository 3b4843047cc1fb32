"""The small Inception networks of the mosaic studies, with batch normalisation after every convolution."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from companion.models.pixels import Pixels
from companion.seeds import initial_weights

# A step is the two branches of an inception block, (1x1, 3x3), or the filters of a halving one.
MINI: tuple[tuple[int, int] | int, ...] = (
    *((32, 32), (32, 48), 80),
    *((112, 48), (96, 64), (80, 80), (48, 96), 96),
    *((176, 60), (176, 60)),
)
SIMPLE: tuple[tuple[int, int] | int, ...] = ((32, 32), (32, 48), 80, (112, 48), 48)
KINDS = {"mini": MINI, "simple": SIMPLE}
FIRST = 96


class MiniInception(nn.Module):
    """A stack of inception blocks after one 3x3 convolution, then an average over 5x5 and one dense layer.

    1,061,226 parameters with ten outputs, about 0.18 GMAC an image of 32x32; the simple kind 280,442.

    Parameters
    ----------
    seed : int
        Seed of the initial weights (PyTorch's default initialisation).
    kind : {"mini", "simple"}
        The document's "Mini-Inception", or its "CNN (Simple)", which is a shorter network of the same blocks.
    outputs, channels : int
        Number of outputs, and of the images' channels.

    Raises
    ------
    ValueError
        If `kind` is not known.

    Notes
    -----
    Mosaic, sections 3.2, 4 and 5 (and the authors' Inception notebooks): the small Inception of Zhang et al. 2017 with
    60 in place of 160 channels in the last two blocks, its first layer unpadded. Images of 32x32 and of 28x28 both end
    in maps that the pooling takes to one pixel.
    """

    def __init__(self, *, seed: int, kind: str = "mini", outputs: int = 10, channels: int = 3) -> None:
        super().__init__()
        if kind not in KINDS:
            raise ValueError(f"unknown kind {kind!r}; the kinds are {', '.join(KINDS)}")
        self.pixels = Pixels("[-1,1]")
        with initial_weights(seed):
            width = FIRST
            layers: list[nn.Module] = [_normed(channels, width, 3)]
            for step in KINDS[kind]:
                layers.append(_Halved(width, step) if isinstance(step, int) else _Inception(width, *step))
                width = width + step if isinstance(step, int) else sum(step)
            self.layers = nn.Sequential(*layers)
            self.dense = nn.Linear(width, outputs)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images (N, C, 32, 32) or (N, C, 28, 28) to logits (N, outputs)."""
        maps = self.layers(self.pixels(images))
        return self.dense(F.avg_pool2d(maps, 5).flatten(1))


class _Inception(nn.Module):
    """A 1x1 and a 3x3 convolution of the same maps, side by side."""

    def __init__(self, width: int, narrow: int, wide: int) -> None:
        super().__init__()
        self.narrow, self.wide = _normed(width, narrow, 1), _normed(width, wide, 3, padding=1)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Map (N, C, H, W) to (N, narrow + wide, H, W)."""
        return torch.cat([self.narrow(maps), self.wide(maps)], 1)


class _Halved(nn.Module):
    """A 3x3 convolution and a 3x3 max-pool, both of stride 2, side by side."""

    def __init__(self, width: int, filters: int) -> None:
        super().__init__()
        self.strided = _normed(width, filters, 3, stride=2)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Map (N, C, H, W) to (N, filters + C, about H/2, about W/2)."""
        return torch.cat([self.strided(maps), F.max_pool2d(maps, 3, 2)], 1)


def _normed(width: int, filters: int, size: int, **options: int) -> nn.Sequential:
    """Convolution with bias, batch normalisation, ReLU."""
    return nn.Sequential(nn.Conv2d(width, filters, size, **options), nn.BatchNorm2d(filters), nn.ReLU())
