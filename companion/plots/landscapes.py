"""Distributions side by side, how their spread goes with size, and surfaces seen from above."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import EngFormatter, LogLocator, NullLocator

from companion.plots.theme import PALETTE, coloured, dress, panel, themed


@themed
def histograms(
    parts: Mapping[str, pd.DataFrame], *, bins: int | None = None, size: tuple[float, float] = (4.1, 2.9)
) -> Figure:
    """Draw histograms of several groups on top of each other, in panels that have axes of their own.

    Parameters
    ----------
    parts : mapping
        Title and table of each panel. A table has two columns: the group, whose name becomes the legend's title, and
        the values, whose name becomes the axis label. The half percent at either end is counted in the outermost bin.
    bins : int, optional
        Of a panel, the same for all its groups; by default twice the root of the smallest group, from 15 to 60.
    size : (width, height)
        Of one panel, in inches.
    """
    figure, axes = plt.subplots(1, len(parts), figsize=(size[0] * len(parts), size[1]), squeeze=False)
    for ax, (title, part) in zip(axes[0], parts.items(), strict=True):
        group, value = part.columns
        groups = list(part.groupby(group, sort=False)[value])
        count = bins or int(np.clip(2 * np.sqrt(min(len(values) for _, values in groups)), 15, 60))
        ends = part[value].quantile([0.005, 0.995]).to_numpy()
        edges = np.linspace(*ends, count + 1) if ends[1] > ends[0] else ends[0] + np.linspace(-1e-3, 1e-3, count + 1)
        for colour, (label, values) in zip(sns.color_palette("crest", len(groups)), groups, strict=True):
            heights = np.histogram(values.clip(edges[0], edges[-1]), edges, density=True)[0]
            ax.stairs(heights, edges, color=colour, lw=1.3, label=str(label))
            ax.stairs(heights, edges, color=colour, alpha=0.12, fill=True)
        ax.set(xlabel=value, ylabel="density" if ax is axes[0, 0] else "", title=title)
        ax.legend(title=group, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


@themed
def bands(
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
    """Draw y against x on logarithmic axes, with intervals that the table gives; one line per value of `hue`.

    Parameters
    ----------
    table : DataFrame
        One row per point, with columns low and high.
    """
    figure, ax = panel(ax, (5.2, 3.2))
    groups = [("", table)] if hue is None else table.groupby(hue, sort=False)
    for colour, (label, part) in coloured(groups):
        ax.plot(part[x], part[y], color=colour, label=str(label), marker="o", ms=3)
        ax.fill_between(part[x], part["low"], part["high"], color=colour, alpha=0.18, lw=0)
    dress(ax, log=True, xlabel=xlabel or x, ylabel=ylabel or y, title=title)
    ax.set_xscale("log")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(EngFormatter(sep=""))
        axis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter("{x:g}")
    if hue is not None:
        ax.legend(title=hue, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


@themed
def planes(
    panels: Mapping[str, tuple[np.ndarray, np.ndarray]],
    ticks: Sequence[float],
    *,
    names: Sequence[str],
    label: str = "loss",
    size: float = 3.1,
) -> Figure:
    """Draw surfaces over planes as maps of height, with marked points.

    Parameters
    ----------
    panels : mapping
        Title, heights (len(ticks), len(ticks)) with rows going up, and points (len(names), 2) of each panel.
    ticks : sequence of float
        Of both axes.
    names : sequence of str
        Of the points.
    """
    lowest = min(heights.min() for heights, _ in panels.values())
    highest = max(np.quantile(heights, 0.9) for heights, _ in panels.values())
    levels = np.geomspace(lowest, highest, 16)
    figure, axes = plt.subplots(1, len(panels), figsize=(size * len(panels) + 1.1, size), squeeze=False)
    for ax, (title, (heights, points)) in zip(axes[0], panels.items(), strict=True):
        drawn = ax.contourf(ticks, ticks, heights, levels, cmap="mako_r", norm="log", extend="max")
        ax.contour(ticks, ticks, heights, levels, colors="white", linewidths=0.4, alpha=0.6)
        for name, (across, up) in zip(names, points, strict=True):
            ax.plot(across, up, "o", ms=5, color=PALETTE[1], mec="white", mew=0.8)
            halo = [withStroke(linewidth=2, foreground="white")]
            ax.annotate(name, (across, up), (5, 5), textcoords="offset points", size=9, path_effects=halo)
        ax.set(title=title, aspect="equal", xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
    bar = figure.colorbar(drawn, ax=axes, shrink=0.8, pad=0.02, label=label)
    bar.ax.minorticks_off()
    bar.set_ticks(levels[::5], labels=[f"{level:.2g}" for level in levels[::5]])
    bar.outline.set_visible(False)
    return figure
