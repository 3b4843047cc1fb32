"""Mosaics drawn with their attention: the frame, the bars and the average are where and what they should be."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_rgba

from companion import plots
from companion.plots.gallery import FRAME
from companion.plots.mosaics import BAR, WALL

SIDE = 32
STEP = SIDE + WALL


@pytest.fixture
def mosaic():
    patches = np.random.default_rng(0).integers(0, 256, (9, 3, SIDE, SIDE), dtype=np.uint8)
    weights = np.array([0.5, 0.0, 0.25, 0, 0, 0.125, 0, 0, 0.125])
    return plots.Attended(patches, weights, 5, "ship")


def rectangles(ax, colour, *, edge=False):
    shown = [patch for patch in ax.patches if patch.get_fill() != edge]
    return [one for one in shown if (one.get_edgecolor() if edge else one.get_facecolor()) == to_rgba(colour)]


def test_the_frame_is_around_the_slot_of_the_foreground(mosaic):
    for slot in range(9):
        ax = plots.attended([mosaic._replace(position=slot)]).axes[0]
        (frame,) = rectangles(ax, FRAME, edge=True)
        assert frame.get_xy() == (slot % 3 * STEP - 0.5, slot // 3 * STEP - 0.5)
        assert frame.get_width() == frame.get_height() == SIDE


def test_a_bar_is_as_long_as_the_weight_of_its_patch(mosaic):
    bars = rectangles(plots.attended([mosaic]).axes[0], BAR)
    assert [bar.get_width() / SIDE for bar in bars] == mosaic.weights.tolist()
    assert [bar.get_x() for bar in bars] == [slot % 3 * STEP - 0.5 for slot in range(9)]


def test_the_average_below_is_what_the_weights_make(mosaic):
    average = plots.attended([mosaic]).axes[1].images[0].get_array()
    expected = sum(w * patch.astype(float) for w, patch in zip(mosaic.weights, mosaic.patches, strict=True)) / 255
    np.testing.assert_allclose(average, expected.transpose(1, 2, 0), atol=1 / 32)


def test_mosaics_fill_rows_from_the_left(mosaic):
    figure = plots.attended([mosaic._replace(title=str(k)) for k in range(5)], columns=3)
    titles = [ax.get_title() for ax in figure.axes if ax.get_title()]
    assert titles == list("01234")
    assert len(figure.axes) == 2 * 2 * 3
