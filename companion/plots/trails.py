"""Two measures against each other, as they change on the way."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from companion.plots.theme import REPORTED, coloured, dress, panel, themed


@themed
def trails(
    paths: pd.DataFrame,
    ends: pd.DataFrame,
    x: str,
    y: str,
    *,
    hue: str,
    reported: np.ndarray | None = None,
    level: float | None = None,
    xlabel: str = "",
    ylabel: str = "",
    ax: Axes | None = None,
) -> Figure:
    """Draw trails of two shares, a line for each replicate, and where they and others end.

    Parameters
    ----------
    paths : DataFrame
        Rows in the order of the trail, with the columns `x`, `y`, `hue` and seed.
    ends : DataFrame
        One row for each end, with the columns `x`, `y` and `hue`; it may have kinds that left no trail.
    reported : array, shape (n, 2), optional
        Points that the paper reports.
    level : float, optional
        Height of a grey line.
    """
    figure, ax = panel(ax, (6.8, 3.6))
    for colour, (label, part) in coloured(ends.groupby(hue, sort=False)):
        for _, path in paths[paths[hue] == label].groupby("seed"):
            ax.plot(path[x], path[y], "-o", ms=2, lw=0.8, alpha=0.5, color=colour)
        ax.plot(part[x], part[y], "o", ms=6, color=colour, mec="white", mew=0.6, label=str(label), zorder=3)
    if reported is not None:
        ax.plot(*np.asarray(reported).T, "D", ms=4, color=REPORTED, mec="white", mew=0.5, label="reported")
    if level is not None:
        ax.axhline(level, color="0.6", lw=0.8)
    dress(ax, share=True, xlabel=xlabel or x, ylabel=ylabel or y)
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.legend(title=hue, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure
