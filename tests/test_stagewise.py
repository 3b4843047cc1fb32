from __future__ import annotations

import copy

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch

from companion import plots
from companion.attention import phases
from companion.attention.stagewise import fit_stagewise, lead, turn
from companion.data.patches import mosaic_set
from companion.models.attention import MosaicAttention
from companion.training.checkpoint import Checkpoint
from companion.training.one import Diverged

RATES = {"what": 0.05, "where": 0.02}
SETTINGS = dict(seed=1, epochs=5, every=2, lr=RATES, batch=8)


@pytest.fixture(scope="module")
def mosaics(pictures):
    return mosaic_set(pictures, (7, 8, 9), n=30, seed=2)


def state(net):
    return {name: value.clone() for name, value in net.state_dict().items()}


def same(one, other):
    return {name: torch.equal(one[name], other[name]) for name in one}


def test_turns_alternate_and_either_half_may_be_first():
    assert [turn(epoch, 2) for epoch in (1, 2, 3, 4, 5)] == [
        (1, "what"), (1, "what"), (2, "where"), (2, "where"), (3, "what"),
    ]  # fmt: skip
    assert turn(1, 3, "where") == (1, "where")
    assert turn(4, 3, "where") == (2, "what")


def test_a_lead_is_classification_alone_and_ends_below(mosaics):
    net = MosaicAttention(seed=0)
    before = state(net)
    settings = dict(seed=1, epochs=3, lr=0.05, batch=8)
    assert lead(net, mosaics, **settings, below=0.0) == 3
    unmoved = {name for name, equal in same(before, state(net)).items() if equal}
    assert unmoved == {name for name in before if name.startswith("where")}
    alone = MosaicAttention(seed=0)
    fit_stagewise(alone, mosaics, **SETTINGS | dict(epochs=3, every=3), measure_at=())
    for ours, theirs in zip(net.parameters(), alone.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)
    assert lead(MosaicAttention(seed=0), mosaics, **settings, below=10.0) == 1
    assert lead(MosaicAttention(seed=0), mosaics, **settings | dict(epochs=0), below=10.0) == 0


@pytest.mark.parametrize(("first", "frozen"), [("what", "where"), ("where", "what")])
def test_a_frozen_half_does_not_move_and_the_other_does(mosaics, first, frozen):
    net = MosaicAttention(seed=0)
    before = state(net)
    fit_stagewise(net, mosaics, **SETTINGS | dict(epochs=2, first=first), measure_at=())
    unmoved = {name for name, equal in same(before, state(net)).items() if equal}
    assert {name for name in before if name.startswith(frozen)} <= unmoved
    # The softmax takes no notice of a number that is added to all scores.
    assert {name for name in unmoved if name.startswith(first)} <= {"where.dense.6.bias"}
    assert all(weights.requires_grad for weights in net.parameters())
    assert not net.training


@pytest.mark.parametrize("first", ["what", "where"])
def test_averages_kept_over_a_phase_train_as_those_made_anew(mosaics, first):
    """In double precision: both ways differ in the order of sums only."""
    nets = [MosaicAttention(seed=0).double() for _ in range(2)]
    histories = [
        fit_stagewise(net, mosaics, **SETTINGS, first=first, reuse=reuse, watched={"known": mosaics})
        for net, reuse in zip(nets, (True, False), strict=True)
    ]
    numbers = [history.drop(columns="half").to_numpy(float) for history in histories]
    np.testing.assert_allclose(*numbers, rtol=1e-9, atol=1e-12)
    for ours, plain in zip(*(net.parameters() for net in nets), strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-8, atol=1e-11)


def test_each_half_follows_its_own_sgd_and_keeps_its_momentum(mosaics):
    """The plain loop: all patches at every step, momentum written out."""
    net = MosaicAttention(seed=0).double()
    plain = copy.deepcopy(net)
    fit_stagewise(net, mosaics, **SETTINGS | dict(batch=30), measure_at=())
    speed = {name: torch.zeros_like(weights) for name, weights in plain.named_parameters()}
    patches = mosaics.patches(torch.arange(30))
    for epoch in range(1, 6):
        half = turn(epoch, 2)[1]
        loss = torch.nn.functional.cross_entropy(plain(patches), mosaics.labels)
        moved = {name: weights for name, weights in plain.named_parameters() if name.startswith(half)}
        slopes = torch.autograd.grad(loss, list(moved.values()))
        for (name, weights), slope in zip(moved.items(), slopes, strict=True):
            speed[name] = 0.9 * speed[name] + slope
            weights.data -= RATES[half] * speed[name]
    for name, weights in plain.named_parameters():
        torch.testing.assert_close(net.get_parameter(name), weights, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("stopped", [1, 3])
def test_resumed_is_undisturbed(mosaics, tmp_path, stopped):
    """Killed in the middle of a phase of either half."""

    class Killed(Exception):
        pass

    class Fragile(Checkpoint):
        def save(self, state):
            super().save(state)
            if state["done"] == stopped:
                raise Killed

    whole, cut = MosaicAttention(seed=0), MosaicAttention(seed=0)
    settings = SETTINGS | dict(watched={"known": mosaics})
    undisturbed = fit_stagewise(whole, mosaics, **settings)
    with pytest.raises(Killed):
        fit_stagewise(cut, mosaics, **settings, checkpoint=Fragile(tmp_path / "state", every=0))
    again = MosaicAttention(seed=3)
    resumed = fit_stagewise(again, mosaics, **settings, checkpoint=Checkpoint(tmp_path / "state", every=0))
    pd.testing.assert_frame_equal(resumed, undisturbed, check_exact=True)
    assert all(same(state(again), state(whole)).values())
    with pytest.raises(ValueError, match="of another training"):
        fit_stagewise(again, mosaics, **settings | dict(every=3), checkpoint=tmp_path / "state")


def test_what_is_watched_is_what_the_network_does(mosaics):
    net = MosaicAttention(seed=0)
    watched = {"a": mosaics.part(0, 20), "b": mosaics.part(20, 30)}
    history = fit_stagewise(net, mosaics, **SETTINGS, watched=watched, measure_at=(0, 3, 5))
    assert list(history["epoch"]) == [0, 1, 2, 3, 4, 5]
    assert list(history["half"]) == ["", "what", "what", "where", "where", "what"]
    tested = history.set_index("epoch")
    assert list(tested.index[tested["b_loss"].notna()]) == [0, 3, 5]
    assert np.isnan(tested.loc[0, "loss"])
    with torch.no_grad():
        logits = net(watched["b"].patches(torch.arange(10)))
    right = (logits.argmax(1) == watched["b"].labels).double().mean().item()
    loss = torch.nn.functional.cross_entropy(logits, watched["b"].labels).item()
    assert tested.loc[5, "b_loss"] == pytest.approx(loss, rel=1e-5)
    assert tested.loc[5, "b_accuracy"] == pytest.approx(right)
    assert tested.loc[5, ["b_ftpt", "b_ffpt", "b_ftpf", "b_ffpf"]].sum() == pytest.approx(1)


def test_the_loss_of_an_epoch_is_that_seen(mosaics):
    """With one batch of all mosaics it is the loss before the step: that of the test one epoch earlier."""
    net = MosaicAttention(seed=0)
    settings = SETTINGS | dict(batch=30)
    history = fit_stagewise(net, mosaics, **settings, watched={"known": mosaics})
    np.testing.assert_allclose(history["loss"][1:], history["known_loss"][:-1], rtol=1e-5)
    np.testing.assert_allclose(history["accuracy"][1:], history["known_accuracy"][:-1])


@pytest.mark.parametrize(("change", "told"), [
    (dict(every=0), "every must be at least 1, not 0"),
    (dict(first="when"), "one of what, where, not 'when'"),
    (dict(lr={"what": 0.1}), "given for what and where, not for what"),
    (dict(measure_at=(6,)), "epochs from 0 to 5, not 6"),
])  # fmt: skip
def test_bad_settings_are_refused(mosaics, change, told):
    with pytest.raises(ValueError, match=told):
        fit_stagewise(MosaicAttention(seed=0), mosaics, **SETTINGS | change)


def test_a_loss_that_is_no_number_is_told(mosaics):
    with pytest.raises(Diverged, match="epoch 1, a what phase"):
        fit_stagewise(MosaicAttention(seed=0), mosaics, **SETTINGS | dict(lr={"what": 1e30, "where": 0.1}))


def test_stages_are_striped_and_switches_lined():
    epochs = [0, 1, 2, 3, 4, 5]
    phase, half = [0, 1, 1, 2, 2, 3], ["", "what", "what", "where", "where", "what"]
    table = pd.DataFrame({"epoch": epochs, "phase": phase, "half": half, "loss": [np.nan, 5, 4, 3, 2, 1], "seed": 0})
    table = pd.concat([table, table.assign(seed=1, loss=table["loss"] + 2)]).assign(mosaics="all")
    ax = plots.stages(table, "loss", hue="mosaics").axes[0]
    assert [(bar.get_x(), bar.get_width()) for bar in ax.patches] == [(2, 2)]
    switches = [line.get_xdata()[0] for line in ax.lines if len(set(line.get_xdata())) == 1]
    assert switches == [2, 4]
    assert list(ax.lines[-1].get_xdata()) == epochs[1:]
    assert list(ax.lines[-1].get_ydata()) == [6, 5, 4, 3, 2]
    plt.close(ax.figure)


@pytest.fixture
def history():
    return pd.DataFrame({
        "epoch": range(7),
        "phase": [0, 1, 1, 2, 2, 3, 3],
        "half": ["", *["what"] * 2, *["where"] * 2, *["what"] * 2],
        "loss": [np.nan, 1.0, 0.6, 0.9, 0.7, 0.5, 0.4],
        "score": [0.3, np.nan, 0.6, 0.5, 0.7, np.nan, 0.75],
    })  # fmt: skip


def test_changes_are_from_end_to_end_of_a_phase(history):
    changes = phases.changes(history, ["score"])
    assert list(changes["half"]) == ["what", "where", "what"]
    assert list(changes["score"]) == pytest.approx([0.3, 0.1, 0.05])


def test_jumps_are_from_the_last_epoch_of_one_half_to_the_first_of_the_other(history):
    found = phases.jumps(history, ["loss"])
    assert list(found["half"]) == ["what", "where"]
    assert list(found["loss_before"]) == pytest.approx([0.6, 0.7])
    assert list(found["loss_after"]) == pytest.approx([0.9, 0.5])


def test_restlessness_is_the_spread_of_steps():
    history = pd.DataFrame({"epoch": range(4), "score": [0.0, 1.0, 0.0, 1.0]})
    assert phases.restlessness(history, "score") == pytest.approx(np.std([1, -1, 1], ddof=1))
    steady = pd.DataFrame({"epoch": range(4), "score": [0.1, 0.3, 0.5, 0.7]})
    assert phases.restlessness(steady, "score") == pytest.approx(0, abs=1e-12)
