"""Networks as blocks: what flows from layer to layer, drawn from the table of their layers."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

from companion.plots.theme import PALETTE, themed

MUTE = ("ReLU", "Flatten", "Ink", "Pixels")  # change no number of units, or only how they are written down
NAMES = {"Conv2d": "convolution", "MaxPool2d": "max-pool", "Linear": "dense"}
SLANT = 0.35  # of the depth, to the right and upwards


@themed
def architecture(networks: Mapping[str, pd.DataFrame], *, size: tuple[float, float] = (7.2, 1.9)) -> Figure:
    """Draw one network a row: its feature maps as boxes to scale, its vectors as columns, weights below.

    Parameters
    ----------
    networks : mapping
        Title and layers, as `companion.models.layer_table` returns them.
    size : (width, height)
        Of one network, in inches.
    """
    figure, axes = plt.subplots(len(networks), 1, figsize=(size[0], size[1] * len(networks)), squeeze=False)
    longest = 0.0
    for ax, (title, table) in zip(axes[:, 0], networks.items(), strict=True):
        total = table["parameters"].sum()
        ax.set_title(f"{title}: {total:,} weights, {table['multiply_adds'].sum():,} multiply-adds an image")
        longest = max(longest, _network(ax, table))
    for ax in axes[:, 0]:  # one scale for all
        ax.set(xlim=(-3, longest + 3), ylim=(-26, 37))
        ax.axis("off")
    return figure


def _network(ax: Axes, table: pd.DataFrame) -> float:
    """Draw the blocks from left to right and return where they end."""
    blocks = [("input", table["output"].iloc[0], 0)]
    blocks += [
        (NAMES.get(row.layer, row.layer), row.output, row.parameters)
        for row in table.itertuples()
        if row.layer not in MUTE
    ]
    left, top = 0.0, 28.0
    for place, (name, shape, weights) in enumerate(blocks):
        sizes = [int(side) for side in shape.split("x")]
        maps = len(sizes) == 3
        height = sizes[0] if maps else 4 + sizes[0] ** 0.5
        width, depth = (1.5 + 0.5 * sizes[2], sizes[1] * SLANT) if maps else (1.6, 0.0)
        _block(ax, left, (top - height) / 2, width, height, depth, PALETTE[0] if maps else PALETTE[2])
        middle = left + (width + depth) / 2
        shown = "×".join(map(str, sizes))
        below = f"{name}\n{shown}" + (f"\n{weights:,}" if weights else "")
        ax.text(middle, -7.5, below, ha="center", va="top", size=7.5, linespacing=1.3)
        left += width + depth + (9 if place + 1 < len(blocks) else 0)
    return left


def _block(ax: Axes, x: float, y: float, width: float, height: float, depth: float, colour: str) -> None:
    """Draw a box in parallel perspective, its front to the reader."""
    front = [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]
    moved = [(a + depth, b + depth / 2) for a, b in front]
    for corners, alpha in (
        ([front[3], front[2], moved[2], moved[3]], 0.25),
        ([front[1], front[2], moved[2], moved[1]], 0.45),
        (front, 0.7),
    ):
        ax.add_patch(Polygon(corners, fc=colour, ec="white", lw=0.8, alpha=alpha))
