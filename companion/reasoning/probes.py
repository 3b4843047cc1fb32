"""The single images on which the score is tried, as the paper's "unit tests (tests for a single digit/noise image)"."""

from __future__ import annotations

from typing import NamedTuple

import torch

from companion.data.images import Images
from companion.data.novelties import novelties


class Probe(NamedTuple):
    """An image (1, 28, 28) in shares of full ink, and whether it is to be accepted as a digit."""

    name: str
    image: torch.Tensor
    accepted: bool


def probes(test: Images, *, seed: int) -> list[Probe]:
    """Return ten digits, to be accepted, and seven images that are none, to be rejected.

    Parameters
    ----------
    test : Images
        Held-out digits: the first of each class is a probe. The negative is that of the first of them all, the rotated
        one the first 4, turned by 90 degrees.
    seed : int
        Draws the noise images and the made-up letter.

    Notes
    -----
    Reasonable, section IV-B, names such tests but none of the images.
    """
    first = [int((test.labels == digit).nonzero()[0, 0]) for digit in range(10)]
    other = novelties(test.inputs[[0, first[4]]], seed=seed)
    digits = [Probe(str(digit), test.inputs[place] / 255, True) for digit, place in enumerate(first)]
    foreign = {
        **{name: other[name][0] for name in ("uniform", "normal", "sparse")},
        "blank": other["blank"][0],
        "negative": other["negative"][0],
        "4 rotated by 90": other["rotated 90"][1],
        "letter": other["glyphs"][0],
    }
    return digits + [Probe(name, image, False) for name, image in foreign.items()]
