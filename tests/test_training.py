from __future__ import annotations

import contextlib
import itertools
import random

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from companion.models.mlp import MLP
from companion.seeds import generator
from companion.training.checkpoint import Checkpoint
from companion.training.one import fit

N, FEATURES, CLASSES = 50, 6, 3


def points(n: int = N, *, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    """Three overlapping clouds: learnable, but never with a loss of zero."""
    draw = torch.Generator().manual_seed(1)
    labels = torch.arange(n) % CLASSES
    means = 2 * torch.randn(CLASSES, FEATURES, generator=draw, dtype=dtype)
    return means[labels] + torch.randn(n, FEATURES, generator=draw, dtype=dtype), labels


def small_net(seed: int = 0) -> MLP:
    return MLP((FEATURES, 5, CLASSES), seed=seed, activation=nn.Tanh).double()


def weights(net: nn.Module) -> list[torch.Tensor]:
    return [value.detach().clone() for value in net.state_dict().values()]


def same_bits(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return len(one) == len(other) and all(map(torch.equal, one, other))


class Seen:
    """A loss that keeps the targets of every step."""

    def __init__(self, loss=F.cross_entropy):
        self.loss, self.targets = loss, []

    def __call__(self, outputs, targets):
        self.targets.append(targets.clone())
        return self.loss(outputs, targets)

    @property
    def order(self) -> list[int]:
        return torch.cat(self.targets).int().flatten().tolist()


def numbered(n: int = 20) -> tuple[torch.Tensor, torch.Tensor]:
    """Examples whose target is their own index."""
    return torch.ones(n, 4), torch.arange(n, dtype=torch.float32)[:, None]


def order_of(seed: int, *, net: nn.Module | None = None, n: int = 20, epochs: int = 2, **settings) -> list[int]:
    seen = Seen(F.mse_loss)
    fit(net or nn.Linear(4, 1), numbered(n), seed=seed, epochs=epochs, lr=1e-3, loss=seen, **settings)
    return seen.order


# The updates by hand, from the optimisers' formulas rather than from torch.optim.


def sgd_by_hand(*, momentum: float, weight_decay: float):
    velocities: dict[int, torch.Tensor] = {}

    def update(index: int, weight: torch.Tensor, lr: float) -> None:
        gradient = weight.grad + weight_decay * weight
        velocities[index] = momentum * velocities.get(index, 0) + gradient
        weight -= lr * velocities[index]

    return update


def adam_by_hand(*, betas: tuple[float, float], eps: float, weight_decay: float):
    firsts: dict[int, torch.Tensor] = {}
    seconds: dict[int, torch.Tensor] = {}
    steps: dict[int, int] = {}

    def update(index: int, weight: torch.Tensor, lr: float) -> None:
        gradient = weight.grad + weight_decay * weight
        steps[index] = t = steps.get(index, 0) + 1
        firsts[index] = betas[0] * firsts.get(index, 0) + (1 - betas[0]) * gradient
        seconds[index] = betas[1] * seconds.get(index, 0) + (1 - betas[1]) * gradient**2
        weight -= lr * (firsts[index] / (1 - betas[0] ** t)) / ((seconds[index] / (1 - betas[1] ** t)).sqrt() + eps)

    return update


SGD = dict(momentum=0.9, weight_decay=0.01)
ADAM = dict(betas=(0.8, 0.99), eps=1e-5, weight_decay=0.01)
RECIPES = {
    "plain": (dict(), sgd_by_hand(momentum=0, weight_decay=0)),
    "sgd": (SGD, sgd_by_hand(**SGD)),
    "adam": (dict(optimizer="adam", **ADAM), adam_by_hand(**ADAM)),
}


@pytest.mark.parametrize("recipe", RECIPES)
def test_fit_is_the_plain_loop_step_for_step(recipe):
    chosen, update = RECIPES[recipe]
    inputs, labels = points()
    schedule = lambda epoch: 0.5**epoch  # noqa: E731
    net, track = small_net(), []

    def watched(outputs, targets):
        track.append(weights(net))
        return F.cross_entropy(outputs, targets)

    history = fit(net, (inputs, labels), seed=3, epochs=3, lr=0.1, batch=16, schedule=schedule, loss=watched, **chosen)

    plain, expected, means = small_net(), [], []
    order = generator(3, "order")
    for epoch in (1, 2, 3):
        permutation, total = torch.randperm(N, generator=order), 0.0
        for start in range(0, N, 16):
            batch = permutation[start : start + 16]
            expected.append(weights(plain))
            plain.zero_grad()
            loss = F.cross_entropy(plain(inputs[batch]), labels[batch])
            loss.backward()
            total += loss.item() * len(batch)
            with torch.no_grad():
                for index, weight in enumerate(plain.parameters()):
                    update(index, weight, 0.1 * schedule(epoch))
        means.append(total / N)
    assert len(track) == len(expected) == 12
    for ours, theirs in itertools.chain(*(zip(a, b, strict=True) for a, b in zip(track, expected, strict=True))):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)
    for ours, theirs in zip(weights(net), weights(plain), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)
    assert history.loss.tolist() == pytest.approx(means, rel=1e-10)
    assert history.lr.tolist() == pytest.approx([0.05, 0.025, 0.0125])
    assert history.epoch.tolist() == [1, 2, 3]


def test_same_seed_same_bits_other_seed_other_order():
    def trained(seed):
        net = small_net()
        history = fit(net, points(), seed=seed, epochs=2, lr=0.1, momentum=0.9)
        return weights(net), history

    (first, history), (again, history_again), (other, _) = trained(5), trained(5), trained(6)
    assert same_bits(first, again) and not same_bits(first, other)
    pd.testing.assert_frame_equal(history, history_again, check_exact=True)
    assert order_of(5) == order_of(5) != order_of(6)


@settings(max_examples=15, deadline=None)
@given(n=st.integers(1, 30), batch=st.integers(1, 40), seed=st.integers(0, 99))
def test_every_epoch_sees_every_example_once_in_a_fresh_order(n, batch, seed):
    order = order_of(seed, n=n, batch=batch)
    assert sorted(order[:n]) == sorted(order[n:]) == list(range(n))
    assert order == order_of(seed, n=n, batch=n)
    assert n < 10 or order[:n] != order[n:]


def test_augmentation_dropout_and_weights_leave_the_order_and_each_other_alone():
    def masks_and_order(augment, p=0.5, net_seed=0, draws=0):
        net, masks = nn.Sequential(nn.Dropout(p), MLP((4, 1), seed=net_seed)), []
        net[0].register_forward_hook(lambda _, __, output: masks.append(output != 0))
        torch.rand(draws)
        return order_of(1, net=net, augment=augment), torch.cat(masks)

    order, masks = masks_and_order(None)
    for augment in (lambda x, g: x + torch.rand(x.shape, generator=g), lambda x, g: 2 * x):
        changed_order, changed_masks = masks_and_order(augment)
        assert changed_order == order and torch.equal(changed_masks, masks)
    assert 0.3 < masks.double().mean() < 0.7
    assert masks_and_order(None, p=0.1)[0] == order
    reseeded_order, reseeded_masks = masks_and_order(None, net_seed=9, draws=7)
    assert reseeded_order == order and torch.equal(reseeded_masks, masks)


def test_augmentation_gets_its_own_stream_and_cannot_harm_the_data():
    drawn = []

    def augment(batch, draw):
        drawn.append(torch.rand(2, generator=draw))
        return batch.mul_(0)

    inputs, targets = numbered()
    untouched = inputs.clone()
    fit(nn.Linear(4, 1), (inputs, targets), seed=4, epochs=1, lr=0.1, batch=10, loss=F.mse_loss, augment=augment)
    assert torch.equal(torch.cat(drawn), torch.rand(4, generator=generator(4, "augmentation")))
    assert torch.equal(inputs, untouched)


def test_the_global_generators_are_neither_read_nor_changed():
    def trained(stop):
        net = nn.Sequential(nn.Linear(FEATURES, 8), nn.Dropout(0.5), nn.Linear(8, CLASSES)).double()
        with torch.no_grad():
            for weight in net.parameters():
                weight.fill_(0.1)
        before = torch.get_rng_state(), str(np.random.get_state()), random.getstate()  # noqa: NPY002
        with contextlib.suppress(KeyboardInterrupt):
            fit(net, points(), seed=0, epochs=2, lr=0.1, measure=stop)
        after = torch.get_rng_state(), str(np.random.get_state()), random.getstate()  # noqa: NPY002
        assert torch.equal(before[0], after[0]) and before[1:] == after[1:]
        return weights(net)

    def interrupt(net):
        raise KeyboardInterrupt

    first = trained(None)
    trained(interrupt)
    torch.rand(3)
    assert same_bits(first, trained(None))


# Stopping and taking up again


class Interrupted(Exception):
    pass


def fragile_net(seed: int) -> nn.Module:
    layers = MLP((FEATURES, 8, CLASSES), seed=seed).double()
    return nn.Sequential(layers[0], nn.BatchNorm1d(8).double(), nn.Dropout(0.3), nn.ReLU(), layers[2])


def fragile_fit(net, optimizer, *, alive: float = float("inf"), inside: str = "measure", checkpoint=None):
    """Train with everything that has a state, and die in epoch `alive` + 1 of this attempt."""
    calls = {"measure": 0, "loss": 0}

    def measure(_):
        calls["measure"] += 1
        if inside == "measure" and calls["measure"] > alive:
            raise Interrupted
        return {"noise": torch.rand(()).item(), "training": float(net.training)}

    def loss(outputs, targets):
        calls["loss"] += 1
        if inside == "loss" and calls["loss"] > 4 * alive + 2:
            raise Interrupted
        return F.cross_entropy(outputs, targets)

    return fit(
        net,
        points(),
        seed=2,
        epochs=5,
        lr=0.05,
        optimizer=optimizer,
        momentum=0.9,
        weight_decay=1e-3,
        schedule=lambda epoch: 1 / epoch,
        batch=16,
        loss=loss,
        augment=lambda x, draw: x + 0.1 * torch.randn(x.shape, generator=draw, dtype=x.dtype),
        measure=measure,
        checkpoint=checkpoint,
    )


@pytest.mark.parametrize("inside", ["measure", "loss"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_training_killed_in_every_epoch_ends_with_the_same_bits(optimizer, inside, tmp_path):
    undisturbed = fragile_net(0)
    history = fragile_fit(undisturbed, optimizer)
    path = tmp_path / "deep" / "training.pt"
    for attempt in range(4):
        net = fragile_net(attempt)  # only the first attempt starts from the true weights
        with pytest.raises(Interrupted):
            fragile_fit(net, optimizer, alive=1, inside=inside, checkpoint=Checkpoint(path, every=0))
        assert len(Checkpoint(path).load()["rows"]) == attempt + 1
        torch.rand(5)
    resumed = fragile_net(77)
    resumed_history = fragile_fit(resumed, optimizer, checkpoint=Checkpoint(path, every=0))
    assert same_bits(weights(undisturbed), weights(resumed))
    pd.testing.assert_frame_equal(history, resumed_history, check_exact=True)
    assert history.noise.nunique() == 5 and (history.training == 0).all()


@pytest.mark.parametrize("finish", [dict(epochs=2), dict(epochs=50, stop_below=10.0)])
def test_a_finished_training_is_read_back_without_a_step(finish, tmp_path):
    net, again = small_net(), small_net(9)
    path = tmp_path / "training.pt"
    history = fit(net, points(), seed=0, lr=0.1, checkpoint=Checkpoint(path, every=0), **finish)

    def refuse(*_):
        raise AssertionError("a step was made")

    read_back = fit(again, points(), seed=0, lr=0.1, loss=refuse, checkpoint=path, **finish)
    pd.testing.assert_frame_equal(history, read_back, check_exact=True)
    assert same_bits(weights(net), weights(again))


def test_a_checkpoint_changes_no_result_and_waits_its_time(tmp_path):
    plain, kept, path = small_net(), small_net(), tmp_path / "training.pt"
    fit(plain, points(), seed=0, epochs=2, lr=0.1)
    fit(kept, points(), seed=0, epochs=2, lr=0.1, checkpoint=path)
    assert same_bits(weights(plain), weights(kept))
    assert not list(tmp_path.iterdir())  # nothing is written before `every` seconds, a minute, have passed
    Checkpoint(None, every=0).save({"a": 1})
    assert Checkpoint(None).load() is None and Checkpoint(path).load() is None


class Pickled:
    """Calls `during` while it is being written."""

    def __init__(self, during):
        self.during = during

    def __reduce__(self):
        self.during()
        return int, ()


def test_a_checkpoint_is_whole_or_absent_at_every_moment(tmp_path):
    path = tmp_path / "training.pt"
    keeper = Checkpoint(path, every=0)
    looks = []
    keeper.save({"step": 1, "spy": Pickled(lambda: looks.append(path.exists()))})
    keeper.save({"step": 2, "spy": Pickled(lambda: looks.append(Checkpoint(path).load()["step"]))})
    assert looks == [False, 1] and Checkpoint(path).load()["step"] == 2

    def die():
        raise Interrupted

    with pytest.raises(Interrupted):
        keeper.save({"step": 3, "weights": torch.zeros(10_000), "spy": Pickled(die)})
    assert Checkpoint(path).load()["step"] == 2
    keeper.save({"step": 4})
    assert Checkpoint(path).load() == {"step": 4}


def test_stop_below_ends_after_the_first_epoch_below():
    full = fit(small_net(), points(), seed=0, epochs=12, lr=0.3)
    assert full.loss.is_monotonic_decreasing and len(full) == 12
    threshold = float(full.loss[4])
    stopped = fit(small_net(), points(), seed=0, epochs=12, lr=0.3, stop_below=threshold)
    pd.testing.assert_frame_equal(stopped, full.head(6), check_exact=True)  # the fifth is equal, not below
    never = fit(small_net(), points(), seed=0, epochs=3, lr=0.3, stop_below=0.0)
    assert len(never) == 3
