"""Plots that take what was awkward once, and tables that feed them."""

import numpy as np
import pandas as pd
import pytest

from companion import models, plots, tables


def test_architecture_tells_the_weights_of_every_network():
    drawn = {name: models.layer_table(models.DigitCNN(seed=0, outputs=k), (1, 28, 28)) for name, k in
             (("ten", 10), ("eleven", 11))}  # fmt: skip
    figure = plots.architecture(drawn)
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    assert [title.split(":")[0] for title in titles] == ["ten", "eleven"]
    assert "5,142 weights" in titles[0]
    written = [text.get_text() for text in figure.axes[0].texts]
    assert any("24×24×6" in text and "156" in text for text in written)


def test_a_strip_of_shares_takes_differences_below_zero():
    table = pd.DataFrame({"arm": ["a"] * 3 + ["b"] * 3, "gain": [-0.2, -0.1, -0.15, 0.9, 1.0, 0.95]})
    figure = plots.strip(table, "arm", "gain", share=True, width=3.0)
    assert figure.get_size_inches()[0] == 3.0


def test_small_shares_have_ticks_that_differ():
    table = pd.DataFrame({"arm": ["a"] * 3, "share": [0.0, 0.012, 0.003]})
    figure = plots.strip(table, "arm", "share", share=True)
    figure.canvas.draw()
    told = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert len(set(told)) == len(told) and all(label.endswith("%") for label in told)


def test_a_group_without_a_colour_is_an_error_and_not_left_out():
    table = pd.DataFrame({"x": range(9), "y": range(9), "group": list("abcdefghi")})
    with pytest.raises(ValueError, match="9 groups are given; a figure has colours for 8"):
        plots.scatter(table, "x", "y", hue="group")


def test_every_reported_number_has_its_line():
    table = pd.DataFrame({"arm": ["a"] * 3, "gain": [0.1, 0.2, 0.3]})
    plain, marked = (plots.strip(table, "arm", "gain", reported=one) for one in (None, dict.fromkeys("pqrst", 0.2)))
    assert len(marked.axes[0].lines) == len(plain.axes[0].lines) + 5


def test_a_summary_keeps_groups_whose_name_is_none():
    table = pd.DataFrame({"norm": [None, True, None], "accuracy": [0.1, 0.2, 0.3]})
    assert tables.summarise(table, "accuracy", "norm")["n"].tolist() == [2, 1]


def test_tables_put_together_are_unrolled_row_by_row():
    part = pd.DataFrame({"kind": ["a"], "loss": [np.array([1.0, 2.0])]})
    both = pd.concat([part, part.assign(kind="b")])  # the same index twice
    assert tables.unroll(both, "loss", epoch=[1, 2])["kind"].tolist() == ["a", "a", "b", "b"]
