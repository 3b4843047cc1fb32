"""What there is to be seen itself: images, and clouds of points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d.art3d import Poly3DCollection

from companion.plots.theme import PALETTE, coloured, themed


@themed
def images(
    rows: Mapping[str, np.ndarray], *, titles: Sequence[str] = (), size: float = 0.85, captions: Mapping | None = None
) -> Figure:
    """Show rows of images; each row is (N, H, W) grey or (N, H, W, 3) in bytes or in [0, 1].

    Parameters
    ----------
    titles : sequence of str
        One above each column.
    captions : mapping, optional
        For some of the rows, one text below each image.
    """
    across = max(len(row) for row in rows.values())
    figure, axes = plt.subplots(
        len(rows), across, figsize=(size * across + 0.9, (size + 0.12) * len(rows)), squeeze=False
    )
    for line, (label, row) in zip(axes, rows.items(), strict=True):
        top = 255 if np.asarray(row).dtype == np.uint8 else 1
        for column, ax in enumerate(line):
            ax.set_xticks([])
            ax.set_yticks([])
            ax.spines[:].set_visible(False)
            if column < len(row):
                ax.imshow(row[column], cmap="gray", vmin=0, vmax=top)
            if captions and label in captions and column < len(captions[label]):
                ax.set_xlabel(captions[label][column], size=8, labelpad=2)
        line[0].set_ylabel(label, rotation=0, ha="right", va="center")
    for ax, title in zip(axes[0], titles, strict=False):
        ax.set_title(title, loc="center", size=8)
    return figure


@themed
def points_3d(
    panels: Mapping[str, tuple[np.ndarray, np.ndarray]],
    *,
    names: Mapping[int, str],
    limits: float | None = None,
    sheets: Mapping[str, Sequence[np.ndarray]] | None = None,
) -> Figure:
    """Show clouds of points (N, 3) with labels (N,), one panel each; `names` maps the labels that get a colour.

    `sheets` gives, for the panels of the same title, the corners (4, 3) of flat pieces to draw as translucent planes.
    """
    figure = plt.figure(figsize=(2.7 * len(panels) + 1.0, 2.9))
    for place, (title, (points, labels)) in enumerate(panels.items(), start=1):
        ax = figure.add_subplot(1, len(panels), place, projection="3d", computed_zorder=False)
        for tint, corners in zip(("0.6", PALETTE[3]), (sheets or {}).get(title, ()), strict=False):
            ax.add_collection3d(Poly3DCollection([corners], facecolor=tint, alpha=0.13, lw=0))
        rest = ~np.isin(labels, list(names))
        ax.scatter(*points[rest].T, s=3, color="0.6", alpha=0.5, label="background", rasterized=True)
        for colour, (label, name) in coloured(names.items()):
            ax.scatter(*points[labels == label].T, s=4, color=colour, label=name)
        if limits:
            ax.set(xlim=(-limits, limits), ylim=(-limits, limits), zlim=(-limits, limits))
        ax.set_title(title, loc="center", y=0.97)
        ax.tick_params(labelsize=6, pad=-2)
        ax.set_xlabel("x", labelpad=-8)
        ax.set_ylabel("y", labelpad=-8)
        ax.set_zlabel("z", labelpad=-10)
        ax.view_init(elev=14, azim=-62)
        ax.set_box_aspect(None, zoom=0.95)
    figure.legend(*ax.get_legend_handles_labels(), loc="outside right upper", markerscale=3)
    return figure
