"""Random flips and shifts of image batches, as tensor code on whatever device the batch is."""

from __future__ import annotations

import torch
from torch.nn import functional as F


def flip(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Mirror each image left to right with probability one half.

    Parameters
    ----------
    images : Tensor, shape (N, C, H, W)
        Bytes or floats.
    generator : Generator
        On the images' device.

    Returns
    -------
    Tensor
        Of the same shape and type.
    """
    mirrored = torch.rand(len(images), generator=generator, device=images.device) < 0.5
    return torch.where(mirrored[:, None, None, None], images.flip(3), images)


def shift(images: torch.Tensor, generator: torch.Generator, *, reach: int = 4) -> torch.Tensor:
    """Move each image by up to `reach` pixels each way, all moves equally likely; zeros come in at the border.

    Parameters
    ----------
    images : Tensor, shape (N, C, H, W)
        Bytes or floats.
    generator : Generator
        On the images' device.
    reach : int
        The farthest move in rows and in columns, drawn apart.

    Returns
    -------
    Tensor
        Of the same shape and type.
    """
    count, _, height, width = images.shape
    down, right = torch.randint(2 * reach + 1, (2, count), generator=generator, device=images.device)
    windows = F.pad(images, (reach,) * 4).unfold(2, height, 1).unfold(3, width, 1)  # a view: no window is copied yet
    return windows[torch.arange(count, device=images.device), :, down, right]


def flip_and_shift(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Mirror half of the images and move each by up to four pixels each way: the common recipe for CIFAR-10."""
    return shift(flip(images, generator), generator)
