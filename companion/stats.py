"""Intervals, comparisons, resampling, false discoveries, divergences and power laws, for plain arrays of numbers.

Shares are shares in [0, 1] here, never percent. Every interval covers 95 % unless another `level` is asked for.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import special
from scipy import stats as scipy_stats

Scale = Literal["identity", "logit", "log"]

_TRANSFORMS: dict[str, tuple[Callable, Callable, float, float]] = {
    "identity": (np.asarray, np.asarray, -np.inf, np.inf),
    "logit": (special.logit, special.expit, 0.0, 1.0),
    "log": (np.log, np.exp, 0.0, np.inf),
}


class Interval(NamedTuple):
    """A mean (or another statistic) with the ends of its interval and the number of values behind it."""

    mean: float
    low: float
    high: float
    n: int


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


class PowerLaw(NamedTuple):
    """The fit y = factor * x ** exponent, the interval of the exponent, and the number of points."""

    exponent: float
    low: float
    high: float
    factor: float
    n: int


def mean_interval(values: ArrayLike, level: float = 0.95) -> Interval:
    """Return the mean of `values` with Student's t interval.

    Parameters
    ----------
    values : array_like, shape (n,)
        One number per seed or replicate, in any unit.
    level : float
        Coverage of the interval.

    Returns
    -------
    Interval
        In the unit of `values`. One value has no interval (low and high are nan); equal values have one of width 0.

    Raises
    ------
    ValueError
        If `values` is empty, not one-dimensional or not finite.
    """
    sample = _sample(values)
    mean, sd = _moments(sample)
    half = _t_quantile(level, sample.size - 1) * sd / np.sqrt(sample.size)
    return Interval(mean, float(mean - half), float(mean + half), sample.size)


def prediction_interval(
    values: ArrayLike, level: float = 0.95, scale: Scale = "identity", trials: int = 10_000
) -> Interval:
    """Return the interval that one further draw from where `values` came from falls into.

    On the transformed scale the interval is mean ± t * s * sqrt(1 + 1/n); it is then transformed back. "logit" is for
    shares, where a value nearer to 0 or 1 than half a count of `trials` (0.5 / `trials`) is moved there, and an end of
    the interval that reaches that far goes on to 0 or 1. "log" is for numbers >= 0, where a zero counts as half of the
    smallest positive value, and where there are zeros an end that reaches that far goes on to 0.

    Parameters
    ----------
    values : array_like, shape (n,)
        One number per seed or replicate.
    level : float
        Coverage of the interval.
    scale : {"identity", "logit", "log"}
        Where the values are taken to be normal.
    trials : int
        With "logit", the number of cases (of test images, say) that a share was counted over.

    Returns
    -------
    Interval
        `mean` is the plain mean of `values`; low and high are nan for one value.

    Raises
    ------
    ValueError
        If `values` cannot be a sample on that scale, or `scale` is unknown.
    """
    sample = _sample(values)
    on_scale = _on_scale(sample, scale, trials)
    half = _t_quantile(level, sample.size - 1) * on_scale.error
    ends = np.array([on_scale.mean - half, on_scale.mean + half])
    _, inverse, least, most = _TRANSFORMS[scale]
    # Equal values are kept as they are, free of the rounding of there and back.
    with np.errstate(over="ignore"):
        low, high = inverse(ends) if half != 0 else np.clip(sample[[0, 0]], *_shrunk_ends(sample, scale, trials))
    low = least if ends[0] <= on_scale.ends[0] else low
    high = most if ends[1] >= on_scale.ends[1] else high
    return Interval(_moments(sample)[0], float(low), float(high), sample.size)


def prediction_p(values: ArrayLike, low: float, high: float, scale: Scale = "identity", trials: int = 10_000) -> float:
    """Return the two-sided p-value of a further draw that is only known to lie between `low` and `high`.

    The number between `low` and `high` that is likeliest under the distribution of `prediction_interval` counts, so
    that p < 0.05 says the same as that the 95 % prediction interval lies wholly outside. One value gives nan.
    """
    sample = _sample(values)
    on_scale = _on_scale(sample, scale, trials)
    forward = _TRANSFORMS[scale][0]
    below, above = forward(np.clip([low, high], *_shrunk_ends(sample, scale, trials)))
    gap = max(below - on_scale.mean, on_scale.mean - above, 0.0)
    if sample.size == 1:
        return float("nan")
    if gap == 0 or on_scale.error == 0:
        return float(gap == 0)
    return float(2 * special.stdtr(sample.size - 1, -gap / on_scale.error))


def welch(a: ArrayLike, b: ArrayLike, level: float = 0.95) -> Comparison:
    """Compare the means of two independent samples by Welch's t test; the difference is a - b.

    Parameters
    ----------
    a, b : array_like, shapes (n,) and (m,)
        At least two values each, in the same unit.
    level : float
        Coverage of the interval of the difference.
    """
    a, b = _sample(a, least=2), _sample(b, least=2)
    (mean_a, sd_a), (mean_b, sd_b) = _moments(a), _moments(b)
    if sd_a == sd_b == 0:
        return _certain(mean_a - mean_b, a.size + b.size - 2)
    test = scipy_stats.ttest_ind(a, b, equal_var=False)
    return _comparison(mean_a - mean_b, test, level)


def paired(a: ArrayLike, b: ArrayLike, level: float = 0.95) -> Comparison:
    """Compare two samples of equal length, paired in their order, by the t test of their differences a - b."""
    a, b = _pair(a, b, least=2)
    mean, sd = _moments(a - b)
    if sd == 0:
        return _certain(mean, a.size - 1)
    return _comparison(mean, scipy_stats.ttest_rel(a, b), level)


def paired_spread(a: ArrayLike, b: ArrayLike) -> PairedSpread:
    """Return how differently two paired samples spread, by the test of Pitman (1939) and Morgan (1939).

    Sum and difference of the pairs are uncorrelated exactly if both sides spread alike.
    """
    a, b = _pair(a, b, least=3)
    total, difference = a + b, a - b
    a_varies, b_varies, decided = np.ptp(a) > 0, np.ptp(b) > 0, np.ptp(total) > 0 and np.ptp(difference) > 0
    return PairedSpread(
        ratio=float(np.std(a) / np.std(b)) if b_varies else float("nan"),
        correlation=float(np.corrcoef(a, b)[0, 1]) if a_varies and b_varies else float("nan"),
        p=float(scipy_stats.pearsonr(total, difference).pvalue) if decided else 1.0,
    )


def bootstrap(
    statistic: Callable[..., float],
    *samples: ArrayLike,
    resamples: int = 9999,
    seed: int = 0,
    level: float = 0.95,
    paired: bool = False,
    method: Literal["BCa", "percentile", "basic"] = "BCa",
) -> Interval:
    """Return a statistic of one or more samples with its interval from resampling them.

    A thin layer over `scipy.stats.bootstrap`. Where the accelerated interval is undefined, as for an estimate outside
    the range of its resamples, the percentile interval stands in.

    Parameters
    ----------
    statistic : callable
        Takes as many one-dimensional arrays as there are samples and returns a number; with an `axis` argument it is
        called for all resamples at once.
    *samples : array_like, shapes (n,), (m,), ...
        Resampled independently, or together if `paired`.
    resamples, seed : int
        Number of resamples, and the seed that they are drawn from.
    level : float
        Coverage of the interval.
    paired : bool
        Whether the i-th values of all samples belong together.
    method : {"BCa", "percentile", "basic"}
        How the interval is formed.

    Returns
    -------
    Interval
        `mean` is the statistic of the samples as given, `n` the size of the smallest.
    """
    arrays = tuple(_sample(sample, least=2) for sample in samples)
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        warnings.simplefilter("ignore", scipy_stats.DegenerateDataWarning)
        result = scipy_stats.bootstrap(
            arrays,
            statistic,
            n_resamples=resamples,
            confidence_level=level,
            paired=paired,
            method=method,
            rng=np.random.default_rng(seed),
        )
    low, high = result.confidence_interval
    if np.isnan(low) or np.isnan(high):
        low, high = np.quantile(result.bootstrap_distribution, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(statistic(*arrays)), float(low), float(high), min(array.size for array in arrays))


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


def slope(values: ArrayLike, x: ArrayLike | None = None) -> np.ndarray:
    """Return the least-squares slope of each row.

    Parameters
    ----------
    values : array_like, shape (..., k)
        One row per seed or replicate, k >= 2.
    x : array_like, shape (k,), optional
        Where the columns stand; their rank 0, 1, ... by default.

    Returns
    -------
    numpy.ndarray, shape (...,)
        In units of `values` per unit of `x`.
    """
    rows = np.asarray(values, dtype=float)
    if rows.ndim == 0 or rows.shape[-1] < 2:
        raise ValueError(f"a slope needs rows of at least two values; the shape given is {rows.shape}")
    x = np.arange(rows.shape[-1], dtype=float) if x is None else _sample(x, least=2)
    if x.size != rows.shape[-1] or np.ptp(x) == 0:
        raise ValueError(f"x has {x.size} values for rows of {rows.shape[-1]}; as many are needed, not all equal")
    centred = x - x.mean()
    # Centred rows make a constant row give a slope of exactly 0.
    return (rows - rows[..., :1]) @ (centred / (centred @ centred))


def power_law(x: ArrayLike, y: ArrayLike, level: float = 0.95) -> PowerLaw:
    """Fit y = factor * x ** exponent by least squares on logarithms.

    Parameters
    ----------
    x, y : array_like, shape (n,)
        At least three points, all numbers > 0.
    level : float
        Coverage of the interval of the exponent (Student's t with n - 2 degrees of freedom).

    Raises
    ------
    ValueError
        If there are fewer points, unequal lengths, or a number that is not > 0.
    """
    x, y = _sample(x, least=3), _sample(y, least=3)
    if x.size != y.size:
        raise ValueError(f"x has {x.size} values and y has {y.size}; a power law needs equally many")
    if min(x.min(), y.min()) <= 0:
        raise ValueError(f"a power law needs numbers > 0; the smallest x is {x.min():g}, the smallest y {y.min():g}")
    fit = scipy_stats.linregress(np.log(x), np.log(y))
    # scipy gives a constant y no standard error.
    half = _t_quantile(level, x.size - 2) * (fit.stderr if np.isfinite(fit.stderr) else 0.0)
    return PowerLaw(
        float(fit.slope), float(fit.slope - half), float(fit.slope + half), float(np.exp(fit.intercept)), x.size
    )


def kl_divergence(p: ArrayLike, q: ArrayLike, base: float = 2) -> np.ndarray | float:
    """Return the Kullback-Leibler divergence of `p` from `q` along the last axis, in bits unless `base` says otherwise.

    Parameters
    ----------
    p, q : array_like, shapes (..., k)
        Probabilities that sum to 1 along the last axis (to within 1e-6); the other axes broadcast.
    base : float
        Base of the logarithm.

    Returns
    -------
    numpy.ndarray or float, shape (...,)
        Never negative; infinite where `q` is 0 and `p` is not.
    """
    p, q = np.asarray(p, dtype=float), np.asarray(q, dtype=float)
    for name, array in (("p", p), ("q", q)):
        total = array.sum(axis=-1)
        if not (array >= 0).all() or not np.allclose(total, 1, rtol=0, atol=1e-6):
            raise ValueError(f"{name} sums to {np.unique(total)}; probabilities >= 0 that sum to 1 are needed")
    # Rounding can leave a divergence of 0 a hair below it.
    divergence = np.maximum(special.rel_entr(p, q).sum(axis=-1), 0) / np.log(base)
    return divergence if divergence.ndim else float(divergence)


class _OnScale(NamedTuple):
    """A sample's mean on a scale, the standard error of one further draw there, and where its edges are."""

    mean: float
    error: float
    ends: tuple[float, float]


def _on_scale(sample: np.ndarray, scale: str, trials: int) -> _OnScale:
    """Describe the distribution of one further draw on the transformed scale."""
    ends = _shrunk_ends(sample, scale, trials)
    forward = _TRANSFORMS[scale][0]
    mean, sd = _moments(forward(np.clip(sample, *ends)))
    low, high = forward(np.array(ends))
    return _OnScale(mean, sd * np.sqrt(1 + 1 / sample.size), (float(low), float(high)))


def _shrunk_ends(sample: np.ndarray, scale: str, trials: int) -> tuple[float, float]:
    """Return the least and the greatest value that may be transformed; see `prediction_interval`."""
    if scale not in _TRANSFORMS:
        raise ValueError(f"unknown scale {scale!r}; the scales are {', '.join(_TRANSFORMS)}")
    least, most = _TRANSFORMS[scale][2:]
    if sample.min() < least or sample.max() > most:
        raise ValueError(
            f"values from {sample.min():g} to {sample.max():g} do not fit the {scale} scale, [{least:g}, {most:g}]"
        )
    if scale == "logit":
        return 0.5 / trials, 1 - 0.5 / trials
    if scale == "log":
        # The least normal float keeps the logarithm finite.
        floor, positive = float(np.finfo(float).tiny), sample[sample > 0]
        return (max(floor, float(positive.min() / 2)) if 0 < positive.size < sample.size else floor), np.inf
    return least, most


def _sample(values: ArrayLike, least: int = 1) -> np.ndarray:
    """Return `values` as a one-dimensional array of at least `least` finite floats."""
    sample = np.atleast_1d(np.asarray(values, dtype=float))
    if sample.ndim != 1 or sample.size < least:
        raise ValueError(f"a sample of shape {sample.shape} was given; at least {least} values in one row are needed")
    if not np.isfinite(sample).all():
        raise ValueError(f"a sample holds {sample[~np.isfinite(sample)][0]}; only finite numbers are allowed")
    return sample


def _pair(a: ArrayLike, b: ArrayLike, least: int) -> tuple[np.ndarray, np.ndarray]:
    a, b = _sample(a, least), _sample(b, least)
    if a.size != b.size:
        raise ValueError(f"paired samples have {a.size} and {b.size} values; they must have equally many")
    return a, b


def _moments(sample: np.ndarray) -> tuple[float, float]:
    """Return mean and standard deviation (nan for one value), exact where all values are equal."""
    if sample.size > 1 and (sample == sample[0]).all():
        return float(sample[0]), 0.0
    return float(sample.mean()), float(sample.std(ddof=1)) if sample.size > 1 else float("nan")


def _t_quantile(level: float, df: float) -> float:
    """Return the two-sided quantile of Student's t (nan for no degrees of freedom)."""
    if not 0 < level < 1:
        raise ValueError(f"the level is {level}; a number between 0 and 1 is needed")
    return float(special.stdtrit(df, (1 + level) / 2)) if df > 0 else float("nan")


def _comparison(difference: float, test, level: float) -> Comparison:
    """Take what is reported from scipy's test."""
    low, high = test.confidence_interval(level)
    return Comparison(difference, *(float(x) for x in (test.statistic, test.df, test.pvalue, low, high)))


def _certain(difference: float, df: int) -> Comparison:
    """Return the comparison of samples that do not vary at all."""
    t = float(np.copysign(np.inf, difference)) if difference else 0.0
    return Comparison(difference, t, float(df), float(difference == 0), difference, difference)
