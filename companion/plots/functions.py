"""Functions of one variable and of two: small pictures in rows, surfaces, and how errors of fits fall."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogFormatterMathtext, LogLocator, NullLocator

from companion.plots.lines import curves
from companion.plots.theme import DIVERGING, PALETTE, panel, themed
from companion.tables import summarise


@themed
def rates(
    table: pd.DataFrame,
    x: str,
    y: str,
    *,
    hue: str,
    log_x: bool = True,
    xlabel: str = "",
    ylabel: str = "",
    title: str = "",
    size: tuple[float, float] = (4.8, 2.3),
    ax: Axes | None = None,
) -> Figure:
    """Draw numbers > 0 that range over orders of magnitude, one line per value of `hue`, on logarithmic axes.

    The lines are geometric means over replicates, the bands their 95 % intervals: around arithmetic means they would
    reach below zero.

    Parameters
    ----------
    log_x : bool
        Whether x is logarithmic as well.
    size : (width, height)
        Of a figure of its own, in inches.
    """
    alone = ax is None
    figure, ax = panel(ax, size)
    middle = summarise(table.assign(log=np.log(table[y])), "log", [hue, x])
    middle = middle.assign(**{y: np.exp(middle["mean"])})
    curves(middle, x, y, hue=hue, log=True, log_x=log_x, xlabel=xlabel, ylabel=ylabel, title=title, ax=ax)
    for line, (_, part) in zip(ax.get_lines(), middle.groupby(hue, sort=False), strict=True):
        part = part.sort_values(x)
        ax.fill_between(part[x], np.exp(part["low"]), np.exp(part["high"]), color=line.get_color(), alpha=0.18, lw=0)
    if log_x and _reach(ax.get_xlim()) > 50:  # else the ticks of `curves` have room
        ax.xaxis.set_major_locator(LogLocator(numticks=8))
    few = _reach(ax.get_ylim()) < 50
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,), numticks=5))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}") if few else LogFormatterMathtext())
    ax.yaxis.set_minor_locator(NullLocator())
    if alone:  # the lines leave a legend no room
        ax.legend(title=hue, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def _reach(limits: tuple[float, float]) -> float:
    return limits[1] / limits[0]


@themed
def sketches(
    rows: Mapping[str, Sequence[np.ndarray]],
    *,
    titles: Sequence[str] = (),
    behind: Mapping[str, Sequence[np.ndarray]] | None = None,
    points: Mapping[str, Sequence[np.ndarray]] | None = None,
    notes: Mapping[str, Sequence[str]] | None = None,
    limits: tuple[float, float] | None = None,
    size: tuple[float, float] = (1.55, 1.15),
) -> Figure:
    """Draw rows of functions on the unit interval or on the unit square.

    Parameters
    ----------
    rows : mapping
        Title and functions of each row: arrays (n,) are drawn as curves, arrays (n, n) as maps, the second coordinate
        upwards.
    titles : sequence of str
        One above each column.
    behind : mapping, optional
        For some of the rows, the functions that lie behind the curves, broad and grey; a row of one stands for all.
    points : mapping, optional
        For some of the rows, points (m, 2) on each curve.
    notes : mapping, optional
        For some of the rows, a short text below each picture.
    limits : (low, high), optional
        Ends of the colours, and of the heights; by default, the heights of a row are those of what lies behind, and
        colours reach equally far from zero.
    size : (width, height)
        Of one picture, in inches.
    """
    across = max(map(len, rows.values()))
    shape = (size[0] * across + 0.8, (size[1] + (0.16 if notes else 0.04)) * len(rows) + 0.25)
    figure, axes = plt.subplots(len(rows), across, figsize=shape, squeeze=False)
    for line, (label, functions) in zip(axes, rows.items(), strict=True):
        grey = _spread((behind or {}).get(label, ()), across)
        clouds = _spread((points or {}).get(label, ()), across)
        told = _spread((notes or {}).get(label, ()), across)
        for ax, values, back, cloud, note in zip(line, functions, grey, clouds, told, strict=False):
            if np.ndim(values) == 2:
                _map(ax, values, limits)
            else:
                _curve(ax, values, back, cloud, limits)
            ax.set_xlabel(note or "", size=7.5, labelpad=2)
        for ax in line:
            ax.set(xticks=[], yticks=[])
            ax.grid(visible=False)
            ax.spines[:].set_visible(False)
        for ax in line[len(functions) :]:
            ax.set_visible(False)
        line[0].set_ylabel(label, rotation=0, ha="right", va="center")
    for ax, title in zip(axes[0], titles, strict=False):
        ax.set_title(title, loc="center", size=8.5)
    return figure


def _spread(given: Sequence, across: int) -> Sequence:
    """Return one item for each column: a single one stands for all, none for none."""
    return list(given) * across if len(given) == 1 else [*given, *[None] * (across - len(given))]


def _curve(
    ax: Axes, values: np.ndarray, back: np.ndarray | None, cloud: np.ndarray | None,
    limits: tuple[float, float] | None,
) -> None:  # fmt: skip
    if back is not None:
        ax.plot(np.linspace(0, 1, len(back)), back, color="0.8", lw=3)
    ax.plot(np.linspace(0, 1, len(values)), values, color=PALETTE[0], lw=1.2)
    if cloud is not None:
        ax.plot(*np.asarray(cloud).T, ".", ms=3, mew=0, color=PALETTE[1])
    reach = values if back is None else back
    low, high = limits or (np.min(reach), np.max(reach))
    room = 0.25 * (high - low)
    ax.set(xlim=(-0.02, 1.02), ylim=(low - room, high + room))


def _map(ax: Axes, values: np.ndarray, limits: tuple[float, float] | None) -> None:
    top = float(np.abs(values).max()) or 1.0
    low, high = limits or (-top, top)
    ax.imshow(
        values, cmap=DIVERGING, vmin=low, vmax=high, origin="lower", extent=(0, 1, 0, 1), interpolation="bilinear"
    )


@themed
def surfaces(panels: Mapping[str, np.ndarray], *, limits: tuple[float, float] = (0, 1), across: int = 4) -> Figure:
    """Draw functions on a square, arrays (n, n), as surfaces in space.

    Parameters
    ----------
    panels : mapping
        Title and heights of each; the second coordinate runs away from the reader.
    limits : (low, high)
        Of the heights, and of the colours.
    across : int
        Panels in a row.
    """
    across = min(across, len(panels))
    down = -(-len(panels) // across)
    figure = plt.figure(figsize=(1.65 * across, 1.55 * down))
    for place, (title, heights) in enumerate(panels.items(), start=1):
        ax = figure.add_subplot(down, across, place, projection="3d")
        along = np.linspace(-1, 1, len(heights))
        ax.plot_surface(
            *np.meshgrid(along, along), heights, cmap=DIVERGING, vmin=2 * limits[0] - limits[1], vmax=limits[1],
            rcount=len(heights), ccount=len(heights), lw=0.15, edgecolor="0.5",
        )  # fmt: skip
        ax.set(zlim=limits, xticks=[], yticks=[], zticks=[])
        ax.set_title(title, loc="center", y=0.98, size=8.5)
        ax.view_init(elev=38, azim=-55)
        ax.set_box_aspect((1, 1, 0.6), zoom=1.25)
        ax.set_axis_off()
    return figure
