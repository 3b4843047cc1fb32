"""Digits on backgrounds, and what the analysis of variance finds of them inside a network."""

import matplotlib.colors
import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats as scipy_stats

from companion import data, models, plots, variance
from companion.data.backgrounds import BANDWIDTH, correlated_noise, either_sign, flat_greys, tied

LABELS = torch.arange(4_000) % 10


@pytest.fixture(scope="module")
def digits():
    images, labels = data.mnist("test")
    return images[:60], labels[:60]


@pytest.fixture(scope="module")
def net():
    return models.LeNet5(seed=0, coding="[0,1]", border=2)


# --- backgrounds


def test_photographs_are_grey_pieces_of_their_own_split_and_vary_enough():
    pieces = data.photographs("test", 30, seed=0)
    assert pieces.shape == (30, 1, 28, 28) and pieces.dtype == torch.uint8
    assert (pieces.float().flatten(1).var(1) >= 1_000).all()
    images = data.cifar10("test").inputs
    grey = (torch.einsum("nchw,c->nhw", images.float(), torch.tensor((0.299, 0.587, 0.114)))).round().to(torch.uint8)
    windows = grey.unfold(1, 28, 1).unfold(2, 28, 1)  # (N, 5, 5, 28, 28)
    corners = windows[..., 0, :].contiguous()  # first rows: enough to find a piece again
    for piece in pieces[:3, 0]:
        places = (corners == piece[0]).all(-1).nonzero()
        assert any(torch.equal(windows[tuple(place)], piece) for place in places)


def test_pieces_that_hardly_vary_are_passed_over_only_if_asked():
    every = data.photographs("train", 200, seed=1, least_variance=0)
    dull = every.float().flatten(1).var(1) < 1_000
    assert 5 < dull.sum() < 60  # about one in nine
    kept = data.photographs("train", 150, seed=1)
    assert torch.equal(kept, every[~dull][:150])
    with pytest.raises(ValueError, match="no image of the test split has a piece of variance 20000 or more"):
        data.photographs("test", 1, seed=0, least_variance=20_000)


def test_the_first_of_many_photographs_are_those_of_a_few_and_no_photograph_comes_twice():
    few, many = (data.photographs("train", n, seed=2, central=True) for n in (10, 3_000))
    assert torch.equal(few, many[:10])
    assert len(many.flatten(1).unique(dim=0)) > 2_990  # CIFAR-10 itself has a few images twice
    assert len(data.photographs("test", 0, seed=0)) == 0


def test_more_photographs_than_there_are_images_begin_again_with_other_pieces():
    pieces = data.photographs("test", 9_500, seed=0)  # about 8,900 vary enough
    assert len(pieces.flatten(1).unique(dim=0)) > 9_450


@pytest.mark.parametrize("correlation", data.CORRELATIONS)
def test_noise_is_uniform_in_every_pixel_and_alike_among_neighbours_to_its_degree(correlation):
    noise = correlated_noise(1_500, correlation, seed=0)[:, 0].double()
    assert scipy_stats.kstest(noise[:, 14, 14] / 256, "uniform").pvalue > 1e-4
    assert noise.var().item() == pytest.approx((256**2 - 1) / 12, rel=0.02)
    # A uniform pair made of normal ones with correlation r has the correlation 6/pi asin(r/2).
    r = correlation * np.exp(-4 / BANDWIDTH**2)
    near = np.corrcoef(noise[:, 10, 10:14].flatten(), noise[:, 12, 10:14].flatten())[0, 1]
    assert near == pytest.approx(6 / np.pi * np.arcsin(r / 2), abs=0.04)


@pytest.mark.parametrize("correlation", [-0.1, 1.5])
def test_a_correlation_out_of_range_is_refused(correlation):
    with pytest.raises(ValueError, match=f"between 0 and 1, not {correlation}"):
        correlated_noise(1, correlation, seed=0)


def test_flat_greys_are_flat_and_cover_the_bytes():
    greys = flat_greys(5_000, seed=0)
    assert (greys == greys[:, :, :1, :1]).all()
    assert len(greys[:, 0, 0, 0].unique()) == 256


@pytest.mark.parametrize(("tie", "of"), [(0.1, 10), (0.5, 10), (1.0, 10), (0.25, 4)])
def test_a_class_has_its_own_background_as_often_as_told_and_the_others_evenly(tie, of):
    chosen = tied(LABELS, tie, seed=0, of=of)
    own = chosen == LABELS % of
    assert own.double().mean().item() == pytest.approx(tie, abs=4 * (tie * (1 - tie) / 4_000) ** 0.5)
    steps = ((chosen - LABELS) % of)[~own].bincount(minlength=of)[1:]
    if tie < 1:
        assert (steps - steps.double().mean()).abs().max() < 5 * steps.double().mean().sqrt()


def test_one_background_is_everyones_and_none_is_refused():
    assert not tied(LABELS, 1.0, seed=0, of=1).any()
    with pytest.raises(ValueError, match="at least one background, not 0"):
        tied(LABELS, 1.0, seed=0, of=0)
    with pytest.raises(ValueError, match=r"between 0 and 1, not 1\.1"):
        tied(LABELS, 1.1, seed=0)


def test_either_sign_leaves_an_image_or_turns_it():
    ground = data.picture_pool(1, seed=0)
    both = either_sign(ground.expand(1_000, -1, -1, -1), seed=0)
    turned = (both == 255 - ground).flatten(1).all(1)
    assert ((both == ground).flatten(1).all(1) ^ turned).all()
    assert 430 < turned.sum() < 570


def test_both_signs_hide_the_class_from_means_and_leave_the_variance():
    own_only, free = (
        data.backgrounds(LABELS, "train", seed=0, pictures=10, tie=tie, signs=True).double() for tie in (1.0, 0.1)
    )
    own = variance.within_class_variance(own_only, LABELS)
    assert own.mean() == pytest.approx(variance.within_class_variance(free, LABELS).mean(), rel=0.04)
    between = own_only.var(0, correction=0).mean().item() - own.mean()
    plain = data.backgrounds(LABELS, "train", seed=0, pictures=10, tie=1.0).double()
    assert variance.within_class_variance(plain, LABELS).mean() == 0
    assert between < 0.02 * plain.var(0, correction=0).mean().item()


def test_pictures_are_the_same_in_training_and_test_and_fresh_photographs_are_not():
    train, test = (data.backgrounds(LABELS[:200], split, seed=3, pictures=5) for split in ("train", "test"))
    pool = data.picture_pool(5, seed=3)
    for grounds in (train, test):
        assert (grounds[:, None] == pool[None]).flatten(2).all(2).any(1).all()
    assert not torch.equal(train, test)
    for kind in ("photographs", "noise 0.4", "flat greys"):
        train, test = (data.backgrounds(LABELS[:50], split, kind, seed=3) for split in ("train", "test"))
        assert not (train == test).flatten(1).all(1).any() or kind == "flat greys"
        assert not torch.equal(train, test)
    assert not data.backgrounds(LABELS[:5], "train", "none", seed=0).any()


def test_backgrounds_name_what_is_allowed():
    with pytest.raises(ValueError, match="unknown background 'sea'; there are none, photographs, flat greys and noise"):
        data.backgrounds(LABELS, "train", "sea", seed=0)
    with pytest.raises(ValueError, match="unknown split 'both'; the splits are train and test"):
        data.backgrounds(LABELS, "both", seed=0)
    for wrong in (dict(tie=0.5), dict(signs=True)):
        with pytest.raises(ValueError, match="is for a number of pictures; there are 0"):
            data.backgrounds(LABELS, "train", seed=0, **wrong)


def test_backgrounds_do_not_depend_on_the_default_device_and_leave_the_global_generator():
    before = torch.get_rng_state()
    settings = dict(kind="noise 0.6"), dict(kind="flat greys"), dict(pictures=10, tie=0.5, signs=True), {}
    usual = [data.backgrounds(LABELS[:20], "train", seed=0, **one) for one in settings]
    with torch.device("meta"):  # stands for an accelerator
        assert all(
            torch.equal(one, data.backgrounds(LABELS[:20], "train", seed=0, **setting))
            for one, setting in zip(usual, settings, strict=True)
        )
    assert torch.equal(before, torch.get_rng_state())


def test_a_digit_is_laid_by_the_brighter_byte_or_as_a_mask():
    digit, ground = torch.tensor([0, 100, 255, 51]).to(torch.uint8), torch.tensor([80, 120, 10, 200]).to(torch.uint8)
    assert data.composed(digit, ground).tolist() == [80, 120, 255, 200]
    assert data.composed(digit, ground, by="mask").tolist() == [80, 173, 255, 211]
    assert data.dimmed(ground, 0.25).tolist() == [20, 30, 2, 50]
    assert torch.equal(data.dimmed(ground, 1), ground) and not data.dimmed(ground, 0).any()
    with pytest.raises(ValueError, match="unknown composition 'sum'; the compositions are maximum, mask"):
        data.composed(digit, ground, by="sum")
    with pytest.raises(ValueError, match="between 0 and 1, not 2"):
        data.dimmed(ground, 2)


# --- variance


@pytest.mark.parametrize("pooling", ["max", "average"])
def test_layers_are_those_of_the_network(digits, pooling):
    net = models.LeNet5(seed=1, coding="[0,1]", border=2, pooling=pooling, activation="tanh")
    found = variance.layers(net, digits[0])
    assert tuple(found) == variance.LAYERS
    assert [values.shape[1] for values in found.values()] == [784, 4_704, 1_176, 1_600, 400, 120, 84, 10]
    assert torch.allclose(found["output"], net(digits[0]), atol=1e-6)


def crossed(values, labels):
    """Feed (D, B, units) background by background."""
    made = variance.Crossed(labels)
    for ground in values.unbind(1):
        made.add(ground)
    return made


def test_squares_add_up_and_know_each_factor():
    draw = torch.Generator().manual_seed(0)
    labels = torch.arange(24) % 3
    of_class = torch.randn(3, generator=draw)[labels, None].double()
    of_digit = torch.randn(24, 1, generator=draw).double()
    of_digit -= torch.stack([of_digit[labels == one].mean() for one in range(3)])[labels, None]
    of_ground = torch.randn(1, 7, generator=draw).double()
    pure = {"class": of_class, "digit": of_digit, "background": of_ground}
    units = [
        *(part.expand(24, 7) for part in pure.values()),
        of_digit * (of_ground - of_ground.mean()),
        sum(pure.values()),
    ]
    values = 100 + torch.stack(units, 2)
    squares = crossed(values, labels).squares_by_factor()
    total = (values - values.mean((0, 1))).square().sum((0, 1))
    torch.testing.assert_close(squares.sum(0), total)
    torch.testing.assert_close(squares[:, :4] / total[:4], torch.eye(4).double(), rtol=0, atol=1e-9)
    torch.testing.assert_close(squares[:3, 4], squares[:3, :3].diagonal())  # a sum has the squares of its parts
    assert squares[3, 4] < 1e-9 * total[4]


def test_units_that_only_round_do_not_vary():
    values = torch.full((6, 3, 3), 0.1)
    values[..., 1] += torch.linspace(0, 1e-9, 6)[:, None]
    values[..., 2] += torch.linspace(0, 1e-3, 6)[:, None]
    assert crossed(values, torch.arange(6) % 2).varying().tolist() == [False, False, True]


def test_the_analysis_of_variance_refuses_what_is_not_crossed():
    one = variance.Crossed(torch.arange(4))
    one.add(torch.zeros(4, 2))
    with pytest.raises(ValueError, match="at least two backgrounds, not 1"):
        one.squares_by_factor()
    with pytest.raises(ValueError, match="4 digits meet every background; 3 were given"):
        one.add(torch.zeros(3, 2))


def test_shares_of_layers_sum_to_one_and_the_input_knows_no_network(net, digits):
    grounds = data.photographs("test", 4, seed=0)
    shares = variance.variance_shares(net, *digits, grounds)
    for part in shares:
        assert part.shape == (8, 4)
        np.testing.assert_allclose(part.sum(1), 1)
    images = torch.stack([data.composed(digits[0], ground) for ground in grounds], 1).double()
    by_ground = images.mean(0) - images.mean((0, 1))
    expected = 60 * by_ground.square().sum() / (images - images.mean((0, 1))).square().sum()
    assert shares.raw[0, 2] == pytest.approx(float(expected), rel=1e-5)
    other = variance.variance_shares(models.LeNet5(seed=5, coding="[0,1]", border=2), *digits, grounds)
    np.testing.assert_allclose(other.standardised[0], shares.standardised[0])
    assert abs(other.standardised[-1] - shares.standardised[-1]).max() > 0.01


def test_a_background_behind_a_full_digit_has_no_share(net, digits):
    full = torch.full_like(digits[0], 255)
    full[::2] = 254  # digits of two kinds
    shares = variance.variance_shares(net, full, digits[1], data.photographs("test", 3, seed=0))
    np.testing.assert_allclose(shares.standardised[:, 2:], 0, atol=1e-6)


def test_variance_within_a_class_is_numpys_and_counts_only_what_it_is_told():
    images = torch.randint(256, (50, 1, 3, 2), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    labels, where = torch.arange(50) % 10, images > 100
    plain, some = (variance.within_class_variance(images, labels, one) for one in (None, where))
    own = images[labels == 4, 0].double().numpy()
    np.testing.assert_allclose(plain.variance[4], own.var(0))
    assert (plain.n == 5).all() and (some.n.sum(0) == where.sum(0)[0].numpy()).all()
    kept = own[:, 1, 1][own[:, 1, 1] > 100]
    assert some.variance[4, 1, 1] == pytest.approx(kept.var())
    assert plain.mean() == pytest.approx(plain.variance.mean())
    assert some.mean() == pytest.approx(np.nansum(some.variance * some.n) / some.n.sum())
    only = np.zeros((10, 3, 2), bool)
    only[4, 1, 1] = True
    assert some.mean(only) == pytest.approx(kept.var())


def test_a_class_without_samples_has_no_variance():
    found = variance.within_class_variance(torch.zeros(3, 1, 2, 2), torch.tensor([0, 0, 1]))
    assert np.isnan(found.variance[2:]).all() and not found.variance[:2].any()
    assert found.mean() == 0 and np.isnan(found.mean(np.zeros((10, 2, 2), bool)))


def test_ink_rim_and_ground_share_the_image_out():
    digit = torch.zeros(1, 1, 9, 9, dtype=torch.uint8)
    digit[0, 0, 4, 4] = variance.INK
    digit[0, 0, 0, 0] = variance.INK - 1
    zones = variance.zones(digit)
    assert zones.shape == (3, 1, 9, 9) and (zones.sum(0) == 1).all()
    assert zones.sum((1, 2, 3)).tolist() == [1, 24, 56]
    assert zones[1, 0, 2, 2] and zones[2, 0, 1, 2]


def test_weights_are_averaged_zone_by_zone():
    digit = torch.zeros(2, 1, 9, 9, dtype=torch.uint8)
    digit[:, 0, 4, 4] = 255
    weights = torch.full((2, 9, 9), 3.0)
    weights[0, 4, 4], weights[1, 4, 4], weights[:, 2, 2] = 8.0, 6.0, 27.0
    assert variance.by_zone(weights, digit).tolist() == [7.0, 4.0, 3.0]


def test_pixel_weights_are_differences_of_the_logit(digits):
    net = models.LeNet5(seed=0, coding="[0,1]", border=2).double()
    images, labels = digits[0][:6], digits[1][:6]
    weights = variance.pixel_weights(net, images, labels, batch=4)
    assert weights.shape == (6, 28, 28) and (weights >= 0).all()
    moved = net.pixels(images).clone()
    moved[:, 0, 13, 14] += 1e-5
    with torch.no_grad():
        change = (net(moved) - net(net.pixels(images))).gather(1, labels[:, None])[:, 0]
    torch.testing.assert_close(weights[:, 13, 14], (change / 1e-5).abs(), rtol=1e-3, atol=1e-6)


def test_positions_split_the_variance_of_s4_and_hold_one_at_a_time(net, digits):
    images, labels = digits
    found = variance.positions(net, images, labels)
    values = variance.layers(net, images)["S4"]
    np.testing.assert_allclose(found.within + found.between, values.double().var(0, correction=0), rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(found.spread, net.dense1.weight.detach().double().var(0))
    place = int(found.within.argmax())
    held = values.clone()
    held[:, place] = values[:, place].mean()
    with torch.no_grad():
        logits = net.dense3(torch.relu(net.dense2(torch.relu(net.dense1(held)))))
        change = (logits - net(images)).abs().mean().item()
    assert found.influence[place] == pytest.approx(change, rel=1e-3)
    assert change > 0 and not found.influence[found.within + found.between == 0].any()


def test_ranks_leave_out_positions_that_do_not_vary_and_hold_the_signal_fixed():
    draw = np.random.default_rng(0)
    signal = draw.normal(size=400)
    within = np.exp(signal + draw.normal(size=400))  # both follow the signal, and nothing else joins them
    spread = signal + draw.normal(size=400)
    dead = np.concatenate([within, np.zeros(50)])
    rest = [np.concatenate([one, draw.normal(size=50)]) for one in (signal, spread, -spread)]
    found = variance.Positions(dead, *rest).ranks()
    assert found.inconsistency == pytest.approx(scipy_stats.spearmanr(within, spread).statistic)
    assert found.inconsistency > 0.4 and abs(found.given_signal) < 0.15 and found.influence == pytest.approx(-1)
    # The partial correlation of ranks is that of what a line in the ranks of the signal leaves over.
    x, y, z = (scipy_stats.rankdata(one) for one in (within, spread, signal))
    left = [one - np.polyval(np.polyfit(z, one, 1), z) for one in (x, y)]
    assert found.given_signal == pytest.approx(np.corrcoef(left)[0, 1])


def test_rank_correlation_is_scipys_with_an_interval_around_it():
    draw = np.random.default_rng(0)
    a = draw.normal(size=80).round(1)  # with ties
    b = a + draw.normal(size=80)
    found = variance.rank_correlation(a, b, resamples=300)
    assert found.mean == pytest.approx(scipy_stats.spearmanr(a, b).statistic)
    assert found.low < found.mean < found.high < 1 and found.n == 80
    assert variance.rank_correlation(a, np.exp(a), resamples=50).mean == pytest.approx(1)


# --- the larger network, and bars


def test_the_larger_network_has_the_size_of_the_re_creation_and_drops_a_quarter():
    net = models.LargeDigitCNN(seed=0)
    assert sum(weights.numel() for weights in net.parameters()) == 3_274_634
    images = torch.zeros(3, 1, 28, 28, dtype=torch.uint8)
    assert net(images).shape == (3, 10)
    assert [layer.p for layer in net if isinstance(layer, torch.nn.Dropout)] == [0.25]


def test_bars_are_stacked_in_order_of_appearance_to_their_sum():
    table = pd.DataFrame(
        {"layer": ["in", "in", "out", "out"] * 2, "part": ["b", "a"] * 4, "share": [0.7, 0.3, 0.2, 0.8] * 2}
    )
    (ax,) = plots.stacked(table, "layer", "share", hue="part").axes
    assert [text.get_text() for text in ax.get_xticklabels()] == ["in", "out"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["b", "a"]
    tops = [bar.get_y() + bar.get_height() for bar in ax.patches]
    assert tops == pytest.approx([0.7, 0.2, 1, 1])
    assert len({matplotlib.colors.to_hex(bar.get_facecolor()) for bar in ax.patches}) == 2
