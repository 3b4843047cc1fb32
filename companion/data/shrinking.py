"""Make images smaller."""

from __future__ import annotations

import torch
from torch.nn import functional as F


def shrunk(images: torch.Tensor, *, border: int = 4, by: int = 2) -> torch.Tensor:
    """Cut a border off images and average square blocks of the rest; the defaults take MNIST to 10x10.

    Parameters
    ----------
    images : Tensor, shape (N, C, H, W)
        In bytes, or in floating point.
    border : int
        Pixels cut off on each of the four sides.
    by : int
        Side of a block.

    Returns
    -------
    Tensor, shape (N, C, (H - 2 border) / by, (W - 2 border) / by)
        In floating point; bytes are divided by 255.

    Raises
    ------
    ValueError
        If the blocks do not fill what is left.
    """
    height, width = (side - 2 * border for side in images.shape[2:])
    if min(height, width) < by or height % by or width % by:
        raise ValueError(f"a border of {border} leaves {height}x{width} pixels, which blocks of {by}x{by} do not fill")
    inside = images[:, :, border : border + height, border : border + width]
    return F.avg_pool2d(_in_floats(inside), by)


def resampled(images: torch.Tensor, *, side: int = 10) -> torch.Tensor:
    """Read images (N, C, H, W) off bilinearly at side x side points; bytes become shares of 255."""
    return F.interpolate(_in_floats(images), size=(side, side), mode="bilinear", align_corners=False)


def _in_floats(images: torch.Tensor) -> torch.Tensor:
    return images if images.is_floating_point() else images.float() / 255
