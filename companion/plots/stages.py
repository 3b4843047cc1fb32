"""Trainings whose parts take turns: courses against the epoch, with the turns behind them."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from companion.plots.theme import coloured, dress, panel, themed


@themed
def stages(
    table: pd.DataFrame,
    y: str,
    *,
    hue: str,
    shaded: str = "where",
    share: bool = False,
    ylabel: str = "",
    title: str = "",
    ax: Axes | None = None,
) -> Figure:
    """Draw y against the epoch, a thin line for each training and a thick one for their mean.

    Phases are stripes behind the lines, and switches vertical lines.

    Parameters
    ----------
    table : DataFrame
        Columns epoch, phase, half, seed, `hue` and `y`; the phases are those of all trainings.
    shaded : str
        The half whose phases are grey.
    share : bool
        Show y as percent.
    """
    figure, ax = panel(ax, (7.2, 3.2))
    trained = table[table["epoch"] > 0].groupby("phase")
    spans = trained.agg(half=("half", "first"), start=("epoch", "min"), stop=("epoch", "max"))
    for place, (half, start, stop) in enumerate(spans.itertuples(index=False)):
        if half == shaded:
            ax.axvspan(start - 1, stop, color="0.93", lw=0, zorder=0)
        if place:
            ax.axvline(start - 1, color="0.75", lw=0.6, zorder=0)
    for colour, (label, part) in coloured(table.dropna(subset=[y]).groupby(hue, sort=False)):
        for _, one in part.groupby("seed"):
            ax.plot(one["epoch"], one[y], color=colour, lw=0.7, alpha=0.45)
        mean = part.groupby("epoch")[y].mean()
        ax.plot(mean.index, mean, color=colour, label=str(label))
    dress(ax, share=share, xlabel="epoch", ylabel=ylabel or y, title=title)
    ax.grid(axis="x", visible=False)
    ax.legend(title=hue)
    return figure
