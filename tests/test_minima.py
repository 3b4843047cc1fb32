"""Loss surfaces of small networks, their minima; smaller digits, starts, a small LeNet, the scaling law, the plots."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn import functional as F

from companion import data, minima, models, plots, stats
from companion.seeds import generator

INPUTS, UNITS, CLASSES, EXAMPLES = 6, 3, 4, 40


def surface(activation="tanh", decay=0.02):
    draw = generator(0, "points")
    inputs = torch.randn(EXAMPLES, INPUTS, generator=draw)
    labels = torch.randint(CLASSES, (EXAMPLES,), generator=draw)
    return minima.Surface.over(inputs, labels, activation=activation, decay=decay, classes=CLASSES), inputs, labels


def start(seed, activation="tanh", units=UNITS):
    module = {"tanh": torch.nn.Tanh, "relu": torch.nn.ReLU}[activation]
    return models.uniform_start(models.MLP((INPUTS, units, CLASSES), seed=seed, activation=module), seed=seed)


def flat(weights):
    return torch.cat([part.flatten() for part in weights])


def written_out(one, shape):
    """The loss of flat weights, for autograd."""
    cut, act = shape.inner.numel(), {"tanh": torch.tanh, "relu": torch.relu}[one.activation]

    def loss(numbers):
        inner, outer = numbers[:cut].view_as(shape.inner), numbers[cut:].view_as(shape.outer)
        scores = outer[:, :-1] @ act(inner @ one.inputs) + outer[:, -1:]
        return F.cross_entropy(scores.T, one.taught.argmax(0)) + one.decay / 2 * (numbers**2).sum()

    return loss


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_the_surface_is_the_networks_loss(activation):
    one, inputs, labels = surface(activation, decay=0.0)
    net = start(1, activation)
    weights = minima.Weights.of(net)
    assert one.loss(weights) == pytest.approx(F.cross_entropy(net(inputs), labels).item(), rel=1e-6)
    assert one.accuracy(weights) == (net(inputs).argmax(1) == labels).double().mean().item()
    decayed = surface(activation, decay=0.5)[0]
    assert decayed.loss(weights) == pytest.approx(one.loss(weights) + 0.25 * (flat(weights) ** 2).sum().item())


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_first_and_second_derivatives_are_those_of_autograd(activation):
    one, weights = surface(activation)[0], minima.Weights.of(start(2, activation))
    loss, autograd = written_out(one, weights), torch.autograd.functional
    assert torch.allclose(flat(one.gradient(weights)), autograd.jacobian(loss, flat(weights)), atol=1e-14)
    assert torch.allclose(one.hessian(weights), autograd.hessian(loss, flat(weights)), atol=1e-14)
    assert one.curvatures(weights).sum().item() == pytest.approx(one.hessian(weights).trace().item())


@pytest.fixture(scope="module")
def ends():
    one = surface()[0]
    return one, [minima.polish(one, minima.Weights.of(start(seed))) for seed in range(2)]


def test_polishing_ends_at_a_minimum(ends):
    one, (end, other) = ends
    for found in (end, other):
        assert found.slope < 1e-5
        assert found.slope == pytest.approx(flat(one.gradient(found.weights)).norm().item())
        assert found.loss == pytest.approx(one.loss(found.weights))
        assert one.curvatures(found.weights)[0] > 0
    assert end.loss < one.loss(minima.Weights.of(start(0)))
    again = minima.polish(one, minima.Weights.of(start(0)))
    assert torch.equal(again.weights.inner, end.weights.inner)  # the same bits


def test_polishing_stops_where_it_is_told(ends):
    stopped = minima.polish(ends[0], minima.Weights.of(start(0)), most=3)
    assert stopped.slope > 1e-5
    assert stopped.loss > ends[1][0].loss
    assert stopped.looks <= 6


def test_a_spare_unit_bends_the_surface_as_foretold(ends):
    one, (end, _) = ends
    inner, outer = end.weights
    wider = minima.Weights(
        torch.cat([inner, torch.zeros_like(inner[:1])]),
        torch.cat([outer[:, :-1], torch.zeros_like(outer[:, :1]), outer[:, -1:]], 1),
    )
    assert flat(one.gradient(wider)).norm() < 1e-5  # a critical point still
    rest = torch.full((INPUTS + 1 - CLASSES,), one.decay)
    foretold = torch.cat([one.curvatures(end.weights), one.opened(end.weights), rest]).sort()[0]
    assert torch.allclose(one.curvatures(wider), foretold, atol=1e-10)


def renumbered(weights, order, signs):
    signs = torch.tensor(signs, dtype=torch.double)
    outer = torch.cat([weights.outer[:, :-1][:, order] * signs, weights.outer[:, -1:]], 1)
    return minima.Weights(weights.inner[order] * signs[:, None], outer)


def test_matching_finds_a_copy_again():
    one, weights = surface()[0], minima.Weights.of(start(3))
    copy = renumbered(weights, [2, 0, 1], [-1, 1, -1])
    assert one.loss(copy) == pytest.approx(one.loss(weights), rel=1e-12)
    assert minima.distance(copy, weights) > 0.3
    assert minima.distance(minima.matched(copy, weights, odd=True), weights) < 1e-12
    assert minima.distance(minima.matched(copy, weights), weights) > 0.3  # signs are left alone
    only = renumbered(weights, [1, 2, 0], [1, 1, 1])
    assert minima.distance(minima.matched(only, weights), weights) < 1e-12


def test_matching_never_leads_away_and_keeps_the_answers():
    one = surface()[0]
    for seed in range(5):
        this, other = (minima.Weights.of(start(place)) for place in (seed, seed + 10))
        copy = minima.matched(other, this, odd=True)
        assert minima.distance(copy, this) <= minima.distance(other, this)
        assert one.loss(copy) == pytest.approx(one.loss(other), rel=1e-12)
        norms = [weights.units.norm(dim=1).sort()[0] for weights in (this, other)]
        apart = (norms[0] - norms[1]).norm() / torch.hypot(this.norm, other.norm)
        assert apart <= minima.distance(copy, this)  # what the notebook takes for a lower bound


def test_distance_is_one_at_a_right_angle_and_two_roots_opposite():
    weights = minima.Weights.of(start(4))
    nothing = minima.Weights(*(torch.zeros_like(part) for part in weights))
    opposite = minima.Weights(*(-part for part in weights))
    assert minima.distance(weights, nothing) == pytest.approx(1)
    assert minima.distance(weights, opposite) == pytest.approx(2**0.5)
    assert minima.distance(weights, weights) == 0


def test_lines_and_planes_meet_their_points(ends):
    one, (end, other) = ends
    copy = minima.matched(other.weights, end.weights, odd=True)
    line = minima.along(one, end.weights, other.weights, [0, 0.5, 1])
    assert line[[0, 2]] == pytest.approx([end.loss, other.loss])
    heights, places = minima.plane(one, end.weights, other.weights, copy, [0, 0.5, 1])
    assert heights[0] == pytest.approx(line)
    across = (flat(other.weights) - flat(end.weights)).norm()
    assert np.linalg.norm(places[2]) * across.item() == pytest.approx((flat(copy) - flat(end.weights)).norm().item())
    tick = places[2, 1]  # a grid through the third point's height: there lies the third point
    rows, _ = minima.plane(one, end.weights, other.weights, copy, [places[2, 0], tick])
    assert rows[1, 0] == pytest.approx(one.loss(copy))


def test_a_plane_through_a_line_takes_in_the_origin(ends):
    one, (end, other) = ends
    heights, places = minima.plane(one, end.weights, other.weights, end.weights, [0.0, 1.0])
    assert np.isfinite(heights).all()
    assert places[2] == pytest.approx([0, 0])


def test_what_makes_no_surface_is_refused():
    inputs, labels = torch.zeros(3, 2), torch.zeros(3, dtype=torch.long)
    with pytest.raises(ValueError, match="unknown activation 'sine'; the activations are tanh, relu"):
        minima.Surface.over(inputs, labels, activation="sine")
    with pytest.raises(ValueError, match=r"not \(3, 2\) and \(2,\)"):
        minima.Surface.over(inputs, labels[:2])
    with pytest.raises(ValueError, match="two linear layers, not 3"):
        minima.Weights.of(models.MLP((2, 3, 3, 2), seed=0))
    with pytest.raises(ValueError, match=r"one shape can be matched, not \(3, 7\) and \(2, 7\)"):
        minima.matched(minima.Weights.of(start(0)), minima.Weights.of(start(0, units=2)))


def test_small_digits_are_means_of_blocks():
    image = torch.arange(28 * 28, dtype=torch.float64).view(1, 1, 28, 28)
    small = data.shrunk(image)
    assert small.shape == (1, 1, 10, 10)
    assert small[0, 0, 0, 0] == image[0, 0, 4:6, 4:6].mean()
    assert small[0, 0, 9, 2] == image[0, 0, 22:24, 8:10].mean()
    assert data.shrunk(torch.full((1, 1, 28, 28), 255, dtype=torch.uint8)).unique().tolist() == [1.0]
    with pytest.raises(ValueError, match="a border of 3 leaves 22x22 pixels, which blocks of 4x4 do not fill"):
        data.shrunk(image, border=3, by=4)


def test_resampled_digits_keep_ramps():
    ramp = torch.arange(28.0).expand(1, 1, 28, 28)
    assert torch.allclose(data.resampled(ramp)[0, 0, 0], (torch.arange(10) + 0.5) * 2.8 - 0.5)
    assert data.resampled(torch.full((1, 1, 28, 28), 51, dtype=torch.uint8)).unique() == pytest.approx(0.2)


def test_uniform_starts_fill_the_cube_and_come_from_the_seed():
    net = models.uniform_start(models.MLP((50, 50, 10), seed=0), seed=1, low=0, high=2)
    numbers = torch.cat([part.detach().flatten() for part in net.parameters()])
    assert 0 <= numbers.min() < 0.01
    assert 1.99 < numbers.max() <= 2
    assert numbers.mean() == pytest.approx(1, abs=0.03)
    again, other = (models.uniform_start(models.MLP((50, 50, 10), seed=9), seed=seed, low=0, high=2) for seed in (1, 2))
    assert torch.equal(again[0].weight, net[0].weight)
    assert not torch.equal(other[0].weight, net[0].weight)
    with pytest.raises(ValueError, match="low < high, not 1 and 1"):
        models.uniform_start(net, seed=0, low=1, high=1)


@pytest.mark.parametrize(("width", "count"), [(0.25, 673), (1, 7_250), (4, 103_850)])
def test_small_lenets_have_their_weights(width, count):
    net = models.SmallLeNet(seed=0, width=width)
    assert sum(one.numel() for one in net.parameters()) == count
    assert net(torch.zeros(2, 1, 10, 10)).shape == (2, 10)


def test_a_lenet_without_filters_is_refused():
    with pytest.raises(ValueError, match=r"more than 1/12, not 0\.05"):
        models.SmallLeNet(seed=0, width=0.05)


@pytest.mark.parametrize(("alpha", "beta"), [(-0.6, 0.2), (0.8, -0.7), (-2.0, -0.3), (0.01, 0.9)])
def test_the_scaling_law_is_found_again(alpha, beta):
    sizes = np.array([25, 50, 100, 250, 500])
    law = stats.scaling_law(sizes, np.exp(alpha * sizes**beta))
    assert law.alpha == pytest.approx(alpha, rel=1e-3)
    assert law.beta == pytest.approx(beta, abs=1e-3)
    assert law(100) == pytest.approx(np.exp(alpha * 100**beta), rel=1e-4)


def test_a_law_that_does_not_fit_is_the_best_there_is():
    sizes, losses = [25, 100, 500], [0.5, 0.4, 1.5]  # falls and rises
    law = stats.scaling_law(sizes, losses)
    misfit = ((np.log(law(sizes)) - np.log(losses)) ** 2).sum()
    for beta in np.linspace(-4, 4, 400):
        bent = np.array(sizes, float) ** beta
        alpha = bent @ np.log(losses) / (bent @ bent)
        assert misfit <= ((alpha * bent - np.log(losses)) ** 2).sum() + 1e-9


def test_a_law_needs_three_positive_points():
    with pytest.raises(ValueError, match="at least 3 values"):
        stats.scaling_law([1, 2], [1, 2])
    with pytest.raises(ValueError, match="3 sizes and 4 losses"):
        stats.scaling_law([1, 2, 3], [1, 2, 3, 4])
    with pytest.raises(ValueError, match="the smallest loss -1"):
        stats.scaling_law([1, 2, 3], [1, -1, 3])


def test_histograms_have_axes_of_their_own_and_cut_the_tails():
    values = np.r_[np.linspace(0, 1, 2_000), 50.0]
    parts = {"left": pd.DataFrame({"spins": 25, "energy": values}),
             "right": pd.DataFrame({"units": np.repeat([1, 2], 50), "loss": np.linspace(5, 6, 100)})}  # fmt: skip
    figure = plots.histograms(parts)
    left, right = figure.axes
    assert left.get_xlim()[1] < 2
    assert right.get_xlim()[0] > 4
    assert [text.get_text() for text in right.get_legend().get_texts()] == ["1", "2"]
    assert right.get_legend().get_title().get_text() == "units"
    heights, edges, _ = left.patches[0].get_data()
    assert (heights * np.diff(edges)).sum() == pytest.approx(1)  # the outlier is counted, at the end


def test_bands_follow_their_intervals():
    table = pd.DataFrame({"n": [1, 10, 100], "y": [2.0, 3.0, 4.0], "low": [1.0, 2, 3], "high": [3.0, 4, 5], "of": "a"})
    (ax,) = plots.bands(table, "n", "y", hue="of").axes
    assert ax.get_lines()[0].get_ydata().tolist() == [2, 3, 4]
    corners = ax.collections[0].get_paths()[0].vertices
    assert (corners[:, 1].min(), corners[:, 1].max()) == (1, 5)
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")


def test_planes_name_their_points():
    heights = 1 + np.add.outer(np.arange(4.0) ** 2, np.arange(4.0) ** 2)
    points = np.array([[0.0, 0], [1, 0], [0, 1]])
    figure = plots.planes({"one": (heights, points), "two": (2 * heights, points)}, [0, 1, 2, 3], names=["a", "b", "c"])
    assert [text.get_text() for text in figure.axes[0].texts] == ["a", "b", "c"]
    assert [ax.get_title(loc="left") for ax in figure.axes[:2]] == ["one", "two"]
