"""Matrices as maps of colour."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import PercentFormatter

from companion.plots.theme import DIVERGING, REPORTED, SEQUENTIAL, themed


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
    framed: Mapping[str, Iterable[tuple[int, int]]] | None = None,
    blocks: Iterable[tuple[int, int]] = (),
    starred: Mapping[str, np.ndarray] | None = None,
    diverging: bool = False,
    cell: tuple[float, float] | None = None,
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
    framed : mapping, optional
        Cells (row, column) with a frame, for the panels of the same title.
    blocks : iterable of (first, last)
        Runs of rows and the same columns that get one frame, in all panels.
    starred : mapping, optional
        Which cells (len(rows), len(columns)) get a star behind their number, for the panels of the same title.
    diverging : bool
        Colour both ways from zero, equally far; `limits` are not needed then.
    cell : (width, height), optional
        Of one cell, in inches.
    places : int, optional
        Decimals of the numbers in the cells.
    """
    across = min(across, len(panels))
    down = -(-len(panels) // across)
    side = 0.42 if len(columns) > 4 else 0.85
    width, height = cell or (side, side * 0.82)
    size = (across * (width * len(columns) + 0.7) + 0.6, down * (height * len(rows) + 0.75))
    figure, axes = plt.subplots(down, across, figsize=size, squeeze=False, sharex=True, sharey=True)
    low, high = limits or ((0, 1) if share and not diverging else _span(panels.values()))
    if diverging:
        high = max(abs(low), abs(high))
        low = -high
    factor = 100 if share else 1
    names = [str(column) for column in columns]
    crowded = max(map(len, names)) * 0.075 > width
    for ax, (title, matrix) in zip(axes.flat, panels.items(), strict=False):
        mesh = ax.imshow(matrix, cmap=DIVERGING if diverging else SEQUENTIAL, vmin=low, vmax=high, aspect="auto")
        stars = (starred or {}).get(title)
        told = (second or {}).get(title)
        for (i, j), value in np.ndenumerate(np.asarray(matrix, float)):
            if np.isnan(value):
                continue
            ink = "white" if (abs(value) / high > 0.7 if diverging else (value - low) / (high - low) > 0.6) else "0.15"
            both = told is not None and not np.isnan(told[i][j])
            decimals = places if places is not None else 0 if share or abs(value) >= 9.995 else 2
            size = 6.5 if width < 0.5 else 9
            shown = round(value * factor, decimals) + 0.0  # no minus before a zero
            number = f"{shown:.{decimals}f}" + ("*" if stars is not None and stars[i][j] else "")
            ax.text(j, i - 0.18 * both, number, ha="center", va="center", color=ink, size=size)
            if both:
                number = f"{told[i][j] * factor:.{decimals}f}"
                tint = "#ffd0cf" if ink == "white" else REPORTED
                ax.text(j, i + 0.26, number, ha="center", va="center", color=tint, size=size - 1)
        corners = [(i, j, 1) for i, j in (framed or {}).get(title, ())]
        corners += [(first, first, last - first + 1) for first, last in blocks]
        for i, j, side in corners:
            ax.add_patch(Rectangle((j - 0.5, i - 0.5), side, side, fill=False, ec="0.1", lw=1.1))
        ax.set_title(title)
        ax.set_xticks(range(len(columns)), names, **({"rotation": 40, "ha": "right"} if crowded else {}))
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


def _span(matrices: Any) -> tuple[float, float]:
    """Return the least and greatest finite entry of all matrices, never the same number twice."""
    low = min(float(np.nanmin(matrix)) for matrix in matrices)
    high = max(float(np.nanmax(matrix)) for matrix in matrices)
    return (low, high) if high > low else (low, low + 1)
