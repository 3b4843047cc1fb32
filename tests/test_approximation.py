"""One hidden layer: targets, fits, linear networks, and the geometry of the plane."""

import math
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from companion import models
from companion.approximation import bumps, collapse, planes, shallow, targets
from companion.plots import functions, regions

DOUBLE = {"dtype": torch.double, "device": "cpu"}


def at(*points):
    return torch.tensor(points, **DOUBLE)


# Targets


def test_targets_by_hand():
    x = at([0.0], [0.25], [0.37], [0.371], [0.5])
    assert torch.allclose(targets.evaluate("sine", x)[[0, 1, 4]], at(0, 1, 0), atol=1e-12)
    assert torch.allclose(targets.evaluate("kink", x), at(0.5, 0.25, 0.13, 0.129, 0))
    assert targets.evaluate("step", x).tolist() == [0, 0, 0, 1, 1]
    assert targets.evaluate("four cosines", x)[0] == pytest.approx(1 + 1 / 2 + 1 / 4 + 1 / 8)
    assert targets.evaluate("four cosines", x)[4] == pytest.approx(-1 - 1 / 2 - 1 / 4 - 1 / 8)
    square = at([0.25, 0.25], [0.25, 0.75], [0.5, 0.5], [0.5, 0.81])
    assert torch.allclose(targets.evaluate("product of sines", square), at(1, -1, 0, 0), atol=1e-12)
    assert targets.evaluate("disc", square).tolist() == [0, 0, 1, 0]


def test_the_smooth_target_has_unit_variance_over_its_draws_and_its_own_draw_for_each_seed():
    points = targets.even(64, 8, seed=0)
    drawn = torch.stack([targets.evaluate("smooth, 8 inputs", points, seed=seed) for seed in range(300)])
    assert drawn.var(0).mean() == pytest.approx(1, rel=0.1)
    again = targets.evaluate("smooth, 8 inputs", points, seed=7)
    assert torch.equal(again, drawn[7]) and not torch.equal(again, drawn[8])


def test_targets_refuse():
    with pytest.raises(ValueError, match="unknown target 'cube'; the targets are sine"):
        targets.evaluate("cube", at([0.0]))
    with pytest.raises(ValueError, match=r"disc takes points \(N, 2\), not \(1, 3\)"):
        targets.evaluate("disc", at([0.0, 0.0, 0.0]))
    with pytest.raises(ValueError, match="unknown kind 'fog'"):
        targets.undetermined(at([0.0]), "fog", seed=0)


def test_points_are_even_and_seeded():
    points = targets.even(1_000, 1, seed=3)  # no power of two, no warning
    assert torch.equal(points, targets.even(1_000, 1, seed=3))
    assert points.sort(0)[0].diff(dim=0).max() < 4 / 1_000
    counts = torch.histc(targets.even(256, 2, seed=3)[:, 0], bins=16, min=0, max=1)
    assert (counts == 16).all()


def test_samples_to_test_with_are_others_of_the_same_function():
    known, tests = (targets.sample(["smooth, 8 inputs"], 16, seed=4, test=test) for test in (False, True))
    assert not torch.equal(known[0], tests[0])
    assert torch.equal(tests[1][:, 0], targets.evaluate("smooth, 8 inputs", tests[0], seed=4))


def test_undetermined_targets_have_the_scatter_that_they_are_said_to():
    values = targets.evaluate("sine", targets.even(4_096, 1, seed=0))[:, None]
    noisy, tossed = (targets.undetermined(values, kind, seed=1) - values for kind in ("noise", "two values"))
    assert noisy.std() == pytest.approx(0.5 * float(values.std()), rel=0.05)
    assert set(tossed.round().flatten().tolist()) == {0.0, 1.0} and tossed.mean() == pytest.approx(0.5, abs=0.03)


# One hidden layer


def test_which_functions_squash():
    squashing = {name for name, unit in shallow.ACTIVATIONS.items() if shallow.shape_of(unit).startswith("non-dec")}
    assert squashing == set(shallow.SQUASHING)
    assert shallow.shape_of(lambda x: torch.sigmoid(x) + 3 * torch.sigmoid(x) * torch.sigmoid(-x) * x.sin()) == (
        "not a squashing function"  # its limits are 0 and 1, but it falls in between
    )


@pytest.mark.parametrize("activation", ["logistic", "ramp", "cosine"])
def test_squashing_units_rise_alike(activation):
    x = at(-1e-4, 1e-4)
    assert torch.allclose(shallow.ACTIVATIONS[activation](x).diff() / x.diff(), at(0.25), rtol=1e-6)


def test_random_units_rise_in_the_domain_and_as_steeply_as_asked():
    net = shallow.random_units(2_000, 2, rises=3, seed=0)
    assert net.weights.square().sum(1).mean().sqrt() == pytest.approx(12, rel=0.03)
    corners = at([0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]) @ net.weights.T + net.biases
    assert ((corners.amin(0) < 0) & (corners.amax(0) > 0)).all()
    steeper = shallow.random_units(2_000, 2, seed=0)
    assert torch.allclose(steeper.weights, net.weights * 2_000 / 3)


def test_the_fit_is_the_least_squares_one():
    points, values = targets.sample(["product of sines", "disc"], 300, seed=0)
    net = shallow.solve(shallow.random_units(20, 2, seed=1), points, values)
    wrong = net(points) - values
    assert (net.hidden(points).T @ wrong).abs().max() < 1e-8 * len(points)
    rms, worst = shallow.errors(net, points, values)
    assert torch.allclose(rms, (wrong.square().mean(0) / values.var(0)).sqrt())
    assert (worst > rms).all()


@pytest.mark.parametrize(("activation", "degree"), [("identity", 1), ("square", 2)])
def test_polynomial_units_hold_polynomials_and_nothing_else(activation, degree):
    points = targets.even(200, 1, seed=0)
    nets = [shallow.random_units(units, 1, activation=activation, seed=0) for units in (3, 50)]
    inside = sum(points**power for power in range(degree + 1))
    for net in nets:
        assert torch.allclose(shallow.solve(net, points, inside)(points), inside, atol=1e-9)
    few, many = (shallow.solve(net, points, torch.sin(6 * points))(points) for net in nets)
    assert torch.allclose(few, many, atol=1e-7)


def test_thresholds_make_the_staircase_of_means():
    points = targets.even(512, 1, seed=0)
    values = targets.evaluate("sine", points)[:, None]
    net = shallow.solve(shallow.random_units(4, 1, activation="threshold", seed=0), points, values)
    steps = (points > (-net.biases / net.weights[:, 0])).sum(1)
    for step in steps.unique():
        here = steps == step
        assert torch.allclose(net(points)[here], values[here].mean().expand(int(here.sum()), 1))


def test_training_finds_a_network_of_the_same_width():
    teacher = shallow.random_units(2, 1, rises=2, seed=5)._replace(outputs=at([1.0], [-2.0], [0.3]))
    points = targets.even(64, 1, seed=0)
    net = shallow.train(points, teacher(points), 2, seed=0, starts=3, steps=100)
    assert shallow.errors(net, points, teacher(points))[0] < 1e-3
    random = shallow.solve(shallow.random_units(2, 1, seed=0), points, teacher(points))
    assert shallow.errors(random, points, teacher(points))[0] > 1e-2


def test_of_several_starts_the_best_is_kept():
    points, values = targets.sample(["four cosines"], 128, seed=0)
    found = [
        float(shallow.errors(shallow.train(points, values, 4, seed=0, starts=starts, steps=20), points, values)[0])
        for starts in (1, 1, 4)
    ]
    assert found[0] == found[1]
    assert found[2] < found[0]


def test_minimise_keeps_shapes_and_finds_the_least():
    wanted = [at([1.0, 2.0], [3.0, 4.0]), at(5.0)]

    def far(*parts):
        return sum((part - one).square().sum() for part, one in zip(parts, wanted, strict=True))

    found = shallow.minimise(far, [torch.zeros(2, 2, **DOUBLE), torch.zeros(1, **DOUBLE)], steps=50)
    assert all(torch.allclose(part, one) for part, one in zip(found, wanted, strict=True))


def test_packed_networks_come_back():
    net = shallow.random_units(3, 2, seed=0)._replace(outputs=torch.arange(4.0, **DOUBLE)[:, None])
    array = shallow.packed(net, 5).numpy()
    assert array.shape == (6, 4)
    back = shallow.unpacked(array)
    assert all(torch.equal(one, other) for one, other in zip(net[1:], back[1:], strict=True))


def everything():
    """One number of each thing that is computed."""
    points, values = targets.sample(["disc"], 64, seed=0)
    fitted = shallow.solve(shallow.random_units(5, 2, seed=0), points, values)
    nets = [fitted, shallow.train(points, values, 2, seed=0, starts=1, steps=3)]
    nets += [make(*planes.shape("two moons", 64, seed=0), 3, seed=0, starts=1, steps=3)
             for make in (planes.classify, planes.cut_polygon)]  # fmt: skip
    numbers = [float(net(points).sum()) for net in nets]
    numbers += [planes.cells(fitted, side=20), planes.area_error(fitted, side=20)]
    numbers += [float(bumps.tiles(torch.ones(3, 3, **DOUBLE), points, layers=layers).sum()) for layers in (1, 2)]
    numbers.append(float(bumps.additive(points, values, 3).sum()))
    numbers.append(float(bumps.round_fit(points, values, 2, at(0.1, 0.5), steepness=9.0)(points).sum()))
    numbers.append(float(bumps.polygon(points, 3, 0.5, steepness=9.0).sum()))
    numbers += [float(part.sum()) for part in (targets.view(1), targets.view(2))]
    numbers.append(float(targets.undetermined(values, "noise", seed=0).sum()))
    numbers.append(float(targets.evaluate("smooth, 8 inputs", targets.even(8, 8, seed=0)).sum()))
    return [*numbers, shallow.shape_of(torch.sigmoid), float(shallow.packed(fitted, 6).nan_to_num().sum())]


def test_the_default_device_changes_nothing():
    usual = everything()
    with torch.device("meta"):  # a tensor that is made there has no numbers
        assert everything() == usual


def test_shallow_networks_refuse():
    with pytest.raises(ValueError, match="unknown activation 'swish'; the activations are logistic"):
        shallow.random_units(2, 1, activation="swish", seed=0)
    with pytest.raises(ValueError, match="at least one unit, not 0"):
        shallow.random_units(0, 1, seed=0)
    with pytest.raises(ValueError, match="no slope to follow"):
        shallow.train(at([0.0]), at([0.0]), 1, activation="threshold", seed=0)


# Linear networks


@pytest.mark.parametrize("widths", [(7, 3), (7, 5, 3), (7, 5, 4, 6, 3)])
def test_a_linear_net_is_its_collapsed_layer(widths):
    net = models.MLP(widths, seed=0, activation=nn.Identity)
    points = torch.randn(50, 7, generator=torch.Generator().manual_seed(0))
    single = collapse.collapse(net)
    assert torch.allclose(single(points), net(points), atol=1e-6)
    assert torch.linalg.matrix_rank(single.weight) == min(widths)
    assert single.weight.dtype == torch.float32


def test_collapsing_draws_no_random_number():
    before = torch.random.get_rng_state()
    collapse.collapse(models.MLP((4, 3, 2), seed=0, activation=nn.Identity))
    assert torch.equal(before, torch.random.get_rng_state())


def test_only_linear_nets_collapse():
    with pytest.raises(ValueError, match="this net has Tanh"):
        collapse.collapse(models.MLP((4, 3, 2), seed=0, activation=nn.Tanh))
    with pytest.raises(ValueError, match="no linear layer"):
        collapse.collapse(nn.Sequential(nn.Identity()))


def test_the_least_squares_map_is_that_of_numpy():
    draw = np.random.default_rng(0)
    inputs, labels = draw.normal(size=(40, 5)), draw.integers(3, size=40)
    known = np.column_stack([inputs, np.ones(40)])
    wanted = np.linalg.lstsq(known, np.eye(3)[labels], rcond=None)[0]
    found = collapse.least_squares(torch.from_numpy(inputs), torch.from_numpy(labels), classes=3)
    assert np.allclose(found.weight.detach().T, wanted[:-1]) and np.allclose(found.bias.detach(), wanted[-1])


# The plane


@pytest.mark.parametrize("kind", planes.SHAPES)
def test_shapes_have_their_area(kind):
    points, labels = planes.shape(kind, 4_096, seed=0)
    area = {
        "disc": math.pi * planes.RADIUS**2 / 4,
        "ring": math.pi * (planes.RING[1] ** 2 - planes.RING[0] ** 2) / 4,
        "two moons": 0.5,
        "checkerboard": 5 / 9,
    }
    assert labels.mean() == pytest.approx(area[kind], abs=0.02)
    assert points.abs().max() < (1 if kind != "two moons" else 1.5)


def test_the_checkerboard_has_marked_corners_and_middle():
    assert planes.inside("checkerboard", at([-1.0, -1.0], [0.0, 0.0], [1.0, 1.0], [0.0, 0.9])).tolist() == [1, 1, 1, 0]


def test_the_lattice_runs_along_the_first_coordinate():
    assert torch.allclose(planes.lattice(2), at([-0.5, -0.5], [0.5, -0.5], [-0.5, 0.5], [0.5, 0.5]))


def test_three_units_learn_the_disc_and_one_does_not():
    points, labels = planes.shape("disc", 256, seed=0)
    three, one = (planes.classify(points, labels, units, seed=0, starts=3, steps=120) for units in (3, 1))
    assert planes.area_error(three, side=100) < 0.1
    assert planes.area_error(one, side=100) > 0.5


def test_half_planes_learn_the_best_triangle():
    points, labels = planes.shape("disc", 1_024, seed=0)
    net = planes.cut_polygon(points, labels, 3, seed=0, starts=2, steps=40)
    assert planes.area_error(net) == pytest.approx(planes.best_polygon(3)[1], abs=0.03)
    assert planes.cells(net) == planes.most_cells(3)


def test_cells_of_lines():
    cross = shallow.Shallow("threshold", at([1.0, 0.0], [0.0, 1.0]), at(0.1, 0.1), at([1.0], [1.0], [0.0]))
    assert planes.cells(cross) == 4
    parallel = cross._replace(weights=at([1.0, 0.0], [1.0, 0.0]), biases=at(0.1, -0.1))
    assert planes.cells(parallel) == 3
    assert [planes.most_cells(lines) for lines in range(5)] == [1, 2, 4, 7, 11]


def area_between(sides, apothem):
    """Area between a regular polygon and the unit disc over the disc's, by counting."""
    along = (np.arange(1_500) + 0.5) / 750 - 1
    x, y = np.meshgrid(along * 1.6, along * 1.6)
    turns = 2 * np.pi * np.arange(sides) / sides
    inside = np.max([x * np.cos(turn) + y * np.sin(turn) for turn in turns], axis=0) < apothem
    disc = np.hypot(x, y) < 1
    return (inside != disc).sum() / disc.sum()


@pytest.mark.parametrize("sides", [3, 4, 7])
def test_polygon_errors_by_counting(sides):
    assert planes.inscribed_error(sides) == pytest.approx(area_between(sides, math.cos(math.pi / sides)), abs=2e-3)
    apothem, error = planes.best_polygon(sides)
    assert error == pytest.approx(area_between(sides, apothem), abs=2e-3)
    assert area_between(sides, apothem) < min(area_between(sides, apothem * factor) for factor in (0.97, 1.03))


def test_polygon_errors_of_many_sides():
    assert planes.inscribed_error(1_000) == pytest.approx(2 * math.pi**2 / 3 * 1e-6, rel=1e-4)
    assert planes.best_polygon(1_000)[1] == pytest.approx(math.pi**2 / 4 * 1e-6, rel=1e-4)


def test_the_plane_refuses():
    with pytest.raises(ValueError, match="unknown shape 'star'; the shapes are disc"):
        planes.shape("star", 3, seed=0)
    with pytest.raises(ValueError, match="at least 3 sides, not 2"):
        planes.best_polygon(2)
    with pytest.raises(ValueError, match="1 or 2 hidden layers, not 3"):
        bumps.tiles(torch.ones(2, 2, **DOUBLE), at([0.5, 0.5]), layers=3)


# Bumps


def test_ridges_are_on_between_their_edges():
    x = at(-0.5, 0.05, 0.25, 0.6)
    found = bumps.ridges(x, at(0.0, 0.1, 0.5), steepness=1_000)
    assert torch.allclose(found, at([0, 0], [1, 0], [0, 1], [0, 0]), atol=1e-9)


def test_a_fan_has_its_peak_in_the_middle_and_thinner_arms_with_more_directions():
    points = at([0.0, 0.0], [1.0, 0.0])
    heights = [bumps.fan(points, m, at(0.1), steepness=1_000)[:, 0] for m in (1, 2, 8, 32)]
    assert all(height[0] == pytest.approx(1) for height in heights)
    assert torch.allclose(torch.stack([height[1] for height in heights[:3]]), at(0, 1 / 2, 1 / 8), atol=1e-9)
    assert heights[3][1] == pytest.approx(2 * math.asin(0.1) / math.pi, abs=1 / 32)


def test_bumps_of_two_layers_are_the_function_on_their_tiles_and_those_of_one_are_not():
    values = torch.arange(9.0, **DOUBLE).reshape(3, 3)
    middles = (planes.lattice(3) + 1) / 2
    two = bumps.tiles(values, middles, layers=2)
    assert torch.allclose(two, values.flatten(), atol=2e-2)
    one = bumps.tiles(values, middles, layers=1)
    assert torch.allclose(one, (values.sum(0) + values.sum(1)[:, None]).flatten() / 2, atol=1e-9)


def test_crossed_ridges_hold_sums_but_no_product():
    points = targets.even(2_048, 2, seed=0)
    product = targets.evaluate("product of sines", points)[:, None]
    assert (bumps.additive(points, product, 16) - product).std() == pytest.approx(float(product.std()), rel=0.01)
    both = torch.sin(6 * points).sum(1, keepdim=True)
    assert (bumps.additive(points, both, 16) - both).std() < 0.15 * both.std()


def test_a_polygon_of_two_layers_is_on_inside():
    points = at([0.0, 0.0], [0.45, 0.45], [0.55, 0.0], [0.0, -0.55])
    assert torch.allclose(bumps.polygon(points, 4, 0.5, steepness=1_000), at(1, 1, 0, 0), atol=1e-6)


def test_a_round_fit_finds_a_round_function():
    points = 2 * targets.even(1_024, 2, seed=0) - 1
    values = torch.exp(-4 * points.square().sum(1, keepdim=True))
    fit = bumps.round_fit(points, values, 24, torch.linspace(0.05, 1.45, 24, **DOUBLE), steepness=20)
    assert (fit(points) - values).std() < 0.02 * values.std()


# Pictures


def test_rates_are_geometric_means():
    table = pd.DataFrame({"units": [1, 1, 2, 2], "error": [1.0, 4.0, 0.1, 0.1], "way": "one"})
    ax = functions.rates(table, "units", "error", hue="way").axes[0]
    assert np.allclose(ax.get_lines()[0].get_ydata(), [2, 0.1])
    assert ax.get_xscale() == ax.get_yscale() == "log"
    assert functions.rates(table, "units", "error", hue="way", log_x=False).axes[0].get_xscale() == "linear"


def test_sketches_draw_curves_maps_and_clouds():
    curve, sheet = np.sin(np.arange(5)), np.ones((4, 4))
    figure = functions.sketches(
        {"a": [curve, curve], "b": [sheet]}, titles=["left", "right"], behind={"a": [2 * curve]},
        points={"a": [np.zeros((3, 2)), np.zeros((3, 2))]}, notes={"b": ["map"]},
    )  # fmt: skip
    top, right, bottom, empty = figure.axes
    assert [len(ax.get_lines()) for ax in (top, right)] == [3, 3]
    assert len(bottom.images) == 1 and bottom.get_xlabel() == "map" and not empty.get_visible()


def test_surfaces_have_one_panel_each():
    assert len(functions.surfaces({str(k): np.zeros((5, 5)) for k in range(5)}).axes) == 5


def test_half_planes_draw_a_line_where_each_unit_is_zero():
    cut = regions.Cut(np.zeros((8, 8)), np.array([[2.0, 1.0, 0.5], [0.0, 1.0, -0.25], [1.0, 0.0, 0.25]]), "note")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # no division by zero for lines along the axes
        figure = regions.half_planes({"a": [cut]}, points={"a": (np.zeros((2, 2)), np.array([0, 1]))}, outline=0.5)
    ax = figure.axes[1]
    for line, (a, b, c) in zip(ax.get_lines(), cut.lines, strict=True):
        x, y = line.get_data()
        assert np.allclose(a * x + b * y + c, 0)
    assert ax.get_xlabel() == "note" and len(ax.patches) == 1
