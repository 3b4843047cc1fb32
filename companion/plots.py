"""The plots that recur. Each takes a tidy table and, where it is one panel, an optional ax; each returns the figure."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from mpl_toolkits.mplot3d.art3d import Poly3DCollection

from companion.tables import summarise

REPORTED = "#c1272d"  # what a paper reports is red in every figure, and nothing else is
PALETTE = ("#2f5d8a", "#d98c2b", "#4c9a6a", "#7d5ba6", "#3aa6b9", "#8c6d4f", "#b5548a", "#6b7785")
SEQUENTIAL = sns.light_palette(PALETTE[0], as_cmap=True)
THEME = {
    **sns.axes_style("ticks"),
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": plt.cycler(color=PALETTE),
    "axes.grid": True,
    "grid.color": "0.92",
    "grid.linewidth": 0.6,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "legend.title_fontsize": 8,
    "lines.linewidth": 1.6,
    "figure.constrained_layout.use": True,
}

P = ParamSpec("P")


def themed(plot: Callable[P, Figure]) -> Callable[P, Figure]:
    """Draw inside the house's theme, leaving matplotlib's global settings alone."""

    @functools.wraps(plot)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with plt.rc_context(THEME):
            return plot(*args, **kwargs)

    return drawn


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
    log : bool
        Logarithmic y.
    """
    figure, ax = _panel(ax, (5.2, 3.2))
    groups = [("", table)] if hue is None else list(table.groupby(hue, sort=False))
    ordered = hue is not None and pd.api.types.is_numeric_dtype(table[hue]) and len(groups) > 2
    colours = sns.color_palette("crest", len(groups)) if ordered else PALETTE
    for position, (label, part) in enumerate(groups):
        line = summarise(part, y, x).sort_values(x)
        colour = colours[position % len(colours)]
        ax.plot(line[x], line["mean"], color=colour, label=str(label), marker="o" if len(line) < 13 else "", ms=3)
        if (line["n"] > 1).any():
            ax.fill_between(line[x], line["low"], line["high"], color=colour, alpha=0.18, lw=0)
    _reported_lines(ax, reported)
    _dress(ax, share=share, log=log, xlabel=xlabel or x, ylabel=ylabel or y, title=title)
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
    ax: Axes | None = None,
) -> Figure:
    """Draw every replicate as a point, category by category, with the mean and its 95 % interval beside them."""
    categories = list(dict.fromkeys(table[x]))
    groups = [("", table)] if hue is None else list(table.groupby(hue, sort=False))
    figure, ax = _panel(ax, (max(4.6, 0.95 * len(categories) * len(groups) ** 0.5 + 2.0), 3.0))
    width = 0.7 / len(groups)
    for position, (label, part) in enumerate(groups):
        colour = PALETTE[position]
        for place, category in enumerate(categories):
            sample = np.sort(part.loc[part[x] == category, y].to_numpy())
            if not len(sample):
                continue
            middle = place + (position - (len(groups) - 1) / 2) * width
            # Neighbours in height step aside in turn: no random jitter, so the same results give the same picture.
            aside = width * (np.arange(len(sample)) % 5 - 2) / 14
            ax.plot(middle - width / 8 + aside, sample, "o", ms=3.2, mew=0, alpha=0.55, color=colour)
            mean, low, high = summarise(pd.DataFrame({"y": sample, "g": 0}), "y", "g").loc[0, ["mean", "low", "high"]]
            if share:  # a t interval of few seeds may leave the range
                low, high = np.clip([low, high], 0, 1)
            ax.errorbar(
                middle + width * 0.32,
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
    _reported_lines(ax, reported)
    ax.set_xticks(range(len(categories)), [str(category) for category in categories])
    ax.grid(axis="x", visible=False)
    _dress(ax, share=share, xlabel=xlabel, ylabel=ylabel or y, title=title)
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
    """
    figure, ax = _panel(ax, (4.6, 0.26 * len(table) + 0.9))
    rows = np.arange(len(table))[::-1]
    if margin:
        ax.barh(rows, 2 * table[margin], left=-table[margin], height=0.9, color="0.92", zorder=0)
    ax.axvline(0, color="0.6", lw=0.8)
    ax.hlines(rows, table["low"], table["high"], color=PALETTE[0], lw=1.6)
    ax.plot(table[middle], rows, "D", ms=4, color=PALETTE[0], mec="white", mew=0.5)
    ax.set_yticks(rows, table[label])
    ax.grid(axis="y", visible=False)
    _dress(ax, xlabel=xlabel, ylabel=ylabel, title=title)
    return figure


@themed
def matrices(
    panels: Mapping[str, np.ndarray],
    *,
    rows: Sequence[Any],
    columns: Sequence[Any],
    ylabel: str = "",
    xlabel: str = "",
    share: bool = True,
    limits: tuple[float, float] | None = None,
    second: Mapping[str, np.ndarray] | None = None,
    across: int = 3,
    places: int | None = None,
    unit: str = "",
) -> Figure:
    """Draw matrices side by side on one colour scale, every cell with its number.

    Parameters
    ----------
    panels : mapping
        Title and matrix (len(rows), len(columns)) of each panel; NaN cells stay empty.
    second : mapping, optional
        What the paper reports for the panels of the same title; drawn in red below the cell's own number.
    share : bool
        Shares, shown in percent.
    limits : (low, high), optional
        Ends of the colour scale; 0 to 1 for shares.
    places : int, optional
        Decimals of the numbers in the cells.
    """
    across = min(across, len(panels))
    down = -(-len(panels) // across)
    cell = 0.42 if len(columns) > 4 else 0.85
    size = (across * (cell * len(columns) + 0.7) + 0.6, down * (cell * 0.82 * len(rows) + 0.75))
    figure, axes = plt.subplots(down, across, figsize=size, squeeze=False, sharex=True, sharey=True)
    low, high = limits or ((0, 1) if share else _span(panels.values()))
    factor = 100 if share else 1
    for ax, (title, matrix) in zip(axes.flat, panels.items(), strict=False):
        mesh = ax.imshow(matrix, cmap=SEQUENTIAL, vmin=low, vmax=high, aspect="auto")
        told = (second or {}).get(title)
        for (i, j), value in np.ndenumerate(np.asarray(matrix, float)):
            if np.isnan(value):
                continue
            ink = "white" if (value - low) / (high - low) > 0.6 else "0.15"
            both = told is not None and not np.isnan(told[i][j])
            decimals = places if places is not None else 0 if share or abs(value) >= 9.995 else 2
            size = 6.5 if cell < 0.5 else 9
            ax.text(
                j, i - 0.18 * both, f"{value * factor:.{decimals}f}", ha="center", va="center", color=ink, size=size
            )
            if both:
                number = f"{told[i][j] * factor:.{decimals}f}"
                tint = "#ffd0cf" if ink == "white" else REPORTED
                ax.text(j, i + 0.26, number, ha="center", va="center", color=tint, size=size - 1)
        ax.set_title(title)
        ax.set_xticks(range(len(columns)), [str(column) for column in columns])
        ax.set_yticks(range(len(rows)), [str(row) for row in rows])
        ax.tick_params(length=0)
        ax.grid(visible=False)
        ax.spines[:].set_visible(False)
    for ax in axes.flat[len(panels) :]:
        ax.set_visible(False)
    figure.supxlabel(xlabel, size=9)
    figure.supylabel(ylabel, size=9)
    bar = figure.colorbar(mesh, ax=axes, shrink=0.7, pad=0.015, label=unit)
    bar.outline.set_visible(False)
    if share:
        bar.ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    return figure


@themed
def images(
    rows: Mapping[str, np.ndarray], *, titles: Sequence[str] = (), size: float = 0.85, captions: Mapping | None = None
) -> Figure:
    """Show rows of images; each row is (N, H, W) grey or (N, H, W, 3) in bytes or in [0, 1].

    Parameters
    ----------
    titles : sequence of str
        One above each column.
    captions : mapping, optional
        For some of the rows, one text below each image.
    """
    across = max(len(row) for row in rows.values())
    figure, axes = plt.subplots(
        len(rows), across, figsize=(size * across + 0.9, (size + 0.12) * len(rows)), squeeze=False
    )
    for line, (label, row) in zip(axes, rows.items(), strict=True):
        top = 255 if np.asarray(row).dtype == np.uint8 else 1
        for column, ax in enumerate(line):
            ax.set_xticks([])
            ax.set_yticks([])
            ax.spines[:].set_visible(False)
            if column < len(row):
                ax.imshow(row[column], cmap="gray", vmin=0, vmax=top)
            if captions and label in captions and column < len(captions[label]):
                ax.set_xlabel(captions[label][column], size=8, labelpad=2)
        line[0].set_ylabel(label, rotation=0, ha="right", va="center")
    for ax, title in zip(axes[0], titles, strict=False):
        ax.set_title(title, loc="center", size=8)
    return figure


@themed
def points_3d(
    panels: Mapping[str, tuple[np.ndarray, np.ndarray]],
    *,
    names: Mapping[int, str],
    limits: float | None = None,
    sheets: Mapping[str, Sequence[np.ndarray]] | None = None,
) -> Figure:
    """Show clouds of points (N, 3) with labels (N,), one panel each; `names` maps the labels that get a colour.

    `sheets` gives, for the panels of the same title, the corners (4, 3) of flat pieces to draw as translucent planes.
    """
    figure = plt.figure(figsize=(2.7 * len(panels) + 1.0, 2.9))
    for place, (title, (points, labels)) in enumerate(panels.items(), start=1):
        ax = figure.add_subplot(1, len(panels), place, projection="3d", computed_zorder=False)
        for tint, corners in zip(("0.6", PALETTE[3]), (sheets or {}).get(title, ()), strict=False):
            ax.add_collection3d(Poly3DCollection([corners], facecolor=tint, alpha=0.13, lw=0))
        rest = ~np.isin(labels, list(names))
        ax.scatter(*points[rest].T, s=3, color="0.6", alpha=0.5, label="background", rasterized=True)
        for colour, (label, name) in zip(PALETTE, names.items(), strict=False):
            ax.scatter(*points[labels == label].T, s=4, color=colour, label=name)
        if limits:
            ax.set(xlim=(-limits, limits), ylim=(-limits, limits), zlim=(-limits, limits))
        ax.set_title(title, loc="center", y=0.97)
        ax.tick_params(labelsize=6, pad=-2)
        ax.set_xlabel("x", labelpad=-8)
        ax.set_ylabel("y", labelpad=-8)
        ax.set_zlabel("z", labelpad=-10)
        ax.view_init(elev=14, azim=-62)
        ax.set_box_aspect(None, zoom=0.95)
    figure.legend(*ax.get_legend_handles_labels(), loc="outside right upper", markerscale=3)
    return figure


@themed
def panels(
    parts: Mapping[str, pd.DataFrame],
    draw: Callable[..., Any],
    *,
    across: int = 3,
    size: tuple[float, float] = (2.7, 2.1),
    xlabel: str = "",
    ylabel: str = "",
) -> Figure:
    """Draw one plot for each of several tables on shared axes, with one legend for all.

    Parameters
    ----------
    parts : mapping
        Title and table of each panel.
    draw : callable
        Called as `draw(table, ax=ax, title=title)`: a plot of this module with its other arguments bound.
    size : (width, height)
        Of one panel, in inches.
    """
    across = min(across, len(parts))
    down = -(-len(parts) // across)
    shape = (size[0] * across + 1.1, size[1] * down)
    figure, axes = plt.subplots(down, across, figsize=shape, squeeze=False, sharex=True, sharey=True)
    for ax, (title, part) in zip(axes.flat, parts.items(), strict=False):
        ax.autoscale(axis="y")  # a plot that set its limits has set those of all the panels
        draw(part, ax=ax, title=title)
        ax.set(xlabel="", ylabel="")
    first = axes.flat[0].get_legend()
    for ax in axes.flat[: len(parts)]:
        if (legend := ax.get_legend()) is not None:
            legend.remove()
    for ax in axes.flat[len(parts) :]:
        ax.set_visible(False)
    if first is not None:
        handles, labels = axes.flat[0].get_legend_handles_labels()
        figure.legend(handles, labels, title=first.get_title().get_text(), loc="outside right upper")
    figure.supxlabel(xlabel, size=9)
    figure.supylabel(ylabel, size=9)
    return figure


def _panel(ax: Axes | None, size: tuple[float, float]) -> tuple[Figure, Axes]:
    if ax is not None:
        return ax.figure, ax
    return plt.subplots(figsize=size)


def _reported_lines(ax: Axes, reported: Mapping[str, float] | None) -> None:
    for (label, height), style in zip((reported or {}).items(), ("--", ":", "-."), strict=False):
        ax.axhline(height, color=REPORTED, ls=style, lw=1.2, label=label)


def _dress(
    ax: Axes, *, share: bool = False, log: bool = False, xlabel: str = "", ylabel: str = "", title: str = ""
) -> None:
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title)
    if log:
        ax.set_yscale("log")
    if share:
        low, high = ax.get_ylim()
        ax.set_ylim(max(low, -0.03), min(high, 1.03))  # an interval of few seeds may leave the range of shares
        ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))


def _span(matrices: Any) -> tuple[float, float]:
    """Return the least and greatest finite entry of all matrices, never the same number twice."""
    low = min(float(np.nanmin(matrix)) for matrix in matrices)
    high = max(float(np.nanmax(matrix)) for matrix in matrices)
    return (low, high) if high > low else (low, low + 1)
