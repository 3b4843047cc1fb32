from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch

from companion.attention import focus
from companion.attention.examples import OnAverages
from companion.models.attention import PatchLeNet
from companion.models.inception import MiniInception
from companion.training.batch_statistics import batch_statistics
from companion.training.evaluation import accuracy

RECIPE = dict(epochs=2, lr=0.05, momentum=0.9, batch=8)


@pytest.fixture(scope="module")
def sets(pictures):
    return focus.three_sets(pictures, pictures, n=24, tests=10, seed=3)


@pytest.fixture(scope="module")
def many():
    return torch.arange(20_000) % 9


def of_foreground(weights, position):
    return weights.gather(1, position[:, None])[:, 0]


@pytest.mark.parametrize("i", focus.DATASETS)
def test_fixed_weights_are_those_of_the_document(i, many):
    weights = focus.focus_weights(many, i, seed=0)
    assert torch.allclose(weights.sum(1), torch.ones(len(many), dtype=torch.float64))
    assert torch.equal(of_foreground(weights, many), torch.full((len(many),), i / 9, dtype=torch.float64))
    others = torch.ones_like(weights, dtype=torch.bool).scatter_(1, many[:, None], False)
    assert weights[others].unique().tolist() == pytest.approx([(9 - i) / 72])


def test_factors_are_those_of_the_document():
    assert [focus.foreground_factor(i) for i in (1, 2, 3, 5, 8)] == pytest.approx([1, 16 / 7, 4, 10, 64])
    assert all(focus.foreground_factor(i) == pytest.approx(i / 9 * 72 / (9 - i)) for i in range(1, 9))


@pytest.mark.parametrize("i", [0, 9])
def test_a_data_set_without_a_factor_is_refused(i):
    with pytest.raises(ValueError, match=f"D1 to D8, not to D{i}"):
        focus.foreground_factor(i)


@pytest.mark.parametrize("alpha", [0.01, 0.5, 2, 1e5])
@pytest.mark.parametrize("i", [1, 4, 8])
def test_drawn_weights_have_the_mean_and_variance_of_the_dirichlet_distribution(alpha, i, many):
    weights = focus.focus_weights(many, i, alpha=alpha, seed=1)
    assert weights.isfinite().all()
    assert torch.allclose(weights.sum(1), torch.ones(len(many), dtype=torch.float64))
    total = alpha * (focus.foreground_factor(i) + 8)
    variance = i / 9 * (1 - i / 9) / (total + 1)
    found = of_foreground(weights, many)
    assert found.mean().item() == pytest.approx(i / 9, abs=5 * math.sqrt(variance / len(many)))
    assert found.var().item() == pytest.approx(variance, rel=0.08)
    other = weights.gather(1, (many[:, None] + 1) % 9)
    assert other.mean().item() == pytest.approx((9 - i) / 72, abs=0.006)


def test_a_great_concentration_is_fixed_focus(many):
    fixed, drawn = (focus.focus_weights(many, 3, alpha=alpha, seed=0) for alpha in (focus.FIXED, 1e12))
    assert torch.allclose(fixed, drawn, atol=1e-5)


def test_draws_belong_to_seed_and_data_set(many):
    first = focus.focus_weights(many, 2, alpha=0.5, seed=0)
    assert torch.equal(first, focus.focus_weights(many, 2, alpha=0.5, seed=0))
    assert not torch.allclose(first, focus.focus_weights(many, 2, alpha=0.5, seed=1))
    # Independent of those of D3: no rank in common.
    ranks = [pd.Series(of_foreground(focus.focus_weights(many, i, alpha=0.5, seed=0), many)).rank() for i in (2, 3)]
    assert abs(ranks[0].corr(ranks[1])) < 0.03


@pytest.mark.parametrize("alpha", [focus.FIXED, 0.01])
def test_d9_is_the_foreground_alone(alpha, many):
    assert torch.equal(focus.focus_weights(many, 9, alpha=alpha, seed=0), torch.eye(9).double()[many])


@pytest.mark.parametrize(("i", "alpha"), [(0, 1.0), (10, 1.0), (3, 0.0), (3, math.nan)])
def test_other_focus_is_refused(i, alpha, many):
    with pytest.raises(ValueError, match=f"not for D{i} and {alpha}"):
        focus.focus_weights(many, i, alpha=alpha, seed=0)


def test_weights_stay_on_the_cpu_under_another_default_device():
    position = torch.arange(9)
    with torch.device("meta"):
        drawn = [focus.focus_weights(position, 4, alpha=alpha, seed=0) for alpha in (focus.FIXED, 0.5)]
    assert all(weights.device.type == "cpu" for weights in drawn)


def test_a_background_is_ahead_where_it_outweighs():
    weights = torch.tensor([[0.5, 0.3, 0.2], [0.2, 0.3, 0.5], [0.4, 0.4, 0.2], [0.1, 0.1, 0.8]])
    assert focus.background_ahead(weights, torch.tensor([0, 0, 0, 2])) == 0.25


def test_a_nearly_one_hot_draw_puts_a_background_ahead_in_a_share_of_one_minus_i_ninths(many):
    weights = focus.focus_weights(many, 3, alpha=0.01, seed=0)
    assert focus.background_ahead(weights, many) == pytest.approx(6 / 9, abs=0.02)


def test_the_three_sets_are_other_mosaics(pictures):
    own = focus.three_sets(pictures, pictures, n=24, tests=10, seed=3, own=2)
    shared = focus.three_sets(pictures, pictures, n=30, tests=12, seed=3)
    assert [len(part.members) for part in own] == [24, 10, 10]
    # The same first mosaics however many are asked for; others for a data set that has its own.
    assert torch.equal(shared[0].members[:24], focus.three_sets(pictures, pictures, n=24, tests=1, seed=3)[0].members)
    assert not torch.equal(own[0].members, shared[0].members[:24])
    assert not torch.equal(shared[0].members[:12], shared[1].members)


@pytest.mark.parametrize(("n", "tests"), [(0, 5), (10_001, 5), (5, 0), (5, 10_001)])
def test_more_mosaics_than_there_are_are_refused(pictures, n, tests):
    with pytest.raises(ValueError, match=f"{n} mosaics to train on and {tests} to test on"):
        focus.three_sets(pictures, pictures, n=n, tests=tests, seed=0)


def test_the_diagonal_is_training_accuracy(sets):
    net = PatchLeNet(seed=0, outputs=3)
    settings = dict(alpha=0.5, laws=(0.5, focus.FIXED), tests=24, seed=0)
    drawn, fixed = focus.train_and_test(net, 4, sets, **settings, **RECIPE)
    weights = focus.focus_weights(sets[0].position, 4, alpha=0.5, seed=0)
    rows = torch.arange(24)
    known = accuracy(OnAverages(net, sets[0], weights), (rows, sets[0].labels))
    assert drawn["accuracy"].shape == (3, 9)
    assert drawn["accuracy"][0, 3] == known
    assert (drawn["law"], fixed["law"]) == (0.5, focus.FIXED)
    # Without batch normalisation there is one way to test; pure foregrounds know no law.
    assert np.array_equal(drawn["accuracy"], drawn["evaluated"])
    assert np.array_equal(drawn["accuracy"][:, 8], fixed["accuracy"][:, 8])
    assert np.array_equal(drawn["loss"], fixed["loss"])


def test_batch_normalisation_is_tested_both_ways(sets):
    small = [part.part(0, 6) for part in sets]
    net = MiniInception(seed=0, kind="simple", outputs=3)
    settings = dict(alpha=focus.FIXED, laws=(focus.FIXED,), tests=6, seed=0)
    (found,) = focus.train_and_test(net, 9, small, **settings, **RECIPE | dict(epochs=3))
    rows = focus.transfer(net, small[1], alpha=focus.FIXED, seed=0, first=6)
    assert found["evaluated"][1].tolist() == rows
    with batch_statistics(net):
        assert found["accuracy"][1].tolist() == focus.transfer(net, small[1], alpha=focus.FIXED, seed=0, first=6)


def test_networks_that_were_not_trained_are_nan():
    table = pd.DataFrame(
        [dict(seed=s, i=i, found=np.array([s, i], float)) for s, i in ((1, 2), (0, 2), (0, 9))],
    )
    block = focus.by_seed(table, "found")
    assert block.shape == (2, 9, 2)
    assert block[1, 1].tolist() == [1, 2]
    assert np.isnan(block[1, 8]).all() and block[0, 8].tolist() == [0, 9]
    assert np.isfinite(focus.by_seed(table.assign(found=1.5), "found")).sum() == 3


def test_matrices_are_printed_as_the_authors_do():
    values = np.arange(9 * 3 * 9, dtype=float).reshape(1, 9, 3, 9)
    shared, own = (focus.as_printed(values, own=own)[0] for own in (False, True))
    assert np.array_equal(shared[:, :9], values[0, :, 0])
    assert np.array_equal(shared[:, 9], values[0, :, 1, 8])
    assert np.array_equal(np.diagonal(own), np.diagonal(values[0, :, 0]))
    assert own[2, 5] == values[0, 2, 1, 5]
    assert np.isnan(own[:, 9]).all()
