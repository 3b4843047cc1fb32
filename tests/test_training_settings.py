from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from companion.models.lenet import LeNet5
from companion.models.mlp import MLP
from companion.training.checkpoint import Checkpoint
from companion.training.evaluation import accuracy, mean_loss
from companion.training.one import Diverged, fit

N, FEATURES, CLASSES = 50, 6, 3


def points(n: int = N, *, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    """Three clouds that overlap a little."""
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


@settings(max_examples=15, deadline=None)
@given(n=st.integers(1, 40), batch=st.integers(1, 50))
def test_a_smaller_last_batch_counts_by_its_examples(n, batch):
    net, examples = small_net(), points(n)
    history = fit(net, examples, seed=0, epochs=1, lr=0.0, batch=batch)
    assert history.loss[0] == pytest.approx(mean_loss(net, examples), rel=1e-12)


def test_measure_sees_the_evaluated_model_and_adds_columns():
    net, modes = nn.Sequential(small_net(), nn.Dropout(0.5)), []

    def measure(model):
        modes.append(model.training)
        return {"accuracy": accuracy(model, points()), "first": model[0][0].weight[0, 0].item()}

    trained_in = []
    net[1].register_forward_pre_hook(lambda module, _: trained_in.append(module.training))
    history = fit(net, points(), seed=0, epochs=3, lr=0.1, batch=N, measure=measure)
    assert list(history) == ["epoch", "loss", "lr", "accuracy", "first"]
    assert modes == [False] * 3 and trained_in == [True, False] * 3
    assert history.accuracy.between(0, 1).all() and history["first"].nunique() == 3
    assert history.accuracy.iloc[-1] == accuracy(net, points())


def test_measuring_at_some_epochs_only():
    calls = []
    settings = dict(seed=0, epochs=3, lr=0.1, batch=N, measure=lambda net: {"calls": calls.append(1) or len(calls)})
    history = fit(small_net(), points(), measure_at={1, 3}, **settings)
    np.testing.assert_array_equal(history["calls"], [1, np.nan, 2])
    with pytest.raises(ValueError, match="measure_at names epochs from 1 to 3, not 0, 4"):
        fit(small_net(), points(), measure_at=(0, 2, 4), **settings)


def test_measure_cannot_replace_the_training_loss():
    with pytest.raises(ValueError, match="measure returns loss, which the history tells already"):
        fit(small_net(), points(), seed=0, epochs=3, lr=0.01, stop_below=0.1, measure=lambda net: {"loss": 0.0})


def test_weights_that_overflow_on_the_last_step_are_noticed():
    with pytest.raises(Diverged, match="a weight was infinite or NaN after epoch 1"):
        net = MLP((FEATURES, CLASSES), seed=0)
        fit(net, points(dtype=torch.float32), seed=0, epochs=1, batch=1000, lr=3e38, momentum=0.9, weight_decay=1e6)


def test_a_checkpoint_of_another_training_is_refused(tmp_path):
    keeper = Checkpoint(tmp_path / "kept.pt", every=0)
    fit(small_net(), points(), seed=0, epochs=1, lr=0.1, checkpoint=keeper)
    with pytest.raises(ValueError, match="is of another training"):
        fit(small_net(), points(), seed=1, epochs=2, lr=0.1, checkpoint=keeper)


def test_no_epochs_change_nothing():
    net = small_net()
    before = weights(net)
    history = fit(net, points(), seed=0, epochs=0, lr=0.1)
    assert list(history) == ["epoch", "loss", "lr"] and history.empty and same_bits(before, weights(net))


def test_the_bar_is_shown_on_request_only(capsys):
    fit(small_net(), points(), seed=0, epochs=2, lr=0.1)
    assert capsys.readouterr() == ("", "")
    fit(small_net(), points(), seed=0, epochs=2, lr=0.1, progress=True)
    assert "epochs" in capsys.readouterr().err


# Losses and arithmetic


def test_regression_finds_the_line():
    draw = torch.Generator().manual_seed(0)
    slope = torch.randn(2, 4, generator=draw, dtype=torch.float64)
    inputs = torch.randn(60, 4, generator=draw, dtype=torch.float64)
    net = MLP((4, 2), seed=0).double()
    history = fit(
        net, (inputs, inputs @ slope.T + 1), seed=0, epochs=300, lr=0.05, batch=20, loss=F.mse_loss, stop_below=1e-12
    )
    assert history.loss.iloc[-1] < 1e-12 and len(history) < 300
    torch.testing.assert_close(net[0].weight.detach(), slope, rtol=0, atol=1e-5)
    torch.testing.assert_close(net[0].bias.detach(), torch.ones(2, dtype=torch.float64), rtol=0, atol=1e-5)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_bf16_computes_in_bfloat16_keeps_everything_in_fp32_and_learns(optimizer, tmp_path):
    examples = points(90, dtype=torch.float32)
    seen, computed = set(), set()

    def watched(outputs, targets):
        value = F.cross_entropy(outputs, targets)
        seen.add((outputs.dtype, value.dtype))
        return value

    def trained(arithmetic):
        net = MLP((FEATURES, 16, CLASSES), seed=0)
        net[0].register_forward_hook(lambda module, given, answer: computed.add(answer.dtype) if net.training else None)
        keeper = Checkpoint(tmp_path / arithmetic, every=0)
        settings = dict(epochs=20, lr=0.02, momentum=0.9, batch=30, optimizer=optimizer)
        history = fit(net, examples, seed=0, arithmetic=arithmetic, loss=watched, checkpoint=keeper, **settings)
        moments = [
            value for state in keeper.load()["updates"]["state"].values() for value in state.values() if value.ndim
        ]
        assert moments and {value.dtype for value in [*moments, *net.parameters()]} == {torch.float32}
        assert accuracy(net, examples) > 0.95
        return net, history

    net, history = trained("bf16")
    assert computed == {torch.bfloat16} and seen == {(torch.float32, torch.float32)}
    assert any(not torch.equal(w, w.bfloat16().float()) for w in weights(net))  # finer than bfloat16 can hold
    seen.clear()
    reference, reference_history = trained("fp32")
    assert seen == {(torch.float32, torch.float32)}
    assert history.loss.to_numpy() == pytest.approx(reference_history.loss.to_numpy(), abs=0.02)
    assert not same_bits(weights(net), weights(reference))


def test_bf16_computes_a_loss_of_ones_own_in_fp32():
    kinds = set()

    def own(outputs, targets):
        value = -outputs.log_softmax(1).gather(1, targets[:, None]).mean()
        kinds.add(value.dtype)
        return value

    examples = points(dtype=torch.float32)
    fit(MLP((FEATURES, CLASSES), seed=0), examples, seed=0, epochs=1, lr=0.1, arithmetic="bf16", loss=own)
    assert kinds == {torch.float32}


def test_stored_bytes_train_and_stay_bytes():
    images, labels = made_up_images(20)
    kinds = set()
    net = LeNet5(seed=0)
    net.register_forward_pre_hook(lambda _, arguments: kinds.add(arguments[0].dtype))
    history = fit(net, (images, labels), seed=0, epochs=8, lr=1e-3, optimizer="adam", batch=10)
    assert kinds == {torch.uint8} and history.loss.iloc[-1] < history.loss.iloc[0]


def made_up_images(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(3)
    labels = torch.arange(n) % 10
    images = torch.randint(0, 120, (n, 1, 32, 32), generator=draw, dtype=torch.uint8)
    for image, label in zip(images, labels, strict=True):
        image[:, 3 * label : 3 * label + 4] += 130
    return images, labels


def test_the_device_asked_for_beats_the_default_device():
    usual, elsewhere = small_net(), small_net()
    fit(usual, points(), seed=0, epochs=2, lr=0.1, momentum=0.9)
    examples = points()
    with torch.device("meta"):  # stands for an accelerator: nothing may land there
        fit(elsewhere, examples, seed=0, epochs=2, lr=0.1, momentum=0.9, device="cpu")
    assert same_bits(weights(usual), weights(elsewhere))


# What stops a run


@pytest.mark.parametrize(("bad", "word"), [(float("nan"), "nan"), (float("inf"), "inf"), (-float("inf"), "-inf")])
@pytest.mark.parametrize(
    ("step", "where"), [(1, "epoch 1, step 1 of 4"), (7, "epoch 2, step 3 of 4"), (12, "epoch 3, step 4 of 4")]
)
def test_a_loss_that_is_no_number_stops_the_run_and_says_where(bad, word, step, where, tmp_path):
    calls, measured = [], []

    def loss(outputs, targets):
        calls.append(1)
        return F.cross_entropy(outputs, targets) + (bad if len(calls) == step else 0)

    keeper = Checkpoint(tmp_path / "training.pt", every=0)
    with pytest.raises(Diverged, match=rf"the loss was {word} at {where} \(sgd, learning rate 0.1, fp32\)"):
        fit(
            small_net(),
            points(),
            seed=0,
            epochs=5,
            lr=0.1,
            batch=16,
            loss=loss,
            checkpoint=keeper,
            measure=lambda net: measured.append(1) or {},
        )
    whole = (step - 1) // 4
    assert len(measured) == whole
    state = keeper.load()
    assert len(state["rows"]) == whole if whole else state is None


def test_too_large_a_learning_rate_diverges_with_an_error():
    inputs, _ = points()
    with pytest.raises(Diverged, match=r"epoch \d+, step \d of 4 \(sgd, learning rate 1e\+06, fp32\)"):
        fit(
            MLP((FEATURES, 1), seed=0).double(),
            (inputs, inputs[:, :1]),
            seed=0,
            epochs=99,
            lr=1e6,
            batch=16,
            loss=F.mse_loss,
        )
    assert issubclass(Diverged, FloatingPointError)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (dict(optimizer="rmsprop"), "unknown optimizer 'rmsprop'; the optimizers are sgd, adam"),
        (dict(arithmetic="fp16"), "unknown arithmetic 'fp16'; the arithmetics are fp32, bf16, bf16-compiled"),
        (dict(epochs=-1), "epochs must be at least 0, not -1"),
        (dict(batch=0), "batch must be at least 1, not 0"),
    ],
)
def test_a_wrong_setting_is_named_with_what_is_allowed(wrong, sentence):
    net = small_net()
    before = weights(net)
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        fit(net, points(), **(dict(seed=0, epochs=1, lr=0.1) | wrong))
    assert same_bits(before, weights(net))


@pytest.mark.parametrize(("inputs", "targets"), [(3, 4), (0, 0)])
def test_inputs_and_targets_must_match(inputs, targets):
    with pytest.raises(ValueError, match=f"at least one, not {inputs} and {targets}$"):
        fit(small_net(), (torch.ones(inputs, FEATURES), torch.zeros(targets).long()), seed=0, epochs=1, lr=0.1)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
class TestCuda:
    """What fit promises beyond the CPU: a stated tolerance, and the same order and generators."""

    @pytest.mark.parametrize("optimizer", ["sgd", "adam"])
    def test_twenty_steps_follow_the_cpu(self, optimizer):
        images, labels = made_up_images(80)

        def trained(device):
            losses = []

            def watched(outputs, targets):
                losses.append(F.cross_entropy(outputs, targets))
                return losses[-1]

            net = LeNet5(seed=0)
            rate = dict(sgd=0.03, adam=1e-4)[optimizer]
            settings = dict(epochs=5, lr=rate, momentum=0.9, batch=20, optimizer=optimizer)
            history = fit(net, (images, labels), seed=0, loss=watched, device=device, **settings)
            assert {weight.device.type for weight in net.parameters()} == {device}
            return (
                torch.stack(losses).detach().cpu(),
                torch.cat([w.detach().cpu().flatten() for w in net.parameters()]),
                history,
            )

        losses, trained_weights, history = trained("cuda")
        cpu_losses, cpu_weights, cpu_history = trained("cpu")
        assert len(losses) == 20
        torch.testing.assert_close(losses, cpu_losses, rtol=0, atol=1e-3)
        assert (trained_weights - cpu_weights).norm() / cpu_weights.norm() < 1e-3
        assert history.loss.to_numpy() == pytest.approx(cpu_history.loss.to_numpy(), abs=1e-3)

    def test_a_resumed_training_continues_on_cuda(self, tmp_path):
        def trained(epochs, checkpoint=None, seed=0):
            net = nn.Sequential(MLP((FEATURES, 16), seed=seed), nn.Dropout(0.3), MLP((16, CLASSES), seed=seed))
            fit(
                net,
                points(dtype=torch.float32),
                seed=0,
                epochs=epochs,
                lr=0.01,
                optimizer="adam",
                device="cuda",
                checkpoint=checkpoint,
                augment=lambda x, draw: x + 0.1 * torch.randn(x.shape, generator=draw, device=draw.device),
            )
            return torch.cat([weight.detach().flatten() for weight in net.parameters()])

        keeper = Checkpoint(tmp_path / "training.pt", every=0)
        trained(2, keeper)
        torch.testing.assert_close(trained(4, keeper), trained(4), rtol=1e-5, atol=1e-6)

    def test_training_on_cuda_leaves_the_global_generators(self):
        before = torch.get_rng_state(), torch.cuda.get_rng_state()
        fit(small_net(), points(), seed=0, epochs=1, lr=0.1, device="cuda")
        assert torch.equal(before[0], torch.get_rng_state()) and torch.equal(before[1], torch.cuda.get_rng_state())

    def test_training_on_the_cpu_leaves_cudas_generator(self):
        torch.cuda.manual_seed(5)
        before = torch.cuda.get_rng_state()
        fit(small_net(), points(), seed=0, epochs=1, lr=0.1, device="cpu")
        assert torch.equal(before, torch.cuda.get_rng_state())

    def test_building_a_model_leaves_cudas_generator(self):
        torch.cuda.manual_seed(5)
        before = torch.cuda.get_rng_state()
        small_net()
        assert torch.equal(before, torch.cuda.get_rng_state())
