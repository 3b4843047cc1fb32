"""Slopes, power laws and divergences."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import special
from scipy import stats as scipy_stats

from companion.stats.samples import as_sample, t_quantile


class PowerLaw(NamedTuple):
    """The fit y = factor * x ** exponent, the interval of the exponent, and the number of points."""

    exponent: float
    low: float
    high: float
    factor: float
    n: int


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
    x = np.arange(rows.shape[-1], dtype=float) if x is None else as_sample(x, least=2)
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
    x, y = as_sample(x, least=3), as_sample(y, least=3)
    if x.size != y.size:
        raise ValueError(f"x has {x.size} values and y has {y.size}; a power law needs equally many")
    if min(x.min(), y.min()) <= 0:
        raise ValueError(f"a power law needs numbers > 0; the smallest x is {x.min():g}, the smallest y {y.min():g}")
    fit = scipy_stats.linregress(np.log(x), np.log(y))
    # scipy gives a constant y no standard error.
    half = t_quantile(level, x.size - 2) * (fit.stderr if np.isfinite(fit.stderr) else 0.0)
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
