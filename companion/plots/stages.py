"""Trainings whose parts take turns: curves against the epoch, with the turns behind them."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from companion.plots.lines import curves
from companion.plots.theme import panel, themed


@themed
def stages(
    table: pd.DataFrame,
    y: str,
    *,
    shaded: str = "where",
    hue: str | None = None,
    share: bool = False,
    log: bool = False,
    ylabel: str = "",
    title: str = "",
    ax: Axes | None = None,
) -> Figure:
    """Draw the mean of y over replicates against the epoch, phases as stripes and switches as vertical lines.

    Parameters
    ----------
    table : DataFrame
        Columns epoch, phase, half and `y`; one set of phases for all replicates.
    shaded : str
        The half whose phases are grey.
    """
    figure, ax = panel(ax, (7.2, 3.2))
    spans = (
        table[table["epoch"] > 0]
        .groupby("phase")
        .agg(half=("half", "first"), start=("epoch", "min"), stop=("epoch", "max"))
    )
    for place, (half, start, stop) in enumerate(spans.itertuples(index=False)):
        if half == shaded:
            ax.axvspan(start - 1, stop, color="0.93", lw=0, zorder=0)
        if place:
            ax.axvline(start - 1, color="0.75", lw=0.6, zorder=0)
    curves(
        table.dropna(subset=[y]), "epoch", y, hue=hue, share=share, log=log, xlabel="epoch", ylabel=ylabel, title=title,
        ax=ax,
    )  # fmt: skip
    ax.grid(axis="x", visible=False)
    return figure
