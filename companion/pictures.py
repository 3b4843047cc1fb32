"""Figures as PNG: small, with text chunks that say where they come from, the same bytes for the same picture."""

from __future__ import annotations

import io
from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import PIL.Image
from matplotlib.figure import Figure
from PIL.PngImagePlugin import PngInfo

DPI = 110
ERROR = 10  # of 255: what a palette may change in the worst pixel of a thousand


def png(figure: Figure, told: Mapping[str, str] | None = None, *, dpi: int = DPI) -> bytes:
    """Return a figure as PNG and close it.

    Parameters
    ----------
    told : mapping, optional
        Text chunks for the metadata, by keyword.
    dpi : int
        Dots per inch.
    """
    drawn, picture, chunks = io.BytesIO(), io.BytesIO(), PngInfo()
    figure.savefig(drawn, dpi=dpi, bbox_inches="tight", pad_inches=0.08)
    plt.close(figure)
    for keyword, words in (told or {}).items():
        chunks.add_itxt(keyword, words)
    _few_colours(PIL.Image.open(drawn).convert("RGB")).save(
        picture, "PNG", optimize=True, dpi=(dpi, dpi), pnginfo=chunks
    )
    return picture.getvalue()


def _few_colours(image: PIL.Image.Image) -> PIL.Image.Image:
    """Return an image with a palette just large enough: drawings need few colours, and a quarter of the bytes."""
    for colours in (64, 128, 256):
        # Coverage, not frequency: the one red line must stay red among a thousand greys.
        reduced = image.quantize(colours, PIL.Image.Quantize.MAXCOVERAGE, kmeans=1, dither=PIL.Image.Dither.NONE)
        error = np.abs(np.asarray(reduced.convert("RGB"), int) - np.asarray(image, int)).max(2)
        if np.quantile(error, 0.999) < ERROR:
            break
    return reduced
