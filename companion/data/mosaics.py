"""Mosaics: one foreground item among eight background items, as indices; nothing is copied until it is needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch

from companion.seeds import generator

BACKGROUNDS = 8  # a mosaic has nine patches


class Mosaics(NamedTuple):
    """Indices of the items that make up N mosaics.

    Attributes
    ----------
    foreground : tensor
        (N,) int64, index of the foreground item.
    background : tensor
        (N, 8) int64, indices of the background items.
    position : tensor
        (N,) int64 in 0..8, the slot of the foreground.
    """

    foreground: torch.Tensor
    background: torch.Tensor
    position: torch.Tensor


def draw_mosaics(labels: torch.Tensor, foreground: Sequence[int], *, n: int, seed: int) -> Mosaics:
    """Draw mosaics as the authors do: every item and the position uniformly, items with replacement.

    Parameters
    ----------
    labels : tensor
        (M,) class of every item that mosaics can be made of.
    foreground : sequence of int
        The foreground classes; all other classes are background.
    n : int
        Number of mosaics.
    seed : int
        Seed of the "mosaics" stream.

    Raises
    ------
    ValueError
        If there is no item of the foreground, or none of the background.

    Notes
    -----
    Mosaic, section 2 (and the authors' data/Mosaic.py).
    """
    labels = labels.cpu()
    is_foreground = torch.isin(labels, torch.as_tensor(list(foreground), device="cpu"))
    pools = {"foreground": is_foreground.nonzero()[:, 0], "background": (~is_foreground).nonzero()[:, 0]}
    for name, pool in pools.items():
        if len(pool) == 0:
            raise ValueError(f"no {name} item: the foreground classes are {list(foreground)}")
    draw = generator(seed, "mosaics")

    def chosen(pool: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
        return pool[torch.randint(len(pool), shape, generator=draw, device="cpu")]

    return Mosaics(
        chosen(pools["foreground"], (n,)),
        chosen(pools["background"], (n, BACKGROUNDS)),
        torch.randint(BACKGROUNDS + 1, (n,), generator=draw, device="cpu"),
    )


def focused_average(items: torch.Tensor, mosaics: Mosaics, focus: float) -> torch.Tensor:
    """Return the weighted average of every mosaic's nine items, the foreground weighted by `focus`.

    Parameters
    ----------
    items : tensor
        (M, ...) floats, what the mosaics' indices point at.
    focus : float
        Weight of the foreground in [0, 1]; the eight others share the rest. The paper's data set D_i has focus i/9.

    Returns
    -------
    tensor
        (N, ...) averages.

    Raises
    ------
    ValueError
        If `focus` is outside [0, 1].
    """
    if not 0 <= focus <= 1:
        raise ValueError(f"focus is the weight of the foreground, between 0 and 1, not {focus}")
    background = items[mosaics.background].mean(1)
    return focus * items[mosaics.foreground] + (1 - focus) * background
