"""Mosaics sorted by foreground class and by the background classes that are, or are not, in them.

The counts need no network; `companion.attention.cases` says what a network does with each mosaic.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import comb

import numpy as np
import torch
from numpy.typing import ArrayLike

from companion.data.mosaics import BACKGROUNDS
from companion.seeds import numpy_generator

CLASSES = 10
SIZES = (1, 2, 3)


def background_sets(foreground: Sequence[int], sizes: Sequence[int] = SIZES) -> list[tuple[int, ...]]:
    """Return all sets of one, two and three background classes, the smallest first: 7, 21 and 35 of seven classes."""
    background = [one for one in range(CLASSES) if one not in foreground]
    return [chosen for size in sizes for chosen in combinations(background, size)]


def chance(size: int, backgrounds: int, *, present: bool) -> float:
    """Return the chance that all, or none, of `size` classes are in a mosaic, the other patches being drawn at random.

    Parameters
    ----------
    size : int
        Number of background classes in the set.
    backgrounds : int
        Number of background classes there are, all equally frequent.
    present : bool
        All of them, by inclusion and exclusion; else none of them.

    Raises
    ------
    ValueError
        If the set is empty or has more classes than there are.
    """
    if not 0 < size <= backgrounds:
        raise ValueError(f"a set has 1 to {backgrounds} background classes, not {size}")
    missing = [(1 - left_out / backgrounds) ** BACKGROUNDS for left_out in range(size + 1)]
    if not present:
        return missing[size]
    return sum((-1) ** left_out * comb(size, left_out) * share for left_out, share in enumerate(missing))


def condition_counts(
    present: torch.Tensor, foreground: Sequence[int], sets: Sequence[tuple[int, ...]], cases: ArrayLike
) -> np.ndarray:
    """Count mosaics by condition, foreground class and case.

    Parameters
    ----------
    present : tensor
        (N, 10) bool, which classes are in each mosaic (`MosaicSet.present`). The authors sort *test* mosaics by the
        classes of as many *training* mosaics: hand over those to do the same.
    foreground : sequence of int
        The F foreground classes.
    sets : sequence of tuple
        S sets of background classes.
    cases : array, shape (N, C)
        Which cases each mosaic belongs to; a column of ones counts them all.

    Returns
    -------
    array, shape (1 + 2 S, F, C), int32
        First all mosaics of a class, then those with every class of each set, then those with none of each set.

    Raises
    ------
    ValueError
        If there are not as many mosaics as cases, or a mosaic does not have exactly one foreground class.

    Notes
    -----
    Mosaic, section 3.5.
    """
    kinds, met = _kinds(present, foreground), _met(present, sets)
    cases = np.asarray(cases, np.float32)
    if len(cases) != len(met):
        raise ValueError(f"there are {len(met)} mosaics and cases of {len(cases)}; as many are needed")
    # Whole numbers far below 2^24: sums are exact in single precision.
    return np.stack([met[of].T @ cases[of] for of in kinds.T], axis=1).astype(np.int32)


def shuffled_ranges(
    right: ArrayLike,
    present: torch.Tensor,
    foreground: Sequence[int],
    sets: Sequence[tuple[int, ...]],
    *,
    draws: int = 200,
    seed: int = 0,
) -> np.ndarray:
    """Return how far shares differ between conditions if the background has nothing to do with the answers.

    The answers to each foreground class are dealt out anew among its mosaics, so a condition is a random part of them.

    Parameters
    ----------
    right : array, shape (N,)
        Which answers are right.
    present, foreground, sets
        As `condition_counts` takes them.
    draws : int
        How often the answers are shuffled.
    seed : int
        Seed of the "points" stream.

    Returns
    -------
    array, shape (draws, F)
        Largest minus smallest share right over the 2 S conditions; NaN where a condition has no mosaic.
    """
    met, draw = _met(present, sets)[:, 1:], numpy_generator(seed, "points")
    ranges = []
    for of in _kinds(present, foreground).T:
        dealt = draw.permuted(np.tile(np.asarray(right, np.float32)[of], (draws, 1)), axis=1)
        with np.errstate(invalid="ignore"):
            shares = dealt @ met[of] / met[of].sum(0)
        ranges.append(shares.max(1) - shares.min(1))
    return np.stack(ranges, axis=1)


def random_part_sd(hits: ArrayLike, total: ArrayLike, size: ArrayLike) -> np.ndarray:
    """Return the standard deviation of the share of hits in a random part of a set (hypergeometric).

    Parameters
    ----------
    hits, total, size : array_like
        Hits in the set, its size (at least two), and the size of the part.
    """
    share = np.asarray(hits) / total
    return np.sqrt(share * (1 - share) / size * (np.asarray(total) - size) / (np.asarray(total) - 1))


def random_parts_range(hits: int, sizes: Sequence[int], *, draws: int = 10_000, seed: int = 0) -> np.ndarray:
    """Return the largest minus the smallest share of hits when a set is cut into random parts, once for each draw.

    Parameters
    ----------
    hits : int
        Hits in the set.
    sizes : sequence of int
        Sizes of the parts; together they are the set.
    seed : int
        Seed of the "points" stream.

    Raises
    ------
    ValueError
        If there are more hits than the set has members.
    """
    if not 0 <= hits <= sum(sizes):
        raise ValueError(f"{hits} hits are given for parts of {list(sizes)}; 0 to {sum(sizes)} are possible")
    found = numpy_generator(seed, "points").multivariate_hypergeometric(list(sizes), hits, size=draws) / sizes
    return np.ptp(found, axis=1)


def _kinds(present: torch.Tensor, foreground: Sequence[int]) -> np.ndarray:
    """Return which foreground class each mosaic has, (N, F) bool."""
    kinds = present.cpu().numpy()[:, list(foreground)]
    if (wrong := np.flatnonzero(kinds.sum(1) != 1)).size:
        raise ValueError(
            f"mosaic {wrong[0]} has {kinds[wrong[0]].sum()} of the foreground classes {list(foreground)}; each has one"
        )
    return kinds


def _met(present: torch.Tensor, sets: Sequence[tuple[int, ...]]) -> np.ndarray:
    """Return the conditions that each mosaic meets, (N, 1 + 2 S) in single precision."""
    chosen = np.zeros((len(sets), CLASSES), np.float32)
    for row, one in zip(chosen, sets, strict=True):
        row[list(one)] = 1
    found = present.cpu().numpy().astype(np.float32) @ chosen.T
    anyone = np.ones((len(found), 1), bool)
    return np.concatenate([anyone, found == chosen.sum(1), found == 0], axis=1).astype(np.float32)
