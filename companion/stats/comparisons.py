"""Two samples against one another, and many tests at once."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats as scipy_stats

from companion.stats.samples import as_sample, moments, pair


class Comparison(NamedTuple):
    """A difference of two means with its t statistic, degrees of freedom, two-sided p-value and interval."""

    difference: float
    t: float
    df: float
    p: float
    low: float
    high: float


class PairedSpread(NamedTuple):
    """A ratio of two standard deviations, how the pairs correlate (NaN where a side is constant), and the p-value."""

    ratio: float
    correlation: float
    p: float


def welch(a: ArrayLike, b: ArrayLike, level: float = 0.95) -> Comparison:
    """Compare the means of two independent samples by Welch's t test; the difference is a - b.

    Parameters
    ----------
    a, b : array_like, shapes (n,) and (m,)
        At least two values each, in the same unit.
    level : float
        Coverage of the interval of the difference.
    """
    a, b = as_sample(a, least=2), as_sample(b, least=2)
    (mean_a, sd_a), (mean_b, sd_b) = moments(a), moments(b)
    if sd_a == sd_b == 0:
        return _certain(mean_a - mean_b, a.size + b.size - 2)
    test = scipy_stats.ttest_ind(a, b, equal_var=False)
    return _comparison(mean_a - mean_b, test, level)


def paired(a: ArrayLike, b: ArrayLike, level: float = 0.95) -> Comparison:
    """Compare two samples of equal length, paired in their order, by the t test of their differences a - b."""
    a, b = pair(a, b, least=2)
    mean, sd = moments(a - b)
    if sd == 0:
        return _certain(mean, a.size - 1)
    return _comparison(mean, scipy_stats.ttest_rel(a, b), level)


def paired_spread(a: ArrayLike, b: ArrayLike) -> PairedSpread:
    """Return how differently two paired samples spread, by the test of Pitman (1939) and Morgan (1939).

    Sum and difference of the pairs are uncorrelated exactly if both sides spread alike.
    """
    a, b = pair(a, b, least=3)
    total, difference = a + b, a - b
    a_varies, b_varies, decided = np.ptp(a) > 0, np.ptp(b) > 0, np.ptp(total) > 0 and np.ptp(difference) > 0
    return PairedSpread(
        ratio=float(np.std(a) / np.std(b)) if b_varies else float("nan"),
        correlation=float(np.corrcoef(a, b)[0, 1]) if a_varies and b_varies else float("nan"),
        p=float(scipy_stats.pearsonr(total, difference).pvalue) if decided else 1.0,
    )


def false_discovery(p_values: ArrayLike, method: Literal["bh", "by"] = "bh") -> np.ndarray:
    """Return p-values adjusted for the false-discovery rate; those below 0.05 survive a control at 5 %.

    Parameters
    ----------
    p_values : array_like, shape (n,)
        May be empty.
    method : {"bh", "by"}
        Benjamini-Hochberg, or Benjamini-Yekutieli under any dependence.
    """
    p_values = np.asarray(p_values, dtype=float)
    return scipy_stats.false_discovery_control(p_values, method=method) if p_values.size else p_values


def _comparison(difference: float, test, level: float) -> Comparison:
    """Take what is reported from scipy's test."""
    low, high = test.confidence_interval(level)
    return Comparison(difference, *(float(x) for x in (test.statistic, test.df, test.pvalue, low, high)))


def _certain(difference: float, df: int) -> Comparison:
    """Return the comparison of samples that do not vary at all."""
    t = float(np.copysign(np.inf, difference)) if difference else 0.0
    return Comparison(difference, t, float(df), float(difference == 0), difference, difference)
