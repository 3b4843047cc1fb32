"""Confounded noise: its points, its labels, the closed form, and networks trained on them."""

import numpy as np
import pytest
import torch

from companion.confounding import networks
from companion.confounding.chance import agreement, expected_accuracy
from companion.data.confounded import (
    CELLS,
    NOISE,
    PER_SQUARE,
    REGIONS,
    authors_test,
    confounded,
    redrawn_zeros,
    true_points,
)


@pytest.mark.parametrize("kind", REGIONS)
def test_every_cell_holds_its_points(kind):
    points = confounded(kind, 60, seed=3)
    assert len(points.inputs) == 60 + NOISE
    for x, y in CELLS:
        low, high = torch.tensor([x, y]), torch.tensor([x + 1, y + 1])
        inside = ((points.inputs >= low) & (points.inputs <= high)).all(1)
        own = (x, y) == REGIONS[kind]
        assert inside.sum() == (60 if own else PER_SQUARE)
        assert points.true[inside].all() if own else not points.true[inside].any()


@pytest.mark.parametrize(("kind", "middle"), [("corner", (0.5, 0.5)), ("centre", (2.5, 2.0))])
def test_classes_fill_opposite_quarters(kind, middle):
    points = true_points(kind, 200, seed=0)
    upper = points.inputs > torch.tensor(middle)
    assert torch.equal(upper[:, 0], points.labels == 1)
    assert torch.equal(upper[:, 1], points.labels == 1)
    assert points.labels.sum() == 100


def test_moons_fill_the_unit_square_and_are_not_linearly_separable():
    moons = true_points("moons", 200, seed=0)
    assert torch.allclose(moons.inputs.amin(0), torch.zeros(2), atol=0.01)
    assert torch.allclose(moons.inputs.amax(0), torch.ones(2), atol=0.01)
    design = torch.cat([moons.inputs, torch.ones(200, 1)], dim=1)
    fitted = design @ torch.linalg.lstsq(design, moons.labels[:, None].float() * 2 - 1).solution
    assert ((fitted[:, 0] > 0) == (moons.labels == 1)).float().mean() < 1


def test_true_points_are_the_same_with_and_without_noise():
    alone, among = true_points("corner", 30, seed=5), confounded("corner", 30, seed=5, labels="redrawn")
    assert torch.equal(alone.inputs, among.part(True).inputs)
    assert not torch.equal(alone.inputs, true_points("corner", 30, seed=6).inputs)


def test_redrawn_labels_have_more_ones_than_zeros_as_the_closed_form_says():
    zeros = [(confounded("corner", 2, seed=s, labels="redrawn").part(False).labels == 0).double() for s in range(100)]
    zeros = torch.stack(zeros).reshape(100, 8, PER_SQUARE)
    assert zeros.sum(2).max() <= 15  # with replacement: never more than were drawn
    assert abs(float(zeros.mean()) - redrawn_zeros()) < 0.01
    assert redrawn_zeros() == pytest.approx(0.3986, abs=1e-4)
    coins = torch.stack([confounded("corner", 2, seed=s).part(False).labels for s in range(100)]).double()
    assert abs(float(coins.mean()) - 0.5) < 0.015


def test_the_authors_test_set_repeats_the_pattern_of_the_last_training_square():
    training = confounded("corner", 30, seed=1, labels="redrawn")
    test = authors_test("corner", 30, training, seed=2)
    patterns = test.part(False).labels.reshape(8, PER_SQUARE)
    assert (patterns == training.labels[-PER_SQUARE:]).all()
    assert torch.equal(test.part(True).labels, training.part(True).labels)
    assert not torch.equal(test.inputs, training.inputs)


def test_closed_form():
    assert agreement(0.5) == 0.5
    assert agreement(0.5, 0.9) == pytest.approx(0.5)
    assert agreement(1.0) == 1.0
    assert agreement(1.0, 0.0) == 0.0
    expected = [expected_accuracy(n, 240, agreement(redrawn_zeros())) for n in (30, 60, 90, 120)]
    assert expected == pytest.approx([0.5739, 0.6165, 0.6513, 0.6804], abs=1e-4)
    assert expected_accuracy(30, 0, 0.1) == 1


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: confounded("circle", 30, seed=0), "unknown kind 'circle'; the kinds are corner, centre, moons"),
        (lambda: confounded("corner", 31, seed=0), "even and at least 2, not 31"),
        (lambda: confounded("corner", 30, seed=0, labels="fair"), "unknown labels 'fair'; .* coins or redrawn"),
        (lambda: agreement(1.2), "between 0 and 1, not at 1.2"),
        (lambda: expected_accuracy(0, 0, 0.5), "0 true and 0 are given"),
    ],
)
def test_bad_input_is_named(call, told):
    with pytest.raises(ValueError, match=told):
        call()


def test_a_network_is_trained_and_told_about_in_full():
    assert sum(p.numel() for p in networks.MLP(networks.WIDTHS, seed=0).parameters()) == 86_810
    rows = networks.learn("corner", 30, "redrawn", [0, 1], epochs=12, looks=(1, 6, 12))
    one = rows[1]
    assert one["map"].shape == (60, 72)
    assert one["close"].shape == (36, 36)
    assert one["train"] == pytest.approx((30 * one["train_true"] + 240 * one["train_noise"]) / 270)
    assert one["test"] == pytest.approx((30 * one["no_noise"] + 240 * one["test_noise"]) / 270)
    assert one["course"][-1] == pytest.approx([one["train_true"], one["train_noise"], one["true"]])
    assert networks.learn("corner", 30, "redrawn", [1], epochs=12, looks=(1, 6, 12))[0]["loss"] == one["loss"]


def test_true_points_alone_are_learned_and_training_ends_there():
    row = networks.learn("corner", 60, "alone", [0], epochs=400, looks=(1, 400))[0]
    assert row["loss"] <= networks.ENOUGH
    assert row["epochs"] < 400
    assert row["train"] == 1
    assert row["true"] > 0.95
    assert np.isnan(row["train_noise"])
    assert row["course"][1] == pytest.approx([1, np.nan, row["true"]], nan_ok=True)


def test_a_map_runs_upwards_and_names_the_class_of_each_place():
    net = networks.MLP((2, 2), seed=0)
    with torch.no_grad():  # class 1 where y > 2
        net[0].weight.copy_(torch.tensor([[0.0, 0.0], [0.0, 1.0]]))
        net[0].bias.copy_(torch.tensor([0.0, -2.0]))
    found = networks.regions(networks.Replicas.of([net]), "centre")
    assert (found["map"][0, :30] == 0).all()  # -0.5 to 2.0
    assert (found["map"][0, 30:] == 1).all()
    assert (found["close"][0, :18] == 0).all()
    assert (found["close"][0, 18:] == 1).all()
