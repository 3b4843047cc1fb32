"""Explorers: sliders on top of pure functions that return figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets
from matplotlib.figure import Figure

from companion.pictures import png

DPI = 90


def explore(draw: Callable[..., Sequence[Figure]], **choices: Sequence[Any]) -> ipywidgets.VBox:
    """Return a slider for every argument of `draw`, above the figures that it returns for the values chosen.

    Parameters
    ----------
    draw : callable
        Takes one value by name for each of `choices` and returns the figures to show side by side. It only draws: a
        slider that trained a network would answer too slowly.
    choices : sequences
        The values that each slider stops at.
    """
    sliders = {
        name: ipywidgets.SelectionSlider(options=list(values), description=name, continuous_update=False)
        for name, values in choices.items()
    }
    shown = ipywidgets.HBox()

    def redraw(_: Any = None) -> None:
        figures = draw(**{name: slider.value for name, slider in sliders.items()})
        shown.children = [ipywidgets.Image(value=png(figure, dpi=DPI), format="png") for figure in figures]

    for slider in sliders.values():
        slider.observe(redraw, names="value")
    redraw()
    return ipywidgets.VBox([*sliders.values(), shown])
