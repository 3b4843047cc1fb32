"""Lessons, detection, neurons and progress: every function against another way to the same number."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn import functional as F

from companion import data, models, plots, training
from companion.confusion import PAIRS, detection, information, learned, lessons, neurons, progress

ADAM = dict(batch=16, optimizer="adam", lr=1e-3, eps=1e-7)


def made_up(n=40, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return torch.randint(256, (n, 3, 32, 32), generator=draw, dtype=torch.uint8), torch.arange(n) % 10


def weights(net):
    return torch.cat([one.detach().flatten() for one in net.parameters()])


@pytest.fixture(scope="module")
def trained():
    net = models.CifarCNN(seed=4)
    training.fit(net, made_up(), seed=4, epochs=3, **ADAM)
    return net


# Width.


def test_width_one_is_the_network_itself_and_parameters_grow_with_the_square():
    plain, same = models.CifarCNN(seed=3), models.WideCifarCNN(width=1, seed=3)
    assert torch.equal(weights(plain), weights(same))
    images, _ = made_up(4)
    assert torch.equal(plain(images), same(images))
    wide = models.WideCifarCNN(width=2, seed=3)
    assert [wide.conv1.out_channels, wide.conv2.out_channels, wide.conv3.out_channels] == [64, 128, 128]
    assert wide(images).shape == (4, 10)
    assert 3.5 < len(weights(wide)) / len(weights(plain)) < 4
    with pytest.raises(ValueError, match=r"more than 1/64, not 0\.01"):
        models.WideCifarCNN(width=0.01, seed=0)


# Lessons.


def test_the_same_lesson_again_and_again_is_fit():
    examples = made_up()
    one, other = models.CifarCNN(seed=1), models.CifarCNN(seed=1)
    training.fit(one, examples, seed=1, epochs=3, **ADAM)
    lessons.train(other, [examples] * 3, seed=1, **ADAM)
    assert torch.equal(weights(one), weights(other))
    assert not other.training


def test_labels_change_from_one_lesson_to_the_next():
    images, labels = made_up()
    wrong = data.swap_halves(labels, (3, 5), seed=0)

    def after(*taught):
        net = models.CifarCNN(seed=1)
        lessons.train(net, [(images, own) for own in taught], seed=1, **ADAM)
        return weights(net)

    whole = models.CifarCNN(seed=1)
    training.fit(whole, (images, wrong), seed=1, epochs=1, **ADAM)
    assert torch.equal(after(wrong), weights(whole))
    found = [after(*taught) for taught in ((labels, labels), (wrong, labels), (labels, wrong))]
    assert not any(torch.equal(found[one], found[other]) for one, other in ((0, 1), (0, 2), (1, 2)))


def test_what_is_measured_when():
    examples, net = made_up(20), models.CifarCNN(seed=0)
    start = weights(net)
    seen = lessons.train(net, [examples] * 3, seed=0, measure=weights, at=(0, 3), **ADAM)
    assert len(seen) == 2 and torch.equal(seen[0], start) and torch.equal(seen[1], weights(net))
    assert len(lessons.train(models.CifarCNN(seed=0), [examples] * 3, seed=0, measure=weights, **ADAM)) == 3


def test_slices_are_every_epoch_once_and_drawn_anew():
    inputs = torch.arange(12)
    parts = list(lessons.slices((inputs, inputs + 100), 3, epochs=2, seed=1))
    assert [len(one) for one, _ in parts] == [4] * 6
    assert all(torch.equal(one + 100, other) for one, other in parts)
    first, second = (torch.cat([one for one, _ in parts[k : k + 3]]) for k in (0, 3))
    assert sorted(first.tolist()) == sorted(second.tolist()) == inputs.tolist()
    assert first.tolist() != second.tolist()
    with pytest.raises(ValueError, match="12 examples cannot be cut into 5 equal pieces"):
        list(lessons.slices((inputs, inputs), 5, epochs=1, seed=0))


def test_standing_by_hand(trained):
    images, labels = made_up(30, seed=2)
    found = lessons.standing(trained, (images, labels))
    p = training.probabilities(trained, images).numpy()
    is_dog = labels.numpy() == 5
    score = np.where(is_dog, np.log2(p[:, 5]), np.log2(1 - p[:, 5])).mean()
    assert found["score"][5] == pytest.approx(score, abs=lessons.FINE)
    assert found["own"][5] == pytest.approx(p[is_dog, 5].mean(), abs=lessons.FINE)
    assert all(value.dtype == np.float32 and (value % lessons.FINE == 0).all() for value in found.values())


# Detection.


def test_cosines_do_not_see_the_order_of_units(trained):
    images, labels = made_up(50, seed=3)
    found = detection.layer_cosines(trained, images, labels)
    assert found.shape == (4, 45) and (abs(found) <= 1 + 1e-9).all()
    other, order = models.CifarCNN(seed=0), torch.randperm(64, generator=torch.Generator().manual_seed(0))
    other.load_state_dict(trained.state_dict())
    with torch.no_grad():
        other.dense1.weight.copy_(trained.dense1.weight[order])
        other.dense1.bias.copy_(trained.dense1.bias[order])
        other.conv1.weight.copy_(trained.conv1.weight.flip(0))
        other.conv1.bias.copy_(trained.conv1.bias.flip(0))
        other.conv2.weight.copy_(trained.conv2.weight.flip(1))
    np.testing.assert_allclose(detection.layer_cosines(other, images, labels), found, atol=1e-4)
    hidden = F.relu(trained.dense1(trained.layer_by_layer()[:10](images)))
    means = torch.stack([hidden[labels == c].mean(0) for c in range(10)])
    unit = F.normalize(means - means.mean(0), dim=1)
    assert found[3, 0] == pytest.approx(float((unit[0] @ unit[1]).detach()), abs=1e-5)


def test_filters_find_their_places_again():
    draw = np.random.default_rng(0)
    reference, order = draw.normal(size=(8, 27)), draw.permutation(8)
    shuffled = reference[order] + draw.normal(scale=0.1, size=(8, 27))
    np.testing.assert_array_equal(order[detection.matched(shuffled, reference)], np.arange(8))


def test_kernel_pca_keeps_the_distances_of_the_kernel():
    draw = np.random.default_rng(1)
    features = draw.normal(size=(12, 5))
    points = detection.kernel_pca(features, 12)
    squares = ((features[:, None] - features) ** 2).sum(-1)
    kernel = np.exp(-squares / np.median(squares[squares > 0]))
    np.testing.assert_allclose(((points[:, None] - points) ** 2).sum(-1), 2 - 2 * kernel, atol=1e-9)
    np.testing.assert_allclose(points.T @ points, np.diag((points**2).sum(0)), atol=1e-9)
    assert (np.diff((points**2).sum(0)) <= 1e-9).all()
    np.testing.assert_array_equal(detection.kernel_pca(np.ones((3, 2)), 2), np.zeros((3, 2)))


def test_nearest_group_learns_from_the_other_folds_only():
    groups, folds = np.tile([4, 9], 6), np.repeat([0, 1, 2], 4)
    points = np.where(groups == 4, -1.0, 1.0)[:, None] + np.random.default_rng(0).normal(scale=0.1, size=(12, 1))
    np.testing.assert_array_equal(detection.nearest_group(points, groups, folds), groups)
    turned = points * np.where(folds == 2, -1, 1)[:, None]  # this fold looks the other way round
    found = detection.nearest_group(turned, groups, folds)
    assert (found[folds == 2] != groups[folds == 2]).all()
    with pytest.raises(ValueError, match="at least two folds"):
        detection.nearest_group(points, groups, np.zeros(12))


# Neurons.


@pytest.mark.parametrize("layer", ["conv3", "dense1"])
def test_a_dream_excites_its_own_unit(trained, layer):
    grey, dreamt = (neurons.dream(trained, layer, seed=0, steps=steps) for steps in (0, 15))
    assert dreamt.shape == (64, 3, 32, 32) and dreamt.min() >= 0 and dreamt.max() <= 1
    stages = trained.layer_by_layer()[: neurons.BEFORE_RELU[layer]]
    own = [stages(images).unflatten(1, (64, -1)).flatten(2).mean(2).diagonal() for images in (grey, dreamt)]
    assert (own[1] > own[0]).float().mean() > 0.95
    assert torch.equal(dreamt, neurons.dream(trained, layer, seed=0, steps=15))
    assert all(one.grad is None or not one.grad.isnan().any() for one in trained.parameters())


def test_dreams_are_of_two_layers(trained):
    with pytest.raises(ValueError, match="conv3, dense1, not 'conv1'"):
        neurons.dream(trained, "conv1", seed=0)


def test_responses_are_those_of_the_layers(trained):
    images, _ = made_up(7, seed=5)
    found = neurons.responses(trained, images, batch=3)
    layers = trained.layer_by_layer()
    np.testing.assert_allclose(found[:, :64], layers[:9](images).mean((2, 3)).detach(), atol=1e-6)
    np.testing.assert_allclose(found[:, 64:], layers[:12](images).detach(), atol=1e-5)


def test_excited_units_are_the_share_asked_for_and_silent_ones_never():
    draw = torch.Generator().manual_seed(0)
    usual, patterns = torch.rand(200, 100, generator=draw), torch.rand(3, 100, generator=draw)
    usual[:, 7], patterns[:, 7] = 0.0, 5.0
    patterns[0, 3] = 9.0
    strength, chosen = neurons.excited(patterns, usual, share=0.1)
    assert chosen.sum(1).tolist() == [10, 10, 10] and chosen[0, 3] and not chosen[:, 7].any()
    assert strength[0, 3] == pytest.approx(float((9 - usual[:, 3].mean()) / usual[:, 3].std()))


def test_silenced_units_put_out_zero(trained):
    images, labels = made_up(40, seed=6)
    sets = torch.zeros(3, 128, dtype=torch.bool)
    sets[1, [0, 5, 9]], sets[2, [2, 64, 70, 101]] = True, True
    found = neurons.silenced(trained, images, labels, sets)
    for line, (channels, hidden) in zip(found, (([], []), ([0, 5, 9], []), ([2], [0, 6, 37])), strict=True):
        other = models.CifarCNN(seed=0)
        other.load_state_dict(trained.state_dict())
        with torch.no_grad():
            other.conv3.weight[channels] = other.conv3.bias[channels] = 0
            other.dense2.weight[:, hidden] = 0
        np.testing.assert_allclose(line, training.per_class(other, (images, labels))["accuracy"])


def test_random_sets_are_as_large_in_each_layer():
    sets = torch.rand(5, 128, generator=torch.Generator().manual_seed(1)) < 0.1
    found = neurons.shuffled(sets, seed=0)
    for part in (slice(0, 64), slice(64, 128)):
        assert torch.equal(found[:, part].sum(1), sets[:, part].sum(1))
    assert not torch.equal(found, sets) and torch.equal(found, neurons.shuffled(sets, seed=0))


# Progress.


def test_rises_find_the_sigmoid_they_were_made_of():
    steps = np.geomspace(10, 10_000, 30)
    curves = [2 + h / (1 + (m / steps) ** (1 / w)) for h, m, w in ((1, 300, 0.3), (-0.5, 1000, 0.15))]
    found = progress.rises(steps, np.array([*curves, np.full(30, 3.0)]), fineness=120)
    np.testing.assert_allclose(found["middle"][:2], [300, 1000], rtol=0.1)
    np.testing.assert_allclose(found["height"][:2], [1, -0.5], rtol=0.05)
    np.testing.assert_allclose(found["doublings"][:2], 2 * np.log(9) * np.array([0.3, 0.15]) / np.log(2), rtol=0.35)
    assert (found["explained"][:2] > 0.999).all() and found["explained"][2] == found["height"][2] == 0


def test_rises_want_points():
    with pytest.raises(ValueError, match="four rising steps above zero"):
        progress.rises([1, 2, 3], [[1, 2, 3]])
    with pytest.raises(ValueError, match="four rising steps above zero"):
        progress.rises([0, 1, 2, 3], [[1, 2, 3, 4]])


def test_gains_are_the_reading_k2():
    draw = np.random.default_rng(2)
    whole = draw.gamma(1.0, size=(45, 10, 10))
    whole /= whole.sum(-1, keepdims=True)
    own = np.diagonal(whole, axis1=1, axis2=2)
    np.testing.assert_allclose(progress.gains(own), information(whole)["K2"])
    many = np.stack([own, own[::-1]])
    np.testing.assert_allclose(progress.gains(many)[0], progress.gains(own))
    flat = np.where(learned(3, 5)[1][:, None], 0.3, 0.6) * np.ones((len(PAIRS), 10))
    assert progress.gains(flat)[3, 5] == pytest.approx(0.6 * np.log2(0.6 / (0.6 - 0.3 * 2 / 9)))


def test_curves_over_a_logarithmic_axis():
    table = pd.DataFrame({"images": [100, 1000, 5000], "loss": [0.47, 0.46, 0.44]})
    figure = plots.curves(table, "images", "loss", log_x=True)
    figure.canvas.draw()
    (ax,) = figure.axes
    told = [label.get_text() for label in ax.get_xticklabels()]
    assert ax.get_xscale() == "log" and {"100", "1k", "5k"} <= set(told)
    plt.close(figure)
