"""Measured curves beside an account of them in closed form and what a paper reports."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from companion.plots.theme import PALETTE, REPORTED, dress, themed, within_shares
from companion.tables import summarise


@themed
def accounts(
    measured: Mapping[str, pd.DataFrame],
    closed: Mapping[str, pd.DataFrame],
    reported: Mapping[str, pd.DataFrame],
    x: str,
    y: str,
    *,
    share: bool = True,
    xlabel: str = "",
    ylabel: str = "",
) -> Figure:
    """Draw one panel per title: means with 95 % intervals, the closed form as a line, reported numbers as red dots.

    Parameters
    ----------
    measured : mapping
        Title and table of each panel, one row per replicate; x is not called n.
    closed, reported : mapping
        Tables with the same columns x and y, for some of the titles.
    share : bool
        Show y as percent.
    """
    shape = (3.0 * len(measured) + 1.5, 2.7)
    figure, axes = plt.subplots(1, len(measured), figsize=shape, squeeze=False, sharex=True, sharey=True)
    for ax, (title, table) in zip(axes[0], measured.items(), strict=True):
        if title in closed:
            ax.plot(closed[title][x], closed[title][y], color=PALETTE[1], label="closed form")
        line = summarise(table, y, x).sort_values(x)
        low, high = (line[end].fillna(line["mean"]) for end in ("low", "high"))
        if share:
            low, high = within_shares(low, high, line["mean"])
        error = [line["mean"] - low, high - line["mean"]]
        ax.errorbar(
            line[x], line["mean"], error, fmt="D", ms=4, mec="white", mew=0.5, color=PALETTE[0], label="networks"
        )
        if title in reported:
            ax.plot(reported[title][x], reported[title][y], "o", ms=4.5, color=REPORTED, label="the paper")
        ax.set_xticks(sorted(set(table[x])))
    for ax, title in zip(axes[0], measured, strict=True):
        dress(ax, share=share, title=title)
    shown = {label: handle for ax in axes[0] for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    figure.legend(shown.values(), shown.keys(), loc="outside right upper")
    figure.supxlabel(xlabel, size=9)
    figure.supylabel(ylabel, size=9)
    return figure
