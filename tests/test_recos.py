"""RECOS: clusters on the sphere, anchor vectors of LeNet-5, two-stage systems, and the network that is taken apart."""

import itertools

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn import functional as F

from companion import models, plots, recos, training
from companion.models.recos import CONTRAST, INITIAL, Stage, activation

DOUBLE = torch.double


def made_up_digits(n: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return torch.randint(256, (n, 1, 32, 32), generator=draw, dtype=torch.uint8), torch.arange(n) % 10


@pytest.fixture
def net():
    return models.recos_lenet5(seed=3)


# Activations


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("identity", [-2, -0.5, 0, 0.5, 0.75, 1]),
        ("relu", [0, 0, 0, 0.5, 0.75, 1]),
        ("abs", [2, 0.5, 0, 0.5, 0.75, 1]),
        ("leaky 0.1", [-0.2, -0.05, 0, 0.5, 0.75, 1]),
        ("trelu 0.5", [0, 0, 0, 0, 0.5, 1]),
        ("trelu 0", [0, 0, 0, 0.5, 0.75, 1]),
    ],
)
def test_activations_by_their_values(name, wanted):
    given = torch.tensor([-2, -0.5, 0, 0.5, 0.75, 1])
    torch.testing.assert_close(activation(name)(given), torch.tensor(wanted, dtype=torch.float32))


@pytest.mark.parametrize("name", ["gelu", "leaky", "leaky 2", "trelu 1", "trelu -0.1", "relu 0.5", "trelu x", ""])
def test_an_unknown_activation_is_named(name):
    with pytest.raises(ValueError, match=f"unknown activation {name!r}; the activations are identity, relu"):
        activation(name)


# The network


@pytest.mark.parametrize("pooling", ["max", "average"])
@pytest.mark.parametrize("kind", ["relu", "tanh", "sigmoid"])
def test_it_is_lenet5_to_the_last_bit(kind, pooling):
    images, labels = made_up_digits(40)
    nets = [build(seed=4, activation=kind, pooling=pooling) for build in (models.LeNet5, models.recos_lenet5)]
    for one in nets:
        training.fit(one, (images, labels), epochs=2, lr=1e-3, optimizer="adam", batch=16, seed=1)
    for ours, theirs in zip(*(one.parameters() for one in nets), strict=True):
        assert torch.equal(ours, theirs)
    assert torch.equal(*(training.outputs(one, images) for one in nets))


def test_it_can_be_cut_anywhere(net):
    images, _ = made_up_digits(5)
    shapes = [tuple(net[:cut](images).shape[1:]) for cut in range(1, 7)]
    assert shapes == [(1, 32, 32), (6, 14, 14), (16, 5, 5), (120,), (84,), (10,)]
    for cut in range(1, 6):
        assert torch.equal(net[cut:](net[:cut](images)), net(images))


@pytest.mark.parametrize("pooling", ["max", "average"])
@pytest.mark.parametrize(("kind", "sign"), [("identity", -1), ("tanh", -1), ("abs", 1)])
def test_without_biases_odd_networks_turn_the_sign_and_even_ones_do_not_see_it(kind, sign, pooling):
    images, _ = made_up_digits(8)
    net = models.recos_lenet5(seed=1, activation=kind, pooling=pooling, bias=False)
    original, negative = net(images), net(255 - images)
    alike = torch.allclose(negative, sign * original, rtol=0, atol=1e-6)
    assert alike == (pooling == "average" or kind == "abs")  # max-pooling breaks oddness, not evenness
    assert original.abs().max() > 1e-3


def test_absolute_values_are_taken_before_the_maximum():
    layer = torch.nn.Conv2d(1, 1, 1, bias=False)
    torch.nn.init.ones_(layer.weight)
    maps = torch.tensor([[-3.0, 1.0], [2.0, 0.0]])[None, None]
    assert Stage(layer, "abs", pooling="max")(maps).item() == 3
    assert Stage(layer, "relu", pooling="max")(maps).item() == 2
    assert Stage(layer, "abs", pooling="average")(maps).item() == 1.5


@pytest.mark.parametrize("stage", [1, 2, 3, 4])
def test_responses_of_unit_length_are_correlation_coefficients(stage):
    net = models.recos_lenet5(seed=2, unit_length=True, activation="identity").double()
    assert all(one.layer.bias is None for one in net[1:5]) and net[5].layer.bias is not None
    values = torch.rand(3, 1, 32, 32, dtype=DOUBLE, generator=torch.Generator().manual_seed(0))
    values = net[:stage](values).detach()
    found = net[stage].responses(values)
    rows = F.unfold(values, 5).transpose(1, 2).flatten(0, 1) if stage < 3 else values.flatten(1)
    anchors = recos.anchors(net[stage])
    wanted = np.corrcoef(rows.numpy(), anchors.numpy())[: len(rows), len(rows) :]
    found = found.flatten(2).transpose(1, 2).flatten(0, 1) if stage < 3 else found
    assert np.allclose(found.detach().numpy(), wanted, atol=1e-10)


def test_a_patch_without_contrast_has_no_correlation():
    net = models.recos_lenet5(seed=2, unit_length=True)
    assert net[1].responses(torch.full((1, 1, 32, 32), -1.0)).abs().max() < 1e-3
    assert torch.equal(recos.directions(torch.ones(2, 5)), torch.zeros(2, 5))
    faint = torch.tensor([[1.0, -1.0]]) * (CONTRAST / 8) ** 0.5
    assert recos.directions(faint).norm().item() == pytest.approx(0.5)


@pytest.mark.parametrize("initial", INITIAL)
def test_initial_weights_have_their_spread(initial):
    net = models.recos_lenet5(seed=5, initial=initial)
    dense = net[3].layer  # 400 -> 120
    variances = {"default": 1 / 400 / 3, "glorot": 2 / 520, "he": 2 / 400, "normal": 1, "zero": 0}
    assert dense.weight.var().item() == pytest.approx(variances[initial], rel=0.04, abs=1e-9)
    assert dense.bias.any() == (initial == "default")
    again = models.recos_lenet5(seed=5, initial=initial)
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), again.parameters(), strict=True))


def test_dropout_is_in_training_only():
    images, _ = made_up_digits(4)
    net = models.recos_lenet5(seed=0, dropout=0.5)
    plain = models.recos_lenet5(seed=0)(images)
    assert torch.equal(net.eval()(images), plain)
    assert not torch.equal(net.train()(images), plain)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (dict(activation=["relu", "abs"]), r"one for each of the 4 hidden layers, not the 2 \('relu', 'abs'\)"),
        (dict(activation="gelu"), "unknown activation 'gelu'"),
        (dict(pooling="min"), "unknown pooling 'min'; the poolings are max, average"),
        (dict(initial="ones"), "unknown initial weights 'ones'; there are default, glorot"),
    ],
)
def test_wrong_settings_are_named_with_those_allowed(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        models.recos_lenet5(seed=0, **settings)


# The sphere


def test_angles_and_arcs_on_the_circle():
    points = recos.on_circle(torch.tensor([0.0, 90, 200], dtype=DOUBLE))
    assert torch.allclose(recos.angles(points, points), torch.tensor([[0.0, 90, 160], [90, 0, 110], [160, 110, 0]],
                          dtype=DOUBLE), atol=1e-5)  # fmt: skip
    assert torch.allclose(recos.angles(7 * points[:1], points[1:2]), torch.tensor([[90.0]], dtype=DOUBLE))
    arcs = recos.arc_lengths(points[[0, 0, 1]], points[[1, 2, 1]])
    assert torch.allclose(arcs, torch.tensor([90.0, 160, 0], dtype=DOUBLE).deg2rad(), atol=1e-5)
    chords = recos.arc_lengths(points[[0]], points[[1]], halvings=0)
    assert chords.item() == pytest.approx(2**0.5)


def test_planted_clusters_are_found_and_a_cloud_is_not():
    points, labels = recos.planted(600, spread=0.2, seed=1)
    assert torch.allclose(points.norm(dim=1), torch.ones(600, dtype=DOUBLE))
    means = torch.stack([points[labels == k].mean(0) for k in range(4)])
    apart = recos.angles(means, means)[~torch.eye(4, dtype=torch.bool)]
    assert (apart - 109.47).abs().max() < 5  # corners of a tetrahedron
    found = recos.kmeans(points, 4, seed=1)
    assert recos.purity(found.labels, labels) > 0.99
    assert recos.angles(found.centres, means).amin(1).max() < 5
    wide, kinds = recos.planted(600, spread=3.0, seed=1)
    assert recos.purity(recos.kmeans(wide, 4, seed=1).labels, kinds) < 0.6


def test_clusters_are_a_fixed_point_and_more_of_them_explain_more():
    points, _ = recos.planted(300, spread=0.8, seed=2)
    cosines = []
    for k in (1, 3, 10, 300):
        found = recos.kmeans(points, k, seed=0)
        assert torch.equal((points @ found.centres.T).argmax(1), found.labels)
        members = torch.stack([points[found.labels == j].sum(0) for j in range(k)])
        assert torch.allclose(F.normalize(members, dim=1), found.centres)
        cosines.append(found.cosine)
    assert cosines == sorted(cosines) and cosines[-1] == pytest.approx(1)
    assert torch.equal(recos.kmeans(points, 3, seed=0).labels, recos.kmeans(points, 3, seed=0).labels)
    with pytest.raises(ValueError, match="300 points make from 1 to 300 clusters, not 301"):
        recos.kmeans(points, 301, seed=0)


def test_a_cluster_without_points_begins_again():
    points = recos.on_circle(torch.tensor([0.0, 0, 0, 0, 90, 180], dtype=DOUBLE))
    for seed in range(10):
        assert recos.kmeans(points, 3, seed=seed, restarts=1).cosine == pytest.approx(1)


def test_purity_counts_the_most_frequent_class_of_each_cluster():
    clusters, classes = torch.tensor([0, 0, 0, 1, 1, 2]), torch.tensor([5, 5, 3, 3, 5, 1])
    assert recos.purity(clusters, classes) == pytest.approx(4 / 6)
    assert recos.purity(classes, classes) == 1


def test_patches_are_laid_out_as_filters_are():
    maps = torch.rand(3, 2, 7, 6, generator=torch.Generator().manual_seed(1), dtype=DOUBLE)
    maps[1] = 0.5
    cut, source = recos.patches(maps, 200, size=5, seed=0)
    assert cut.shape[1] == 50 and len(cut) == len(source) < 200 and set(source.tolist()) == {0, 2}
    assert cut.mean(1).abs().max() < 1e-12 and (cut.norm(dim=1) - 1).abs().max() < 1e-12
    there = recos.directions(F.unfold(maps, 5).transpose(1, 2).flatten(0, 1))  # as conv2d sees them
    assert all((there - one).abs().amax(1).min() < 1e-12 for one in cut)
    for image in (0, 2):
        own = recos.directions(F.unfold(maps[[image]], 5)[0].T)
        assert all((own - one).abs().amax(1).min() < 1e-12 for one in cut[source == image])
    with pytest.raises(ValueError, match="patches of 9x9 cannot be cut from maps of 7x6"):
        recos.patches(maps, 5, size=9, seed=0)
    with pytest.raises(ValueError, match="none of the 5 patches has any contrast"):
        recos.patches(maps[1:2], 5, seed=0)


# Anchor vectors


def test_watched_filters_are_those_after_so_many_steps(net):
    images, labels = made_up_digits(64)
    start = recos.anchors(net[1])
    with recos.watched(net, [0, 4, 6]) as seen:
        training.fit(net, (images, labels), epochs=2, lr=0.01, batch=16, seed=0, measure=lambda net: {"x": 0.0})
    training.accuracy(net, (images, labels))
    assert [len(taken) for taken in seen] == [2, 2, 2]
    assert torch.equal(seen[0][0], start) and seen[0][1].shape == (16, 150)
    once = models.recos_lenet5(seed=3)
    training.fit(once, (images, labels), epochs=1, lr=0.01, batch=16, seed=0)
    assert torch.equal(seen[1][1], recos.anchors(once[2]))
    assert not torch.equal(seen[2][0], seen[1][0])


@pytest.mark.parametrize("kind", recos.KINDS[1:])
@pytest.mark.parametrize("layers", [1, 2])
def test_replaced_filters_keep_their_lengths_and_leave_the_rest(net, kind, layers):
    images, _ = made_up_digits(20)
    before = [recos.anchors(stage) for stage in net[1:]]
    recos.replace_filters(net, kind, images, layers=layers, n=300, seed=0)
    for place, (old, stage) in enumerate(zip(before, net[1:], strict=True)):
        new = recos.anchors(stage)
        assert torch.equal(old, new) == (place >= layers)
        torch.testing.assert_close(old.norm(dim=1), new.norm(dim=1))
        assert bool(stage.layer.bias.any()) == (place >= layers)


def test_filters_can_be_left_and_unknown_ones_are_named(net):
    before = [weights.clone() for weights in net.parameters()]
    recos.replace_filters(net, "trained", made_up_digits(5)[0], layers=2, n=10, seed=0)
    assert all(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))
    with pytest.raises(ValueError, match="unknown filters 'best'; there are trained, random, k-means, PCA"):
        recos.replace_filters(net, "best", made_up_digits(5)[0], layers=1, n=10, seed=0)


def test_components_are_the_directions_of_largest_spread():
    draw = torch.Generator().manual_seed(0)
    axes = torch.linalg.qr(torch.randn(5, 5, generator=draw, dtype=DOUBLE))[0]
    vectors = torch.randn(4_000, 5, generator=draw, dtype=DOUBLE) * torch.tensor([5.0, 3, 1, 0.5, 0.1], dtype=DOUBLE)
    found = recos.components((vectors + torch.tensor([0.5, -0.5, 0, 0, 0])) @ axes.T, 2)
    assert recos.angles(found, axes.T[:2])[0, 0] < 5 and recos.angles(found, -axes.T[:2])[1, 1] < 5


def test_layers_are_clustered_one_after_the_other(net):
    images, labels = made_up_digits(200)
    lengths = [recos.anchors(stage).norm(dim=1) for stage in net[1:]]
    clusters = recos.cluster_layers(net, images, n=150, seed=0)
    assert clusters.shape == labels.shape and clusters.min() >= 0 and clusters.max() < 10
    for stage, before in zip(range(1, 6), lengths, strict=True):
        anchors = recos.directions(recos.anchors(net[stage]).double())
        torch.testing.assert_close(recos.anchors(net[stage]).norm(dim=1), before)
        given = recos.inputs_of(net, stage, images, 150, seed=0)  # what the layers before, already clustered, make
        own = F.normalize(torch.zeros_like(anchors).index_add_(0, (given @ anchors.T).argmax(1), given), dim=1)
        assert (own * anchors).sum(1).median() > 0.99


def test_moved_tells_angles_to_the_start_and_to_the_nearest_centre():
    plane = torch.tensor([[1.0, -1, 0, 0], [0, 0, 1, -1]], dtype=DOUBLE) / 2**0.5
    places = [recos.on_circle(torch.tensor(some, dtype=DOUBLE)) @ plane for some in ([0.0, 90], [20.0, 100])]
    centres = recos.on_circle(torch.tensor([30.0, 180], dtype=DOUBLE)) @ plane
    from_start, to_centre = recos.moved([3 * one + 7 for one in places], centres)  # neither length nor mean matters
    assert np.allclose(from_start, [0, 15], atol=1e-5) and np.allclose(to_centre, [(30 + 60) / 2, (10 + 70) / 2])


# Practices


@pytest.fixture
def trainings():
    """Accuracy 0.5, 0.1 more with b = 2, 0.01 less with c = "y", both together 0.3 less; the second seed 0.02 more."""
    rows = itertools.product((1, 2), ("x", "y"), (0, 1))
    values = {(1, "x"): 0.5, (2, "x"): 0.6, (1, "y"): 0.49, (2, "y"): 0.2}
    return pd.DataFrame([dict(b=b, c=c, seed=s, accuracy=values[b, c] + 0.02 * s * b) for b, c, s in rows])


HOME, LEVELS = {"b": 1, "c": "x"}, {"b": [1, 2, 3], "c": ["x", "y"]}


def test_effects_are_changes_from_home_with_all_others_at_home(trainings):
    found = recos.effects(trainings, HOME, {"b": [1, 2], "c": ["x", "y"]}).set_index("practice")
    assert list(found.index) == ["b 2", "c y"]
    assert found.loc["b 2", "change"] == pytest.approx(11) and found.loc["c y", "change"] == pytest.approx(-1)
    assert found.loc["b 2", "high"] - 11 == pytest.approx(12.706 * 1.0, rel=1e-3)  # t with one degree, s.d. of 2 ** .5
    assert found.loc["c y", "low"] == pytest.approx(found.loc["c y", "high"])


def test_trainings_at_home_and_planes(trainings):
    assert len(recos.turned(trainings, HOME)) == 2 and len(recos.turned(trainings, HOME, "b")) == 4
    found = recos.plane(trainings, HOME, "b", "c", LEVELS)
    assert np.allclose(found, [[0.51, 0.50], [0.62, 0.22], [np.nan, np.nan]], equal_nan=True)
    assert np.allclose(recos.best_less_worst(recos.turned(trainings, HOME, "b"), "b"), [0.1, 0.12])
    assert np.allclose(recos.best_less_worst(trainings, "c"), [0.55 - 0.345, 0.58 - 0.375])


# Two stages


def test_the_four_cases_are_those_of_the_table():
    found = recos.cases(0.8, 0.5, ["identity", "relu", "leaky 0.1", "abs"])
    wanted = [[0.4, 0.4, 0.4, 0.4], [0.4, 0, 0.04, -0.4], [-0.4, -0.4, -0.4, -0.4], [-0.4, 0, -0.04, 0.4]]
    assert np.allclose(found, wanted)
    assert list(found.index) == ["+0.8 × +0.5", "−0.8 × −0.5", "+0.8 × −0.5", "−0.8 × +0.5"]


def test_opposite_inputs_are_confused_by_the_missing_part_of_the_activation():
    inputs = recos.directions(torch.randn(300, 25, generator=torch.Generator().manual_seed(0), dtype=DOUBLE))
    shares = {name: [one.mean().item() for one in recos.confused(inputs, -inputs, name, seed=0)]
              for name in ("identity", "tanh", "sigmoid", "relu", "leaky 0.5", "abs")}  # fmt: skip
    for odd in ("identity", "tanh", "sigmoid"):  # the bias takes a half off the sigmoid
        assert shares[odd][1] == 1 and shares[odd][0] < 0.06
    assert shares["abs"][0] == 1 and shares["abs"][1] < 0.06
    # An answer a and its opposite differ by 2a; with a of unit variance that is less than 0.1 in so many cases:
    assert shares["identity"][0] == pytest.approx(0.0399, abs=0.004)
    assert shares["identity"][0] < shares["relu"][0] < 0.08 and shares["relu"][1] < shares["leaky 0.5"][1] < 1


def test_equal_inputs_are_always_answered_equally():
    inputs = recos.directions(torch.randn(20, 25, generator=torch.Generator().manual_seed(0), dtype=DOUBLE))
    same, turned = recos.confused(inputs, inputs, "relu", seed=0)
    assert (same == 1).all() and same.shape == (20,) and turned.mean() < 0.2
    looser = recos.confused(inputs, -inputs, "relu", seed=0, within=0.5)
    assert looser[1].mean() > recos.confused(inputs, -inputs, "relu", seed=0)[1].mean()


def test_pairs_stand_at_the_angles_of_their_bins():
    vectors = recos.on_circle(torch.arange(0.0, 180, 10, dtype=DOUBLE))
    edges = [0, 45, 90, 135, 180]
    pairs, bins = recos.pairs_by_angle(vectors, edges, 7, seed=0)
    angle = recos.angles(vectors, vectors)[pairs[:, 0], pairs[:, 1]]
    assert torch.bincount(bins).tolist() == [7, 7, 7, 7] and len(pairs.unique(dim=0)) == 28
    for place, (low, high) in enumerate(itertools.pairwise(edges)):
        assert ((angle[bins == place] > low - 1e-6) & (angle[bins == place] < high + 1e-6)).all()


# Plots


def test_a_polar_plot_shows_negative_values_dotted():
    table = pd.DataFrame({"at": [0.0, 90, 180, 270] * 2, "value": [1.0, 0, -1, 0] * 2, "anchor": [0] * 4 + [120] * 4})
    figure = plots.polar({"raw": table, "again": table}, "at", "value", hue="anchor")
    solid, dotted = figure.axes[0].lines[:2]
    assert np.nanmin(solid.get_ydata()) == 0 and np.nanmax(dotted.get_ydata()) == 1
    assert [text.get_text() for text in figure.legends[0].texts] == ["0", "120"]
    plt.close(figure)


def test_a_sphere_has_a_cloud_for_every_label_and_a_pin_for_every_centre():
    points, labels = recos.planted(50, spread=0.1, seed=0)
    found = recos.kmeans(points, 4, seed=0)
    figure = plots.sphere({"one": (points.numpy(), labels.numpy())}, centres={"one": found.centres.numpy()})
    assert len(figure.axes[0].collections) == 1 + 4 and len(figure.axes[0].lines) == 4
    tip = np.array(figure.axes[0].lines[2].get_data_3d())[:, 1]
    assert np.allclose(tip / np.linalg.norm(tip), found.centres[2])
