"""What networks make of every place in the plane, and the points they learned from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from companion.plots.theme import DIVERGING, PALETTE, themed

COLOURS = (PALETTE[1], PALETTE[0])  # classes 0 and 1
REST = "0.6"
PALE = LinearSegmentedColormap.from_list("pale", DIVERGING(np.linspace(0.2, 0.8, 9)))  # points stand out from it


class Places(NamedTuple):
    """A part of the plane.

    Attributes
    ----------
    limits : (left, right, bottom, top)
        What is shown.
    behind : array, shape (S, T), optional
        Share of class 1 at every place, rows upwards.
    points, labels : array, shape (N, 2) and (N,), optional
        Points, and their classes: 0, 1, or anything else for neither.
    note : str
        A short text below.
    """

    limits: tuple[float, float, float, float]
    behind: np.ndarray | None = None
    points: np.ndarray | None = None
    labels: np.ndarray | None = None
    note: str = ""


@themed
def decisions(
    rows: Mapping[str, Sequence[Places]],
    *,
    titles: Sequence[str] = (),
    size: float = 1.7,
    rest: str = "",
    bar: str = "",
) -> Figure:
    """Draw rows of places: class 0 orange, class 1 blue.

    Parameters
    ----------
    titles : sequence of str
        One above each column.
    size : float
        Width of one panel, in inches.
    rest : str, optional
        Name of the points of neither class, in the legend.
    bar : str, optional
        Name of the colour bar; there is none without it.
    """
    across = max(map(len, rows.values()))
    left, right, bottom, top = next(iter(rows.values()))[0].limits
    room = 1.2 + 0.8 * bool(bar) + 0.07 * max(len(line) for label in rows for line in label.split("\n"))
    noted = any(one.note for row in rows.values() for one in row)
    high = size * (top - bottom) / (right - left) + (0.22 if noted else 0.06)
    figure, axes = plt.subplots(
        len(rows), across, figsize=(size * across + room, high * len(rows) + 0.35), squeeze=False
    )
    shown = None
    for line, (label, row) in zip(axes, rows.items(), strict=True):
        for ax, one in zip(line, row, strict=False):
            shown = _places(ax, one) or shown
        for ax in line[len(row) :]:
            ax.set_visible(False)
        line[0].set_ylabel(label, rotation=0, ha="right", va="center")
    for ax, title in zip(axes[0], titles, strict=False):
        ax.set_title(title, loc="center", size=8.5)
    if any(one.points is not None for row in rows.values() for one in row):
        names = ["class 0", "class 1", *([rest] if rest else [])]
        dots = [plt.Line2D([], [], marker="o", ls="", ms=4, color=tint) for tint in (*COLOURS, REST)]
        figure.legend(dots[: len(names)], names, loc="outside right upper")
    if bar and shown is not None:
        scale = figure.colorbar(shown, ax=axes, shrink=min(1.0, 1.5 / (high * len(rows))), pad=0.015, label=bar)
        scale.outline.set_visible(False)
        scale.ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    return figure


def _places(ax: Axes, one: Places):
    drawn = None
    if one.behind is not None:
        drawn = ax.imshow(
            one.behind, cmap=PALE, vmin=0, vmax=1, origin="lower", extent=one.limits, interpolation="nearest"
        )
    if one.points is not None:
        tints = np.array([*COLOURS, REST])[np.where(np.isin(one.labels, (0, 1)), one.labels, 2)]
        edge = dict(edgecolors="white", linewidths=0.2) if one.behind is not None else dict(linewidths=0)
        ax.scatter(*one.points.T, s=5, c=tints, **edge, rasterized=True)
    left, right, bottom, top = one.limits
    ax.set(xlim=(left, right), ylim=(bottom, top), xticks=[], yticks=[], aspect="equal")
    ax.grid(visible=False)
    ax.spines[:].set_visible(True)
    ax.spines[:].set_color("0.85")
    ax.set_xlabel(one.note, size=7.5, labelpad=2)
    return drawn
