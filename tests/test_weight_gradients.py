"""Gradients of the loss with respect to attention weights: definition, closed form, invariances, what is told."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn import functional as F

from companion import plots
from companion.attention import gradients
from companion.models.attention_planar import PlanarAttention


@pytest.fixture(scope="module")
def cloud():
    return gradients.draw_cloud(40, seed=3)


@pytest.fixture(scope="module")
def net():
    return PlanarAttention(gradients.WHERE, gradients.WHAT, seed=1).double()


def test_gradients_are_those_of_finite_differences_and_of_the_closed_form(net, cloud):
    found = gradients.weight_gradients(net, cloud.mosaics, cloud.labels)
    torch.testing.assert_close(
        found.gradients, gradients.differences(net, cloud.mosaics, cloud.labels), rtol=0, atol=1e-7
    )
    torch.testing.assert_close(found.gradients, (found.pull[:, None] * cloud.mosaics).sum(-1))
    assert found.losses.mean() == pytest.approx(F.cross_entropy(net(cloud.mosaics), cloud.labels).item())


def test_score_gradients_are_those_of_autograd_through_the_softmax(net, cloud):
    found = gradients.weight_gradients(net, cloud.mosaics, cloud.labels)
    scores = net.where(cloud.mosaics.flatten(0, 1)).reshape(40, 9).detach().requires_grad_()
    average = (scores.softmax(1)[..., None] * cloud.mosaics).sum(1)
    (own,) = torch.autograd.grad(F.cross_entropy(net.what(average), cloud.labels, reduction="sum"), scores)
    torch.testing.assert_close(found.scores, own)
    torch.testing.assert_close(found.scores.sum(1), torch.zeros(40).double())


def test_gradients_do_not_hang_on_the_order_of_slots_or_on_other_mosaics(net, cloud):
    whole = gradients.weight_gradients(net, cloud.mosaics, cloud.labels)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(0))
    turned = gradients.weight_gradients(net, cloud.mosaics[:5, order], cloud.labels[:5])
    torch.testing.assert_close(turned.gradients, whole.gradients[:5, order])


def test_a_moved_origin_moves_all_gradients_of_a_mosaic_alike(net, cloud):
    shift = torch.tensor([3.0, -1.0]).double()
    before = gradients.weight_gradients(net, cloud.mosaics, cloud.labels)
    after = gradients.weight_gradients(gradients.moved_origin(net, shift), cloud.mosaics + shift, cloud.labels)
    torch.testing.assert_close(after.weights, before.weights)
    torch.testing.assert_close(after.losses, before.losses)
    torch.testing.assert_close(after.gradients, before.gradients + (before.pull @ shift)[:, None])
    torch.testing.assert_close(after.scores, before.scores)
    assert (after.gradients - before.gradients).abs().max() > 0.01


def test_a_cloud_is_ten_round_classes_and_its_mosaics_hold_one_foreground_point():
    cloud = gradients.draw_cloud(500, seed=0)
    assert cloud.points.shape == (1000, 2)
    spread = torch.stack([cloud.points[cloud.classes == label].std(0) for label in range(10)])
    assert spread == pytest.approx(np.full((10, 2), 0.1), abs=0.025)
    classes = cloud.classes[cloud.members]
    assert torch.equal((classes < 3).sum(1), torch.ones(500, dtype=torch.int64))
    assert torch.equal((classes < 3).int().argmax(1), cloud.position)
    assert torch.equal(classes.gather(1, cloud.position[:, None])[:, 0], cloud.labels)
    assert set(cloud.position.tolist()) == set(range(9))


def test_slots_keep_the_order_of_the_background():
    drawn = gradients.Mosaics(torch.tensor([90, 91]), torch.arange(16).reshape(2, 8), torch.tensor([0, 5]))
    expected = [[90, *range(8)], [8, 9, 10, 11, 12, 91, 13, 14, 15]]
    assert gradients.in_slots(drawn).tolist() == expected


def test_training_is_followed_from_before_its_start():
    looks, settings = (0, 1, 12), dict(mosaics=500, epochs=12, dtype=torch.float64)
    both = gradients.follow([0, 4], looks=looks, **settings)
    course = dict(zip(gradients.COURSE, both[1]["course"].T, strict=True))
    cloud = gradients.draw_cloud(500, seed=4)
    untrained = PlanarAttention(gradients.WHERE, gradients.WHAT, seed=4).double()
    found = gradients.weight_gradients(untrained, cloud.mosaics, cloud.labels)
    own = F.one_hot(cloud.position, 9).bool()
    assert course["foreground"][0] == pytest.approx(found.gradients[own].mean().item(), rel=1e-5)
    assert course["background"][0] == pytest.approx(found.gradients[~own].mean().item(), rel=1e-5)
    assert course["score"][0] == pytest.approx(found.scores[own].mean().item(), rel=1e-5)
    assert course["loss"][-1] < course["loss"][0]
    assert course["foreground"][-1] < course["background"][-1]
    alone = gradients.follow([4], looks=looks, **settings)[0]
    np.testing.assert_array_equal(alone["course"], both[1]["course"])
    assert both[1]["by_class"].shape == (3, 10)


def test_held_weights_stay_even_and_the_rest_learns():
    row = gradients.follow([0], looks=(0, 5), mosaics=500, epochs=5, held=True, dtype=torch.float64)[0]
    course = dict(zip(gradients.COURSE, row["course"].T, strict=True))
    assert course["weight"] == pytest.approx([1 / 9, 1 / 9])
    assert course["loss"][1] < course["loss"][0]


def test_bad_input_is_named(net, cloud):
    with pytest.raises(ValueError, match="40 mosaics need as many labels, not 39"):
        gradients.weight_gradients(net, cloud.mosaics, cloud.labels[1:])
    with pytest.raises(ValueError, match=r"begin with 0, before training, not \[1, 2\]"):
        gradients.follow([0], looks=(1, 2), mosaics=50, epochs=2, dtype=torch.float64)


def test_plots_show_what_they_are_given():
    points, labels = np.array([[0.0, 1.0], [2.0, 2.0], [-1.0, 0.5]]), np.array([0, 1, 2])
    figure = plots.classes(points, labels, {"a": None, "b": [0.1, -0.4, 0.0]}, foreground=1)
    assert [text.get_text() for text in figure.axes[0].texts] == ["0", "1", "2"]
    assert figure.axes[1].get_xlabel() == "±0.4"
    table = pd.DataFrame({"amount": [30, 30, 60, 60], "test": [0.5, 0.7, 0.6, 0.6]})
    other = pd.DataFrame({"amount": [30, 60], "test": [0.55, 0.9]})
    figure = plots.accounts({"p": table, "q": table}, {"p": other}, {"q": other}, "amount", "test")
    assert [text.get_text() for text in figure.legends[0].texts] == ["closed form", "networks", "the paper"]
    assert figure.axes[0].get_ylim()[1] > 0.9  # every panel's numbers are within the axes that they share
    assert figure.axes[1].lines[-1].get_ydata().tolist() == [0.55, 0.9]
    behind = np.zeros((4, 5))
    places = plots.Places((0, 5, 0, 4), behind, points, np.array([0, 1, 2]), note="three")
    figure = plots.decisions(
        {"row": [places, places._replace(points=None)]}, titles=["x", "y"], rest="none", bar="share"
    )
    assert figure.axes[0].get_xlabel() == "three"
    assert len(figure.axes[0].collections) == 1
    assert not figure.axes[1].collections
    assert [text.get_text() for text in figure.legends[0].texts] == ["class 0", "class 1", "none"]
