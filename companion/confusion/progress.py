"""Is something learned gradually or suddenly? The rise of a curve as one sigmoid of the logarithm of time.

*Finding Generalizations in Multi-Class Image Classifiers* (C. Richoux), section 5, first paragraph.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from companion.confusion.effects import CLASSES, ORDERED, learned

TENTH_TO_NINE_TENTHS = 2 * np.log(9)  # of a logistic curve, in units of its width


def rises(steps: np.ndarray, curves: np.ndarray, *, fineness: int = 40) -> pd.DataFrame:
    """Fit each curve by constant + height / (1 + (middle / step) ** (1 / width)), by least squares.

    Parameters
    ----------
    steps : array, shape (P,)
        Positive, rising; P is at least 4.
    curves : array, shape (K, P)
        One curve a row.
    fineness : int
        Middles and widths that are tried, from the first step to the last; for each pair of them constant and height
        follow.

    Returns
    -------
    DataFrame
        K rows: middle (step), doublings (of the steps in which the curve goes from a tenth to nine tenths of its
        rise), height, explained (share of the curve's variance; 0 where it has none).

    Raises
    ------
    ValueError
        If there are fewer than four steps, or they do not rise from above zero.
    """
    steps, curves = np.asarray(steps, float), np.atleast_2d(np.asarray(curves, float))
    if len(steps) < 4 or steps[0] <= 0 or (np.diff(steps) <= 0).any():
        raise ValueError(f"a rise needs at least four rising steps above zero, not {steps.tolist()}")
    time = np.log(steps)
    middles = np.linspace(time[0], time[-1], fineness)
    widths = np.geomspace(np.ptp(time) / 50, np.ptp(time), fineness)
    middle, width = (grid.ravel() for grid in np.meshgrid(middles, widths))
    shapes = 1 / (1 + np.exp(-np.clip((time - middle[:, None]) / width[:, None], -60, 60)))  # (tried, P)
    shapes -= shapes.mean(1, keepdims=True)
    squares = (shapes**2).sum(1)
    centred = curves - curves.mean(1, keepdims=True)
    heights = centred @ shapes.T / squares  # (K, tried)
    gains = heights**2 * squares
    best, rows = gains.argmax(1), np.arange(len(curves))
    total = (centred**2).sum(1)
    return pd.DataFrame(
        {
            "middle": np.exp(middle[best]),
            "doublings": TENTH_TO_NINE_TENTHS * width[best] / np.log(2),
            "height": heights[rows, best],
            "explained": np.divide(gains[rows, best], total, out=np.zeros(len(curves)), where=total > 0),
        }
    )


def gains(own: np.ndarray) -> np.ndarray:
    """Return what each target gains from each class that was learned, in bits: the reading K2 of `information`.

    Parameters
    ----------
    own : array, shape (..., 45, 10)
        Mean probability of the true class for the images of each class, for every pair of `PAIRS`.

    Returns
    -------
    array, shape (..., 10, 10)
        Targets in rows, lost classes in columns, NaN on the diagonal.
    """
    found = np.full((*own.shape[:-2], CLASSES, CLASSES), np.nan)
    for target, lost in ORDERED:
        both, only = (own[..., chosen, target].mean(-1) for chosen in learned(target, lost))
        found[..., target, lost] = both * np.log2(both / ((7 * both + 2 * only) / 9))
    return found
