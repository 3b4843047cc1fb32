"""How well some numbers predict another where nothing was measured."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike


def predict_left_out(predictors: ArrayLike, values: ArrayLike, groups: Sequence) -> np.ndarray:
    """Predict the values of every group by a linear regression on all the other groups.

    Parameters
    ----------
    predictors : array_like, shape (n, k)
        One row per value; a constant is added. With k = 0 the prediction is the mean of the other groups.
    values : array_like, shape (n,)
        What is to be predicted.
    groups : sequence, length n
        Which values are left out together.

    Returns
    -------
    numpy.ndarray, shape (n,)
        Predictions; where the other groups do not settle all coefficients, by the least ones that fit.

    Raises
    ------
    ValueError
        If the lengths differ, a number is not finite, or there are fewer than two groups.
    """
    x, y, labels = np.asarray(predictors, dtype=float), np.asarray(values, dtype=float), np.asarray(groups)
    if x.ndim != 2 or y.ndim != 1 or not len(x) == len(y) == len(labels):
        raise ValueError(
            f"predictors, values and groups have shapes {x.shape}, {y.shape} and {labels.shape}; they must be (n, k), "
            "(n,) and (n,)"
        )
    if not (np.isfinite(x).all() and np.isfinite(y).all()) or len(set(labels.tolist())) < 2:
        raise ValueError("finite predictors and values of at least two groups are needed to leave one out")
    predicted = np.empty_like(y)
    for label in np.unique(labels):
        out = labels == label
        centre, unit = x[~out].mean(0), x[~out].std(0)
        design = (x - centre) / np.where(unit > 0, unit, 1)
        mean = y[~out].mean()
        predicted[out] = mean + design[out] @ np.linalg.lstsq(design[~out], y[~out] - mean, rcond=None)[0]
    return predicted


def explained_left_out(predicted: ArrayLike, values: ArrayLike, groups: Sequence) -> float:
    """Return the share of the squared error of the other groups' mean that predictions save; below 0 if they add to it.

    Both are errors on what was left out, so a predictor that tells nothing comes out at or below 0.
    """
    y = np.asarray(values, dtype=float)
    plain = predict_left_out(np.empty((y.size, 0)), y, groups)
    return float(1 - np.sum((np.asarray(predicted) - y) ** 2) / np.sum((plain - y) ** 2))
