"""Turn images, as tensor code on whatever device they are."""

from __future__ import annotations

import math

import torch
from torch.nn import functional as F


def rotate(images: torch.Tensor, degrees: float | torch.Tensor) -> torch.Tensor:
    """Turn images counter-clockwise about their centre, bilinearly; zeros come in at the border.

    Parameters
    ----------
    images : Tensor, shape (N, C, H, W)
        In floating point.
    degrees : float or Tensor, shape (N,)
        One angle for all images, or one for each.

    Returns
    -------
    Tensor
        Of the same shape. Turned by a multiple of 90 degrees, a square image keeps its numbers to rounding.

    Raises
    ------
    ValueError
        If the images are bytes, or there are not as many angles as images.
    """
    if not images.is_floating_point():
        raise ValueError(f"rotate takes images in floating point, not {images.dtype}: bytes would be rounded")
    angles = torch.as_tensor(degrees, dtype=images.dtype, device=images.device) * (math.pi / 180)
    if angles.ndim not in (0, 1) or (angles.ndim == 1 and len(angles) != len(images)):
        raise ValueError(f"one angle, or one for each of the {len(images)} images, not {tuple(angles.shape)}")
    cos, sin = angles.cos().expand(len(images)), angles.sin().expand(len(images))
    tall = images.shape[2] / images.shape[3]  # the grid runs from -1 to 1 both ways, whatever the shape
    zero = torch.zeros_like(cos)
    turn = torch.stack([torch.stack([cos, -sin * tall, zero], 1), torch.stack([sin / tall, cos, zero], 1)], 1)
    grid = F.affine_grid(turn, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
