"""Errors over the plane of shifts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from companion.plots.theme import themed


@themed
def shift_maps(
    parts: Mapping[str, np.ndarray],
    shifts: Sequence[int],
    *,
    framed: Mapping[str, tuple[int, int]],
    label: str,
    size: float = 2.3,
) -> Figure:
    """Draw maps over shifts down and right on one colour scale, the trained range framed.

    Parameters
    ----------
    parts : mapping
        Title and map (P, P) of each panel, down first.
    shifts : sequence of int
        Of both axes, evenly spaced.
    framed : mapping
        First and last shift of a frame, for the panels of the same title.
    label : str
        Of the colour scale.
    """
    step = shifts[1] - shifts[0]
    ends = (shifts[0] - step / 2, shifts[-1] + step / 2)
    top = max(float(np.nanmax(part)) for part in parts.values())
    figure, axes = plt.subplots(
        1, len(parts), figsize=(size * len(parts) + 1.0, size + 0.5), squeeze=False, sharex=True, sharey=True
    )
    for ax, (title, part) in zip(axes[0], parts.items(), strict=True):
        mesh = ax.imshow(part, cmap="mako", vmin=0, vmax=top, extent=(*ends, *ends[::-1]), interpolation="nearest")
        if title in framed:
            low, high = framed[title][0] - 0.5, framed[title][1] + 0.5
            ax.add_patch(Rectangle((low, low), high - low, high - low, fill=False, ec="white", lw=1.2))
        ax.set_title(title)
        ax.grid(visible=False)
        ax.spines[:].set_visible(False)
    figure.supxlabel("shift right (pixels)", size=9)
    figure.supylabel("shift down (pixels)", size=9)
    bar = figure.colorbar(mesh, ax=axes, shrink=0.8, pad=0.015, label=label)
    bar.outline.set_visible(False)
    return figure
