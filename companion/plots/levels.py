"""Curves against a level, with what is reported at each level and with heights that theory gives."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from companion.plots.lines import curves
from companion.plots.theme import REPORTED, STYLES, panel, themed


@themed
def levels(
    table: pd.DataFrame,
    x: str,
    y: str,
    *,
    reported: pd.DataFrame | None = None,
    theory: Mapping[str, float] | None = None,
    size: tuple[float, float] = (5.6, 3.2),
    ax: Axes | None = None,
    **options: Any,
) -> Figure:
    """Draw `curves`, red crosses at what a paper reports, and grey lines at heights that theory gives.

    Parameters
    ----------
    reported : DataFrame, optional
        Columns x and y.
    theory : mapping, optional
        Labels and heights.
    size : (width, height)
        Of a figure made here, in inches.
    options
        Of `curves`.
    """
    figure, ax = panel(ax, size)
    for (label, height), style in zip((theory or {}).items(), itertools.cycle(STYLES), strict=False):
        ax.axhline(height, color="0.45", ls=style, lw=1.1, label=label)
    if reported is not None and len(reported):
        ax.plot(reported[x], reported[y], "x", ms=5.5, mew=1.5, color=REPORTED, label="reported", zorder=5)
    curves(table, x, y, ax=ax, **options)
    if options.get("log_x"):
        ax.xaxis.set_major_formatter("{x:g}")  # levels below one read better so than in thousandths
    legend = ax.get_legend()
    title = legend.get_title().get_text() if legend is not None else None
    ax.legend(title=title, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure
