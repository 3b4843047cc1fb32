"""Classes of points in the plane, each with its number, and a value for each class in colour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.colors import Normalize, to_rgb
from matplotlib.figure import Figure

from companion.plots.theme import DIVERGING, PALETTE, themed


@themed
def classes(
    points: np.ndarray,
    labels: np.ndarray,
    panels: Mapping[str, Sequence[float] | None],
    *,
    foreground: int,
    across: int = 4,
    size: float = 2.1,
    unit: str = "",
) -> Figure:
    """Draw the same points in every panel, coloured by class, or by a value of each class.

    Parameters
    ----------
    points, labels : array, shape (N, 2) and (N,)
        Points and their classes, numbered from 0.
    panels : mapping
        Title of each panel, and one value for each class; with None each class has a colour of its own. Every panel
        has its own scale, from minus to plus the greatest absolute value, which stands below it.
    foreground : int
        The first so many classes are foreground: strong colours of their own, rings where values are shown.
    unit : str
        What the values are.
    """
    across = min(across, len(panels))
    down = -(-len(panels) // across)
    figure, axes = plt.subplots(down, across, figsize=(size * across + 0.9, (size + 0.35) * down), squeeze=False)
    known = int(labels.max()) + 1
    greys = sns.light_palette("0.25", known - foreground + 2)[2:]
    own = np.array([to_rgb(tint) for tint in (*PALETTE[:foreground], *greys)])
    middles = np.array([points[labels == label].mean(0) for label in range(known)])
    reach = 1.18 * np.abs(points).max()
    for ax, (title, values) in zip(axes.flat, panels.items(), strict=False):
        ax.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", title=title, xticks=[], yticks=[])
        ax.grid(visible=False)
        ax.spines[:].set_color("0.85")
        ax.spines[:].set_visible(True)
        if values is None:
            ax.scatter(*points.T, s=5, lw=0, c=own[labels], rasterized=True)
            for label, (x, y) in enumerate(middles):
                strong = own[label] if label < foreground else "0.2"
                ax.text(x + 0.55, y + 0.45, str(label), ha="center", va="center", size=8, color=strong)
            continue
        top = np.abs(values).max() or 1.0
        tints = DIVERGING(Normalize(-top, top)(np.asarray(values)))
        ax.scatter(*points.T, s=5, lw=0, c=tints[labels], rasterized=True)
        ax.scatter(*middles[:foreground].T, s=230, fc="none", ec="0.3", lw=0.8)
        ax.set_xlabel(f"±{top:.2g} {unit}".rstrip(), size=7.5, labelpad=2)
    for ax in axes.flat[len(panels) :]:
        ax.set_visible(False)
    if any(values is not None for values in panels.values()):
        bar = figure.colorbar(plt.cm.ScalarMappable(Normalize(-1, 1), DIVERGING), ax=axes, shrink=0.8, pad=0.015)
        bar.set_ticks([-1, 0, 1], labels=["attracts\nweight", "0", "repels"])
        bar.outline.set_visible(False)
    return figure
