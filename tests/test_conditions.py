from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from companion.attention import conditions
from companion.attention.cases import COUNTED, Attended
from companion.attention.examples import OnMosaics
from companion.attention.shares import SHARES, focus_shares
from companion.data.patches import mosaic_set
from companion.models.attention import MosaicAttention
from companion.plots.conditions import GAP, by_condition

FOREGROUND = (1, 2, 3)
SETS = conditions.background_sets(FOREGROUND)


@pytest.fixture(scope="module")
def mosaics(pictures):
    return mosaic_set(pictures, FOREGROUND, n=3_000, seed=3)


@pytest.fixture(scope="module")
def attended():
    weights = np.array([[0.6, 0.4], [0.6, 0.4], [0.4, 0.6], [0.3, 0.7], [0.55, 0.45], [0.9, 0.1]])
    answers, labels = np.array([0, 1, 2, 0, 2, 1]), np.array([0, 1, 2, 1, 2, 2])
    return Attended(weights, answers, np.array([0, 1, 0, 0, 0, 0]), labels)


def test_sets_are_those_of_seven_background_classes():
    assert [len([one for one in SETS if len(one) == size]) for size in conditions.SIZES] == [7, 21, 35]
    assert len(set(SETS)) == 63
    assert not {*FOREGROUND} & {one for some in SETS for one in some}


def test_counts_are_those_of_a_loop_over_mosaics(mosaics):
    cases = np.stack([np.ones(3_000), np.arange(3_000) % 2], axis=1)
    counts = conditions.condition_counts(mosaics.present(), FOREGROUND, SETS, cases)
    held = [set(classes) for classes in mosaics.classes.tolist()]
    expected = np.zeros_like(counts)
    for place, kind in enumerate(FOREGROUND):
        mine = [n for n in range(3_000) if kind in held[n]]
        expected[0, place] = cases[mine].sum(0)
        for at, some in enumerate(SETS, start=1):
            expected[at, place] = cases[[n for n in mine if held[n] >= {*some}]].sum(0)
            expected[at + len(SETS), place] = cases[[n for n in mine if not held[n] & {*some}]].sum(0)
    assert np.array_equal(counts, expected)


def test_one_class_is_present_or_absent_and_never_both(mosaics):
    counts = conditions.condition_counts(mosaics.present(), FOREGROUND, SETS[:7], np.ones((3_000, 1)))
    assert (counts[1:8] + counts[8:] == counts[0]).all()


def test_looked_up_in_another_list_the_cases_stay_and_the_sorting_goes(mosaics):
    labels = mosaics.labels.numpy()
    own = np.eye(3)[labels]
    other = mosaics.part(1_500, 3_000).present()
    right = conditions.condition_counts(mosaics.part(0, 1_500).present(), FOREGROUND, SETS[:1], own[:1_500])[0]
    wrong = conditions.condition_counts(other, FOREGROUND, SETS[:1], own[:1_500])[0]
    assert np.array_equal(right, np.diag(np.diag(right)))
    assert np.array_equal(wrong.sum(0), right.sum(0))
    assert np.allclose(wrong / wrong.sum(1, keepdims=True), 1 / 3, atol=0.08)


def test_a_mosaic_without_foreground_is_refused(mosaics):
    with pytest.raises(ValueError, match=r"mosaic \d+ has 0 of the foreground classes \[1, 2\]; each has one"):
        conditions.condition_counts(mosaics.present(), FOREGROUND[:2], SETS, np.ones((3_000, 1)))


def test_as_many_cases_as_mosaics_are_asked_for(mosaics):
    with pytest.raises(ValueError, match="3000 mosaics and cases of 2;"):
        conditions.condition_counts(mosaics.present(), FOREGROUND, SETS, np.ones((2, 1)))


def test_chance_of_one_class_is_that_of_eight_draws():
    assert conditions.chance(1, 7, present=True) == pytest.approx(1 - (6 / 7) ** 8)
    assert conditions.chance(1, 7, present=True) == pytest.approx(0.709, abs=5e-4)
    assert conditions.chance(2, 7, present=False) == pytest.approx((5 / 7) ** 8)


def test_chance_of_several_classes_is_a_count_of_all_draws():
    draws = [{*one} for one in itertools.product(range(3), repeat=8)]
    for size in (1, 2, 3):
        both = sum(one >= {*range(size)} for one in draws) / 3**8
        none = sum(not one & {*range(size)} for one in draws) / 3**8
        assert conditions.chance(size, 3, present=True) == pytest.approx(both)
        assert conditions.chance(size, 3, present=False) == pytest.approx(none)


@pytest.mark.parametrize("size", [0, 4])
def test_no_chance_for_a_set_that_cannot_be(size):
    with pytest.raises(ValueError, match=f"1 to 3 background classes, not {size}"):
        conditions.chance(size, 3, present=True)


def test_shuffled_answers_keep_the_classes_apart_and_know_no_background(mosaics):
    present = mosaics.present()
    always = mosaics.labels.numpy() == 0
    assert (conditions.shuffled_ranges(always, present, FOREGROUND, SETS[:7], draws=3) == 0).all()
    by_background = present[:, SETS[0][0]].numpy()
    ranges = conditions.shuffled_ranges(by_background, present, FOREGROUND, SETS[:7], draws=50, seed=1)
    assert ranges.shape == (50, 3)
    assert 0.02 < ranges.mean() < 0.15  # as answered, it would be 1
    assert np.array_equal(
        ranges, conditions.shuffled_ranges(by_background, present, FOREGROUND, SETS[:7], draws=50, seed=1)
    )


def test_a_random_part_scatters_as_drawn_without_replacement():
    assert conditions.random_part_sd(50, 100, 100) == 0
    assert conditions.random_part_sd(50, 100, 1) == pytest.approx(0.5)
    hits, sizes = 6_000, (3_300, 3_300, 3_400)
    draws = np.random.default_rng(0).hypergeometric(hits, 4_000, 3_300, 20_000) / 3_300
    assert conditions.random_part_sd(hits, 10_000, 3_300) == pytest.approx(draws.std(), rel=0.03)
    ranges = conditions.random_parts_range(hits, sizes)
    # Shares of three equal parts, each with the scatter of a draw with replacement about what is left of their mean.
    assert ranges.mean() == pytest.approx(1.693 * np.sqrt(0.24 / 3_333), rel=0.02)


def test_parts_of_sure_things_do_not_differ():
    assert (conditions.random_parts_range(30, (10, 10, 10), draws=5) == 0).all()
    with pytest.raises(ValueError, match=r"31 hits are given for parts of \[10, 20\]; 0 to 30"):
        conditions.random_parts_range(31, (10, 20))


def test_cases_are_the_shares(attended):
    cases = dict(zip(COUNTED, attended.cases().T, strict=True))
    assert cases["n"].all()
    assert [np.flatnonzero(cases[name]).tolist() for name in SHARES] == [[0, 4], [1, 2], [5], [3]]
    assert np.flatnonzero(cases["half"]).tolist() == [0, 1, 2, 3, 4, 5]


def test_cases_agree_with_the_shares_of_a_network(mosaics):
    part = mosaics.part(0, 60)
    net = MosaicAttention(seed=0)
    weights, logits = OnMosaics(net, mosaics).attend(part.members)
    shares = focus_shares(weights, logits, part.position, part.labels)
    found = dict(zip(COUNTED, Attended.by(net, part).cases().mean(0), strict=True))
    assert all(found[name] == pytest.approx(shares[name]) for name in shares)


def test_answers_by_focus_count_every_mosaic_once(attended):
    counts = attended.by_focus()
    assert counts.sum() == 6
    assert [tuple(one) for one in np.argwhere(counts[0])] == [(0, 0), (2, 1), (2, 2)]
    assert [tuple(one) for one in np.argwhere(counts[1])] == [(1, 0), (1, 1), (2, 2)]


def test_weight_on_the_foreground_is_a_mean_by_case_and_class(attended):
    mean = attended.foreground_weight()
    assert mean[SHARES.index("ftpt"), 0] == pytest.approx(0.6)
    assert mean[SHARES.index("ffpt"), 1:].tolist() == pytest.approx([0.4, 0.4])
    assert np.isnan(mean[SHARES.index("ftpt"), 1])


def test_first_of_cases_are_of_their_case(attended):
    assert attended.first_of_cases(2).tolist() == [[0, 4], [1, 2], [5, -1], [3, -1]]


def test_lines_break_between_groups_and_are_means_over_seeds():
    axes = {
        "seed": [0, 1],
        "view": ["a", "b", "c"],
        "state": ["present", "absent"],
        "place": range(4),
        "kind": ["x", "y"],
    }
    table = pd.MultiIndex.from_product(axes.values(), names=axes).to_frame(index=False)
    table = table.assign(size=1 + (table["place"] > 1), share=0.2 + 0.1 * table["seed"] + 0.05 * table["place"])
    table.loc[table["kind"] == "y", "share"] += 0.3
    levels = table[["view", "kind", "share"]]
    figure = by_condition(table, "share", hue="kind", across="view", down="state", group="size", levels=levels)
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["a", "b", "c", "", "", ""]
    thick = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    heights = {tuple(np.round(line.get_ydata(), 3)) for line in thick}
    assert heights == {(0.25, 0.3), (0.35, 0.4), (0.55, 0.6), (0.65, 0.7)}
    assert {tuple(line.get_xdata()) for line in thick} == {(0, 1), (2 + GAP, 3 + GAP)}
    dotted = [line.get_ydata()[0] for line in figure.axes[5].lines if line.get_linestyle() == ":"]
    assert dotted == pytest.approx([0.325, 0.625])
    assert [text.get_text() for text in figure.axes[-1].get_xticklabels()] == ["1", "2"]
