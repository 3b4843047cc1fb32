"""Digits in orientations never seen: the networks, the draw, the test over a full circle."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from companion import data, models, plots, training
from companion.invariance import recognition as rec
from companion.models.rotation_cnn import same_padding

CPU = torch.device("cpu")
SIZES = {"regular_00": 6_564_040, "regular_01": 4_860_360, "regular_02": 1_746_920, "dropout_00": 2_270_952,
         "dropout_01": 4_860_360, "dropout_bn_00": 6_564_424, "dropout_bn_01": 2_271_400,
         "dropout_bn_02": 4_861_256, "pooling_00": 102_976_648, "pooling_01": 102_896_072,
         "pooling_02": 52_121_480}  # fmt: skip


class Upright(nn.Module):
    """Answers with the digit 3 where the brighter half is above, else with 4: right or wrong by angle alone."""

    def forward(self, images):
        above = images[:, 0, :14].sum((1, 2)) > images[:, 0, 14:].sum((1, 2))
        return F.one_hot(torch.where(above, 3, 4), 8).float()


def bars(labels):
    """Images with a bar above the middle."""
    inputs = torch.zeros(len(labels), 1, 28, 28, dtype=torch.uint8)
    inputs[:, :, 6:10, 8:20] = 255
    return data.Images(inputs, torch.tensor(labels))


@pytest.mark.parametrize("row", SIZES)
def test_networks_have_the_published_sizes(row):
    narrow = models.RotationCNN(row, seed=0, width=0.0625)
    assert narrow(torch.rand(2, 1, 28, 28)).shape == (2, 8)
    if not row.startswith("pooling"):
        net = models.RotationCNN(row, seed=0)
        assert sum(one.numel() for one in net.parameters()) == SIZES[row]
    assert set(SIZES) == set(models.ROTATION_ROWS)


def test_a_row_is_known_and_not_empty():
    with pytest.raises(ValueError, match="unknown row 'regular_99'"):
        models.RotationCNN("regular_99", seed=0)
    with pytest.raises(ValueError, match="at least one"):
        models.RotationCNN("regular_00", seed=0, width=0.001)


def test_padding_is_that_of_tensorflow():
    assert [same_padding(side, 4, 2) for side in (28, 14, 7, 4)] == [(1, 1), (1, 1), (1, 2), (1, 1)]
    assert same_padding(28, 5, 1) == (2, 2) and same_padding(28, 3, 1) == (1, 1)


def test_norm_follows_the_activation_and_dropout_rests_in_the_test():
    net = models.RotationCNN("dropout_bn_00", seed=0, width=0.0625).eval()
    images = torch.rand(4, 1, 28, 28)
    assert torch.equal(net(images), net(images))
    maps = images
    for convolution, norm in zip(net.convolutions, net.norms, strict=True):
        maps = norm(F.leaky_relu(convolution(maps), 0.1))
    torch.testing.assert_close(net(images), net.scores(F.leaky_relu(net.hidden(maps.flatten(1)), 0.1)))
    net.train()
    assert not torch.equal(net(images), net(images))


def test_the_double_softmax_loss_lies_between_its_ends():
    class Sure(nn.Module):
        def forward(self, images):
            return 1e3 * F.one_hot(torch.zeros(len(images), dtype=torch.long), 8).float()

    images = torch.zeros(1, 1, 28, 28)
    ends = [float(rec.double_softmax(Sure(), images, torch.tensor([label]))) for label in (0, 1)]
    assert ends == pytest.approx([1.2740, 2.2740], abs=1e-4)


def test_batches_turn_only_the_other_digits_far():
    digits = bars([3] * 50 + [0] * 50)
    images, labels = rec.turned_batches(digits, batch=400, device=CPU)(
        *(torch.Generator().manual_seed(k) for k in (0, 1))
    )
    below = images[:, 0, 14:].sum((1, 2)) > images[:, 0, :14].sum((1, 2))
    assert images.max() <= 1 and not below[labels == 3].any()
    assert 0.35 < below[labels == 0].double().mean() < 0.65


def test_a_circle_knows_the_chances_and_random_turns_agree():
    digits = bars([3] * 40)
    circle = rec.circle(Upright(), digits, 2.0)
    assert rec.chances(circle, (-45, 45)).min() == pytest.approx(1)
    assert rec.chances(circle, (135, 225)).max() == 0
    torch.testing.assert_close(
        rec.chances(circle, (0, 180)), torch.full((40,), 0.5, dtype=torch.float64), atol=0.02, rtol=0
    )
    mean, variance = rec.rerotated(rec.chances(circle, (45, 315)))
    draw = torch.Generator().manual_seed(0)
    repeats = []
    for _ in range(300):
        angles = 45 + 270 * torch.rand(40, generator=draw)
        turned = data.rotate(rec.scaled(digits.inputs), angles)
        repeats.append((Upright()(turned).argmax(1) == 3).double().mean())
    assert mean == pytest.approx(float(torch.stack(repeats).mean()), abs=0.02)
    assert variance == pytest.approx(float(torch.stack(repeats).var()), rel=0.3)


def test_ranges_are_cut_where_they_end():
    angles = rec.steps_of(10.0)
    for within in ((-45.0, 45.0), (45.0, 315.0), (135.0, 226.0), (0.0, 360.0)):
        assert rec.shares(angles, within).sum() == pytest.approx(1)
    inside = rec.shares(angles, (-45.0, 45.0))
    assert inside[angles.abs() > 50].sum() == 0
    assert inside[(angles - 45).abs() < 1e-6] == pytest.approx(5 / 90)
    with pytest.raises(ValueError, match="divides 360"):
        rec.steps_of(7.0)
    with pytest.raises(ValueError, match="at most 360"):
        rec.shares(angles, (45.0, -45.0))


def test_the_slip_puts_the_last_images_into_the_trained_range():
    clean, trained = torch.zeros(1992), torch.ones(1992)
    assert float(rec.slipped(clean, trained).mean()) == pytest.approx(72 / 1992)
    assert rec.slipped(clean, trained)[-72:].min() == 1
    few = rec.thinned(data.Images(torch.arange(10), torch.arange(10)), 4)
    assert few.labels.tolist() == [1, 5, 9]


def test_what_is_tested():
    result = rec.tested(Upright(), bars([3] * 8 + [4] * 8 + [0] * 8), step=15.0, other_step=90.0)
    assert (result["p_in34"], result["p_inv"]) == pytest.approx((0.5, 0.5))  # every 3 one way round, every 4 the other
    assert result["p_test"] == pytest.approx(1 / 3)
    assert result["by_angle"].shape == (2, 24) and result["others_by_angle"].tolist() == [0, 0, 0, 0]
    np.testing.assert_allclose(result["recall"][[0, 3, 4]], [0, 1, 0])  # within 45 degrees all are taken for a 3
    assert np.isnan(np.delete(result["recall"], [0, 3, 4])).all()
    np.testing.assert_allclose(result["taken_for"][:, 4], 1)
    assert result["p_in34_var"] == pytest.approx(0, abs=1e-12)
    assert rec.cut_off(0) == 45 and rec.cut_off(1) == 180


def test_a_network_learns_the_trained_range():
    digits = bars([3] * 20 + [0] * 20)
    digits.inputs[20:] //= 2
    net = models.RotationCNN("regular_00", seed=0, width=0.0625)
    history = training.fit_drawn(
        net, rec.turned_batches(digits, batch=32, device=CPU), rec.cross_entropy, seed=0, steps=60, measure_at=[5],
        updates=lambda weights: torch.optim.Adam(weights, lr=1e-2),
    )  # fmt: skip
    assert history.loss.iloc[-1] < 0.7 * history.loss.iloc[0]


def test_angles_are_drawn():
    table = pd.DataFrame({"angle": [-90.0, 0.0, 90.0] * 2, "accuracy": [0, 1, 0] * 2, "digit": ["3"] * 3 + ["4"] * 3})
    figure = plots.by_angle(table, "accuracy", hue="digit", trained=(-45, 45), chance=0.125, reported=[70.0])
    assert len(figure.axes[0].lines) == 5 and figure.axes[0].get_xlim() == (-180, 180)
    shown = plots.answers(np.zeros((28, 28)), np.full(8, 0.125), list("01234578"), 3, title="3")
    assert [bar.get_height() for bar in shown.axes[1].patches] == [0.125] * 8
    plt.close("all")
