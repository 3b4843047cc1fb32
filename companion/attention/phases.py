"""What a phase of a stage-wise training changes, and what a switch does: from its history."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd


def changes(history: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Return how measures changed over each phase: their value at its end less that at the end of the phase before.

    Parameters
    ----------
    history : DataFrame
        As `fit_stagewise` returns it, measured at epoch 0 and at the ends of phases.

    Returns
    -------
    DataFrame
        One row per phase: phase, half, and the change of each column.
    """
    ends = history.groupby("phase", sort=True).tail(1).set_index("phase")
    found = ends[list(columns)].diff().iloc[1:]
    return pd.concat([ends["half"].iloc[1:], found], axis=1).reset_index()


def jumps(history: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Return measures in the last epoch before each switch and in the first after it.

    Returns
    -------
    DataFrame
        One row per switch: phase and half (those that end), and column_before, column_after of each column.
    """
    trained = history[history["phase"] > 0]
    before = trained.groupby("phase").tail(1).reset_index(drop=True).iloc[:-1]
    after = trained.groupby("phase").head(1).reset_index(drop=True).iloc[1:]
    found = before[["phase", "half"]].copy()
    for column in columns:
        found[f"{column}_before"], found[f"{column}_after"] = before[column], after[column].to_numpy()
    return found


def restlessness(history: pd.DataFrame, column: str) -> float:
    """Return the standard deviation of a measure's steps from one epoch to the next; a steady rise has none."""
    return float(np.std(np.diff(history[column].to_numpy(float)), ddof=1))
