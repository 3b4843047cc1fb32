from __future__ import annotations

import math

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from companion.attention import planar
from companion.data.planar import (
    PLANAR_TYPES,
    PointMosaics,
    clouds,
    draw_point_mosaics,
    draw_points,
    fixed_focus,
    hypercube_points,
    random_clouds,
    window,
)
from companion.data.synthetic import Points
from companion.models import PlanarAttention
from companion.plots import Plane, plane
from companion.training import fit

APART = clouds([(-3, 0), (3, 0)], [(0, 4)], points=300)
SHORT = dict(epochs=4, every=2, looks=3, steps=2000)


def of_apart(seed=0, n=500, **more):
    return planar.mixture_sets(APART, slots=3, n=n, tests=200, seed=seed, **more)


# Points and mosaics


@pytest.mark.parametrize("kind", PLANAR_TYPES)
def test_points_lie_about_a_mean_of_their_class(kind):
    mixture = PLANAR_TYPES[kind]
    points = draw_points(mixture, seed=3)
    assert points.inputs.shape == (mixture.points, 2) and points.inputs.dtype == torch.float64
    assert points.labels.bincount().min() > mixture.points / 10 * 0.8
    means = torch.tensor(mixture.means, dtype=torch.float64)[points.labels]  # (N, components, 2)
    nearest = (points.inputs[:, None] - means).norm(dim=2).amin(1)
    assert nearest.square().mean().item() == pytest.approx(2 * mixture.variance, rel=0.08)
    component = (points.inputs[:, None] - means).norm(dim=2).argmin(1).double()
    assert component.mean().item() == pytest.approx((means.shape[1] - 1) / 2, abs=0.05)


def test_a_mosaic_has_one_foreground_point_in_its_slot_and_classes_are_even():
    labels = torch.cat([torch.zeros(500), torch.ones(10), torch.full((500,), 2), torch.full((20,), 3)]).long()
    pool = Points(labels[:, None].double(), labels)  # a point tells its class
    mosaics = draw_point_mosaics(pool, 2, n=6000, slots=4, seed=1)
    kinds = mosaics.points[..., 0].long()
    assert mosaics.points.shape == (6000, 4, 1)
    assert torch.equal(kinds[torch.arange(6000), mosaics.position], mosaics.labels)
    assert ((kinds < 2).sum(1) == 1).all()
    for found, classes in ((kinds[kinds < 2], 2), (kinds[kinds >= 2] - 2, 2), (mosaics.position, 4)):
        assert (found.bincount(minlength=classes) / len(found) - 1 / classes).abs().max() < 0.03
    again = draw_point_mosaics(pool, 2, n=6000, slots=4, seed=1)
    assert torch.equal(again.points, mosaics.points)


def test_every_point_of_a_class_can_be_drawn_and_no_other():
    labels = torch.tensor([1, 0, 1, 0, 1])
    mosaics = draw_point_mosaics(Points(torch.arange(5.0).double()[:, None], labels), 1, n=400, slots=3, seed=0)
    assert set(mosaics.points.flatten().tolist()) == {0, 1, 2, 3, 4}
    inside = mosaics.points[torch.arange(400), mosaics.position, 0]
    assert set(inside.tolist()) == {1, 3}


@pytest.mark.parametrize(
    ("labels", "foreground", "slots", "message"),
    [([0, 1, 2], 3, 3, "3 foreground classes of 3"), ([0, 1], 1, 1, "1 slots"), ([0, 2], 1, 3, r"\[1, 0, 1\] points")],
)
def test_what_gives_no_mosaic_is_refused(labels, foreground, slots, message):
    pool = Points(torch.zeros(len(labels), 2), torch.tensor(labels))
    with pytest.raises(ValueError, match=message):
        draw_point_mosaics(pool, foreground, n=5, slots=slots, seed=0)


def test_fixed_focus_runs_from_the_others_mean_to_the_foreground():
    points = torch.tensor([[[1.0], [4.0], [7.0]], [[0.0], [2.0], [8.0]]]).double()
    mosaics = PointMosaics(points, torch.tensor([0, 0]), torch.tensor([0, 2]))
    assert fixed_focus(mosaics, 1.0).flatten().tolist() == [1, 8]
    assert fixed_focus(mosaics, 0.0).flatten().tolist() == [5.5, 1]
    torch.testing.assert_close(fixed_focus(mosaics, 1 / 3), points.mean(1))
    with pytest.raises(ValueError, match="between 0 and 1, not 2"):
        fixed_focus(mosaics, 2)


def test_random_clouds_and_made_up_problems_change_with_the_seed_only():
    assert random_clouds(1) == random_clouds(1) != random_clouds(2)
    assert np.shape(random_clouds(1).means) == (3, 1, 2) and np.min(random_clouds(1).means) >= 0
    pool, fresh = hypercube_points(3, seed=4, n=200)
    assert pool.inputs.shape == fresh.inputs.shape == (200, 3) and set(pool.labels.tolist()) == {0, 1, 2}
    assert torch.equal(hypercube_points(3, seed=4, n=200)[0].inputs, pool.inputs)
    assert not torch.isin(pool.inputs[:, 0], fresh.inputs[:, 0]).any()


def test_a_window_holds_the_points():
    assert window(clouds([(0, 0)], [(2, 1)], variance=0.25), margin=2) == (-1, 3, -1, 2)


# Attention


def test_weights_sum_to_one_and_follow_the_points():
    net = PlanarAttention((2, 5, 1), (2, 3), seed=0)
    points = torch.randn(7, 4, 2, generator=torch.Generator().manual_seed(0))
    weights, logits = net.attend(points)
    torch.testing.assert_close(weights.sum(1), torch.ones(7))
    expected = torch.stack([net.where(one)[:, 0].softmax(0) for one in points])
    torch.testing.assert_close(weights, expected)
    torch.testing.assert_close(logits, net.what(torch.stack([w @ p for w, p in zip(weights, points, strict=True)])))
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(net(points[:, order]), logits)
    assert sum(p.numel() for p in PlanarAttention((2, 4, 8, 1), (2, 4, 3), seed=0).parameters()) == 61 + 27
    with pytest.raises(ValueError, match=r"widths \(2, 3\) and \(2, 2\) do not fit"):
        PlanarAttention((2, 3), (2, 2), seed=0)


def test_networks_trained_together_are_those_trained_alone():
    seeds = [0, 1, 2]
    sets = [of_apart(seed) for seed in seeds]

    def build(seed):
        return PlanarAttention((2, 5, 1), (2, 2), seed=seed)

    replicas, told = planar.fit_on_mosaics(build, sets, seeds, epochs=2)
    for k, seed in enumerate(seeds):
        net = build(seed).double()
        train = sets[k].train
        history = fit(net, (train.points, train.labels), epochs=2, lr=0.01, momentum=0.9, batch=250, seed=seed)
        for name, value in net.named_parameters():
            torch.testing.assert_close(replicas.parameters[name][k], value.detach(), rtol=1e-9, atol=1e-12)
        assert told[k]["last_loss"] == pytest.approx(history["loss"].iloc[-1], rel=1e-9)
        assert told[k]["first_loss"] > told[k]["last_loss"]


def test_shares_in_the_course_are_those_at_the_end_and_sum_to_the_accuracy():
    [row] = planar.classify("deep attention", [of_apart()], [0], **SHORT)
    assert row["course"].shape == (3, 5)
    assert np.isnan(row["course"][2]).all()  # two looks in four epochs
    np.testing.assert_allclose(row["course"][1], [row[name] for name in planar.COURSE], rtol=1e-6)
    assert sum(row[name] for name in planar.SHARES) == pytest.approx(1)
    assert row["ftpt"] + row["ffpt"] == pytest.approx(row["train"])
    assert np.isnan(row["where"]).all() and np.isnan(row["converged"])


@pytest.mark.parametrize("reader", planar.READERS)
def test_every_reader_learns_classes_that_are_far_apart(reader):
    sets = [of_apart(seed, dtype=torch.float32) for seed in (0, 1)]
    settings = SHORT | dict(epochs=40, looks=20)
    rows = planar.classify(reader, sets, [0, 1], **settings, frames=[window(APART), None])
    assert all(row[part] > 0.97 for row in rows for part in ("train", "test", "fresh"))
    assert {name: np.shape(value) for name, value in rows[0].items()} == {
        name: np.shape(value) for name, value in rows[1].items()
    }
    assert np.isnan(rows[0]["last_loss"]) == ("SVM" in reader)
    assert np.isfinite(rows[0]["where"]).all() == ("attention" in reader) and np.isnan(rows[1]["where"]).all()
    with pytest.raises(ValueError, match="unknown reader 'nobody'"):
        planar.classify("nobody", sets, [0, 1], **SHORT)


def test_a_machine_that_was_stopped_says_so():
    hard = planar.mixture_sets(clouds([(0, 0), (0.3, 0)], [(0, 0.3)]), slots=3, n=300, tests=50, seed=0)
    assert planar.linear_machine(hard, cost=100.0, steps=50)["converged"] == 0
    assert planar.linear_machine(of_apart(), cost=0.01, steps=100_000)["converged"] == 1


def test_a_portrait_gives_the_weight_of_a_foreground_point_at_each_place():
    net = PlanarAttention((2, 1), (2, 2), seed=0)
    with torch.no_grad():
        net.where[0].weight.copy_(torch.tensor([[1.0, 0.0]]))
        net.where[0].bias.zero_()
        net.what[0].weight.copy_(torch.tensor([[0.0, -1.0], [0.0, 1.0]]))
        net.what[0].bias.zero_()
    points = torch.tensor([[[9.0, 9.0], [0.0, 0.0], [math.log(3), 5.0]]])
    mosaics = PointMosaics(points, torch.tensor([0]), torch.tensor([0]))
    drawn = planar.portrait(net, mosaics, (0.0, 2.0, -1.0, 1.0))
    across = np.linspace(0, 2, planar.SIZE)
    np.testing.assert_allclose(drawn["where"][0], np.exp(across) / (np.exp(across) + 4), atol=0.0051)
    assert (drawn["what"][: planar.SIZE // 2] == 0).all() and (drawn["what"][planar.SIZE // 2 :] == 1).all()


# The plot


def test_planes_are_drawn_in_rows_with_what_lies_behind():
    points, labels = np.array([[0.0, 0.0], [1.0, 1.0], [0.5, 0.5]]), np.array([0, 1, 2])
    bare = Plane(points, labels, (-1, 2, -1, 2))
    behind = bare._replace(behind=np.eye(4), note="note")
    figure = plane({"a": [bare, behind], "b": [behind._replace(classes=True)]}, foreground=2, titles=["one", "two"])
    shown = [ax for ax in figure.axes if ax.get_visible()]
    assert [len(ax.images) for ax in shown[:3]] == [0, 1, 1]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["class 0", "class 1", "background"]
    assert len(figure.axes) == 5  # four squares, one scale
    assert shown[1].get_xlabel() == "note"
    plt.close(figure)
