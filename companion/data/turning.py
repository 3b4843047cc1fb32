"""MNIST with two digits that are seen in part of the orientations only (source `invariants`)."""

from __future__ import annotations

from collections.abc import Collection

import torch

from companion.data.images import Images, mnist

LEFT_OUT = (6, 9)  # turned upside down, each is the other
ALL_ANGLES = (0.0, 360.0)  # degrees
TRAINED = (-45.0, 45.0)  # of the held-back digits, as the article has it; its code ends at 46 degrees
OUTSIDE = (45.0, 315.0)
INVERTED = (135.0, 225.0)


def eight_digits(split: str) -> Images:
    """Return MNIST without 6 and 9, in its order, the classes renumbered 0 to 7 (7 becomes 6 and 8 becomes 7).

    Parameters
    ----------
    split : {"train", "test"}
        48,133 or 8,033 images.

    Returns
    -------
    Images
        inputs (N, 1, 28, 28) uint8 and labels (N,) int64; 3 and 4 keep their numbers.
    """
    inputs, labels = mnist(split)
    kept = ~torch.isin(labels, torch.tensor(LEFT_OUT, device="cpu"))
    labels = labels[kept]
    return Images(inputs[kept], labels - (labels > LEFT_OUT[0]).long())


def draw_angles(
    labels: torch.Tensor,
    generator: torch.Generator,
    *,
    restricted: Collection[int],
    within: tuple[float, float] = TRAINED,
    others: tuple[float, float] = ALL_ANGLES,
) -> torch.Tensor:
    """Draw an angle for every image: the restricted digits within their range, the others within theirs.

    One number is drawn per image whatever its digit, so that the ranges change no other image's angle.

    Parameters
    ----------
    labels : Tensor, shape (N,)
        Digits.
    generator : Generator
        On the labels' device.
    restricted : collection of int
        Digits that are turned within `within` only.
    within, others : (float, float)
        Range of angles in degrees, counter-clockwise, the upper end excluded; equal ends give one angle.

    Returns
    -------
    Tensor, shape (N,)
        Degrees, float32.

    Raises
    ------
    ValueError
        If a range ends before it begins.
    """
    for low, high in (within, others):
        if low > high:
            raise ValueError(f"a range of angles runs from the smaller to the larger, not from {low:g} to {high:g}")
    held = torch.isin(labels, torch.tensor(sorted(restricted), dtype=labels.dtype, device=labels.device))
    share = torch.rand(len(labels), generator=generator, device=labels.device)
    narrow = within[0] + (within[1] - within[0]) * share
    return torch.where(held, narrow, others[0] + (others[1] - others[0]) * share)
