"""Points in the plane, and behind them what networks make of every place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from companion.plots.theme import PALETTE, themed

REST = "0.4"  # background points
# Steps, not a ramp: borders are seen, files are small. No foreground class has this colour.
WEIGHTS = sns.blend_palette(["0.97", PALETTE[4]], n_colors=10)
TINTS = ListedColormap([0.45 * np.array(to_rgb(colour)) + 0.55 for colour in PALETTE])


class Plane(NamedTuple):
    """A part of the plane.

    Attributes
    ----------
    points : array, shape (N, 2)
        The points to show.
    labels : array, shape (N,)
        Their classes.
    limits : (left, right, bottom, top)
        What is shown.
    behind : array, shape (S, S), optional
        What lies behind the points, rows upwards: weights in [0, 1], or classes.
    classes : bool
        Whether it is classes.
    note : str
        A short text below.
    """

    points: np.ndarray
    labels: np.ndarray
    limits: tuple[float, float, float, float]
    behind: np.ndarray | None = None
    classes: bool = False
    note: str = ""


@themed
def plane(
    rows: Mapping[str, Sequence[Plane]],
    *,
    foreground: int,
    titles: Sequence[str] = (),
    size: float = 1.55,
) -> Figure:
    """Draw rows of points in the plane, foreground classes in colour, the others grey.

    Parameters
    ----------
    rows : mapping
        Label and planes of each row.
    foreground : int
        The first so many classes are foreground; places have the colours of the same classes.
    titles : sequence of str
        One above each column.
    size : float
        Of one square, in inches.
    """
    across = max(map(len, rows.values()))
    every = [one for row in rows.values() for one in row]
    noted = any(one.note for one in every)
    beside = 1.1 + 1.0 * any(rows) + 0.7 * any(one.behind is not None and not one.classes for one in every)
    shape = (size * across + beside, (size + 0.1) * len(rows) + 0.3 + 0.1 * noted)
    figure, axes = plt.subplots(len(rows), across, figsize=shape, squeeze=False)
    weighed = None
    for line, (label, row) in zip(axes, rows.items(), strict=True):
        for ax, one in zip(line, row, strict=False):
            drawn = _plane(ax, one, foreground)
            weighed = drawn if drawn is not None and not one.classes else weighed
        for ax in line[len(row) :]:
            ax.set_visible(False)
        line[0].set_ylabel(label, rotation=0, ha="right", va="center")
    for ax, title in zip(axes[0], titles, strict=False):
        ax.set_title(title, loc="center", size=8.5)
    handles = [plt.Line2D([], [], marker="o", ls="", ms=4, color=PALETTE[k]) for k in range(foreground)]
    handles.append(plt.Line2D([], [], marker="o", ls="", ms=4, color=REST))
    names = [f"class {k}" for k in range(foreground)] + ["background"]
    figure.legend(handles, names, loc="outside right upper")
    if weighed is not None:
        bar = figure.colorbar(weighed, ax=axes, shrink=min(1.0, 1.4 / len(rows)), pad=0.01, label="weight")
        bar.outline.set_visible(False)
    return figure


def _plane(ax: Axes, one: Plane, foreground: int) -> AxesImage | None:
    drawn = None
    if one.behind is not None:
        top = len(PALETTE) - 0.5 if one.classes else 1
        shades = TINTS if one.classes else ListedColormap(WEIGHTS)
        given = dict(cmap=shades, vmin=-0.5 if one.classes else 0, vmax=top, interpolation="nearest")
        drawn = ax.imshow(one.behind, origin="lower", extent=one.limits, aspect="auto", **given)
    ordered = np.argsort(-one.labels, kind="stable")  # background first
    colours = np.array([to_rgb(PALETTE[k]) for k in range(foreground)] + [to_rgb(REST)])
    places, labels = one.points[ordered], np.minimum(one.labels[ordered], foreground)
    ax.scatter(*places.T, s=4, lw=0, c=colours[labels])
    left, right, bottom, top = one.limits
    ax.set(xlim=(left, right), ylim=(bottom, top), xticks=[], yticks=[])
    ax.set_box_aspect(1)
    ax.grid(visible=False)
    ax.spines[:].set_visible(True)
    ax.spines[:].set_color("0.85")
    ax.set_xlabel(one.note, size=7.5, labelpad=2)
    return drawn
