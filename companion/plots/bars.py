"""Parts of a whole."""

from __future__ import annotations

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from companion.plots.theme import PALETTE, dress, panel, themed


@themed
def stacked(
    table: pd.DataFrame,
    x: str,
    y: str,
    *,
    hue: str,
    share: bool = True,
    xlabel: str = "",
    ylabel: str = "",
    title: str = "",
    ax: Axes | None = None,
) -> Figure:
    """Stack the mean of y over replicates for each value of `hue` on one bar per value of x, in order of appearance.

    `share` shows y as percent.
    """
    figure, ax = panel(ax, (4.6, 2.8))
    means = table.pivot_table(index=x, columns=hue, values=y, sort=False)
    means = means.loc[table[x].unique(), table[hue].unique()]
    colours = [*PALETTE[:3], "0.8"] if means.shape[1] < 5 else sns.color_palette("crest", means.shape[1])
    low = pd.Series(0.0, index=means.index)
    for colour, (label, height) in zip(colours, means.items(), strict=False):
        ax.bar(range(len(means)), height, 0.82, bottom=low, color=colour, label=str(label))
        low = low + height
    ax.set_xticks(range(len(means)), [str(name) for name in means.index])
    ax.grid(axis="x", visible=False)
    dress(ax, share=share, xlabel=xlabel, ylabel=ylabel or y, title=title)
    ax.legend(title=hue, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure
