"""Circles and spheres of directions."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from companion.plots.theme import PALETTE, coloured, themed


@themed
def polar(parts: Mapping[str, pd.DataFrame], angle: str, value: str, *, hue: str, arrows: bool = True) -> Figure:
    """Draw values against a direction as distances from the centre, one panel for each table.

    Negative values are drawn as distances too, dashed: they lie on the side from which they come.

    Parameters
    ----------
    angle : str
        Column with directions, in degrees.
    value : str
        Column with values, 0 at the centre.
    hue : str
        Column by which lines are told apart.
    arrows : bool
        Whether `hue` is a direction itself, in degrees, and gets an arrow.
    """
    size = (2.5 * len(parts) + 1.0, 2.9)
    figure, axes = plt.subplots(1, len(parts), figsize=size, subplot_kw={"projection": "polar"}, squeeze=False)
    top = max(float(np.abs(part[value]).max()) for part in parts.values())
    for ax, (title, part) in zip(axes.flat, parts.items(), strict=True):
        for colour, (label, line) in coloured(part.groupby(hue, sort=False)):
            line = line.sort_values(angle)
            turned, values = np.radians(line[angle]), line[value].to_numpy()
            ax.plot(turned, np.where(values >= 0, values, np.nan), color=colour, label=str(label))
            ax.plot(turned, np.where(values < 0, -values, np.nan), color=colour, ls=":", lw=1.2)
            if arrows:
                tip = {"arrowstyle": "-|>", "color": colour, "lw": 1.0, "shrinkA": 0, "shrinkB": 0}
                ax.annotate("", (np.radians(float(label)), 1.12 * top), (0, 0), arrowprops=tip)
        ax.set(ylim=(0, 1.15 * top), yticks=[top / 2, top], title=title)
        ax.set_yticklabels([])
        ax.set_xticks(np.radians(range(0, 360, 60)))
        ax.tick_params(pad=-1, labelsize=7)
        ax.spines["polar"].set_visible(False)
    figure.legend(*axes.flat[0].get_legend_handles_labels(), title=hue, loc="outside right upper")
    return figure


@themed
def sphere(parts: Mapping[str, tuple[np.ndarray, np.ndarray]], *, centres: Mapping[str, np.ndarray]) -> Figure:
    """Show unit vectors (N, 3) in the colours of their labels (N,), one ball for each entry.

    Parameters
    ----------
    centres : mapping
        For some of the entries, vectors (k, 3) that are drawn as pins from the middle, in the labels' colours.
    """
    figure = plt.figure(figsize=(2.7 * len(parts) + 0.4, 2.8))
    grid = np.linspace(0, np.pi, 13)[None, :], np.linspace(0, 2 * np.pi, 25)[:, None]
    ball = [np.sin(grid[0]) * np.cos(grid[1]), np.sin(grid[0]) * np.sin(grid[1]), np.cos(grid[0]) + 0 * grid[1]]
    for place, (title, (points, labels)) in enumerate(parts.items(), start=1):
        ax = figure.add_subplot(1, len(parts), place, projection="3d", computed_zorder=False)
        ax.plot_wireframe(*ball, color="0.85", lw=0.4, zorder=0)
        for label in np.unique(labels):
            colour = PALETTE[int(label) % len(PALETTE)]
            ax.scatter(*points[labels == label].T, s=9, alpha=0.6, color=colour, lw=0, rasterized=True)
        for label, centre in enumerate(centres.get(title, ())):
            colour = PALETTE[label % len(PALETTE)]
            ax.plot(*np.outer(centre, [0, 1.15]), color=colour, marker="o", markevery=[1], ms=5)
        ax.set(xlim=(-1, 1), ylim=(-1, 1), zlim=(-1, 1))
        ax.set_title(title, loc="center", y=0.98)
        ax.set_axis_off()
        ax.view_init(elev=25, azim=20)
        ax.set_box_aspect((1, 1, 1), zoom=1.25)
    return figure
