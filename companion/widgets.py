"""Explorers: sliders on top of pure functions that return figures."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import ipywidgets
from matplotlib.figure import Figure

from companion import grids
from companion.pictures import png

DPI = 90


class Explorer(ipywidgets.VBox):
    """Sliders above the pictures that they choose."""

    def __repr__(self) -> str:
        """Say what there is to move, for readers of a notebook that no kernel serves."""
        names = ", ".join(slider.description for slider in self.children[:-1])
        return f"Explorer: move {names} in JupyterLab or on the site"


def explore(draw: Callable[..., Sequence[Figure]], **choices: Sequence[Any]) -> Explorer:
    """Return a slider for every argument of `draw`, above the figures that it returns for the values chosen.

    Where the variable `COMPANION_GRIDS` names a folder, the pictures of the sliders' stops are also written there
    (see `companion.grids`): so the site's sliders work without a kernel.

    Parameters
    ----------
    draw : callable
        Takes one value by name for each of `choices` and returns the figures to show side by side. It only draws: a
        slider that trained a network would answer too slowly.
    choices : sequences
        The values that each slider stops at, or pairs of words and value.
    """
    stops = {
        name: [value if isinstance(value, tuple) and len(value) == 2 else (str(value), value) for value in values]
        for name, values in choices.items()
    }
    sliders = {
        name: ipywidgets.SelectionSlider(options=pairs, description=name, continuous_update=False)
        for name, pairs in stops.items()
    }
    shown = ipywidgets.HBox()

    def pictures(**chosen: Any) -> list[bytes]:
        return [png(figure, dpi=DPI) for figure in draw(**chosen)]

    def redraw(_: Any = None) -> None:
        chosen = pictures(**{name: slider.value for name, slider in sliders.items()})
        shown.children = [ipywidgets.Image(value=picture, format="png") for picture in chosen]

    if folder := os.environ.get(grids.VARIABLE):
        grids.write(Path(folder), pictures, stops)
    for slider in sliders.values():
        slider.observe(redraw, names="value")
    redraw()
    return Explorer([*sliders.values(), shown])
