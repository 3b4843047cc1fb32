"""What becomes of recognition as an image is turned."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from companion.plots.lines import curves
from companion.plots.theme import PALETTE, REPORTED, dress, panel, themed


@themed
def by_angle(
    table: pd.DataFrame,
    y: str,
    *,
    hue: str,
    trained: tuple[float, float],
    chance: float,
    reported: Iterable[float] = (),
    title: str = "",
    ax: Axes | None = None,
) -> Figure:
    """Draw accuracy (column `y`, a share) against the column "angle" in degrees, one line per value of `hue`.

    Parameters
    ----------
    trained : (float, float)
        Range of angles that is shaded.
    chance : float
        Height of the grey line.
    reported : iterable of float
        Angles marked in red on both sides of zero.
    """
    figure, ax = panel(ax, (5.6, 3.0))
    ax.axvspan(*trained, color="0.93", lw=0, zorder=0)
    ax.axhline(chance, color="0.55", lw=0.9, ls=":")
    for angle in reported:
        for side in (-angle, angle):
            ax.axvline(side, color=REPORTED, lw=1.1, ls="--")
    curves(table, "angle", y, hue=hue, share=True, xlabel="angle (degrees)", ylabel="accuracy", title=title, ax=ax)
    ax.set_xlim(-180, 180)
    ax.set_xticks(range(-180, 181, 45 if figure.get_size_inches()[0] < 7 * len(figure.axes) else 90))
    ax.set_ylim(-0.03, 1.03)
    return figure


@themed
def answers(image: np.ndarray, probabilities: np.ndarray, names: Sequence[str], true: int, *, title: str) -> Figure:
    """Show an image (H, W) in [0, 1] beside the probability of every class, that of the true one in another colour."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(5.2, 2.3), width_ratios=(1, 1.5))
    left.imshow(image, cmap="gray", vmin=0, vmax=1)
    left.set(xticks=[], yticks=[], title=title)
    left.grid(visible=False)
    colours = [PALETTE[1] if place == true else PALETTE[0] for place in range(len(names))]
    right.bar(range(len(names)), probabilities, color=colours)
    right.set_xticks(range(len(names)), names)
    right.set_ylim(0, 1)
    right.grid(axis="x", visible=False)
    dress(right, share=True, xlabel="taken for", ylabel="probability")
    return figure
