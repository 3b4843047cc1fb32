"""Poses of digits, and autoencoders that are told them."""

from functools import partial

import pytest
import torch

from companion import data, training
from companion.invariance.poses import Shifts, Turns, errors, pairs, reconstruction_loss, scaled
from companion.models import PosedAutoencoder

CPU = torch.device("cpu")


def count(net):
    """Number of parameters."""
    return sum(weights.numel() for weights in net.parameters())


def test_sizes_are_the_published_ones():
    assert count(PosedAutoencoder(seed=0)) == 13_140_363
    assert count(PosedAutoencoder(seed=0, decoder_maps=(256, 128))) == 19_963_467
    with pytest.raises(ValueError, match="multiple of 4"):
        PosedAutoencoder(seed=0, canvas=30)


def test_turns_go_round_and_keep_the_background():
    turns, images = Turns(), scaled(data.mnist("test").inputs[:4])
    quarter = turns.apply(images, torch.full((4,), 90.0))
    torch.testing.assert_close(quarter, images.rot90(1, (2, 3)), atol=1e-4, rtol=0)
    assert turns.apply(images, torch.full((4,), 30.0)).min() == -1
    torch.testing.assert_close(turns.code(torch.tensor([90.0])), torch.tensor([[0.0, 1.0]]), atol=1e-6, rtol=0)


def test_shifts_put_the_image_where_they_say():
    shifts, images = Shifts(), scaled(data.mnist("test").inputs[:2])
    canvas = shifts.apply(images, torch.tensor([[-20, 19], [3, 0]]))
    assert canvas.shape == (2, 1, 68, 68)
    assert torch.equal(canvas[0, :, 0:28, 39:67], images[0])
    assert torch.equal(canvas[1, :, 23:51, 20:48], images[1])
    assert (canvas == -1).sum() > 2 * (68**2 - 28**2)


def test_poses_of_the_held_back_digits_keep_to_their_range():
    labels = torch.arange(10).repeat(2000)
    held = (labels == 4) | (labels == 9)
    drawn = Shifts().draw(labels, torch.Generator().manual_seed(0))
    assert drawn[held].unique().tolist() == list(range(-5, 5))
    assert drawn[~held].unique().tolist() == list(range(-20, 20))
    angles = Turns().draw(labels, torch.Generator().manual_seed(0))
    assert angles[held].abs().max() <= 45 < 179 < angles[~held].abs().max()


def test_training_lowers_the_error_and_errors_are_those_of_the_pictures():
    digits, turns = data.mnist("train"), Turns()
    net = PosedAutoencoder(seed=0, encoder_maps=(4, 8), decoder_maps=(8, 4), dense=64)
    history = training.fit_drawn(
        net,
        pairs(digits, turns, batch=32, device=CPU),
        reconstruction_loss,
        seed=0,
        steps=200,
        updates=partial(training.RMSProp, lr=1e-3),
        measure_at=(1, 150),
    )
    assert history["loss"].iloc[2] < 0.5 * history["loss"].iloc[0]
    settings = torch.tensor([-90.0, 0.0, 33.0])
    table = errors(net, digits.inputs[:5], settings, turns, batch=2)
    assert table.shape == (3, 5)
    images = scaled(digits.inputs[:5])
    for row, setting in zip(table, settings, strict=True):
        told = setting.expand(5)
        with torch.no_grad():
            expected = (net(images, turns.code(told)) - turns.apply(images, told)).square().mean((1, 2, 3))
        torch.testing.assert_close(row, expected)


def test_errors_measure_what_they_are_given():
    digits, turns = data.mnist("test"), Turns()
    net = PosedAutoencoder(seed=0, encoder_maps=(2, 2), decoder_maps=(2, 2), dense=4)

    def ink(net, upright, poses):
        """Ink of a turned image, and the angle."""
        return lambda told: torch.stack([(poses.apply(upright, told) + 1).sum((1, 2, 3)), told], 1)

    found = errors(net, digits.inputs[:5], torch.tensor([0.0, 180.0]), turns, measure=ink, batch=2)
    assert found.shape == (2, 5, 2) and found[:, :, 1].tolist() == [[0.0] * 5, [180.0] * 5]
    expected = (scaled(digits.inputs[:5]) + 1).sum((1, 2, 3))
    torch.testing.assert_close(found[:, :, 0], expected.expand(2, 5), atol=0.05, rtol=0)
