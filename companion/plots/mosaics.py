"""Mosaics with the attention they get."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from companion.plots.gallery import FRAME, SHADES
from companion.plots.theme import PALETTE, themed

WALL = 2  # pixels between patches
BAR = PALETTE[1]  # the weight of a patch
INCH = 1.45  # side of a mosaic


class Attended(NamedTuple):
    """A mosaic and the weights of its patches.

    Attributes
    ----------
    patches : array, shape (9, 3, H, W)
        Bytes.
    weights : array, shape (9,)
        Non-negative, summing to one.
    position : int
        The slot of the foreground.
    title : str
        One line above it.
    """

    patches: np.ndarray
    weights: np.ndarray
    position: int
    title: str = ""


@themed
def attended(mosaics: Sequence[Attended], *, columns: int = 6) -> Figure:
    """Show mosaics as nine patches, and below each the average that its weights make of them.

    The foreground's slot is framed; a bar at the foot of a patch is as long as its weight.

    Parameters
    ----------
    mosaics : sequence of Attended
        One after the other, in rows.
    columns : int
        How many in a row.
    """
    columns = min(columns, len(mosaics))
    lines = -(-len(mosaics) // columns)
    size = (columns * (INCH + 0.12), lines * (1.52 * INCH + 0.3))
    figure, axes = plt.subplots(2 * lines, columns, figsize=size, squeeze=False, height_ratios=[3, 1.5] * lines)
    for ax in axes.flat:
        ax.set_axis_off()
    for place, mosaic in enumerate(mosaics):
        line, column = divmod(place, columns)
        _show(axes[2 * line, column], mosaic)
        average = np.tensordot(mosaic.weights, mosaic.patches.astype(float), 1)
        axes[2 * line + 1, column].imshow(_few_shades(average.transpose(1, 2, 0)), interpolation="nearest")
    return figure


def _show(ax: Axes, mosaic: Attended) -> None:
    side = mosaic.patches.shape[-1]
    step = side + WALL
    canvas = np.ones((3 * step - WALL, 3 * step - WALL, 3))
    for slot, (patch, weight) in enumerate(zip(mosaic.patches, mosaic.weights, strict=True)):
        top, left = (step * steps for steps in divmod(slot, 3))
        canvas[top : top + side, left : left + side] = _few_shades(patch.transpose(1, 2, 0))
        foot = top + side - 4.5
        ax.add_patch(Rectangle((left - 0.5, foot), side, 4, color="white", lw=0))
        ax.add_patch(Rectangle((left - 0.5, foot), side * weight, 4, color=BAR, lw=0))
    ax.imshow(canvas, interpolation="nearest")
    top, left = (step * steps for steps in divmod(mosaic.position, 3))
    frame = Rectangle((left - 0.5, top - 0.5), side, side, fill=False, ec=FRAME, lw=2, clip_on=False)
    ax.add_patch(frame)
    ax.set_title(mosaic.title, size=8, loc="center", pad=3)


def _few_shades(image: np.ndarray) -> np.ndarray:
    return (image / 255 * SHADES).round() / SHADES
