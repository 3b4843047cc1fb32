"""Confused pairs: the labels, the trials, and every statistic against another way to compute it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from companion import confusion, data, models, training
from companion.confusion import CLEAN, ORDERED, PAIRS
from companion.data.images import Images

DRAW = np.random.default_rng(5)


@pytest.fixture(autouse=True)
def _same_numbers_in_any_order():
    DRAW.bit_generator.state = np.random.default_rng(5).bit_generator.state


# Labels.


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10**6), st.sampled_from(PAIRS))
def test_half_of_each_class_gets_the_other_label_and_nothing_else_changes(seed, pair):
    labels = torch.arange(10).repeat(31).to(torch.int8)  # 31 of each: an odd number
    before = labels.clone()
    swapped = data.swap_halves(labels, pair, seed=seed)
    assert torch.equal(labels, before) and swapped.dtype == labels.dtype
    changed = swapped != labels
    assert set(labels[changed].tolist()) == set(pair)
    for label, other in (pair, pair[::-1]):
        assert (swapped[changed & (labels == label)] == other).all()
        assert (changed & (labels == label)).sum() == 15
    assert torch.equal(swapped, data.swap_halves(labels, pair, seed=seed))
    assert not torch.equal(swapped, data.swap_halves(labels, pair, seed=seed + 1))


@pytest.mark.parametrize("pair", [(3, 3), (3, 11)])
def test_a_pair_is_two_different_classes(pair):
    with pytest.raises(ValueError, match="two different classes out of 0, 1, 2, 3"):
        data.swap_halves(torch.arange(4), pair, seed=0)


# Trials.


@pytest.fixture
def few_images(monkeypatch):
    """CIFAR-10's place taken by noise: 60 images, 40 to test on."""

    def made(split):
        n = {"train": 60, "test": 40}[split]
        draw = torch.Generator().manual_seed(n)
        images = torch.randint(256, (n, 3, 32, 32), generator=draw, dtype=torch.uint8)
        return Images(images, torch.arange(n) % 10)

    monkeypatch.setattr("companion.confusion.experiment.cifar10", made)
    return made


def test_a_trial_is_what_fit_makes_of_its_labels(few_images):
    scale = dict(images=60, scored=40, epochs=1)
    (found,) = confusion.trials((3, 5), [2], **scale)
    known, unseen = few_images("train"), few_images("test")
    own = PAIRS.index((3, 5)) + 46 * 2
    net = models.CifarCNN(seed=own)
    taught = data.swap_halves(known.labels, (3, 5), seed=own)
    training.fit(net, (known.inputs, taught), epochs=1, batch=64, optimizer="adam", lr=1e-3, eps=1e-7, seed=own)
    table = training.per_class(net, unseen)
    np.testing.assert_allclose(np.diagonal(found["answer"]), table["accuracy"], atol=1e-5)
    answers = training.probabilities(net, unseen.inputs).numpy()
    is_dog = unseen.labels.numpy() == 5
    np.testing.assert_allclose(found["probability"][5], answers[is_dog].mean(0), atol=1e-5)
    np.testing.assert_allclose(found["asked"][5, 5], np.log2(answers[is_dog, 5]).mean(), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found["asked"][5, 3], np.log2(1 - answers[is_dog, 3]).mean(), rtol=1e-5, atol=1e-5)


def test_no_two_trials_share_a_seed(few_images, monkeypatch):
    seen = []

    class Stop(Exception):
        pass

    def noted(build, inputs, targets, seeds, **settings):
        seen.extend(seeds)
        raise Stop

    monkeypatch.setattr("companion.confusion.experiment.fit_many", noted)
    for pair in [*PAIRS, CLEAN]:
        with pytest.raises(Stop):
            confusion.trials(pair, range(4), images=60, scored=40, epochs=1)
    assert len(set(seen)) == len(seen) == 46 * 4


@pytest.mark.parametrize("pair", [(5, 3), (3, 10), (4,)])
def test_a_wrong_pair_is_refused(pair):
    with pytest.raises(ValueError, match="two classes from 0 to 9 in rising order"):
        confusion.trials(pair, [0], images=60, scored=40, epochs=1)


# Effects.


def scores(trials=4, effects=None, noise=0.1):
    """Scores (45, trials, 10) in which losing C costs T effects[T, C]; NaN where T itself is confused."""
    made = DRAW.normal(scale=noise, size=(45, trials, 10)) + DRAW.normal(scale=noise, size=(45, 1, 10))
    for place, pair in enumerate(PAIRS):
        for lost in pair:
            made[place] -= 0 if effects is None else effects[:, lost]
        made[place][:, pair] = np.nan  # never to be looked at
    return made


def test_which_pairs_learned_what():
    for target, lost in ORDERED:
        both, only = confusion.learned(target, lost)
        assert (both.sum(), only.sum()) == (28, 8)
        assert all(
            (target not in pair) and (lost not in pair) for pair, is_in in zip(PAIRS, both, strict=True) if is_in
        )
        assert all((target not in pair) and (lost in pair) for pair, is_in in zip(PAIRS, only, strict=True) if is_in)


def test_trials_are_stacked_in_the_order_of_pairs_and_seeds():
    rows = [
        dict(pair=pair, seed=seed, x=np.float32([100 * place + seed, 0]))
        for place, pair in enumerate(PAIRS)
        for seed in (2, 0)
    ]
    table = pd.DataFrame(rows).sample(frac=1, random_state=0)
    found = confusion.stacked(table, "x")
    assert found.shape == (45, 2, 2) and found.dtype == float
    np.testing.assert_array_equal(found[..., 0], 100 * np.arange(45)[:, None] + [0, 2])
    assert confusion.stacked(table, "x", [(3, 5)]).shape == (1, 2, 2)


@pytest.mark.parametrize("replicate", ["pair", "model"])
def test_contrasts_are_scipys(replicate):
    made = scores()
    table = confusion.contrasts(made, replicate=replicate)
    assert len(table) == 90
    for row in table.itertuples():
        both, only = confusion.learned(row.target, row.lost)
        values = made[..., row.target].mean(1) if replicate == "pair" else made[..., row.target]
        expected = scipy_stats.ttest_ind(values[both].ravel(), values[only].ravel(), equal_var=False)
        np.testing.assert_allclose([row.t, row.p, row.df], [expected.statistic, expected.pvalue, expected.df])
        assert row.difference == pytest.approx(values[both].mean() - values[only].mean())
    with pytest.raises(ValueError, match="replicate is pair or model, not 'trial'"):
        confusion.contrasts(made, replicate="trial")


def test_samples_that_do_not_vary():
    same, other = np.full((2, 4), 0.5), np.array([[0.5, 0.5], [0.25, 0.25]])
    difference, t, freedom = confusion.sample_t(same, other)
    assert difference.tolist() == [0, 0.25] and t.tolist() == [0, np.inf] and freedom.tolist() == [4, 4]


def test_additive_effects_are_those_put_in_and_the_same_differences_as_welchs():
    effects = DRAW.normal(size=(10, 10))
    exact = scores(effects=effects, noise=0.0).mean(1)
    table = confusion.additive(exact + DRAW.normal(scale=1e-9, size=exact.shape))
    welch = confusion.contrasts(exact[:, None])
    np.testing.assert_allclose(table["difference"], welch["difference"], atol=1e-7)
    for row in table.itertuples():
        others = np.delete(effects[row.target], row.target)
        assert row.difference == pytest.approx(9 / 8 * (effects[row.target, row.lost] - others.mean()), abs=1e-7)


def test_additive_tests_hold_their_level_and_see_more_than_welchs():
    effects = np.zeros((10, 10))
    null = [(confusion.additive(scores().mean(1))["p"] < 0.05).mean() for _ in range(30)]
    assert 0.03 < np.mean(null) < 0.07
    effects[0] = np.linspace(-1, 1, 10)  # large effects of the partners are noise to Welch's test
    made = scores(effects=effects)
    smaller = confusion.additive(made.mean(1)).query("target == 0")["p"] < 1e-3
    plain = confusion.contrasts(made).query("target == 0")["p"] < 1e-3
    assert smaller.sum() > plain.sum()


def test_additive_intervals_cover():
    covered = [
        (table["low"] < 0) & (table["high"] > 0) for table in (confusion.additive(scores().mean(1)) for _ in range(30))
    ]
    assert 0.93 < np.mean(covered) < 0.97


def test_permutation_p_values():
    effects = np.zeros((10, 10))
    effects[0, 1] = 2.0
    table, hits = confusion.permuted(scores(effects=effects).mean(1), draws=400, seed=1)
    found = table.query("target == 0 and lost == 1").iloc[0]
    assert found["p"] == found["p_family"] == pytest.approx(1 / 401)
    rest = table.query("target != 0")
    assert (rest["p_family"] >= rest["p"]).all()
    assert scipy_stats.kstest(rest["p"], "uniform").pvalue > 1e-4
    assert 3 < hits.mean() < 6  # of 90 at 5 %
    again, _ = confusion.permuted(scores(effects=effects).mean(1), draws=10, seed=1)
    assert len(again) == 90


def test_maps_and_categories():
    table_scores = scores()
    table = confusion.contrasts(table_scores)
    found = confusion.as_map(table, "t")
    assert np.isnan(np.diagonal(found)).all() and np.isfinite(found).sum() == 90
    assert found[2, 7] == table.query("target == 2 and lost == 7")["t"].item()
    many = np.stack([scores().mean(1), table_scores.mean(1)])
    t, p = confusion.t_maps(many)
    np.testing.assert_allclose(t[1], found)
    np.testing.assert_allclose(p[1], confusion.as_map(table, "p"))
    assert not np.allclose(t[0], t[1], equal_nan=True)
    is_vehicle = np.isin(np.arange(10), confusion.VEHICLES)
    blocks = np.where(is_vehicle[:, None] == is_vehicle, 2.0, -1.0)
    assert confusion.category_contrast(blocks) == 3
    assert confusion.partition_p(blocks) == 1 / 210
    assert confusion.partition_p(np.zeros((10, 10))) == 1
    assert confusion.category_contrast(np.stack([blocks, -blocks])).tolist() == [3, -3]


# Information.


def probabilities(shape=()):
    made = DRAW.gamma(1.0, size=(*shape, 45, 10, 10))
    return made / made.sum(-1, keepdims=True)


@pytest.mark.parametrize("condition", ["both", "lost"])
def test_information_by_hand(condition):
    made = probabilities()
    maps = confusion.information(made, given=condition)
    for target, lost in [(0, 1), (7, 2)]:
        free = [k for k, pair in enumerate(PAIRS) if target not in pair]
        chosen = [k for k in free if (lost in PAIRS[k]) == (condition == "lost")]
        q, p = made[free].mean(0), made[chosen].mean(0)
        k1 = scipy_stats.entropy(p[target], q[target], base=2)
        k3 = scipy_stats.entropy(*([one[target, target], 1 - one[target, target]] for one in (p, q)), base=2)
        assert maps["K1"][target, lost] == pytest.approx(k1)
        assert maps["K3"][target, lost] == pytest.approx(k3)
        signed = p[target, target] * np.log2(p[target, target] / q[target, target])
        assert maps["K2"][target, lost] == pytest.approx(signed)
        column = sum(p[y, target] * np.log2(p[y, target] / q[y, target]) for y in range(10))
        assert maps["K4"][target, lost] == pytest.approx(column)


def test_divergences_are_never_negative_and_many_studies_go_at_once():
    made = probabilities((3,))
    maps = confusion.information(made)
    apart = ~np.eye(10, dtype=bool)
    assert set(maps) == set(confusion.READINGS)
    assert (maps["K1"][:, apart] >= 0).all() and (maps["K3"][:, apart] >= 0).all()
    assert (maps["K2"][:, apart] < 0).any()
    for name, found in maps.items():
        np.testing.assert_allclose(found[1], confusion.information(made[1])[name])


def test_information_refuses_what_it_does_not_know():
    with pytest.raises(ValueError, match="given is both or lost, not 'none'"):
        confusion.information(probabilities(), given="none")
    with pytest.raises(ValueError, match=r"not \(44, 10, 10\)"):
        confusion.information(probabilities()[1:])
