"""Laws beside the points that they were fitted to, and configurations beside what is to predict them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator, NullLocator

from companion.plots.theme import PALETTE, dress, themed
from companion.stats.intervals import mean_interval

TICKS = 9  # at most as many sizes are named on the axis one by one
WIDE = 6  # ratio of largest to smallest from which on ticks are at 1, 2, 5, 10, ...
MARKERS = "os^v"  # the palette is gone through once with each


@themed
def decays(
    panels: Mapping[str, tuple[pd.DataFrame, Mapping[Any, Callable]]],
    x: str,
    y: str,
    *,
    hue: str,
    ylabel: str = "",
    legend: str = "",
    size: tuple[float, float] = (2.7, 2.9),
) -> Figure:
    """Draw errors against sizes on logarithmic axes, geometric means with 95 % intervals, and the laws fitted to them.

    Parameters
    ----------
    panels : mapping
        For each name of a size the table, one row per size and replicate, and the laws: functions of the size by the
        value of `hue` that they belong to, or by any other name for a law of all points (drawn dashed in grey).
    x, y, hue : str
        Columns with the size, the error and what is told apart by colour. Points of three or more colours stand a
        little beside their size, so as not to hide one another.
    legend : str
        Title of the legend.
    size : (width, height)
        Of one panel, in inches.
    """
    figure, axes = _side_by_side(len(panels), size)
    for ax, (name, (table, laws)) in zip(axes, panels.items(), strict=True):
        groups = list(table.groupby(hue, sort=False))
        ordered = pd.api.types.is_numeric_dtype(table[hue]) and len(groups) > 2
        colours = sns.color_palette("crest", len(groups)) if ordered else PALETTE
        known = {label: colour for colour, (label, _) in zip(colours, groups, strict=False)}
        reach = np.geomspace(table[x].min(), table[x].max(), 100)
        for place, (label, part) in enumerate(groups):
            logs = part.assign(log=np.log(part[y])).groupby(x)["log"]
            mean, low, high = np.exp([mean_interval(one.to_numpy())[:3] for _, one in logs]).T
            aside = (reach[-1] / reach[0]) ** (0.012 * (place - (len(groups) - 1) / 2) * (len(groups) > 2))
            ax.errorbar(
                np.array(list(logs.groups)) * aside, mean, yerr=np.nan_to_num([mean - low, high - mean]), fmt="o",
                ms=3.5, color=known[label], elinewidth=1.0, label=str(label),
            )  # fmt: skip
        for label, law in laws.items():
            own = label in known
            style = {"color": known[label], "ls": "-"} if own else {"color": "0.4", "ls": "--", "label": str(label)}
            ax.plot(reach, law(reach), lw=1.2, **style)
        dress(ax, log=True, xlabel=name)
        ax.set_xscale("log")
        _name_ticks(ax.xaxis, table[x].unique(), few=TICKS)
    _finish(figure, axes, ylabel or y, legend)
    return figure


@themed
def configurations(
    table: pd.DataFrame,
    xs: Mapping[str, str],
    y: str,
    *,
    hue: str,
    ylabel: str = "",
    legend: str = "",
    diagonal: bool = False,
    size: tuple[float, float] = (2.7, 3.1),
) -> Figure:
    """Draw one quantity against each of several others on logarithmic axes, one point a row.

    Parameters
    ----------
    xs : mapping
        Column and axis label of each panel.
    hue : str
        Column with the configuration, told by colour and mark.
    legend : str
        Title of the legend.
    diagonal : bool
        Draw the line on which both are equal.
    size : (width, height)
        Of one panel, in inches.
    """
    figure, axes = _side_by_side(len(xs), size)
    for ax, (x, name) in zip(axes, xs.items(), strict=True):
        for place, (label, part) in enumerate(table.groupby(hue, sort=False)):
            mark, colour = MARKERS[place // len(PALETTE) % len(MARKERS)], PALETTE[place % len(PALETTE)]
            ax.plot(part[x], part[y], mark, ms=4.5, mew=0, alpha=0.85, color=colour, label=str(label))
        dress(ax, log=True, xlabel=name)
        ax.set_xscale("log")
        if diagonal:
            ends = np.array([table[[x, y]].to_numpy().min(), table[[x, y]].to_numpy().max()])
            ax.plot(ends, ends, color="0.6", lw=0.8, zorder=0)
        _name_ticks(ax.xaxis, table[x])
    _finish(figure, axes, ylabel or y, legend)
    return figure


def _side_by_side(count: int, size: tuple[float, float]) -> tuple[Figure, np.ndarray]:
    """Return a figure with room for a legend, and its axes, which share their heights."""
    figure, axes = plt.subplots(1, count, figsize=(size[0] * count + 1.4, size[1]), squeeze=False, sharey=True)
    return figure, axes[0]


def _name_ticks(axis: Axis, values: np.ndarray, few: int = 0) -> None:
    """Put a logarithmic axis' ticks where the values are, if these are few, and write plain numbers."""
    low, high = min(values), max(values)
    if len(values) <= few:
        axis.set_ticks(values)
    else:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)) if high > WIDE * low else MaxNLocator(5))
    axis.set_major_formatter(EngFormatter(sep="") if high >= 1_000 else "{x:g}")
    axis.set_minor_locator(NullLocator())


def _finish(figure: Figure, axes: np.ndarray, ylabel: str, legend: str) -> None:
    """Name the common height and tell all colours once."""
    axes[0].set_ylabel(ylabel)
    _name_ticks(axes[0].yaxis, axes[0].get_ylim())
    told = {label: handle for ax in axes for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    figure.legend(told.values(), told, title=legend, loc="outside right upper")
