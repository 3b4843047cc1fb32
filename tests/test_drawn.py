"""Trainings on batches drawn at every step, TensorFlow's RMSProp and Glorot's start, turned digits."""

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from companion import data, training
from companion.models import glorot_start

ADAM = partial(torch.optim.Adam, lr=1e-2)


def line(order, augmentation):
    """Points on a line, with noise."""
    x = torch.rand(16, 1, generator=order)
    return x, 3 * x - 1 + 0.01 * torch.randn(16, 1, generator=augmentation)


def square(net, x, y):
    """Mean squared error."""
    return (net(x) - y).square().mean()


def student():
    """A dense layer with dropout, so that resuming must restore that stream too."""
    return glorot_start(nn.Sequential(nn.Linear(1, 32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 1)), seed=1)


def test_it_learns_and_keeps_a_history():
    net = student()
    history = training.fit_drawn(net, line, square, seed=0, steps=600, updates=ADAM, measure_at=(1, 300))
    assert history["step"].tolist() == [1, 300, 600]
    assert history["loss"].iloc[-1] < 0.1 * history["loss"].iloc[0]
    assert not net.training
    assert history["skipped"].sum() == 0


def test_an_interrupted_training_ends_with_the_same_bits(tmp_path):
    whole = student()
    told = training.fit_drawn(whole, line, square, seed=0, steps=450, updates=ADAM, measure_at=(150,))

    class Stopped(Exception):
        """The power went."""

    drawn = 0

    def failing(order, augmentation):
        nonlocal drawn
        drawn += 1
        if drawn > 250:
            raise Stopped
        return line(order, augmentation)

    keeper = training.Checkpoint(tmp_path / "state", every=0)
    settings = {"seed": 0, "steps": 450, "updates": ADAM, "measure_at": (150,)}
    with pytest.raises(Stopped):
        training.fit_drawn(student(), failing, square, **settings, checkpoint=keeper)
    resumed = student()
    again = training.fit_drawn(resumed, line, square, **settings, checkpoint=keeper)
    states = zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in states)
    assert told.equals(again)
    with pytest.raises(ValueError, match="another training"):
        training.fit_drawn(student(), line, square, seed=1, steps=450, updates=ADAM, checkpoint=keeper)


def test_steps_without_a_finite_gradient_are_left_out_or_an_error():
    def broken(order, augmentation):
        x, y = line(order, augmentation)
        return x, y * torch.where(torch.rand((), generator=augmentation) < 0.3, torch.nan, 1.0)

    net = student()
    history = training.fit_drawn(net, broken, square, seed=0, steps=100, updates=ADAM, skip=True)
    assert 10 < history["skipped"].item() < 60
    assert np.isfinite(history["loss"].item())
    with pytest.raises(training.Diverged, match="infinite or NaN"):
        training.fit_drawn(student(), broken, square, seed=0, steps=100, updates=ADAM)


@pytest.mark.parametrize(
    ("change", "told"), [({"steps": 0}, "at least 1, not 0"), ({"measure_at": (9,)}, "1 to 5, not 9")]
)
def test_bad_settings_are_told(change, told):
    with pytest.raises(ValueError, match=told):
        training.fit_drawn(student(), line, square, **({"seed": 0, "steps": 5, "updates": ADAM} | change))


def test_rmsprop_follows_its_formula():
    weight = nn.Parameter(torch.tensor([1.0, -2.0], dtype=torch.float64))
    optimizer = training.RMSProp([weight], lr=0.1)
    expected, mean = weight.detach().clone(), torch.ones(2, dtype=torch.float64)
    for gradient in ([3.0, 0.5], [1.0, -1.0], [0.0, 2.0]):
        weight.grad = torch.tensor(gradient, dtype=torch.float64)
        optimizer.step()
        mean = 0.9 * mean + 0.1 * weight.grad**2
        expected -= 0.1 * weight.grad / (mean + 1e-10).sqrt()
    torch.testing.assert_close(weight.detach(), expected)
    with pytest.raises(ValueError, match="decay"):
        training.RMSProp([weight], decay=1.0)


def test_glorot_fills_its_range():
    layers = nn.Conv2d(64, 128, 4), nn.ConvTranspose2d(128, 64, 4), nn.Linear(300, 100)
    net = glorot_start(nn.Sequential(*layers), seed=0)
    for layer, fans in zip(net, (16 * 192, 16 * 192, 400), strict=True):
        reach = (6 / fans) ** 0.5
        assert 0.99 * reach < layer.weight.abs().max().item() <= reach
        assert layer.bias.abs().max().item() == 0


def test_eight_digits_are_those_of_the_article():
    train, test = data.eight_digits("train"), data.eight_digits("test")
    assert (len(train.labels), len(test.labels)) == (48133, 8033)
    assert test.labels.bincount()[3:5].tolist() == [1010, 982]
    assert test.labels.unique().tolist() == list(range(8))
    plain = data.mnist("test").labels
    assert torch.equal(plain[~torch.isin(plain, torch.tensor([6, 9]))] - test.labels, (test.labels >= 6).long())


def test_angles_keep_to_their_ranges():
    labels = torch.arange(8).repeat(500)
    draw = torch.Generator().manual_seed(0)
    angles = data.draw_angles(labels, draw, restricted=(3, 4))
    held = (labels == 3) | (labels == 4)
    assert -45 <= angles[held].min() < -40 and 40 < angles[held].max() < 45
    assert 0 <= angles[~held].min() < 5 and 355 < angles[~held].max() < 360
    same = data.draw_angles(labels, torch.Generator().manual_seed(0), restricted=(3, 4), within=(18, 18))
    assert same[held].unique().tolist() == [18]
    assert torch.equal(same[~held], angles[~held])
    with pytest.raises(ValueError, match="not from 45 to -45"):
        data.draw_angles(labels, draw, restricted=(3,), within=(45, -45))
