"""Canvases with several digits, and what does not belong there, for segmentation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch.nn import functional as F

from companion.data.images import Images
from companion.data.novelties import glyphs
from companion.seeds import generator

SIDE = 64
GROUND, NOISE, LETTER = 10, 11, 12  # labels of pixels beside the ten digits; the last two are pasted at test only
PASTED = {"noise": NOISE, "letters": LETTER}
INK = 0.3  # of full ink: from here on a pixel belongs to the digit
TEXTURE = 0.25  # the most ink in a textured ground
PATCH = 14, 21  # sides of a noise patch, the second exclusive


class Canvases(NamedTuple):
    """Canvases (N, 1, SIDE, SIDE) in bytes, labels of their pixels (N, SIDE, SIDE), and boxes (M, 6).

    A box has its canvas, its label, and left, top, right, bottom, the last two exclusive.
    """

    inputs: torch.Tensor
    labels: torch.Tensor
    boxes: torch.Tensor


def canvases(digits: Images, n: int, *, seed: int, pasted: bool = False) -> Canvases:
    """Return canvases with digits on a plain or lightly textured ground, one or none in each quarter.

    Parameters
    ----------
    digits : Images
        What the digits are drawn from.
    n : int
        Number of canvases: every second has a textured ground.
    seed : int
        Draws which digits go where, and the grounds.
    pasted : bool
        Without: one to four digits a canvas. With: one or two digits, a patch of noise and a made-up letter.

    Returns
    -------
    Canvases
        On the CPU. A pixel has the label of what is drawn there with at least `INK`, of a patch of noise anyway.
    """
    with torch.device("cpu"):
        draw = generator(seed, "mosaics")
        ink = torch.zeros(n, SIDE, SIDE)
        labels = torch.full((n, SIDE, SIDE), GROUND)
        boxes = []
        letters = glyphs(n if pasted else 0, draw)
        for canvas in range(n):
            count = int(torch.randint(1, 3 if pasted else 5, (), generator=draw))
            chosen = torch.randint(len(digits.inputs), (count,), generator=draw).tolist()
            things = [(int(digits.labels[one]), _cut(digits.inputs[one, 0] / 255)) for one in chosen]
            if pasted:
                side = torch.randint(*PATCH, (2,), generator=draw).tolist()
                things += [(NOISE, torch.rand(side, generator=draw)), (LETTER, _cut(letters[canvas, 0]))]
            quarters = torch.randperm(4, generator=draw).tolist()
            for quarter, (label, thing) in zip(quarters, things, strict=False):
                boxes.append((canvas, label, *_put(thing, label, quarter, ink[canvas], labels[canvas], draw)))
        ink = torch.maximum(ink, _grounds(n, draw)).where(labels != NOISE, ink)
        return Canvases((255 * ink[:, None]).round().to(torch.uint8), labels, torch.tensor(boxes).reshape(-1, 6))


def inside(values: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
    """Return the mean of maps (N, H, W) inside boxes (M, 6), shape (M,)."""
    sums = F.pad(values.double(), (1, 0, 1, 0)).cumsum(1).cumsum(2)  # whatever is above and left of a corner
    one, _, left, top, right, bottom = boxes.to(values.device).T
    total = sums[one, bottom, right] - sums[one, top, right] - sums[one, bottom, left] + sums[one, top, left]
    return total / ((right - left) * (bottom - top))


def _put(
    thing: torch.Tensor, label: int, quarter: int, ink: torch.Tensor, labels: torch.Tensor, draw: torch.Generator
) -> Sequence[int]:
    """Draw a thing somewhere in a quarter of a canvas, in place, and return its box."""
    height, width = thing.shape
    middle = SIDE // 2
    top = middle * (quarter // 2) + int(torch.randint(middle - height + 1, (), generator=draw))
    left = middle * (quarter % 2) + int(torch.randint(middle - width + 1, (), generator=draw))
    place = slice(top, top + height), slice(left, left + width)
    ink[place] = thing
    labels[place] = torch.where((thing >= INK) | (label == NOISE), label, GROUND)
    return left, top, left + width, top + height


def _cut(image: torch.Tensor) -> torch.Tensor:
    """Return the part of an image (H, W) that holds its ink."""
    rows, columns = ((image >= INK).any(1 - axis).nonzero()[:, 0] for axis in (0, 1))
    return image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _grounds(n: int, draw: torch.Generator) -> torch.Tensor:
    """Return grounds (n, SIDE, SIDE): blank, and clouds of light ink, in turn."""
    clouds = TEXTURE * torch.rand(n, 1, SIDE // 4, SIDE // 4, generator=draw)
    clouds = F.interpolate(clouds, size=(SIDE, SIDE), mode="bilinear")[:, 0]
    return clouds * (torch.arange(n) % 2)[:, None, None]
