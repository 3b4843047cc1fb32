"""What losing one class does to another: Welch's t over all ordered pairs, and better tests beside it.

*Finding Generalizations in Multi-Class Image Classifiers* (C. Richoux), section 4. A *score* is higher where a class is
known better. For a target T and a lost class C, networks of the pairs without T and without C are compared with those
of the pairs with C but without T; positive means that T is better off where C was learned.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats as scipy_stats

from companion.confusion.experiment import PAIRS

CLASSES = 10
VEHICLES = (0, 1, 8, 9)
ORDERED = [(target, lost) for target in range(CLASSES) for lost in range(CLASSES) if target != lost]
_HAS = np.array([[label in pair for pair in PAIRS] for label in range(CLASSES)])  # (10, 45)


def stacked(table: pd.DataFrame, column: str, pairs: Sequence[tuple[int, ...]] = PAIRS) -> np.ndarray:
    """Return the arrays of a column of trials as one, (pairs, trials, ...), in double precision."""
    own = {pair: np.stack(part.sort_values("seed")[column]) for pair, part in table.groupby("pair")}
    return np.stack([own[pair] for pair in pairs]).astype(float)


def learned(target: int, lost: int) -> tuple[np.ndarray, np.ndarray]:
    """Return which of `PAIRS` leave both classes alone, and which have confused `lost` but not `target`.

    Returns
    -------
    both, only : arrays of bool, shape (45,)
        28 and 8 pairs.
    """
    return ~_HAS[target] & ~_HAS[lost], ~_HAS[target] & _HAS[lost]


def sample_t(both: np.ndarray, only: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return difference of means, Welch's t and its degrees of freedom along the last axis of two arrays.

    Samples that do not vary at all have t = 0 where their means are the same, and an infinite one elsewhere.
    """
    sizes = [sample.shape[-1] for sample in (both, only)]
    parts = [sample.var(-1, ddof=1) / size for sample, size in zip((both, only), sizes, strict=True)]
    difference, square = both.mean(-1) - only.mean(-1), parts[0] + parts[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = square**2 / sum(part**2 / (size - 1) for part, size in zip(parts, sizes, strict=True))
        t = difference / np.sqrt(square)
    constant = square == 0
    t = np.where(constant & (difference == 0), 0.0, t)
    return difference, t, np.where(constant, sum(sizes) - 2, freedom)


def contrasts(scores: np.ndarray, *, replicate: str = "pair") -> pd.DataFrame:
    """Return Welch's test for all ordered pairs.

    Parameters
    ----------
    scores : array, shape (45, trials, 10)
        Of every network (pair and trial) on every class.
    replicate : {"pair", "model"}
        What counts as one observation: the mean over the trials of a pair (28 against 8), or every network by itself,
        which takes the trials of a pair for independent draws of all pairs.

    Returns
    -------
    DataFrame
        90 rows: target, lost, difference, t, df, p (two-sided).

    Raises
    ------
    ValueError
        If `replicate` is neither.
    """
    if replicate not in ("pair", "model"):
        raise ValueError(f"replicate is pair or model, not {replicate!r}")
    rows = []
    for target, lost in ORDERED:
        own = scores[..., target].mean(1, keepdims=True) if replicate == "pair" else scores[..., target]
        samples = (own[chosen].ravel() for chosen in learned(target, lost))
        difference, t, freedom = (float(found) for found in sample_t(*samples))
        rows.append((target, lost, difference, t, freedom, 2 * scipy_stats.t.sf(abs(t), freedom)))
    return pd.DataFrame(rows, columns=["target", "lost", "difference", "t", "df", "p"])


def t_maps(means: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return Welch's t for many studies at once, with the means of pairs as replicates.

    Parameters
    ----------
    means : array, shape (..., 45, 10)
        Score of every class, averaged over the trials of a pair.

    Returns
    -------
    t, p : arrays, shape (..., 10, 10)
        Targets in rows, lost classes in columns, NaN on the diagonal; p is two-sided.
    """
    t, freedom = (np.full((*means.shape[:-2], CLASSES, CLASSES), np.nan) for _ in range(2))
    for target, lost in ORDERED:
        samples = (means[..., chosen, target] for chosen in learned(target, lost))
        _, t[..., target, lost], freedom[..., target, lost] = sample_t(*samples)
    return t, 2 * scipy_stats.t.sf(abs(t), freedom)


def additive(means: np.ndarray, level: float = 0.95) -> pd.DataFrame:
    """Return what each lost class does to each target when the partner it was confused with is accounted for.

    The score of T in the 36 pairs without T is modelled as a constant and one effect for each of the two confused
    classes. The difference that Welch's test looks at is 9/8 of such an effect; what the partner does is noise there
    and is fitted here.

    Parameters
    ----------
    means : array, shape (45, 10)
        Score of every class, averaged over the trials of a pair.
    level : float
        Coverage of the intervals.

    Returns
    -------
    DataFrame
        90 rows: target, lost, difference (as in `contrasts`), low, high, t, p, df.
    """
    rows = []
    for target in range(CLASSES):
        kept, others = ~_HAS[target], [c for c in range(CLASSES) if c != target]
        design = _HAS[others][:, kept].T.astype(float)  # (36, 9): two ones in every row, so it holds the constant
        values = means[kept, target]
        freedom = len(values) - len(others)
        inverse = np.linalg.inv(design.T @ design)
        effects = inverse @ design.T @ values
        noise = ((values - design @ effects) ** 2).sum() / freedom
        against_mean = (1 / len(others) - np.eye(len(others))) * len(others) / (len(others) - 1)
        differences = against_mean @ effects
        spreads = np.sqrt(noise * np.diag(against_mean @ inverse @ against_mean.T))
        for lost, difference, spread in zip(others, differences, spreads, strict=True):
            reach = spread * scipy_stats.t.ppf((1 + level) / 2, freedom)
            t = difference / spread
            p = 2 * scipy_stats.t.sf(abs(t), freedom)
            rows.append((target, lost, difference, difference - reach, difference + reach, t, p, freedom))
    return pd.DataFrame(rows, columns=["target", "lost", "difference", "low", "high", "t", "p", "df"])


def permuted(means: np.ndarray, *, draws: int = 10_000, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """Return how the tests come out when it does not matter which pairs had which class.

    For every target the scores of its 36 pairs are permuted, and all nine t are computed again.

    Parameters
    ----------
    means : array, shape (45, 10)
        Score of every class, averaged over the trials of a pair.
    draws, seed : int
        Number of permutations, and the seed they are drawn from.

    Returns
    -------
    table : DataFrame
        90 rows: target, lost, p (two-sided), p_family (that any of the target's nine t is as large).
    hits : array of int, shape (draws,)
        How many of the 90 tests come out below 5 %; targets are permuted apart.
    """
    random = np.random.default_rng(seed)
    rows, hits = [], np.zeros(draws, dtype=int)
    for target in range(CLASSES):
        values = means[~_HAS[target], target]
        shuffled = np.vstack([values, random.permuted(np.tile(values, (draws, 1)), axis=1)])
        others = [lost for lost in range(CLASSES) if lost != target]
        only = np.stack([_HAS[lost][~_HAS[target]] for lost in others])  # (9, 36)
        found = [sample_t(shuffled[:, ~chosen], shuffled[:, chosen])[1:] for chosen in only]
        t, freedom = (np.stack(part) for part in zip(*found, strict=True))  # (9, 1 + draws): the data come first
        size = abs(t)
        hits += (2 * scipy_stats.t.sf(size[:, 1:], freedom[:, 1:]) < 0.05).sum(0)
        reach = size[:, :1] - 1e-12  # rounding must not part the data from themselves
        single, family = (size >= reach).mean(1), (size.max(0) >= reach).mean(1)
        rows += [(target, *row) for row in zip(others, single, family, strict=True)]
    return pd.DataFrame(rows, columns=["target", "lost", "p", "p_family"]), hits


def as_map(table: pd.DataFrame, column: str) -> np.ndarray:
    """Return a column of 90 rows as a (10, 10) array, targets in rows; the diagonal is NaN."""
    return table.pivot_table(index="target", columns="lost", values=column, aggfunc="first").to_numpy()


def category_contrast(effects: np.ndarray, vehicles: tuple[int, ...] = VEHICLES) -> np.ndarray:
    """Return the mean of a map (..., 10, 10) within the two categories less the mean across them."""
    is_vehicle = np.isin(np.arange(CLASSES), vehicles)
    apart = ~np.eye(CLASSES, dtype=bool)
    within = (is_vehicle[:, None] == is_vehicle) & apart
    return effects[..., within].mean(-1) - effects[..., apart & ~within].mean(-1)


def partition_p(effects: np.ndarray) -> float:
    """Return the share of the 210 ways to call four classes vehicles whose contrast is at least that of the true ones.

    An exact test against relabelling the classes; it cannot be below 1/210.
    """
    found = [category_contrast(effects, four) for four in itertools.combinations(range(CLASSES), 4)]
    return float(np.mean(np.array(found) >= category_contrast(effects) - 1e-12))
