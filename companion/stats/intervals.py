"""Where a mean lies, where the next draw will lie, and what resampling says."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import special
from scipy import stats as scipy_stats

from companion.stats.samples import as_sample, moments, t_quantile

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
    sample = as_sample(values)
    mean, sd = moments(sample)
    half = t_quantile(level, sample.size - 1) * sd / np.sqrt(sample.size)
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
    sample = as_sample(values)
    on_scale = _on_scale(sample, scale, trials)
    half = t_quantile(level, sample.size - 1) * on_scale.error
    ends = np.array([on_scale.mean - half, on_scale.mean + half])
    _, inverse, least, most = _TRANSFORMS[scale]
    # Equal values are kept as they are, free of the rounding of there and back.
    with np.errstate(over="ignore"):
        low, high = inverse(ends) if half != 0 else np.clip(sample[[0, 0]], *_shrunk_ends(sample, scale, trials))
    low = least if ends[0] <= on_scale.ends[0] else low
    high = most if ends[1] >= on_scale.ends[1] else high
    return Interval(moments(sample)[0], float(low), float(high), sample.size)


def prediction_p(values: ArrayLike, low: float, high: float, scale: Scale = "identity", trials: int = 10_000) -> float:
    """Return the two-sided p-value of a further draw that is only known to lie between `low` and `high`.

    The number between `low` and `high` that is likeliest under the distribution of `prediction_interval` counts, so
    that p < 0.05 says the same as that the 95 % prediction interval lies wholly outside. One value gives nan.
    """
    sample = as_sample(values)
    on_scale = _on_scale(sample, scale, trials)
    forward = _TRANSFORMS[scale][0]
    below, above = forward(np.clip([low, high], *_shrunk_ends(sample, scale, trials)))
    gap = max(below - on_scale.mean, on_scale.mean - above, 0.0)
    if sample.size == 1:
        return float("nan")
    if gap == 0 or on_scale.error == 0:
        return float(gap == 0)
    return float(2 * special.stdtr(sample.size - 1, -gap / on_scale.error))


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
    arrays = tuple(as_sample(sample, least=2) for sample in samples)
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


class _OnScale(NamedTuple):
    """A sample's mean on a scale, the standard error of one further draw there, and where its edges are."""

    mean: float
    error: float
    ends: tuple[float, float]


def _on_scale(sample: np.ndarray, scale: str, trials: int) -> _OnScale:
    """Describe the distribution of one further draw on the transformed scale."""
    ends = _shrunk_ends(sample, scale, trials)
    forward = _TRANSFORMS[scale][0]
    mean, sd = moments(forward(np.clip(sample, *ends)))
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
