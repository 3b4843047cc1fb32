"""Rotating autoencoders: the critic and its penalty, means over angles, whose picture a drawing is."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from companion import data, plots
from companion.invariance import curves, identity, rotating
from companion.invariance.adversarial import fit_adversarial, penalty, slopes, uprights
from companion.invariance.poses import Turns, pairs, scaled
from companion.invariance.turns import Detour, RawTurns
from companion.models import Critic, PosedAutoencoder

CPU = torch.device("cpu")
SMALL = rotating.Size((2, 4), 8, 8)


class Bowl(nn.Module):
    """A critic whose gradient at z is z."""

    def forward(self, codes):
        return codes.square().sum(-1, keepdim=True) / 2


def test_the_critic_is_the_published_one():
    assert sum(weights.numel() for weights in Critic(seed=0).parameters()) == 1_061_889
    assert Critic(seed=0)(torch.zeros(3, 10)).shape == (3, 1)


def test_the_penalty_as_coded_is_that_of_weights_that_broadcast():
    draw = torch.Generator().manual_seed(0)
    codes, prior = (torch.randn(6, 3, generator=draw) for _ in range(2))
    alphas = torch.rand(6, 1, 1, 1, generator=draw)
    mixed = codes + alphas * (prior - codes)  # (6, 1, 6, 3), as in the authors' code; the bowl's gradient is the point
    expected = (mixed.square().sum((1, 2, 3)).sqrt() - 1).square().mean()
    torch.testing.assert_close(penalty(Bowl(), codes, prior, alphas.flatten(), kind="as coded"), expected)
    single = codes + alphas.view(6, 1) * (prior - codes)
    expected = (single.norm(dim=1) - 1).square().mean()
    torch.testing.assert_close(penalty(Bowl(), codes, prior, alphas.flatten(), kind="per sample"), expected)


def test_few_weights_have_the_expectation_of_all():
    draw = torch.Generator().manual_seed(1)
    codes, prior, alphas = (torch.rand(shape, generator=draw) for shape in ((8, 3), (8, 3), (8,)))
    whole = penalty(Bowl(), codes, prior, alphas, kind="as coded")
    parts = [penalty(Bowl(), codes, prior, some, kind="as coded") for some in alphas.split(2)]
    torch.testing.assert_close(torch.stack(parts).mean(), whole)


def test_the_penalty_reaches_the_critics_weights():
    critic, codes = Critic(seed=0, code=3, dense=4), torch.randn(5, 3)
    torch.testing.assert_close(slopes(Bowl(), codes), codes.square().sum(1))
    value = penalty(critic, codes, torch.rand(5, 3), torch.rand(5), kind="per sample")
    gradients = torch.autograd.grad(value, [critic[0].weight, critic[4].weight])
    assert all(gradient.abs().sum() > 0 for gradient in gradients)


def test_impossible_penalties_are_refused():
    codes = torch.zeros(4, 2)
    with pytest.raises(ValueError, match="unknown penalty 'none'; the penalties are as coded, per sample"):
        penalty(Bowl(), codes, codes, torch.rand(4), kind="none")
    with pytest.raises(ValueError, match="each of the 4 pairs, not 3"):
        penalty(Bowl(), codes, codes, torch.rand(3), kind="per sample")


def adversarial(steps, *, kind="as coded", checkpoint=None, draw=None, **settings):
    digits = data.Images(data.mnist("train").inputs[:100], data.mnist("train").labels[:100])
    net = PosedAutoencoder(seed=0, code=3, encoder_maps=(2, 4), decoder_maps=(4, 2), dense=8)
    critic = Critic(seed=0, code=3, dense=8)
    drawn = draw or pairs(digits, Turns(), batch=4, device=CPU)
    history = fit_adversarial(
        net, critic, drawn, uprights(digits, batch=4, device=CPU), seed=0, steps=steps, kind=kind,
        checkpoint=checkpoint, **settings,
    )  # fmt: skip
    return net, critic, history


def test_a_resumed_training_has_the_same_bits(tmp_path):
    digits = data.Images(data.mnist("train").inputs[:100], data.mnist("train").labels[:100])
    usual, calls = pairs(digits, Turns(), batch=4, device=CPU), []

    def breaks(order, augmentation):
        calls.append(1)
        if len(calls) == 7:
            raise KeyboardInterrupt
        return usual(order, augmentation)

    whole = adversarial(10, measure_at=(3, 5))
    with pytest.raises(KeyboardInterrupt):
        adversarial(10, measure_at=(3, 5), checkpoint=tmp_path / "state.pt", draw=breaks)
    resumed = adversarial(10, measure_at=(3, 5), checkpoint=tmp_path / "state.pt")
    for one, other in zip(whole[:2], resumed[:2], strict=True):
        for name, weights in one.state_dict().items():
            assert torch.equal(weights, other.state_dict()[name]), name
    assert whole[2].equals(resumed[2]) and whole[2]["step"].tolist() == [3, 5, 10]


@pytest.mark.parametrize(("kind", "asked"), [("as coded", 1 / np.sqrt(4)), ("per sample", 1.0)])
def test_the_critics_slope_settles_where_the_penalty_asks(kind, asked):
    _, critic, history = adversarial(400, kind=kind, measure_at=(5,), lr=3e-3)
    assert history["slope"].iloc[-1] == pytest.approx(asked, rel=0.15) and not critic.training
    assert history["loss"].iloc[-1] < 0.5 * history["loss"].iloc[0]


def test_no_updates_are_refused():
    with pytest.raises(ValueError, match="at least one step and one critic update, not 1 and 0"):
        adversarial(1, critic_updates=0)


def test_angles_meet_those_of_the_tables():
    assert len(curves.angles(1.8)) == 200 and len(curves.angles(9)) == 40
    for step in (1.8, 4.5, 9):
        columns = curves.turn_columns(curves.angles(step))
        assert all(where.any() for where in columns.values())
        assert columns["at45"].sum() == 2 and columns["p180"].sum() == 1 and columns["sharp"].sum() == 4
        assert not (columns["all"] & columns["sharp"]).any()
        assert (columns["in"] | columns["out"]).tolist() == columns["all"].tolist()
    with pytest.raises(ValueError, match="meets 18, 45 and 90, not 18"):
        curves.angles(18)


def test_means_over_angles_leave_out_what_is_sharp():
    degrees = curves.angles(9)
    columns = curves.turn_columns(degrees)
    curve = np.where(np.abs(degrees) <= 45, 1.0, 3.0)[:, None] * np.ones(10)
    curve[columns["sharp"]] = 100
    curve[:, 4] *= 2
    table = curves.figures(curve, columns)
    assert table.loc["d4", ["in", "out", "far", "p0", "ratio"]].tolist() == [2, 6, 6, 200, 3]
    assert table.loc["o8", ["in", "out", "sharp"]].tolist() == [1, 3, 100]
    with pytest.raises(ValueError, match="none for far"):
        curves.figures(curve, {"far": np.zeros(40, bool)})


def test_half_of_the_rise_is_found_between_angles():
    degrees = curves.angles(9)
    columns = curves.turn_columns(degrees)
    curve = np.clip((np.abs(degrees) - 45) / 60, 0, 1)
    assert curves.half_rise(degrees, curve, columns) == pytest.approx(75)
    assert np.isnan(curves.half_rise(degrees, 1 - curve, columns))


def test_errors_are_averaged_by_digit():
    labels = torch.arange(10).repeat(2)
    means = curves.mean_by_digit(torch.stack([labels.float(), torch.arange(20.0)]), labels)
    np.testing.assert_allclose(means, [np.arange(10), np.arange(10) + 5])
    with pytest.raises(ValueError, match="there is none of 8, 9"):
        curves.mean_by_digit(torch.zeros(1, 8), torch.arange(8))


def test_a_detour_blurs_what_a_turn_leaves_sharp():
    images, usual = scaled(data.mnist("test").inputs[:20]), Turns()
    detour = Detour(usual)
    for angle in (0.0, 90.0, -180.0):
        poses = torch.full((20,), angle)
        assert detour.apply(images, poses).std() < 0.97 * usual.apply(images, poses).std()
        torch.testing.assert_close(detour.code(poses), usual.code(poses))
    poses = torch.full((20,), 45.0)
    torch.testing.assert_close(detour.apply(images, poses), usual.apply(images, poses))


def test_raw_turns_are_told_as_one_number():
    assert RawTurns().code(torch.tensor([-180.0, 45.0])).tolist() == [[-1.0], [0.25]]


def test_variants_have_the_published_sizes():
    def count(model):
        return sum(weights.numel() for weights in rotating.build(model, seed=0).parameters())

    assert count("vanilla") == 19_963_467
    assert count("vanilla, mirrored") == count("adversarial") == 13_140_363
    assert count("vanilla, mirrored") - count("vanilla, raw angle") == 1024  # one input fewer
    with pytest.raises(ValueError, match="unknown variant 'wide'"):
        rotating.build("wide", seed=0)


class Perfect(nn.Module):
    """Keeps the upright image as its code and turns it, whatever is told."""

    def __init__(self):
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))

    def encode(self, images):
        return images

    def decode(self, codes, told):
        return Turns().apply(codes, torch.atan2(told[:, 1], told[:, 0]).rad2deg())

    def forward(self, images, told):
        return self.decode(self.encode(images), told)


def test_a_perfect_drawing_is_read_as_the_expected_image():
    tests = data.Images(data.mnist("test").inputs[:60], data.mnist("test").labels[:60])
    judge = identity.judge(images=2000, epochs=1)
    drawn, expected = identity.readings(Perfect(), judge.net, tests, torch.tensor([0.0, 90.0]), Turns())
    assert drawn.shape == (2, 10, 10) and (drawn - expected).abs().sum() <= 2
    assert drawn.sum((1, 2)).tolist() == [60, 60]
    assert drawn[0].sum(1).tolist() == tests.labels.bincount(minlength=10).tolist()
    assert drawn[1].diagonal().sum() > 30  # after a quarter turn and back the reader knows most digits


def test_distances_are_those_of_images_from_mean_images():
    labels = torch.arange(10).repeat_interleave(2)
    levels = (torch.arange(20) * 10).to(torch.uint8)[:, None, None, None].expand(20, 1, 2, 2)
    examples = data.Images(levels, labels)  # the mean of digit d is 20 d + 5
    found = identity.distances(data.Images(levels[::2], labels[::2]), examples)
    expected = ((20.0 * np.arange(10)[:, None] - (20.0 * np.arange(10) + 5)) / 127.5) ** 2
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_the_nearest_image_seen_is_the_image_itself_where_it_may_be_seen():
    examples = data.Images(data.mnist("train").inputs[:200], data.mnist("train").labels[:200])
    fours = (examples.labels == 4).nonzero().flatten()
    found = identity.nearest_seen(Perfect(), examples.inputs[fours], 18.0, examples, Turns(), batch=64)
    assert found.index.tolist() == fours.tolist() and found.seen.max() < 1e-6 and found.expected.max() < 1e-6
    found = identity.nearest_seen(Perfect(), examples.inputs[fours], 144.0, examples, Turns(), batch=64)
    assert not set(found.label.tolist()) & {4, 9} and found.seen.min() > 0.01


def test_firsts_are_in_order_and_must_be_there():
    digits = data.mnist("test")
    assert torch.equal(rotating.firsts(digits, 1)[7][0], digits.inputs[0])
    with pytest.raises(ValueError, match="5 images of each digit"):
        rotating.firsts(data.Images(digits.inputs[:20], digits.labels[:20]), 5)
    upright = rotating.turned(digits.inputs[:2], (0.0,))
    assert np.abs(upright[:, 0].astype(int) - digits.inputs[:2, 0].numpy()).max() <= 15


def test_a_model_is_trained_and_examined():
    train, test = data.mnist("train"), data.mnist("test")
    tests, examples = (data.Images(some.inputs[:120], some.labels[:120]) for some in (test, train))
    for model in ("vanilla, raw angle", "adversarial, corrected"):
        trained = rotating.train(model, train, seed=0, steps=3, batch=4, size=SMALL)
        assert trained.history.shape == (3, 4) and np.isnan(trained.history[:, 3]).all() == ("raw" in model)
        found = rotating.examine(
            trained, tests, examples, identity.judge(images=2000, epochs=1), adversarial="adv" in model, step=9,
            pictures=1, samples=8, seed=0,
        )  # fmt: skip
        assert found["curve"].shape == (40, 10) and found["detour"].shape == (40,)
        assert found["drawings"].shape == (4, 1, 20, 28, 28) and found["drawings"].dtype == np.uint8
        assert found["read"].sum((1, 2)).tolist() == [120] * 20
        assert found["random"].shape == (3, 8, 28, 28) and 0.1 <= found["sure"] <= 1


def test_tiles_show_every_pixel_between_grey_lines():
    pictures = np.zeros((2, 3, 4, 4), np.uint8)
    pictures[1, 2, 0, 3] = 255
    figure = plots.tiles(
        {"one": pictures, "two": pictures}, rows=["a", "b"], columns=["x", "y", "z"], scale=2, groups=1
    )
    first, second = (ax.images[0].get_array() for ax in figure.axes)
    assert first.shape == (2 * 8 + 5, 3 * 8 + 2) and np.array_equal(first, second)
    assert (first == 1).sum() == 4 and first[13, -2:].tolist() == [1, 1]
    assert (first == 0.75).sum() == 5 * 26 + 2 * 2 * 8
    assert [text.get_text() for text in figure.axes[0].texts] == ["a", "b", "x", "y", "z", "one"]
    plt.close(figure)
    with pytest.raises(ValueError, match="2 rows and 3 columns need as many names, not 1, 0"):
        plots.tiles({"one": pictures}, rows=["a"])


def test_curves_by_pose_show_means_intervals_of_the_bold_and_what_is_reported():
    table = pd.DataFrame([
        dict(seed=seed, angle=angle, digit=digit, error=digit + angle / 90 + seed, told=7.0 if angle == 90 else np.nan)
        for seed in (0, 1) for angle in (-90, 90) for digit in (3, 4)
    ])  # fmt: skip
    figure = plots.by_pose(table, "angle", "error", hue="digit", bold=(4,), trained=(-45, 45), reported="told")
    lines = {line.get_label(): line.get_ydata().tolist() for line in figure.axes[0].lines}
    assert lines["3"] == [2.5, 4.5] and lines["4"] == [3.5, 5.5] and lines["reported"] == [7.0, 7.0]
    (band,) = figure.axes[0].collections  # round the bold line
    assert band.get_paths()[0].vertices[:, 1].min() < -2  # twelve standard errors of two replicates
    plt.close(figure)
    figure = plots.by_pose(table, "angle", "error", hue="digit", bold=(4,), floor=0.0)
    heights = figure.axes[0].collections[0].get_paths()[0].vertices[:, 1]
    assert heights.min() == 0 and heights.max() > 11
    plt.close(figure)
