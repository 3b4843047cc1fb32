"""Pictures of other tasks than digits: images as graphs, and canvases with maps of what is new in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from companion.plots.theme import PALETTE, themed

CLASSES = ListedColormap([*PALETTE, "#c9b458", "#34363b", "0.93"])  # ten digits and the ground
MAP = "magma"
FRAMES = ("#35c4dd", "#79d968")  # seen on all of the map's colours
ROOM = 1.45  # inches for a canvas


@themed
def graphs(pictures: Mapping[str, np.ndarray], nodes: np.ndarray, edges: np.ndarray) -> Figure:
    """Draw images above their graphs.

    Parameters
    ----------
    pictures : mapping
        Title and image (H, W), in shares of full ink.
    nodes : array, shape (N, V, 4)
        Ink, place across and down, and whether there is a node, as `superpixels` gives them.
    edges : array, shape (N, V, V)
        Weights, none for absent nodes.
    """
    figure, axes = plt.subplots(2, len(pictures), figsize=(1.4 * len(pictures), 2.95), squeeze=False)
    for column, (title, image) in enumerate(pictures.items()):
        top, bottom = axes[:, column]
        top.imshow(image, cmap="gray", vmin=0, vmax=1)
        top.set_title(title, loc="center")
        ink, across, down, _ = nodes[column][nodes[column][:, 3] > 0].T
        joined = np.triu(np.maximum(edges[column], edges[column].T), 1)
        one, other = np.nonzero(joined)
        place = nodes[column][:, 1:3]
        width = 2.2 * joined[one, other] / joined.max()
        bottom.add_collection(LineCollection(np.stack([place[one], place[other]], 1), lw=width, color="0.35"))
        bottom.scatter(across, down, c=ink, cmap="gray", vmin=0, vmax=1, s=17, lw=0.6, ec="0.55", zorder=2)
        bottom.set(xlim=(0, 1), ylim=(1, 0), aspect="equal", facecolor="0.1")
        for ax in (top, bottom):
            _bare(ax)
    return figure


@themed
def novelty_maps(
    pictures: np.ndarray,
    answers: np.ndarray,
    maps: Mapping[str, np.ndarray],
    boxes: Sequence[Sequence[tuple[str, tuple[float, float, float, float]]]],
) -> Figure:
    """Draw canvases above what is answered pixel by pixel, and above maps of how new each pixel seems.

    Parameters
    ----------
    pictures : array, shape (N, H, W)
        Canvases, in shares of full ink.
    answers : array, shape (N, H, W)
        Classes from 0 to 10, the last the ground.
    maps : mapping
        Title and map (N, H, W); each has a scale of its own; one pixel in 50 is beyond its end.
    boxes : sequence, one for each canvas
        Kind and (left, top, right, bottom) of what was pasted there.
    """
    down, across = 2 + len(maps), len(pictures)
    figure, axes = plt.subplots(down, across, figsize=(ROOM * across + 1.9, ROOM * down), squeeze=False)
    kinds = list(dict.fromkeys(kind for some in boxes for kind, _ in some))
    tints = dict(zip(kinds, FRAMES, strict=False))
    for ax, picture in zip(axes[0], pictures, strict=True):
        ax.imshow(picture, cmap="gray", vmin=0, vmax=1)
    for ax, answer in zip(axes[1], answers, strict=True):
        ax.imshow(answer, cmap=CLASSES, vmin=-0.5, vmax=10.5, interpolation="nearest")
    for line, (title, found) in zip(axes[2:], maps.items(), strict=True):
        highest = float(np.quantile(found, 0.98))
        for ax, one in zip(line, found, strict=True):
            mesh = ax.imshow(one, cmap=MAP, vmin=0, vmax=highest, interpolation="nearest")
        # Inset, as the legends are: no row of canvases is narrower than another.
        figure.colorbar(mesh, cax=line[-1].inset_axes((1.04, 0, 0.06, 1))).outline.set_visible(False)
        line[0].set_ylabel(title)
    axes[0, 0].set_ylabel("canvas")
    axes[1, 0].set_ylabel("answer")
    for line in axes:
        for ax, some in zip(line, boxes, strict=True):
            _bare(ax)
            for kind, (left, top, right, bottom) in some:
                corner = left - 1.5, top - 1.5
                size = right - left + 2, bottom - top + 2
                ax.add_patch(Rectangle(corner, *size, fill=False, ec=tints[kind], lw=1.2))
    frames = [Patch(fill=False, ec=tint, lw=1.2, label=kind) for kind, tint in tints.items()]
    names = [*map(str, range(10)), "ground"]
    squares = [Patch(color=CLASSES(place), label=name) for place, name in enumerate(names)]
    axes[0, -1].legend(handles=frames, title="pasted", loc="upper left", bbox_to_anchor=(1.02, 1))
    axes[1, -1].legend(
        handles=squares, title="answer", ncols=2, loc="upper left", bbox_to_anchor=(1.02, 1.1), handlelength=1,
        labelspacing=0.25, columnspacing=0.8,
    )  # fmt: skip
    return figure


def _bare(ax: Axes) -> None:
    ax.set_xticks([])
    ax.set_yticks([])
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)
