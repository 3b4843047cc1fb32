"""Numbers against numbers: curves, strips of points, forests of intervals."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, NullLocator

from companion.plots.theme import PALETTE, REPORTED, coloured, dress, panel, reported_lines, themed, within_shares
from companion.tables import summarise


@themed
def curves(
    table: pd.DataFrame,
    x: str,
    y: str,
    *,
    hue: str | None = None,
    reported: Mapping[str, float] | None = None,
    share: bool = False,
    log: bool = False,
    log_x: bool = False,
    xlabel: str = "",
    ylabel: str = "",
    title: str = "",
    ax: Axes | None = None,
) -> Figure:
    """Draw the mean of y over replicates against x with its 95 % interval as a band, one line per value of `hue`.

    Parameters
    ----------
    reported : mapping, optional
        Labels and heights of horizontal lines: what the paper reports.
    share : bool
        Show y as percent.
    log, log_x : bool
        Logarithmic y, logarithmic x.
    """
    figure, ax = panel(ax, (5.2, 3.2))
    groups = [("", table)] if hue is None else list(table.groupby(hue, sort=False))
    ordered = hue is not None and pd.api.types.is_numeric_dtype(table[hue]) and len(groups) > 2
    colours = sns.color_palette("crest", len(groups)) if ordered else PALETTE
    for position, (label, part) in enumerate(groups):
        line = summarise(part, y, x).sort_values(x)
        colour = colours[position % len(colours)]
        ax.plot(line[x], line["mean"], color=colour, label=str(label), marker="o" if len(line) < 13 else "", ms=3)
        if (line["n"] > 1).any():
            low, high = line["low"], line["high"]
            if share:
                low, high = within_shares(low, high, line["mean"])
            ax.fill_between(line[x], low, high, color=colour, alpha=0.18, lw=0)
    reported_lines(ax, reported)
    dress(ax, share=share, log=log, xlabel=xlabel or x, ylabel=ylabel or y, title=title)
    if log_x:
        ax.set_xscale("log")
        low, high = ax.get_xlim()
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 500 * low else (1,)))  # else labels collide
        ax.xaxis.set_major_formatter(EngFormatter(sep=""))
        ax.xaxis.set_minor_locator(NullLocator())
    if hue is not None or reported:
        ax.legend(title=hue, ncols=1 if len(groups) < 7 else 2)
    return figure


@themed
def strip(
    table: pd.DataFrame,
    x: str,
    y: str,
    *,
    hue: str | None = None,
    reported: Mapping[str, float] | None = None,
    share: bool = False,
    xlabel: str = "",
    ylabel: str = "",
    title: str = "",
    width: float | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw every replicate as a point, category by category, with the mean and its 95 % interval beside them.

    `width` is that of the figure in inches, by default as much as the categories ask for.
    """
    categories = list(dict.fromkeys(table[x]))
    groups = [("", table)] if hue is None else list(table.groupby(hue, sort=False))
    figure, ax = panel(ax, (width or max(4.6, 0.95 * len(categories) * len(groups) ** 0.5 + 2.0), 3.0))
    room = 0.7 / len(groups)
    for position, (label, part) in enumerate(groups):
        colour = PALETTE[position]
        for place, category in enumerate(categories):
            sample = np.sort(part.loc[part[x] == category, y].to_numpy())
            if not len(sample):
                continue
            middle = place + (position - (len(groups) - 1) / 2) * room
            # Neighbours in height step aside in turn: no random jitter, so the same results give the same picture.
            aside = room * (np.arange(len(sample)) % 5 - 2) / 14
            ax.plot(middle - room / 8 + aside, sample, "o", ms=3.2, mew=0, alpha=0.55, color=colour)
            mean, low, high = summarise(pd.DataFrame({"y": sample, "g": 0}), "y", "g").loc[0, ["mean", "low", "high"]]
            if share:
                low, high = within_shares(low, high, mean)
            ax.errorbar(
                middle + room * 0.32,
                mean,
                yerr=None if np.isnan(low) else [[mean - low], [high - mean]],
                fmt="D",
                ms=4,
                color=colour,
                mec="white",
                mew=0.5,
                elinewidth=1.4,
                label=str(label) if place == 0 else None,
            )
    reported_lines(ax, reported)
    ax.set_xticks(range(len(categories)), [str(category) for category in categories])
    ax.grid(axis="x", visible=False)
    dress(ax, share=share, xlabel=xlabel, ylabel=ylabel or y, title=title)
    if hue is not None or reported:
        ax.legend(title=hue, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


@themed
def intervals(
    table: pd.DataFrame,
    label: str,
    middle: str,
    *,
    margin: str = "",
    reported: str = "",
    xlabel: str = "",
    ylabel: str = "",
    title: str = "",
    ax: Axes | None = None,
) -> Figure:
    """Draw one interval a row (a forest plot) about zero.

    Parameters
    ----------
    table : DataFrame
        One row per interval, with columns low and high.
    label, middle : str
        Columns with the names of the rows and the middles of the intervals.
    margin : str, optional
        Column with the half-width of a zone about zero, which is shaded row by row.
    reported : str, optional
        Column with what the paper reports.
    """
    figure, ax = panel(ax, (4.6, 0.26 * len(table) + 0.9))
    rows = np.arange(len(table))[::-1]
    if margin:
        ax.barh(rows, 2 * table[margin], left=-table[margin], height=0.9, color="0.92", zorder=0)
    ax.axvline(0, color="0.6", lw=0.8)
    ax.hlines(rows, table["low"], table["high"], color=PALETTE[0], lw=1.6)
    ax.plot(table[middle], rows, "D", ms=4, color=PALETTE[0], mec="white", mew=0.5)
    if reported:
        ax.plot(table[reported], rows, "o", ms=4.5, color=REPORTED, label="reported")
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    ax.set_yticks(rows, table[label])
    ax.grid(axis="y", visible=False)
    dress(ax, xlabel=xlabel, ylabel=ylabel, title=title)
    return figure


@themed
def scatter(
    table: pd.DataFrame,
    x: str,
    y: str,
    *,
    hue: str | None = None,
    xlabel: str = "",
    ylabel: str = "",
    title: str = "",
    ax: Axes | None = None,
) -> Figure:
    """Draw one point a row, in a colour for each value of `hue`."""
    figure, ax = panel(ax, (4.4, 3.4))
    groups = [("", table)] if hue is None else table.groupby(hue, sort=False)
    for colour, (label, part) in coloured(groups):
        ax.plot(part[x], part[y], "o", ms=4, mew=0, alpha=0.7, color=colour, label=str(label))
    dress(ax, xlabel=xlabel or x, ylabel=ylabel or y, title=title)
    if hue is not None:
        ax.legend(title=hue)
    return figure
