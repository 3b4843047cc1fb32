"""Shares over many conditions that fall into a few groups."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from companion.plots.theme import PALETTE, coloured, dress, themed

GAP = 3  # places left empty between two groups


@themed
def by_condition(
    table: pd.DataFrame,
    y: str,
    *,
    hue: str,
    across: str,
    down: str,
    group: str,
    levels: pd.DataFrame | None = None,
    size: tuple[float, float] = (2.75, 1.75),
    xlabel: str = "",
    ylabel: str = "",
) -> Figure:
    """Draw a share against conditions in order of appearance, a thin line for each seed and a thick one for their mean.

    Parameters
    ----------
    table : DataFrame
        One row for each condition, seed and value of `hue`, `across` and `down`, with a column "place" that numbers the
        conditions from 0 and a column "seed".
    hue, across, down, group : str
        Columns: what lines, columns and rows of panels stand for, and the groups between which lines are broken.
    levels : DataFrame, optional
        Shares without any condition, drawn as dotted lines: the columns `y`, `hue` and `across`.
    size : (width, height)
        Of one panel, in inches.
    """
    columns, rows, lines = (list(dict.fromkeys(table[name])) for name in (across, down, hue))
    groups = {label: number for number, label in enumerate(dict.fromkeys(table[group]))}
    table = table.assign(x=table["place"] + GAP * table[group].map(groups))
    shape = (size[0] * len(columns) + 1.3, size[1] * len(rows) + 0.4)
    figure, axes = plt.subplots(len(rows), len(columns), figsize=shape, squeeze=False, sharex=True, sharey=True)
    cells = table.groupby([down, across, hue, group], sort=False)
    for (row, column, line, _), part in cells:
        ax, colour = axes[rows.index(row), columns.index(column)], PALETTE[lines.index(line)]
        values = part.pivot_table(index="x", columns="seed", values=y)
        if values.shape[1] > 1:
            ax.plot(values.index, values, color=colour, lw=0.6, alpha=0.45)
        ax.plot(values.index, values.mean(axis=1), color=colour, marker="o", ms=1.8, lw=1.3)
    if levels is not None:
        for (column, line), height in levels.groupby([across, hue], sort=False)[y].mean().items():
            for ax in axes[:, columns.index(column)]:
                ax.axhline(height, color=PALETTE[lines.index(line)], ls=":", lw=0.9)
    middles = table.groupby(group, sort=False)["x"].agg(lambda x: (x.min() + x.max()) / 2)
    for (i, j), ax in np.ndenumerate(axes):
        dress(ax, share=True, ylabel="" if j else str(rows[i]), title="" if i else str(columns[j]))
        ax.set_xticks(middles, middles.index)
        ax.grid(axis="x", visible=False)
    handles = [plt.Line2D([], [], color=colour, marker="o", ms=3) for colour, _ in coloured(lines)]
    figure.legend(handles, [str(line) for line in lines], title=hue, loc="outside right upper")
    figure.supxlabel(xlabel, size=9)
    figure.supylabel(ylabel, size=9)
    return figure
