"""Tidy tables: unroll arrays kept in cells, and sum up replicates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from companion.stats.intervals import mean_interval


def unroll(table: pd.DataFrame, column: str, **axes: Sequence[Any]) -> pd.DataFrame:
    """Turn a column of arrays into one row per element.

    Parameters
    ----------
    table : DataFrame
        `column` holds arrays of one shape.
    axes : sequences
        One name and its labels per axis of the arrays, in order: `unroll(table, "accuracy", epoch=range(1, 11))`.

    Returns
    -------
    DataFrame
        The other columns that hold no arrays, one column per axis, and `column` with single numbers.

    Raises
    ------
    ValueError
        If the labels do not fit the arrays' shape.
    """
    blocks = np.stack([np.asarray(cell) for cell in table[column]])
    shape = tuple(len(labels) for labels in axes.values())
    if blocks.shape[1:] != shape:
        raise ValueError(f"the arrays of {column!r} have the shape {blocks.shape[1:]}, the axes {list(axes)} {shape}")
    single = [name for name, cells in table.items() if not isinstance(cells.iloc[0], np.ndarray)]
    rows = table[single].iloc[np.arange(len(table)).repeat(blocks[0].size)].reset_index(drop=True)
    labels = pd.MultiIndex.from_product(axes.values(), names=axes.keys()).to_frame(index=False)
    repeated = pd.concat([labels] * len(table), ignore_index=True)
    return pd.concat([rows, repeated], axis=1).assign(**{column: blocks.ravel()})


def summarise(table: pd.DataFrame, values: str | Sequence[str], by: str | Sequence[str]) -> pd.DataFrame:
    """Return mean, 95 % interval, standard deviation, least, greatest and n of columns for every group of rows.

    Parameters
    ----------
    values : str or sequence of str
        Columns to sum up; with several, a column "quantity" names them.
    by : str or sequence of str
        Columns that make the groups, in order of appearance.
    """
    by = [by] if isinstance(by, str) else list(by)
    names = [values] if isinstance(values, str) else list(values)
    rows = []
    for group, part in table.groupby(by, sort=False, dropna=False):
        for name in names:
            sample = part[name].to_numpy(float)
            interval = mean_interval(sample)
            rows.append(
                dict(zip(by, group, strict=True))
                | ({"quantity": name} if len(names) > 1 else {})
                | {"mean": interval.mean, "low": interval.low, "high": interval.high}
                | {"sd": sample.std(ddof=1) if len(sample) > 1 else np.nan}
                | {"least": sample.min(), "greatest": sample.max(), "n": len(sample)}
            )
    return pd.DataFrame(rows)
