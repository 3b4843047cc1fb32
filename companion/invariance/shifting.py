"""What a shifting autoencoder draws: how wrong it is, where it draws, and as which digit a reader takes it.

Source `invariants`, sec. Generation / Shift test, and the identity check that the specification adds. Shifts are whole
pixels (down, right); what is drawn is a canvas with the image in its middle at shift zero, pixels in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from companion.invariance.poses import AtPose, Shifts, errors, scaled

DIAGONAL = tuple(range(-20, 20, 2))  # the authors evaluate at these shifts, down and right alike
FAINT = 0.1  # share of full ink that counts as background when ink is located
DIGITS = 10


class Seen(NamedTuple):
    """What was measured of N images at P shifts, all on the CPU.

    Attributes
    ----------
    error : Tensor, shape (P, N)
        Mean squared error per pixel of the canvas.
    offset : Tensor, shape (P, N)
        Distance in pixels from the centroid of the ink drawn to that of the ink expected; NaN where none is drawn.
    ink : Tensor, shape (P, N)
        Ink drawn over ink expected.
    read : Tensor, shape (P, N), int64
        The digit that a classifier reads where the image should be.
    """

    error: torch.Tensor
    offset: torch.Tensor
    ink: torch.Tensor
    read: torch.Tensor


def along_diagonal(shifts: Sequence[int] = DIAGONAL) -> torch.Tensor:
    """Return shifts (P, 2) that go as far down as right."""
    return torch.tensor(shifts, device="cpu")[:, None].expand(-1, 2)


def over_plane(shifts: Sequence[int]) -> torch.Tensor:
    """Return all pairs of the shifts, (P * P, 2), the one to the right varying fastest."""
    line = torch.tensor(shifts, device="cpu")
    return torch.cartesian_prod(line, line)


def cropped(canvases: torch.Tensor, shift: torch.Tensor, margin: int) -> torch.Tensor:
    """Return the part (N, 1, S - 2 margin, S - 2 margin) of canvases (N, 1, S, S) where an image at `shift` lies."""
    down, right = (margin + shift).tolist()
    side = canvases.shape[-1] - 2 * margin
    return canvases[..., down : down + side, right : right + side]


def inked(canvases: torch.Tensor) -> torch.Tensor:
    """Return the ink (share of full ink) of canvases in [-1, 1], what is fainter than `FAINT` left out."""
    ink = (canvases + 1) / 2
    return torch.where(ink < FAINT, 0.0, ink)


def centroids(ink: torch.Tensor) -> torch.Tensor:
    """Return the centroids (N, 2) in pixels (down, right) of ink (N, 1, H, W); NaN where there is none."""
    total = ink.sum((1, 2, 3))
    down = ink.sum((1, 3)) @ torch.arange(ink.shape[2], device=ink.device, dtype=ink.dtype)
    right = ink.sum((1, 2)) @ torch.arange(ink.shape[3], device=ink.device, dtype=ink.dtype)
    return torch.stack([down, right], 1) / total[:, None]


def looked_at(
    net: nn.Module, inputs: torch.Tensor, settings: torch.Tensor, shifts: Shifts, reader: nn.Module, *, batch: int = 500
) -> Seen:
    """Draw every image at every shift, and measure what is drawn.

    Parameters
    ----------
    net : nn.Module
        With methods ``encode(images)`` and ``decode(code, pose)``; in evaluation mode afterwards.
    inputs : Tensor, shape (N, 1, 28, 28)
        Stored bytes.
    settings : Tensor, shape (P, 2)
        Shifts.
    shifts : Shifts
        Of the same canvas.
    reader : nn.Module
        Classifies images (N, 1, 28, 28) of ink, in [0, 1]; see `identity.judge`.
    batch : int
        Images at a time.
    """
    found = errors(net, inputs, settings, shifts, measure=partial(_looks, reader=reader), batch=batch)
    error, offset, ink, read = found.unbind(2)
    return Seen(error, offset, ink, read.long())


def _looks(net: nn.Module, upright: torch.Tensor, shifts: Shifts, *, reader: nn.Module) -> AtPose:
    """Return what measures drawings of upright images at one shift: (N, 4), the fields of `Seen`."""
    codes = net.encode(upright)

    def at(told: torch.Tensor) -> torch.Tensor:
        drawn, expected = net.decode(codes, shifts.code(told)), shifts.apply(upright, told)
        ink, wanted = inked(drawn), inked(expected)
        found = (
            (drawn - expected).square().mean((1, 2, 3)),
            (centroids(ink) - centroids(wanted)).norm(dim=1),
            ink.sum((1, 2, 3)) / wanted.sum((1, 2, 3)),
            reader(cropped((drawn + 1) / 2, told[0], shifts.margin)).argmax(1),
        )
        return torch.stack([one.float() for one in found], 1)

    return at


def columns(
    shifts: Sequence[int] = DIAGONAL, *, inside: tuple[int, int] = (-4, 4), outside: int = 6
) -> dict[str, np.ndarray]:
    """Return which diagonal shifts belong to each column of the published table, for `curves.figures`.

    Parameters
    ----------
    shifts : sequence of int
        Along the diagonal, in pixels.
    inside : (int, int)
        First and last shift of the column `in`; the published table has -4 and 4.
    outside : int
        Shifts at least as far as this, either way, are `out`; the published table has 6.

    Returns
    -------
    dict of arrays, shape (P,), bool
        `in`, `out`, and each shift by itself: `at-20` and so on.
    """
    place = np.asarray(shifts)
    ranges = {"in": (place >= inside[0]) & (place <= inside[1]), "out": np.abs(place) >= outside}
    return ranges | {f"at{shift}": place == shift for shift in shifts}


def by_digit(values: torch.Tensor, labels: torch.Tensor) -> np.ndarray:
    """Return the means (P, 10) over the images of each digit of values (P, N), NaN left out."""
    return np.stack([values[:, labels == digit].nanmean(1).numpy() for digit in range(DIGITS)], 1)


def taken_for(read: torch.Tensor, labels: torch.Tensor) -> np.ndarray:
    """Return shares (P, 10, 10): how often images of a digit (second axis) are read as each digit (third)."""
    answers = nn.functional.one_hot(read, DIGITS).float()  # (P, N, 10)
    return np.stack([answers[:, labels == digit].mean(1).numpy() for digit in range(DIGITS)], 1)


@torch.no_grad()
def drawings(
    net: nn.Module, inputs: torch.Tensor, settings: torch.Tensor, shifts: Shifts, *, shades: int = 32
) -> np.ndarray:
    """Return what is drawn of images (N, 1, 28, 28) at shifts (P, 2): bytes (P, N, S, S) in a number of greys."""
    device = next(net.parameters()).device
    codes = net.encode(scaled(inputs.to(device)))
    drawn = torch.stack([net.decode(codes, shifts.code(one.to(device).expand(len(codes), 2))) for one in settings])
    return as_bytes(drawn[:, :, 0], shades)


def expectations(inputs: torch.Tensor, settings: torch.Tensor, shifts: Shifts, *, shades: int = 32) -> np.ndarray:
    """Return what should be drawn, as `drawings` returns what is."""
    upright = scaled(inputs)
    return as_bytes(torch.stack([shifts.apply(upright, one.expand(len(upright), 2))[:, 0] for one in settings]), shades)


def as_bytes(images: torch.Tensor, shades: int) -> np.ndarray:
    """Return images in [-1, 1] as bytes that take a number of greys, evenly from black to white."""
    steps = ((images + 1) / 2 * (shades - 1)).round()
    return (steps * (255 / (shades - 1))).round().to(torch.uint8).cpu().numpy()
