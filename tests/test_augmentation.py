"""Flips and shifts: what they may do to an image, and what they must leave alone."""

from __future__ import annotations

import pytest
import torch

from companion import data
from companion.seeds import generator


def numbered(n: int) -> torch.Tensor:
    """Images without a zero, every pixel of one image different from the others."""
    one = torch.arange(1, 2 * 6 * 6 + 1, dtype=torch.uint8).reshape(1, 2, 6, 6)
    return one.repeat(n, 1, 1, 1)


def draw(seed: int = 0) -> torch.Generator:
    return generator(seed, "augmentation")


def test_flip_mirrors_about_half_and_leaves_the_rest() -> None:
    images = numbered(400)
    flipped = data.flip(images, draw())
    same = (flipped == images).flatten(1).all(1)
    mirrored = (flipped == images.flip(3)).flatten(1).all(1)
    assert (same ^ mirrored).all()
    assert 150 < mirrored.sum() < 250


def test_shift_moves_by_every_offset_and_fills_with_zeros() -> None:
    images = numbered(300)
    moved = data.shift(images, draw(), reach=1)
    seen = set()
    for image in moved:
        kept = image[image > 0]
        offsets = [
            (down, right)
            for down in (-1, 0, 1)
            for right in (-1, 0, 1)
            if torch.equal(_moved(images[0], down, right), image)
        ]
        assert len(offsets) == 1 and len(kept) >= 2 * 5 * 5
        seen |= set(offsets)
    assert len(seen) == 9


def _moved(image: torch.Tensor, down: int, right: int) -> torch.Tensor:
    """Shift one image by hand."""
    result = torch.zeros_like(image)
    for row in range(6):
        for column in range(6):
            if 0 <= row - down < 6 and 0 <= column - right < 6:
                result[:, row, column] = image[:, row - down, column - right]
    return result


@pytest.mark.parametrize("change", [data.flip, data.shift, data.flip_and_shift])
def test_same_generator_same_images(change) -> None:
    images = numbered(8)
    assert torch.equal(change(images, draw(3)), change(images, draw(3)))
    assert not torch.equal(change(images, draw(3)), change(images, draw(4)))
    assert change(images, draw()).dtype == torch.uint8 and change(images, draw()).shape == images.shape
    assert change(images.float(), draw(3)).equal(change(images, draw(3)).float())
    assert torch.equal(images, numbered(8))
