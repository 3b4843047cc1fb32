"""Mosaics of CIFAR-10 images: nine patches each, as indices into the stored images; nothing is copied until a batch.

The nine patches stay apart, as in the authors' code: there is no picture of 96x96 pixels for a network.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch

from companion.data.images import Images
from companion.data.mosaics import BACKGROUNDS, Mosaics, draw_mosaics

PATCHES = BACKGROUNDS + 1


class MosaicSet(NamedTuple):
    """N mosaics and what they are made of.

    Attributes
    ----------
    images : tensor
        (M, 3, 32, 32) uint8, the images that patches are taken from (shared, not copied).
    members : tensor
        (N, 9) int64, the image in each slot.
    position : tensor
        (N,) int64 in 0..8, the slot of the foreground.
    labels : tensor
        (N,) int64, the foreground's place among the foreground classes.
    classes : tensor
        (N, 9) int64, the CIFAR-10 class in each slot.
    """

    images: torch.Tensor
    members: torch.Tensor
    position: torch.Tensor
    labels: torch.Tensor
    classes: torch.Tensor

    def part(self, start: int, stop: int) -> MosaicSet:
        """Return mosaics `start` to `stop`, of the same images."""
        return MosaicSet(self.images, *(column[start:stop] for column in self[1:]))

    def patches(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the patches of some mosaics as stored bytes, (n, 9, 3, 32, 32)."""
        return self.images[self.members[rows]]

    def present(self, classes: int = 10) -> torch.Tensor:
        """Tell which classes are in each mosaic, (N, classes) bool."""
        found = torch.zeros(len(self.classes), classes, dtype=torch.bool, device=self.classes.device)
        return found.scatter_(1, self.classes, True)


def mosaic_set(examples: Images, foreground: Sequence[int], *, n: int, seed: int) -> MosaicSet:
    """Draw `n` mosaics of images, one patch of a foreground class among eight of the other classes.

    Parts of one draw (`part`) are what the authors call training and test mosaics: other mosaics, of the same images.

    Parameters
    ----------
    examples : Images
        Images and their classes: a split of CIFAR-10, or a piece of one.
    foreground : sequence of int
        Foreground classes; label k is the k-th of them.
    n : int
        Number of mosaics.
    seed : int
        Seed of the "mosaics" stream.

    Raises
    ------
    ValueError
        If a foreground class is named twice, or there is no image of the foreground or of the background.

    Notes
    -----
    Mosaic, section 2.1 (and the authors' data/Mosaic.py): all draws uniform, with replacement.
    """
    order = list(foreground)
    if len(set(order)) < len(order):
        raise ValueError(f"every foreground class is named once, not {order}")
    labels = examples.labels.cpu()
    drawn = draw_mosaics(labels, order, n=n, seed=seed)
    members = arranged(drawn)
    place = torch.full((int(labels.max()) + 1,), -1, device="cpu")
    place[order] = torch.arange(len(order), device="cpu")
    return MosaicSet(examples.inputs, members, drawn.position, place[labels[drawn.foreground]], labels[members])


def arranged(mosaics: Mosaics) -> torch.Tensor:
    """Return the items in the order of the slots, (N, 9): the foreground in its own, the backgrounds in the rest."""
    slots = torch.arange(PATCHES, device=mosaics.position.device)
    place = mosaics.position[:, None]
    # A slot after the foreground's takes the background of one slot earlier.
    background = mosaics.background.gather(1, (slots - (slots > place).long()).clamp(max=BACKGROUNDS - 1))
    return torch.where(slots == place, mosaics.foreground[:, None], background)
