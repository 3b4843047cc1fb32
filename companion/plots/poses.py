"""Errors against poses, and pictures of poses in rows without gaps between figures and pixels."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from companion.pictures import DPI
from companion.plots.theme import PALETTE, REPORTED, dress, panel, themed, within_shares
from companion.tables import summarise

GROUND = 0.75  # grey between pictures
HAIR, WIDE = 1, 5  # dots between pictures, and between groups of rows
SIDE, TOP, BELOW = 120, 30, 12  # dots for the names of rows, for titles and columns, and below a panel


@themed
def by_pose(
    table: pd.DataFrame,
    x: str,
    y: str,
    *,
    hue: str,
    bold: Collection[Any] = (),
    trained: tuple[float, float] | None = None,
    ticks: Sequence[float] = (),
    reported: str = "",
    share: bool = False,
    floor: float | None = None,
    xlabel: str = "",
    ylabel: str = "",
    title: str = "",
    ax: Axes | None = None,
) -> Figure:
    """Draw means over replicates against a pose, one line per value of `hue`, some of them bold with their intervals.

    Parameters
    ----------
    bold : collection
        Values of `hue` that stand out; the others are thin lines in shades.
    trained : (low, high), optional
        Range of poses that is shaded.
    ticks : sequence of float
        Of the poses.
    reported : str, optional
        Column with what the paper reports, NaN where it reports nothing: red points.
    share : bool
        Show y as percent.
    floor : float, optional
        The least value that y can take: intervals, which may reach below with few replicates, are cut there.
    """
    figure, ax = panel(ax, (5.6, 3.2))
    groups = list(table.groupby(hue, sort=False))
    thin = iter(sns.color_palette("crest", max(1, sum(label not in bold for label, _ in groups))))
    thick = iter((PALETTE[1], PALETTE[3], PALETTE[0], PALETTE[2], *PALETTE[4:]))
    if trained:
        ax.axvspan(*trained, color="0.93", lw=0, zorder=0)
    for label, part in groups:
        line = summarise(part, y, x).sort_values(x)
        stands_out = label in bold
        colour = next(thick if stands_out else thin)
        ax.plot(line[x], line["mean"], color=colour, lw=1.9 if stands_out else 1.0, label=str(label))
        if stands_out and (line["n"] > 1).any():
            low, high = line["low"], line["high"]
            if share:
                low, high = within_shares(low, high, line["mean"])
            low = low.clip(lower=floor)
            ax.fill_between(line[x], low, high, color=colour, alpha=0.18, lw=0)
    if reported:
        told = table.dropna(subset=[reported]).drop_duplicates([x, hue])
        ax.plot(told[x], told[reported], "o", ms=3.2, mew=0, color=REPORTED, label="reported", zorder=3)
    dress(ax, share=share, xlabel=xlabel or x, ylabel=ylabel or y, title=title)
    if len(ticks):
        ax.set_xticks(ticks)
    ax.legend(title=hue, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


@themed
def tiles(
    panels: Mapping[str, np.ndarray],
    *,
    rows: Sequence[str],
    columns: Sequence[str] = (),
    groups: int = 0,
    scale: int = 1,
    shades: int = 6,
    across: int = 1,
) -> Figure:
    """Lay pictures in rows and columns, each pixel a whole number of dots.

    Parameters
    ----------
    panels : mapping
        Title and pictures (rows, columns, H, W) in bytes of each panel, all of one shape.
    rows, columns : sequences of str
        Names to the left of each row and above each column.
    groups : int, optional
        Rows that belong together, set off from the next; all of them by default.
    scale : int
        Dots a pixel.
    shades : int
        Of grey: few make small files, and a digit of 28 pixels needs no more.
    across : int
        Panels side by side.

    Raises
    ------
    ValueError
        If there are not as many names as rows or columns.
    """
    shape = next(iter(panels.values())).shape
    if len(rows) != shape[0] or (columns and len(columns) != shape[1]):
        raise ValueError(f"{shape[0]} rows and {shape[1]} columns need as many names, not {len(rows)}, {len(columns)}")
    tall, wide = (scale * side for side in shape[2:])
    tops = [line * (tall + HAIR) + (line // groups if groups else 0) * (WIDE - HAIR) for line in range(shape[0])]
    height, width = tops[-1] + tall, shape[1] * (wide + HAIR) - HAIR
    across = min(across, len(panels))
    down = -(-len(panels) // across)
    top = TOP if columns else TOP // 2 + 3
    size = SIDE + across * (width + 4 * WIDE) - 4 * WIDE, down * (top + height + BELOW)
    figure = plt.figure(figsize=(size[0] / DPI, size[1] / DPI), layout="none")
    for place, (title, pictures) in enumerate(panels.items()):
        line, column = divmod(place, across)
        left, above = SIDE + column * (width + 4 * WIDE), line * (top + height + BELOW) + top
        box = left / size[0], 1 - (above + height) / size[1], width / size[0], height / size[1]
        ax = figure.add_axes(box)
        sheet = np.full((height, width), GROUND)
        for start, row in zip(tops, pictures, strict=True):
            for step, picture in enumerate(row):
                at = step * (wide + HAIR)
                grey = np.round(picture / 255 * (shades - 1)) / (shades - 1)
                sheet[start : start + tall, at : at + wide] = np.kron(grey, np.ones((scale, scale)))
        ax.imshow(sheet, cmap="gray", vmin=0, vmax=1, interpolation="nearest", aspect="auto")
        ax.set_axis_off()
        names = rows if column == 0 else ()
        for start, name in zip(tops, names, strict=False):
            ax.text(-6, start + tall / 2, name, ha="right", va="center", size=7.5)
        for step, name in enumerate(columns):
            ax.text(step * (wide + HAIR) + wide / 2, -3, name, ha="center", va="bottom", size=6.5, color="0.35")
        ax.text(0, -15 if columns else -4, title, ha="left", va="bottom", size=9)
    return figure
