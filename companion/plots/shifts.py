"""What is drawn in poses that were trained and in poses that were not: error curves, error maps, and the pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from companion.plots.theme import PALETTE, REPORTED, dress, panel, themed
from companion.tables import summarise

MARKS = ("o", "s", "^", "D")  # of what is reported, group by group


@themed
def held_back(
    table: pd.DataFrame,
    x: str,
    y: str,
    *,
    hue: str,
    marked: Sequence[Any],
    shaded: tuple[float, float],
    reported: pd.DataFrame | None = None,
    share: bool = False,
    xlabel: str = "",
    ylabel: str = "",
    title: str = "",
    ax: Axes | None = None,
) -> Figure:
    """Draw the mean of y over replicates against x, one line per group, beside the range that some were trained in.

    Parameters
    ----------
    marked : sequence
        Groups of `hue` that get a colour, a band for the 95 % interval and a name; all others are thin and grey.
    shaded : (low, high)
        The range of x to shade.
    reported : DataFrame, optional
        Points that the paper reports, in columns of the same names; of marked groups.
    share : bool
        Show y as percent.
    """
    figure, ax = panel(ax, (6.2, 3.4))
    ax.axvspan(*shaded, color="0.93", lw=0)
    ax.grid(axis="x", visible=False)
    groups = dict(iter(table.groupby(hue, sort=False)))
    others = [one for one in groups if one not in marked]
    for place, one in enumerate(others):
        line = groups[one].groupby(x)[y].mean()
        ax.plot(line.index, line, color="0.7", lw=0.9, label="others" if place == 0 else None)
    for colour, mark, one in zip(PALETTE, MARKS, marked, strict=False):
        line = summarise(groups[one], y, x).sort_values(x)
        ax.plot(line[x], line["mean"], color=colour, marker=mark, ms=3, label=str(one))
        if (line["n"] > 1).any():
            ax.fill_between(line[x], line["low"], line["high"], color=colour, alpha=0.18, lw=0)
        if reported is not None:
            told = reported[reported[hue] == one]
            ax.plot(told[x], told[y], mark, ms=4, mfc="none", mec=REPORTED, mew=0.9, label=f"{one}, reported")
    ax.set_ylim(bottom=0)
    dress(ax, share=share, xlabel=xlabel or x, ylabel=ylabel or y, title=title)
    ax.legend(title=hue, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


@themed
def shift_maps(
    parts: Mapping[str, np.ndarray],
    shifts: Sequence[int],
    *,
    framed: Mapping[str, tuple[int, int]],
    label: str,
    size: float = 2.3,
) -> Figure:
    """Draw maps over shifts down and right on one colour scale, the trained range framed.

    Parameters
    ----------
    parts : mapping
        Title and map (P, P) of each panel, down first.
    shifts : sequence of int
        Of both axes, evenly spaced.
    framed : mapping
        First and last shift of a frame, for the panels of the same title.
    label : str
        Of the colour scale.
    """
    step = shifts[1] - shifts[0]
    ends = (shifts[0] - step / 2, shifts[-1] + step / 2)
    top = max(float(np.nanmax(part)) for part in parts.values())
    figure, axes = plt.subplots(
        1, len(parts), figsize=(size * len(parts) + 1.0, size + 0.5), squeeze=False, sharex=True, sharey=True
    )
    for ax, (title, part) in zip(axes[0], parts.items(), strict=True):
        mesh = ax.imshow(part, cmap="mako", vmin=0, vmax=top, extent=(*ends, *ends[::-1]), interpolation="nearest")
        if title in framed:
            low, high = framed[title][0] - 0.5, framed[title][1] + 0.5
            ax.add_patch(Rectangle((low, low), high - low, high - low, fill=False, ec="white", lw=1.2))
        ax.set_title(title)
        ax.grid(visible=False)
        ax.spines[:].set_visible(False)
    figure.supxlabel("shift right (pixels)", size=9)
    figure.supylabel("shift down (pixels)", size=9)
    bar = figure.colorbar(mesh, ax=axes, shrink=0.8, pad=0.015, label=label)
    bar.outline.set_visible(False)
    return figure


@themed
def side_by_side(parts: Mapping[str, np.ndarray], rows: Sequence[Any], *, ylabel: str, across: int = 2) -> Figure:
    """Show pairs of pictures, what is expected to the left of what is drawn, one row for each pose.

    Parameters
    ----------
    parts : mapping
        Title and bytes (P, K, 2, H, W) of each panel: K pairs in P poses.
    rows : sequence
        Names of the poses.
    across : int
        Panels side by side.
    """
    down = -(-len(parts) // across)
    poses, pairs, _, high, wide = next(iter(parts.values())).shape
    width = 3.7
    size = (across * width + 0.4, down * (width * poses * (high + 1) / (pairs * (2 * wide + 4)) + 0.3))
    figure, axes = plt.subplots(down, across, figsize=size, squeeze=False, sharex=True, sharey=True)
    for ax, (title, pictures) in zip(axes.flat, parts.items(), strict=False):
        walled = np.pad(pictures, ((0, 0), (0, 0), (0, 0), (0, 1), (0, 1)), constant_values=110)
        walled = np.pad(walled.transpose(0, 3, 1, 2, 4).reshape(poses, high + 1, pairs, -1), ((0, 0),) * 3 + ((0, 2),),
                        constant_values=255)  # fmt: skip
        ax.imshow(walled.reshape(poses * (high + 1), -1), cmap="gray", vmin=0, vmax=255, interpolation="antialiased")
        ax.set_title(title)
        ax.set_xticks([])
        ax.set_yticks((np.arange(poses) + 0.5) * (high + 1), [str(row) for row in rows])
        ax.tick_params(length=0)
        ax.grid(visible=False)
        ax.spines[:].set_visible(False)
    for ax in axes.flat[len(parts) :]:
        ax.set_visible(False)
    figure.supylabel(ylabel, size=9)
    return figure
