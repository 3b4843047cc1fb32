"""What each engineering practice does to the accuracy, from trainings in which practices were turned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from companion.stats.intervals import mean_interval

Home = Mapping[str, Any]


def turned(table: pd.DataFrame, home: Home, *factors: str) -> pd.DataFrame:
    """Return the trainings in which all practices but some are at home.

    Parameters
    ----------
    table : DataFrame
        One row per training, a column for each practice.
    home : mapping
        The usual level of every practice.
    factors : str
        The practices that may have any level.
    """
    kept = np.ones(len(table), dtype=bool)
    for name, level in home.items():
        if name not in factors:
            kept &= (table[name] == level).to_numpy()
    return table[kept]


def effects(table: pd.DataFrame, home: Home, factors: Mapping[str, Sequence[Any]]) -> pd.DataFrame:
    """Return how accuracy changes when one practice is turned: a row for each level that is not at home.

    Parameters
    ----------
    table : DataFrame
        As in `turned`, with columns seed and accuracy (shares).
    factors : mapping
        The levels of every practice.

    Returns
    -------
    DataFrame
        practice (name and level); change, low, high: the mean over seeds with its 95 % interval, in points.
    """
    rows = []
    for factor, levels in factors.items():
        by_level = turned(table, home, factor).pivot_table(index="seed", columns=factor, values="accuracy")
        for level in levels:
            if level != home[factor]:
                mean, low, high, _ = mean_interval(100 * (by_level[level] - by_level[home[factor]]))
                rows.append({"practice": f"{factor} {level}", "change": mean, "low": low, "high": high})
    return pd.DataFrame(rows)


def plane(table: pd.DataFrame, home: Home, rows: str, columns: str, factors: Mapping[str, Sequence[Any]]) -> np.ndarray:
    """Return the mean accuracy where two practices are turned together: (levels of rows, levels of columns), or NaN."""
    wide = turned(table, home, rows, columns).pivot_table(index=rows, columns=columns, values="accuracy")
    return wide.reindex(index=factors[rows], columns=factors[columns]).to_numpy()


def best_less_worst(table: pd.DataFrame, factor: str) -> np.ndarray:
    """Return for every seed the accuracy of the level that is best on average less that of the worst."""
    wide = table.pivot_table(index="seed", columns=factor, values="accuracy")
    return (wide[wide.mean().idxmax()] - wide[wide.mean().idxmin()]).to_numpy()
