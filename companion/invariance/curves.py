"""Means of error curves over ranges of poses, and their values at single poses, by digit (source `invariants`).

An error curve is an array (P, 10): one row for each pose of a table of settings, one column for each digit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch

from companion.invariance.poses import HELD_BACK

DIGITS = 10
OTHERS = "o8"  # the digits that are not held back, each counting the same
SHARP = 5.4  # degrees: nearer to a multiple of 90 a target is less blurred, and the published means leave it out
READ_AT = (18, 36, 45, 54, 63, 72, 81, 108, 126, 144, 162)


def mean_by_digit(errors: torch.Tensor, labels: torch.Tensor) -> np.ndarray:
    """Average errors (P, N) over the images of each digit: (P, 10), float64.

    Raises
    ------
    ValueError
        If a digit has no image.
    """
    counts = torch.bincount(labels.cpu(), minlength=DIGITS)
    if missing := (counts == 0).nonzero().flatten().tolist():
        raise ValueError(f"every digit needs an image, and there is none of {', '.join(map(str, missing))}")
    sums = torch.zeros(len(errors), DIGITS, dtype=torch.float64, device="cpu")
    sums.index_add_(1, labels.cpu(), errors.cpu().double())
    return (sums / counts).numpy()


def angles(step: float) -> np.ndarray:
    """Return the angles from -180 degrees to the last below 180, in steps of a whole number of tenths of a degree.

    Raises
    ------
    ValueError
        If the steps do not lead from -180 to 0, +-90 and all angles of the published tables.
    """
    tenths = round(10 * step)
    if abs(10 * step - tenths) > 1e-9 or tenths < 1 or any(10 * angle % tenths for angle in (90, *READ_AT)):
        raise ValueError(f"a step of 0.1, 0.9, 1.8, 4.5 or 9 degrees, say, that meets 18, 45 and 90, not {step:g}")
    return np.arange(-1800, 1800, tenths) / 10


def turn_columns(degrees: np.ndarray) -> dict[str, np.ndarray]:
    """Return which angles belong to each column of the published tables of turns.

    Parameters
    ----------
    degrees : array, shape (P,)
        From -180 to below 180.

    Returns
    -------
    dict of arrays, shape (P,), bool
        `in` (up to 45 degrees either way), `out` (beyond), `far` (beyond 135) and `all`, which leave out what is within
        5.4 degrees of a multiple of 90; `sharp`: exactly these; `p0`, `p90`, `p180`: exactly 0, +90, -180; `at18` and
        so on: either sign.
    """
    away, size = np.abs((degrees + 45) % 90 - 45), np.abs(degrees)
    blurred = away > SHARP + 1e-6
    columns = {"in": blurred & (size <= 45), "out": blurred & (size > 45), "far": blurred & (size > 135)}
    columns |= {"all": blurred, "sharp": away == 0, "p0": degrees == 0, "p90": degrees == 90, "p180": degrees == -180}
    return columns | {f"at{angle}": size == angle for angle in READ_AT}


def figures(
    curve: np.ndarray, columns: Mapping[str, np.ndarray], *, held_back: Sequence[int] = HELD_BACK
) -> pd.DataFrame:
    """Average an error curve over the poses of each column, digit by digit.

    Parameters
    ----------
    curve : array, shape (P, 10)
        Errors.
    columns : mapping
        Name and poses of each column, (P,) bool.
    held_back : sequence of int
        Digits that the row `o8` leaves out.

    Returns
    -------
    DataFrame
        Rows d0 to d9 and o8; the columns asked for, and `ratio` = out / in if both are among them.

    Raises
    ------
    ValueError
        If a column has no pose.
    """
    if empty := [name for name, poses in columns.items() if not np.any(poses)]:
        raise ValueError(f"the table of poses has none for {', '.join(empty)}")
    table = pd.DataFrame({name: np.asarray(curve)[poses].mean(0) for name, poses in columns.items()})
    table.index = [f"d{digit}" for digit in range(DIGITS)]
    table.loc[OTHERS] = table.drop(index=[f"d{digit}" for digit in held_back]).mean()
    return table.assign(ratio=table["out"] / table["in"]) if {"out", "in"} <= set(columns) else table


def half_rise(degrees: np.ndarray, curve: np.ndarray, columns: Mapping[str, np.ndarray]) -> float:
    """Return the angle at which an error has made half of its rise from within the trained range to far outside it.

    Parameters
    ----------
    degrees, curve : array, shape (P,)
        Angles in any order, and the error of one digit; both signs of an angle are averaged, sharp angles left out.
    columns : mapping
        As `turn_columns` gives it for these angles, or for more.

    Returns
    -------
    float
        Degrees, by linear interpolation between angles; NaN if the error never gets there.
    """
    level = (curve[columns["in"]].mean() + curve[columns["far"]].mean()) / 2
    by_size = pd.Series(curve[columns["all"]]).groupby(np.abs(degrees[columns["all"]])).mean()
    above = np.flatnonzero(by_size.to_numpy() >= level)
    if not len(above) or above[0] == 0:
        return float("nan")
    after = above[0]
    (x0, x1), (y0, y1) = by_size.index[[after - 1, after]], by_size.iloc[[after - 1, after]]
    return float(x0 + (level - y0) / (y1 - y0) * (x1 - x0))
