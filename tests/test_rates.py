"""What the notebook on convergence rates rests on: towers, choices of training sets, laws of decay, predictions."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from scipy import optimize

from companion import data, models, plots, stats
from companion.data.selection import KINDS, nearest_anchor, spherical_clusters
from companion.stats import decay as decay_function
from companion.stats.decay import LAWS, STEEPEST


def made_up(n: int, *, side: int = 6, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return torch.randint(256, (n, 1, side, side), generator=draw, dtype=torch.uint8), torch.arange(n) % 4


# Towers


@pytest.mark.parametrize(
    ("layers", "filters", "size", "parameters"), [(3, 4, 3, 706), (1, 4, 3, 7_890), (4, 64, 9, 1_006_538)]
)
def test_towers_have_the_parameters_of_the_family(layers, filters, size, parameters):
    net = models.Tower(layers, filters, size, seed=0)
    assert sum(weights.numel() for weights in net.parameters()) == parameters


def test_the_costs_of_all_eighty_towers_are_those_of_the_plan():
    """From 0.036 to 88.3 million multiply-adds, 687 million in all."""
    costs = [
        models.layer_table(models.Tower(layers, filters, size, seed=0), (1, 28, 28))["multiply_adds"].sum()
        for layers in (1, 2, 3, 4) for filters in (4, 8, 16, 32, 64) for size in (3, 5, 7, 9)
    ]  # fmt: skip
    assert (min(costs), max(costs), sum(costs)) == (36_064, 88_341_120, 686_953_056)


def test_pooling_before_relu_changes_nothing_and_colour_images_fit():
    net = models.Tower(2, 3, 5, seed=1, shape=(3, 32))
    images = torch.rand(4, 3, 32, 32)
    maps = images
    for layer in (net[1], net[4]):
        maps = torch.nn.functional.max_pool2d(layer(maps).relu(), 2)
    assert torch.equal(net[-1](maps.flatten(1)), net(images))


def test_the_same_seed_gives_the_same_tower_and_another_seed_another():
    one, same, other = (models.Tower(1, 2, 3, seed=seed).state_dict() for seed in (5, 5, 6))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not any(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    ("arguments", "shape", "told"),
    [((0, 4, 3), (1, 28), "0 layers"), ((1, 4, 4), (1, 28), "size is odd"), ((3, 4, 3), (1, 7), "side 7")],
)
def test_towers_that_cannot_be_built_are_refused(arguments, shape, told):
    with pytest.raises(ValueError, match=told):
        models.Tower(*arguments, seed=0, shape=shape)


# Choices


@pytest.mark.parametrize("kind", KINDS)
def test_a_choice_has_the_size_asked_for_and_follows_from_the_seed(kind):
    images, labels = made_up(80)
    chosen = data.select(kind, images, labels, 21, seed=3)
    assert chosen.shape == (21,) and chosen.dtype == torch.int64
    assert torch.equal(chosen, data.select(kind, images, labels, 21, seed=3))
    assert len(chosen.unique()) == (11 if kind == "duplicates" else 21)
    if kind in ("nearest to the mean", "one cluster"):
        assert labels[chosen].bincount().tolist() == [6, 5, 5, 5]
    if kind != "nearest to the mean":
        assert not torch.equal(chosen, data.select(kind, images, labels, 21, seed=4))


def test_random_choices_of_a_seed_are_nested_and_the_whole_pool_is_a_permutation():
    images, labels = made_up(30)
    few, all_of_them = (data.select("random", images, labels, n, seed=1) for n in (7, 30))
    assert torch.equal(few, all_of_them[:7]) and all_of_them.sort()[0].tolist() == list(range(30))


def test_each_k_centre_is_as_far_from_those_before_as_any_image_is():
    images, labels = made_up(60)
    chosen = data.select("k-centre", images, labels, 10, seed=0)
    distances = torch.cdist(images.flatten(1).double(), images.flatten(1).double())
    for place in range(1, 10):
        to_the_chosen = distances[:, chosen[:place]].amin(1)
        assert to_the_chosen[chosen[place]] == pytest.approx(to_the_chosen.max().item(), rel=1e-5)


def test_repeated_images_are_centres_only_once():
    images = torch.zeros(6, 1, 2, 2, dtype=torch.uint8)
    assert sorted(data.select("k-centre", images, torch.zeros(6), 6, seed=0).tolist()) == list(range(6))


def test_the_nearest_to_the_mean_and_of_one_cluster_are_closer_together_than_a_random_choice():
    images, labels = made_up(200, side=3)

    def spread(kind):
        points = images[data.select(kind, images, labels, 40, seed=0)].flatten(1).double() / 255
        return points.var(0).sum().item()

    assert spread("nearest to the mean") < 0.8 * spread("random") < 0.8 * spread("k-centre")
    assert spread("one cluster") < 0.95 * spread("random")


@pytest.mark.parametrize(
    ("kind", "n", "told"),
    [("best", 3, "kinds are random"), ("random", 41, "41 images"), ("random", 0, "0 images"), ("one cluster", 40, "")],
)
def test_choices_that_cannot_be_made_are_refused(kind, n, told):
    images, labels = made_up(40)
    labels[0] = 1  # class 0 has one image less than its share of all
    with pytest.raises(ValueError, match=told or "class 0"):
        data.select(kind, images, labels, n, seed=0)


def test_mislabelling_changes_just_the_share_that_is_asked_for_to_other_classes():
    labels = torch.arange(200) % 10
    wrong = data.mislabel(labels, 0.25, seed=2)
    assert (wrong != labels).sum() == 50 and wrong.min() >= 0 and wrong.max() <= 9
    assert torch.equal(labels, torch.arange(200) % 10) and torch.equal(data.mislabel(labels, 0, seed=2), labels)
    assert len(((wrong - labels) % 10).unique()) == 10
    with pytest.raises(ValueError, match=r"not 1\.5"):
        data.mislabel(labels, 1.5, seed=0)


# Statistics of a choice


def test_the_effective_rank_of_equally_strong_directions_is_their_number():
    corners = torch.zeros(8, 1, 2, 2, dtype=torch.uint8)
    for place in range(4):
        corners[2 * place].view(-1)[place] = 200
    doubled = torch.cat([corners, corners])
    points = corners[::2].flatten(1).double()
    pool = made_up(20, side=2)[0]
    rank = data.sample_statistics(corners[::2], pool, corners, seed=0, codes=4)["rank"]
    assert np.linalg.matrix_rank(points - points.mean(0)) == 3 and rank == pytest.approx(3)
    one = data.sample_statistics(corners, pool, corners, seed=0, codes=4)
    assert one["rank"] == pytest.approx(data.sample_statistics(doubled, pool, corners, seed=0, codes=4)["rank"])


def test_a_test_set_that_was_chosen_is_at_no_distance_and_the_pool_covers_itself():
    pool = made_up(50)[0]
    own = data.sample_statistics(pool, pool, pool[:9], seed=0, codes=10)
    few = data.sample_statistics(pool[:3], pool, pool[:9], seed=0, codes=10)
    assert own["distance"] == pytest.approx(0, abs=1e-3) and own["coverage"] == 1
    expected = torch.cdist(pool[:9].flatten(1).double(), pool[:3].flatten(1).double()).amin(1).mean().item() / 255
    assert few["distance"] == pytest.approx(expected, rel=1e-3)
    assert 0.1 <= few["coverage"] <= 0.3 and few["rank"] < own["rank"]


def test_spherical_clusters_find_planted_directions_whatever_the_lengths():
    draw = torch.Generator().manual_seed(0)
    directions = torch.eye(5)[:3]
    points = directions.repeat(40, 1) + 0.02 * torch.randn(120, 5, generator=draw)
    points *= torch.rand(120, 1, generator=draw) + 0.1
    anchors = spherical_clusters(points, 3, draw=torch.Generator().manual_seed(1))
    torch.testing.assert_close(anchors.norm(dim=1), torch.ones(3))
    assert len(set(nearest_anchor(directions, anchors).tolist())) == 3
    assert (directions @ anchors.T).amax(1).min() > 0.999


def test_statistics_of_too_little_are_refused():
    images = made_up(5)[0]
    with pytest.raises(ValueError, match="not 1"):
        data.sample_statistics(images[:1], images, images, seed=0, codes=2)
    with pytest.raises(ValueError, match="6 clusters are asked for of 5"):
        data.sample_statistics(images, images, images, seed=0, codes=6)


# Laws of decay

SIZES = np.array([100, 200, 500, 1_000, 2_000, 5_000, 20_000.0])
TRUE = {
    "power": lambda z: 5 * z**-0.6 + 0.05,
    "pure power": lambda z: 5 * z**-0.4,
    "exponential": lambda z: 0.7 * np.exp(-0.002 * z) + 0.05,
    "logarithmic": lambda z: 1.2 - 0.11 * np.log(z),
}
ROOMS = {"power": (5, 0.6, 0.05), "pure power": (5, 0.4, 0), "exponential": (0.7, 0.002, 0.05)}
ROOMS |= {"logarithmic": (1.2, 0.11, 0)}


def scattered(errors: np.ndarray, *, seeds: int = 6, sd: float = 0.03, seed: int = 0) -> np.ndarray:
    return errors * np.exp(sd * np.random.default_rng(seed).standard_normal((seeds, len(errors))))


@pytest.mark.parametrize("law", LAWS)
def test_a_law_without_scatter_is_found_exactly(law):
    fit = stats.decay(SIZES, np.stack([TRUE[law](SIZES)] * 2), law=law, resamples=50)
    assert (fit.factor, fit.exponent, fit.floor) == pytest.approx(ROOMS[law], rel=1e-3, abs=1e-9)
    assert fit.low == pytest.approx(fit.exponent, rel=1e-3) and fit.high == pytest.approx(fit.exponent, rel=1e-3)
    np.testing.assert_allclose(fit(SIZES), TRUE[law](SIZES), rtol=1e-3)


@pytest.mark.parametrize("law", LAWS)
def test_the_criterion_prefers_the_law_that_the_errors_follow(law):
    errors = scattered(TRUE[law](SIZES))
    fits = {other: stats.decay(SIZES, errors, law=other, resamples=0) for other in LAWS}
    assert min(fits, key=lambda other: fits[other].aic) == law
    assert 0.1 < fits[law].misfit < 3 and np.isnan(fits[law].low)


def test_the_fit_is_the_one_that_scipy_finds():
    errors = scattered(TRUE["power"](SIZES), sd=0.1)
    fit = stats.decay(SIZES, errors, resamples=0)
    logs = np.log(errors)
    variances = logs.var(0, ddof=1)
    weights = 6 / ((4 * variances.mean() + 5 * variances) / 9)

    def misses(theta):
        return np.sqrt(weights) * (np.log(np.exp(theta[0]) * SIZES ** -theta[1] + theta[2]) - logs.mean(0))

    best = optimize.least_squares(misses, [1, 0.5, 0.01], bounds=([-np.inf, -5, 0], [np.inf, 5, 1]))
    assert fit.exponent == pytest.approx(best.x[1], rel=1e-3) and fit.floor == pytest.approx(best.x[2], rel=1e-3)
    assert fit.misfit * 4 == pytest.approx(2 * best.cost, rel=1e-6)


def test_the_unit_of_size_and_of_error_does_not_matter():
    errors = scattered(TRUE["power"](SIZES))
    one, other = stats.decay(SIZES, errors), stats.decay(1_000 * SIZES, 7 * errors)
    assert (one.exponent, one.low, one.high) == pytest.approx((other.exponent, other.low, other.high), rel=1e-3)
    assert 7 * one.floor == pytest.approx(other.floor, rel=1e-3)


def test_rising_errors_have_a_negative_exponent_and_one_step_has_none_that_is_settled():
    assert stats.decay(SIZES, scattered(1 / TRUE["pure power"](SIZES), seeds=3)).high < 0
    assert stats.decay([1, 2, 3, 4], scattered(np.array([0.5, 0.1, 0.1, 0.1]), seeds=3)).high == STEEPEST


def test_intervals_of_few_seeds_hold_the_truth_about_as_often_as_they_say():
    held = [
        fit.low <= 0.4 <= fit.high
        for seed in range(60)
        for fit in [
            stats.decay(SIZES, scattered(TRUE["pure power"](SIZES), seeds=5, sd=0.1, seed=seed), law="pure power")
        ]
    ]
    assert 0.88 <= np.mean(held) <= 1


def test_the_joint_law_is_found_exactly_and_is_symmetric():
    n, p = (axis.ravel() for axis in np.meshgrid([100, 300, 1_000, 3_000], [500.0, 2_000, 8_000]))
    errors = np.stack([20 * n**-0.8 + 5 * p**-0.5 + 0.01] * 3)
    fit, turned = stats.joint_decay(n, p, errors, resamples=20), stats.joint_decay(p, n, errors, resamples=0)
    assert (fit.first.mean, fit.second.mean, *fit.factors, fit.floor) == pytest.approx(
        (0.8, 0.5, 20, 5, 0.01), rel=0.01
    )
    assert (turned.first.mean, turned.second.mean) == pytest.approx((0.5, 0.8), rel=0.01)
    np.testing.assert_allclose(fit(n, p), errors[0], rtol=1e-3)
    assert (fit.first.low, fit.first.high, fit.first.n) == pytest.approx((0.8, 0.8, 3))


@pytest.mark.parametrize(
    ("sizes", "errors", "law", "told"),
    [
        ([1, 2, 3], [[0.3, 0.2, 0.1]], "power", r"shape \(1, 3\)"),
        ([1, 2], [[0.3, 0.2]] * 2, "power", "at least 3"),
        ([1, 2, 3], [[0.3, 0.2, 0.0]] * 2, "power", "smallest error 0"),
        ([0, 2, 3], [[0.3, 0.2, 0.1]] * 2, "power", "smallest size is 0"),
        ([1, 2, 3], [[0.3, 0.2, 0.1]] * 2, "linear", "laws are power"),
    ],
)
def test_what_is_no_decay_is_refused(sizes, errors, law, told):
    with pytest.raises(ValueError, match=told):
        decay_function(sizes, errors, law=law)


# Predictions of what was left out


def test_a_straight_line_is_predicted_exactly_and_noise_not_at_all():
    draw = np.random.default_rng(0)
    x, groups = draw.standard_normal((40, 2)), np.repeat(np.arange(10), 4)
    y = 3 + x @ [2, -1]
    predicted = stats.predict_left_out(x, y, groups)
    np.testing.assert_allclose(predicted, y)
    assert stats.explained_left_out(predicted, y, groups) == pytest.approx(1)
    noise = draw.standard_normal(40)
    assert stats.explained_left_out(stats.predict_left_out(x, noise, groups), noise, groups) < 0.1


def test_a_group_has_no_part_in_its_own_prediction():
    x, y, groups = np.arange(6.0)[:, None], np.array([0, 1, 2, 3, 4, 100.0]), list("aabbcd")
    changed = y.copy()
    changed[-1] = -50
    one, other = (stats.predict_left_out(x, values, groups) for values in (y, changed))
    assert one[-1] == other[-1] == pytest.approx(5) and (one[:-1] != other[:-1]).all()
    mean = stats.predict_left_out(np.empty((6, 0)), y, groups)
    assert mean[-1] == 2 and stats.explained_left_out(mean, y, groups) == 0


def test_predictions_that_cannot_be_made_are_refused():
    with pytest.raises(ValueError, match=r"\(3,\)"):
        stats.predict_left_out([[1.0], [2.0]], [1.0, 2.0, 3.0], list("abc"))
    with pytest.raises(ValueError, match="at least two groups"):
        stats.predict_left_out([[1.0], [2.0]], [1.0, 2.0], list("aa"))


# Plots


def test_decays_show_geometric_means_with_their_laws():
    errors = scattered(TRUE["power"](SIZES), seeds=4)
    table = pd.DataFrame(errors, columns=SIZES).melt(var_name="size", value_name="error").assign(of="test")
    law = stats.decay(SIZES, errors)
    figure = plots.decays({"images": (table, {"test": law}), "again": (table, {"all": law})}, "size", "error", hue="of")
    first = figure.axes[0]
    assert first.get_xscale() == first.get_yscale() == "log" and first.get_xlabel() == "images"
    points, line = first.containers[0].lines[0], first.lines[-1]
    np.testing.assert_allclose(points.get_xdata(), SIZES)
    np.testing.assert_allclose(points.get_ydata(), np.exp(np.log(errors).mean(0)))
    np.testing.assert_allclose(line.get_ydata(), law(line.get_xdata()))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["test", "all"]
    plt.close(figure)


def test_configurations_differ_in_colour_or_mark_and_every_one_is_in_the_legend():
    names = [f"choice {place}" for place in range(11)]
    table = pd.DataFrame({"rank": np.arange(1, 12), "loss": np.arange(2, 13) / 10, "of": names})
    figure = plots.configurations(table, {"rank": "effective rank", "loss": "itself"}, "loss", hue="of", diagonal=True)
    lines = [line for line in figure.axes[0].lines if line.get_label() in names]
    assert len({(line.get_color(), line.get_marker()) for line in lines}) == 11
    assert [text.get_text() for text in figure.legends[0].get_texts()] == names
    assert [ax.get_xlabel() for ax in figure.axes] == ["effective rank", "itself"]
    plt.close(figure)
