"""The look that all figures share, and panels of one plot side by side."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ParamSpec, TypeVar

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

Values = float | pd.Series

REPORTED = "#c1272d"  # what a paper reports is red in every figure, and nothing else is
PALETTE = ("#2f5d8a", "#d98c2b", "#4c9a6a", "#7d5ba6", "#3aa6b9", "#8c6d4f", "#b5548a", "#6b7785")
STYLES = ("--", ":", "-.")  # of horizontal lines, again from the first where there are more
SEQUENTIAL = sns.light_palette(PALETTE[0], as_cmap=True)
DIVERGING = sns.blend_palette([PALETTE[1], "0.97", PALETTE[0]], as_cmap=True)
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
T = TypeVar("T")


def themed(plot: Callable[P, Figure]) -> Callable[P, Figure]:
    """Draw inside the house's theme, leaving matplotlib's global settings alone."""

    @functools.wraps(plot)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with plt.rc_context(THEME):
            return plot(*args, **kwargs)

    return drawn


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


def panel(ax: Axes | None, size: tuple[float, float]) -> tuple[Figure, Axes]:
    """Return the axes to draw on and their figure: a new one of that size if there are none."""
    if ax is not None:
        return ax.figure, ax
    return plt.subplots(figsize=size)


def coloured(groups: Iterable[T]) -> list[tuple[str, T]]:
    """Give every group a colour of its own.

    Raises
    ------
    ValueError
        If there are more groups than colours.
    """
    groups = list(groups)
    if len(groups) > len(PALETTE):
        raise ValueError(f"{len(groups)} groups are given; a figure has colours for {len(PALETTE)}")
    return list(zip(PALETTE, groups, strict=False))


def reported_lines(ax: Axes, reported: Mapping[str, float] | None) -> None:
    """Draw a horizontal line for each number that the paper reports."""
    for (label, height), style in zip((reported or {}).items(), itertools.cycle(STYLES), strict=False):
        ax.axhline(height, color=REPORTED, ls=style, lw=1.2, label=label)


def dress(
    ax: Axes, *, share: bool = False, log: bool = False, xlabel: str = "", ylabel: str = "", title: str = ""
) -> None:
    """Give axes their names and scales."""
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title)
    if log:
        ax.set_yscale("log")
    if share:
        low, high = ax.get_ylim()
        low, high = max(low, -0.03), min(high, 1.03)  # an interval of few seeds may leave the range of shares
        ax.set_ylim(low, high)
        ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0 if high - low > 0.04 else 1))


def within_shares(low: Values, high: Values, mean: Values) -> tuple[Values, Values]:
    """Cut an interval to the range of shares.

    A t interval of few seeds may leave the range; the mean may do so only where it is a difference of shares.
    """
    return np.maximum(low, np.minimum(0, mean)), np.minimum(high, np.maximum(1, mean))
