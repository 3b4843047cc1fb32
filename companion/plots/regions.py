"""Half-planes in the square from -1 to 1: where units change sign, and what a network makes of the pieces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from companion.plots.theme import DIVERGING, PALETTE, themed

SHADES = ListedColormap(DIVERGING(np.linspace(0.12, 0.88, 5)))  # steps, not a ramp: borders are seen, files are small


class Cut(NamedTuple):
    """A network in the square.

    Attributes
    ----------
    inside : array, shape (S, S)
        How sure it is that a point is inside, from 0 to 1, the first coordinate running along the rows.
    lines : array, shape (k, 3)
        Weights and bias of each unit.
    note : str
        A short text below.
    """

    inside: np.ndarray
    lines: np.ndarray
    note: str = ""


@themed
def half_planes(
    rows: Mapping[str, Sequence[Cut]],
    *,
    titles: Sequence[str] = (),
    points: Mapping[str, tuple[np.ndarray, np.ndarray]] | None = None,
    outline: float | None = None,
    size: float = 1.15,
) -> Figure:
    """Draw rows of networks: how sure each is of the inside (blue) and of the outside (orange), and its units' zeros.

    Parameters
    ----------
    titles : sequence of str
        One above each column of networks.
    points : mapping, optional
        Points (N, 2) and labels (N,) of each row, drawn in a column of their own.
    outline : float, optional
        Radius of a circle that is drawn over every network.
    size : float
        Of one square, in inches.
    """
    first = int(points is not None)
    across = first + max(map(len, rows.values()))
    shape = (size * across + 0.9, (size + 0.17) * len(rows) + 0.2)
    figure, axes = plt.subplots(len(rows), across, figsize=shape, squeeze=False)
    for line, (label, cuts) in zip(axes, rows.items(), strict=True):
        if points is not None:
            places, labels = points[label]
            tints = np.where(labels[:, None] > 0, [PALETTE[0]], [PALETTE[1]])[:, 0]
            line[0].scatter(*places.T, s=1.6, lw=0, c=tints)
        for ax, cut in zip(line[first:], cuts, strict=False):
            _network(ax, cut, outline)
        for ax in line:
            ax.set(xlim=(-1, 1), ylim=(-1, 1), xticks=[], yticks=[], aspect="equal")
            ax.grid(visible=False)
            ax.spines[:].set_visible(False)
        line[0].set_ylabel(label, rotation=0, ha="right", va="center")
    for ax, title in zip(axes[0, first:], titles, strict=False):
        ax.set_title(title, loc="center", size=8.5)
    return figure


def _network(ax: Axes, cut: Cut, outline: float | None) -> None:
    ax.imshow(cut.inside, cmap=SHADES, vmin=0, vmax=1, origin="lower", extent=(-1, 1, -1, 1), interpolation="nearest")
    for a, b, c in cut.lines:
        ends = np.array([-1.0, 1.0])
        # a x + b y + c = 0, solved for the coordinate that changes less along the line
        drawn = (ends, -(a * ends + c) / b) if abs(b) > abs(a) else (-(b * ends + c) / a, ends)
        ax.plot(*drawn, color="0.1", lw=0.7)
    if outline is not None:
        ax.add_patch(plt.Circle((0, 0), outline, fill=False, ec="white", lw=1.2, ls="--"))
    ax.set_xlabel(cut.note, size=7.5, labelpad=2)
