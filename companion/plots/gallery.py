"""A gallery of units: what excites them most, what they want most, and what comes back from them to the pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from companion.plots.theme import DIVERGING, themed

DOTS = 110  # per inch, those of every figure here: each pixel of an image gets a whole number of them
WALL, GREY = 2, 0.6  # between the images of a mosaic: dots, and shade
AISLE, BETWEEN, MARGIN = 30, 37, 125  # dots between two triptychs, between two rows, and to the left
SHADES = 16  # steps from black to white: photographs share the 256 colours of a palette, and files stay small
FRAME = "#35c4dd"  # seen on digits and on photographs
SHOWN = dict(vmin=0, vmax=1, interpolation="nearest")


class Triptych(NamedTuple):
    """What is shown of one unit.

    Attributes
    ----------
    nine : array, shape (9, H, W) or (9, H, W, 3)
        Its strongest images, or what it sees of them: bytes.
    maximal : array, shape (H, W) or (H, W, 3)
        The input that excites it most: bytes.
    deconv : array, shape (H, W) or (H, W, 3)
        An image sent back to the pixels: bytes, zero at 127.5.
    caption : str
        One line below it.
    """

    nine: np.ndarray
    maximal: np.ndarray
    deconv: np.ndarray
    caption: str


class View(NamedTuple):
    """An image (H, W) or (H, W, 3) in bytes and what came back from it: rows, each a label, a frame and its columns.

    A frame is (top, left, side) in pixels, a column an image like the first with zero at 127.5.
    """

    image: np.ndarray
    rows: Sequence[tuple[str, tuple[int, int, int], Sequence[np.ndarray]]]


@themed
def gallery(rows: Mapping[str, Sequence[Triptych]]) -> Figure:
    """Hang triptychs, one row for each layer: the nine above, below them the maximal input and the deconv image.

    Parameters
    ----------
    rows : mapping
        Label of a row, its first line set in bold, and its triptychs.

    Notes
    -----
    The nine are shown as they are. The contrast of a maximal input is stretched to the full range, that of a deconv
    image about its zero. A grey deconv image is blue where more would excite the unit more, orange where less would; in
    a coloured one grey is zero.
    """
    largest = max(one.maximal.shape[0] for triptychs in rows.values() for one in triptychs)
    side = min(max(largest, 28), 34)  # dots for one of the nine: twice as many; for what is below: three times
    gap, tile = 4 * WALL, 3 * side
    wide = 2 * tile + gap
    high = wide + gap + tile
    size = MARGIN + max(map(len, rows.values())) * (wide + AISLE) - AISLE, len(rows) * (high + BETWEEN)
    figure = plt.figure(figsize=(size[0] / DOTS, size[1] / DOTS), layout="none")

    def hang(image: np.ndarray, left: int, top: int, side: int, cmap: str | Colormap = "gray") -> None:
        ax = figure.add_axes((left / size[0], 1 - (top + side) / size[1], side / size[0], side / size[1]))
        ax.imshow(image, cmap=cmap, **SHOWN)
        _bare(ax)

    def write(x: float, y: float, words: str, **style: Any) -> None:
        figure.text(x / size[0], 1 - y / size[1], words, **style)

    for line, (label, triptychs) in enumerate(rows.items()):
        top = line * (high + BETWEEN)
        name, _, rest = label.partition("\n")
        aside = dict(x=MARGIN - 15, ha="right")
        write(y=top + 2, words=name, va="top", size=11, weight="bold", color="0.15", **aside)
        write(y=top + 26, words=rest, va="top", size=8, color="0.4", linespacing=1.35, **aside)
        if line == 0:
            told = dict(va="bottom", size=8, color="0.25", style="italic", **aside)
            write(y=top + wide, words="the nine\nstrongest", **told)
            write(y=top + high, words="maximal input |\ndeconv image", **told)
        for column, one in enumerate(triptychs):
            left, below = MARGIN + column * (wide + AISLE), top + wide + gap
            hang(_mosaic(one.nine / 255, 2 * side), left, top, wide)
            hang(_stretched(one.maximal), left, below, tile)
            hang(_clearer(one.deconv), left + tile + gap, below, tile, cmap=DIVERGING)
            write(left + wide / 2, top + high + 2, one.caption, ha="center", va="top", size=8, color="0.25")
    return figure


@themed
def views(parts: Mapping[str, View], titles: Sequence[str], *, size: float = 0.8) -> Figure:
    """Show images layer by layer, what a unit sees of them framed, beside what comes back from that unit.

    Parameters
    ----------
    parts : mapping
        Title and view of each block; all have as many rows.
    titles : sequence of str
        Of the columns beside the image.
    """
    down, across = max(len(view.rows) for view in parts.values()), 1 + len(titles)
    wide = (size * across + 0.75) * len(parts)
    figure = plt.figure(figsize=(wide, size * 1.06 * down + 0.5))
    for block, (title, view) in zip(figure.subfigures(1, len(parts), squeeze=False)[0], parts.items(), strict=True):
        axes = block.subplots(down, across, squeeze=False)
        for line, (label, (top, left, side), columns) in zip(axes, view.rows, strict=True):
            line[0].imshow(view.image / 255, cmap="gray", **SHOWN)
            line[0].set_ylabel(label, rotation=0, ha="right", va="center")
            for ax, back in zip(line[1:], columns, strict=True):
                ax.imshow(_clearer(back), cmap=DIVERGING, **SHOWN)
            for ax in line:
                _bare(ax)
            frame = Rectangle((left - 0.5, top - 0.5), side, side, fill=False, ec=FRAME, lw=1.5, clip_on=False)
            line[0].add_patch(frame)
        for ax, name in zip(axes[0], [title, *titles], strict=True):
            ax.set_title(name, loc="center", size=8)
    return figure


def _bare(ax: Axes) -> None:
    ax.set(xticks=[], yticks=[])
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)


def _mosaic(nine: np.ndarray, side: int) -> np.ndarray:
    """Lay nine images on grey, three by three, each enlarged to side x side."""
    step = side + WALL
    mosaic = np.full((3 * step + WALL, 3 * step + WALL, *nine.shape[3:]), GREY)
    pixel = np.arange(side) * nine.shape[1] // side
    for place, image in enumerate(_few_shades(nine)[:, pixel][:, :, pixel]):
        top, left = (WALL + step * steps for steps in divmod(place, 3))
        mosaic[top : top + side, left : left + side] = image
    return mosaic


def _stretched(image: np.ndarray) -> np.ndarray:
    """Return an image in [0, 1] with its contrast stretched, the same in all its colours."""
    low, high = np.quantile(image, [0.005, 0.995])
    return _few_shades(np.clip((image - low) / max(high - low, 1.0), 0, 1))


def _clearer(image: np.ndarray) -> np.ndarray:
    """Return an image about 127.5 in [0, 1], its contrast raised until one entry in two hundred is at an end."""
    apart = image - 127.5
    return _few_shades(0.5 + np.clip(apart / max(np.quantile(np.abs(apart), 0.995), 1.0), -1, 1) / 2)


def _few_shades(image: np.ndarray) -> np.ndarray:
    return (image * SHADES).round() / SHADES
