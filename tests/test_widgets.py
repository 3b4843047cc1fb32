from __future__ import annotations

import functools

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from companion import plots, widgets

PNG = b"\x89PNG"


def test_a_slider_redraws_from_its_own_value_and_leaves_no_figure_open():
    asked = []

    def draw(angle):
        asked.append(angle)
        figure, ax = plt.subplots()
        ax.set_title(str(angle))
        return [figure]

    box = widgets.explore(draw, angle=[0, 30, 60])
    slider, shown = box.children
    first = bytes(shown.children[0].value)
    slider.value = 60
    assert asked == [0, 60]
    assert first.startswith(PNG) and bytes(shown.children[0].value) != first
    assert not plt.get_fignums()


def test_panels_share_one_legend_and_hide_what_is_not_used():
    table = pd.DataFrame({"x": [0, 1] * 2, "y": [0.0, 1.0, 1.0, 0.0], "kind": ["a", "a", "b", "b"]})
    draw = functools.partial(plots.curves, x="x", y="y", hue="kind")
    figure = plots.panels({str(n): table for n in range(4)}, draw, across=3, ylabel="height")
    assert isinstance(figure, Figure) and len(figure.legends) == 1
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", "b"]
    assert [ax.get_visible() for ax in figure.axes] == [True] * 4 + [False] * 2
    assert all(ax.get_legend() is None for ax in figure.axes)
    plt.close(figure)


def test_shared_limits_hold_every_panel():
    tables = {name: pd.DataFrame({"x": [0, 1], "y": [0.4, top]}) for name, top in (("a", 0.5), ("b", 0.98), ("c", 0.6))}
    figure = plots.panels(tables, functools.partial(plots.curves, x="x", y="y", share=True))
    limits = {ax.get_ylim() for ax in figure.axes}
    assert len(limits) == 1
    (low, high) = limits.pop()
    assert low < 0.4 and 0.98 < high <= 1.03
    plt.close(figure)
