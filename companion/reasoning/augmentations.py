"""Aggressive augmentations of digits, each from "nothing happened" to "nothing is left".

Reasonable, section V-A; section F1 of the notebook on future work.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch.nn import functional as F

from companion.data.geometry import rotate

MOST_DEGREES = 180.0
MOST_SHEAR = 2.0  # columns per row
MOST_ERASED = 0.9  # of the area
MOST_BLUR = 5.0  # standard deviation in pixels
MOST_NOISE = 2.0  # standard deviation in shares of full ink
MOST_STRETCH = 9.0  # root mean square of the displacement, in pixels
SMOOTH = 3.0  # pixels over which displacements hang together

Augmentation = Callable[[torch.Tensor, torch.Tensor, torch.Generator], torch.Tensor]


def augmented(images: torch.Tensor, kind: str, strength: float | torch.Tensor, draw: torch.Generator) -> torch.Tensor:
    """Return images augmented in one way.

    Parameters
    ----------
    images : Tensor, shape (N, 1, H, W)
        Bytes, or shares of full ink.
    kind : str
        Of `AUGMENTATIONS`: rotation by 180 degrees times the strength, to either side; shear by up to two columns per
        row, to either side; erasing of a rectangle of up to 90 % of the area; Gaussian blur; Gaussian noise; elastic
        displacement; contrast about middle grey, from 1 over 0 to -1, the negative; cut-mix, a rectangle as in erasing
        that shows a piece of another of the images.
    strength : float or Tensor, shape (N,)
        From 0, which leaves an image as it is, to 1.
    draw : Generator
        On the images' device; draws sides, places and noise.

    Returns
    -------
    Tensor
        Of the same shape, in shares of full ink; noise leaves [0, 1].

    Raises
    ------
    ValueError
        If there is no such augmentation, or a strength is not between 0 and 1.
    """
    if kind not in _KINDS:
        raise ValueError(f"unknown augmentation {kind!r}; there are {', '.join(_KINDS)}")
    ink = images if images.is_floating_point() else images / 255
    amount = torch.as_tensor(strength, dtype=ink.dtype, device=ink.device).expand(len(ink))
    if bool(((amount < 0) | (amount > 1)).any()):
        raise ValueError(f"a strength lies between 0 and 1, not {amount.min():g} to {amount.max():g}")
    changed = _KINDS[kind](ink, amount, draw)
    return torch.where(amount[:, None, None, None] == 0, ink, changed)  # interpolation would round


def mixed(images: torch.Tensor, draw: torch.Generator) -> torch.Tensor:
    """Augment each of some images in one of the ways, at a strength that is uniform in [0, 1].

    The first eighth gets the first of `AUGMENTATIONS`, and so on: the images are to come in random order.
    """
    parts = images.tensor_split(len(AUGMENTATIONS))
    return torch.cat([at_random(part, kind=kind, draw=draw) for part, kind in zip(parts, AUGMENTATIONS, strict=True)])


def at_random(images: torch.Tensor, *, kind: str, draw: torch.Generator) -> torch.Tensor:
    """Augment images in one way, each at a strength of its own that is uniform in [0, 1]."""
    strength = torch.rand(len(images), generator=draw, device=images.device)
    return augmented(images, kind, strength, draw)


def _rotated(ink: torch.Tensor, amount: torch.Tensor, draw: torch.Generator) -> torch.Tensor:
    return rotate(ink, MOST_DEGREES * amount * _sides(amount, draw))


def _sheared(ink: torch.Tensor, amount: torch.Tensor, draw: torch.Generator) -> torch.Tensor:
    lean = MOST_SHEAR * amount * _sides(amount, draw)
    one, none = torch.ones_like(lean), torch.zeros_like(lean)
    turn = torch.stack([one, lean, none, none, one, none], 1).reshape(-1, 2, 3)
    grid = F.affine_grid(turn, list(ink.shape), align_corners=False)
    return F.grid_sample(ink, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _erased(ink: torch.Tensor, amount: torch.Tensor, draw: torch.Generator) -> torch.Tensor:
    return torch.where(_rectangles(ink, amount, draw), 0, ink)


def _cut_mixed(ink: torch.Tensor, amount: torch.Tensor, draw: torch.Generator) -> torch.Tensor:
    inside = _rectangles(ink, amount, draw)
    return torch.where(inside, ink.roll(1, 0), ink)


def _blurred(ink: torch.Tensor, amount: torch.Tensor, draw: torch.Generator) -> torch.Tensor:
    return _smoothed(ink, (MOST_BLUR * amount).clamp(min=1e-3))


def _noised(ink: torch.Tensor, amount: torch.Tensor, draw: torch.Generator) -> torch.Tensor:
    noise = torch.randn(ink.shape, generator=draw, device=ink.device, dtype=ink.dtype)
    return ink + MOST_NOISE * amount[:, None, None, None] * noise


def _stretched(ink: torch.Tensor, amount: torch.Tensor, draw: torch.Generator) -> torch.Tensor:
    count, _, height, width = ink.shape
    moves = 2 * torch.rand((count, 2, height, width), generator=draw, device=ink.device, dtype=ink.dtype) - 1
    moves = _smoothed(moves, torch.full_like(amount, SMOOTH))
    moves = moves / moves.square().mean((1, 2, 3), keepdim=True).sqrt() * MOST_STRETCH * amount[:, None, None, None]
    size = torch.tensor([width, height], device=ink.device, dtype=ink.dtype)
    still = F.affine_grid(torch.eye(2, 3, device=ink.device, dtype=ink.dtype)[None], [1, 1, height, width], False)
    grid = still + moves.permute(0, 2, 3, 1) * 2 / size  # the grid runs from -1 to 1
    return F.grid_sample(ink, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _turned_to_negative(ink: torch.Tensor, amount: torch.Tensor, draw: torch.Generator) -> torch.Tensor:
    return 0.5 + (1 - 2 * amount[:, None, None, None]) * (ink - 0.5)


_KINDS: dict[str, Augmentation] = {
    "rotation": _rotated,
    "shear": _sheared,
    "erasing": _erased,
    "blur": _blurred,
    "noise": _noised,
    "elastic": _stretched,
    "contrast": _turned_to_negative,
    "cut-mix": _cut_mixed,
}
AUGMENTATIONS = tuple(_KINDS)


def _sides(amount: torch.Tensor, draw: torch.Generator) -> torch.Tensor:
    """Return 1 or -1 for each image."""
    return 2.0 * torch.randint(2, amount.shape, generator=draw, device=amount.device).to(amount) - 1


def _rectangles(ink: torch.Tensor, amount: torch.Tensor, draw: torch.Generator) -> torch.Tensor:
    """Return masks (N, 1, H, W) of one rectangle each, wholly inside, twice as long as wide at most."""
    height, width = ink.shape[2:]
    shape, down, right = torch.rand((3, len(ink)), generator=draw, device=ink.device, dtype=ink.dtype)
    area = MOST_ERASED * amount
    tall = (area.sqrt() * 2 ** (shape - 0.5)).clamp(max=1)
    tall = torch.maximum(tall, area)  # so that its width fits as well
    wide = area / tall.clamp(min=1e-9)
    rows = torch.arange(height, device=ink.device)[None, None, :, None] + 0.5
    columns = torch.arange(width, device=ink.device)[None, None, None, :] + 0.5
    top, left = (down * (1 - tall) * height)[:, None, None, None], (right * (1 - wide) * width)[:, None, None, None]
    bottom, end = top + (tall * height)[:, None, None, None], left + (wide * width)[:, None, None, None]
    return (rows >= top) & (rows < bottom) & (columns >= left) & (columns < end)


def _smoothed(images: torch.Tensor, sd: torch.Tensor) -> torch.Tensor:
    """Blur images (N, C, H, W), each with a Gaussian of its own standard deviation (N,) in pixels; zeros around."""
    count, channels, height, width = images.shape
    reach = math.ceil(3 * float(sd.max()))
    away = torch.arange(-reach, reach + 1, device=images.device, dtype=images.dtype)
    kernels = torch.exp(-0.5 * (away / sd[:, None]) ** 2)
    kernels = (kernels / kernels.sum(1, keepdim=True)).repeat_interleave(channels, 0)[:, None]  # (N C, 1, taps)
    lines = images.reshape(1, count * channels, height, width)
    lines = F.conv2d(lines, kernels[:, :, :, None], padding=(reach, 0), groups=count * channels)
    lines = F.conv2d(lines, kernels[:, :, None, :], padding=(0, reach), groups=count * channels)
    return lines.reshape(images.shape)
