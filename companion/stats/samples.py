"""What every statistic asks of a sample."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import special


def as_sample(values: ArrayLike, least: int = 1) -> np.ndarray:
    """Return `values` as a one-dimensional array of at least `least` finite floats."""
    sample = np.atleast_1d(np.asarray(values, dtype=float))
    if sample.ndim != 1 or sample.size < least:
        raise ValueError(f"a sample of shape {sample.shape} was given; at least {least} values in one row are needed")
    if not np.isfinite(sample).all():
        raise ValueError(f"a sample holds {sample[~np.isfinite(sample)][0]}; only finite numbers are allowed")
    return sample


def pair(a: ArrayLike, b: ArrayLike, least: int) -> tuple[np.ndarray, np.ndarray]:
    """Return two samples of equal length."""
    a, b = as_sample(a, least), as_sample(b, least)
    if a.size != b.size:
        raise ValueError(f"paired samples have {a.size} and {b.size} values; they must have equally many")
    return a, b


def moments(sample: np.ndarray) -> tuple[float, float]:
    """Return mean and standard deviation (nan for one value), exact where all values are equal."""
    if sample.size > 1 and (sample == sample[0]).all():
        return float(sample[0]), 0.0
    return float(sample.mean()), float(sample.std(ddof=1)) if sample.size > 1 else float("nan")


def t_quantile(level: float, df: float) -> float:
    """Return the two-sided quantile of Student's t (nan for no degrees of freedom)."""
    if not 0 < level < 1:
        raise ValueError(f"the level is {level}; a number between 0 and 1 is needed")
    return float(special.stdtrit(df, (1 + level) / 2)) if df > 0 else float("nan")
