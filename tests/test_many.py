from __future__ import annotations

import contextlib
import copy
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from companion import models
from companion.data.augmentation import flip_and_shift
from companion.seeds import initial_weights
from companion.training import evaluation, many, memory
from companion.training.convolution import FORMULATIONS, as_product
from companion.training.many import fit_many
from companion.training.one import fit
from companion.training.recipe import Recipe
from companion.training.replicas import Replicas, evaluate_many
from companion.training.stacked import StackedTraining, _Replay

SEEDS = [3, 5, 5, 8]  # one of them twice


def clouds(n: int = 70, *, features: int = 6, classes: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(1)
    labels = torch.arange(n) % classes
    means = 2 * torch.randn(classes, features, generator=draw, dtype=torch.float64)
    return means[labels] + torch.randn(n, features, generator=draw, dtype=torch.float64), labels


def pictures(n: int = 40, channels: int = 3, size: int = 32) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(2)
    images = torch.randint(256, (n, channels, size, size), generator=draw, dtype=torch.uint8)
    return images, torch.randint(10, (n,), generator=draw)


class Normed(nn.Sequential):
    """Batch normalisation, a frozen layer, and a sigmoid."""

    def __init__(self, seed: int) -> None:
        with initial_weights(seed):
            super().__init__(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Sigmoid(), nn.Linear(8, 4), nn.Linear(4, 3))
        self[3].requires_grad_(False)


class SmallCNN(nn.Sequential):
    """A convolution with stride and padding, batch normalisation and average pooling."""

    def __init__(self, seed: int) -> None:
        with initial_weights(seed):
            super().__init__(
                nn.Conv2d(3, 5, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(5),
                nn.ReLU(),
                nn.AvgPool2d(4),
                nn.Conv2d(5, 4, 3, padding="same"),
                nn.Tanh(),
                nn.Flatten(),
                nn.Linear(64, 10),
            )


def mlp(activation: type[nn.Module]):
    return lambda seed: models.MLP((6, 5, 3), seed=seed, activation=activation).double()


NETS = {
    "relu": (mlp(nn.ReLU), clouds),
    "tanh": (mlp(nn.Tanh), clouds),
    "sigmoid": (mlp(nn.Sigmoid), clouds),
    "softplus": (mlp(nn.Softplus), clouds),
    "normed": (lambda seed: Normed(seed).double(), clouds),
    "lenet": (lambda seed: models.LeNet5(seed=seed, pooling="average").double(), lambda: pictures(channels=1)),
    "cifar": (lambda seed: models.CifarCNN(seed=seed).double(), pictures),
    "small cnn": (lambda seed: SmallCNN(seed).double(), lambda: (pictures()[0].double() / 255, pictures()[1])),
}
OPTIMIZERS = {
    "sgd": dict(lr=0.02),
    "momentum": dict(lr=0.02, momentum=0.9, weight_decay=0.01),
    "adam": dict(lr=0.002, optimizer="adam", weight_decay=0.01),
}


def numbers(net: nn.Module) -> dict[str, torch.Tensor]:
    return dict(net.named_parameters()) | dict(net.named_buffers())


def assert_same(replicas: Replicas, index: int, net: nn.Module, rtol: float) -> None:
    for name, value in numbers(net).items():
        ours = (replicas.parameters | replicas.buffers)[name][index]
        torch.testing.assert_close(ours, value.detach(), rtol=rtol, atol=rtol * 1e-2, msg=lambda m, n=name: f"{n}: {m}")


def same_bits(one: Replicas, other: Replicas) -> bool:
    left, right = (part.parameters | part.buffers for part in (one, other))
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def trained_in_a_stack(build, examples, recipe: Recipe, formulation: str = "grouped", **group):
    """Train stacked whatever the architecture, as a GPU would."""
    groups = [{"lr": 0.01, "momentum": 0.0, "weight_decay": 0.0} | group for _ in SEEDS]
    training = StackedTraining(
        [build(seed) for seed in SEEDS], *examples, own=(False, False), seeds=SEEDS, groups=groups, recipe=recipe
    )
    training.formulation = formulation
    return training.run()


# The same answers as `fit`.


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", NETS)
def test_each_model_is_what_fit_makes_of_it(name, optimizer):
    build, make = NETS[name]
    common = dict(epochs=3, batch=16, **OPTIMIZERS[optimizer])
    replicas, history = fit_many(build, *make(), SEEDS, **common)
    for index, seed in enumerate(SEEDS):
        net = build(seed)
        alone = fit(net, make(), seed=seed, **common)
        assert_same(replicas, index, net, rtol=1e-8)
        own = history[history["model"] == index]
        assert (own["seed"] == seed).all()
        np.testing.assert_allclose(own[["epoch", "loss", "lr"]], alone, rtol=1e-9)


@pytest.mark.parametrize("formulation", FORMULATIONS)
@pytest.mark.parametrize("name", ["lenet", "cifar", "small cnn"])
def test_convolutions_in_a_stack_are_what_fit_makes_of_them(name, formulation):
    build, make = NETS[name]
    recipe = Recipe(2, "sgd", batch=16)
    replicas, rows = trained_in_a_stack(build, make(), recipe, formulation, lr=0.02, momentum=0.9)
    for index, seed in enumerate(SEEDS):
        net = build(seed)
        alone = fit(net, make(), seed=seed, epochs=2, batch=16, lr=0.02, momentum=0.9)
        assert_same(replicas, index, net, rtol=1e-8)
        np.testing.assert_allclose([row["loss"] for row in rows[index]], alone["loss"], rtol=1e-9)


@pytest.mark.parametrize("formulation", FORMULATIONS)
@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
@pytest.mark.parametrize("name", NETS)
def test_gradients_agree_element_by_element(name, dtype, rtol, formulation):
    build, make = NETS[name]
    inputs, targets = make()
    inputs = inputs.to(dtype) if inputs.is_floating_point() else inputs
    nets = [build(seed).to(dtype) for seed in SEEDS]
    groups = [dict(lr=0.1, momentum=0.0, weight_decay=0.0)] * len(SEEDS)
    recipe = Recipe(1, batch=len(inputs))
    training = StackedTraining(
        copy.deepcopy(nets), inputs, targets, own=(False, False), seeds=SEEDS, groups=groups, recipe=recipe
    )
    training.order.copy_(torch.arange(len(inputs)).expand(len(training.order), -1))
    with FORMULATIONS[formulation]():
        gradients = training._gradients(len(inputs))
    for index, net in enumerate(nets):
        net.train()
        F.cross_entropy(net(inputs), targets).backward()
        alone = torch.cat([weights.grad.flatten() for weights in net.parameters() if weights.requires_grad])
        ours = gradients[index, : len(alone)]
        # Where terms cancel, rounding is relative to the terms: hence a floor of the typical gradient.
        torch.testing.assert_close(ours, alone, rtol=rtol, atol=rtol * alone.abs().max().item())


@pytest.mark.parametrize(
    "settings",
    [
        dict(loss=lambda outputs, targets: F.mse_loss(outputs, F.one_hot(targets, 3).to(outputs.dtype))),
        dict(schedule=lambda epoch: 1 / epoch),
        dict(batch=1000),
        dict(batch=7),
        dict(stop_below=0.35, epochs=60, lr=0.02),
        dict(arithmetic="bf16"),
        dict(epochs=0),
    ],
    ids=lambda settings: ", ".join(settings),
)
def test_settings_mean_what_they_mean_to_fit(settings):
    build = mlp(nn.Tanh) if "arithmetic" not in settings else lambda seed: models.MLP((6, 5, 3), seed=seed)
    inputs, targets = clouds()
    inputs = inputs.to(next(build(0).parameters()).dtype)
    common = dict(epochs=3, batch=16, lr=0.1) | settings
    replicas, history = fit_many(build, inputs, targets, SEEDS, **common)
    lengths = set()
    for index, seed in enumerate(SEEDS):
        net = build(seed)
        alone = fit(net, (inputs, targets), seed=seed, **common)
        assert_same(replicas, index, net, rtol=1e-8 if "arithmetic" not in settings else 0.02)
        assert len(alone) == (history["model"] == index).sum()
        lengths.add(len(alone))
    assert list(history) == ["model", "seed", "epoch", "loss", "lr"]
    if "stop_below" in settings:  # each model stops at its own time
        assert len(lengths) > 1 and max(lengths) < 60


def test_augmentation_draws_from_each_models_own_stream():
    build, make = NETS["small cnn"]
    recipe = Recipe(2, batch=16, augment=flip_and_shift)
    replicas, _ = trained_in_a_stack(build, make(), recipe, lr=0.02)
    for index, seed in enumerate(SEEDS):
        net = build(seed)
        fit(net, make(), seed=seed, epochs=2, batch=16, lr=0.02, augment=flip_and_shift)
        assert_same(replicas, index, net, rtol=1e-8)


def test_dropout_is_each_models_own():
    def build(seed):
        with initial_weights(seed):
            return nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.5), nn.Linear(8, 3)).double()

    replicas, _ = fit_many(build, *clouds(), SEEDS, epochs=2, lr=0.1)
    for index, seed in enumerate(SEEDS):
        net = build(seed)
        fit(net, clouds(), seed=seed, epochs=2, lr=0.1)
        assert_same(replicas, index, net, rtol=0)


# What differs between the models.


@pytest.mark.parametrize("name", ["tanh", "cifar"])
def test_models_may_have_labels_inputs_and_rates_of_their_own(name):
    build, make = NETS[name]
    inputs, targets = make()
    draw = torch.Generator().manual_seed(3)
    labels = torch.stack([targets[torch.randperm(len(targets), generator=draw)] for _ in SEEDS]).to(torch.int8)
    own = [inputs if index % 2 else inputs.flip(0) for index in range(len(SEEDS))]
    rates, decays = [0.1, 0.01, 0.05, 0.1], [0.0, 0.1, 0.2, 0.0]
    common = dict(epochs=2, batch=16, momentum=0.5)
    replicas, history = fit_many(build, own, list(labels), SEEDS, lr=rates, weight_decay=decays, **common)
    for index, seed in enumerate(SEEDS):
        net = build(seed)
        examples = own[index], labels[index].long()
        fit(net, examples, seed=seed, lr=rates[index], weight_decay=decays[index], **common)
        assert_same(replicas, index, net, rtol=1e-8)
        assert set(history.loc[history["model"] == index, "lr"]) == {rates[index]}


@pytest.mark.parametrize("name", ["relu", "tanh", "sigmoid", "softplus", "normed", "cifar"])
def test_neither_chunks_nor_company_change_a_bit(name):
    build, make = NETS[name]
    common = dict(epochs=2, batch=16, lr=0.02, momentum=0.9)
    whole, history = fit_many(build, *make(), SEEDS, **common)
    for chunk in (1, 2, 3):
        parts, same = fit_many(build, *make(), SEEDS, chunk=chunk, **common)
        assert same_bits(whole, parts)
        assert same.equals(history)
    last, _ = fit_many(build, *make(), SEEDS[-1:], **common)
    assert all(torch.equal(last.parameters[name][0], whole.parameters[name][-1]) for name in whole.parameters)


SWEPT = """
import sys, torch
from companion import models, training
from companion.store import Store
from companion.sweep import grid, sweep

def unit(activation, seed):
    draw = torch.Generator().manual_seed(0)
    points, labels = torch.randn(90, 6, generator=draw), torch.randint(3, (90,), generator=draw)
    build = lambda one: models.MLP((6, 7, 3), seed=one, activation=getattr(torch.nn, activation))
    networks, _ = training.fit_many(build, points, labels, seed, epochs=3, lr=0.1, batch=40)
    return [dict(weights=networks.parameters["0.weight"][place].numpy()) for place in range(len(seed))]

for jobs, chunk in ((1, 64), (2, 2), (2, 5)):
    store = Store(f"{sys.argv[1]}/{jobs}-{chunk}")
    points = grid(activation=["ReLU", "Sigmoid"], seed=range(7))
    print(sweep(unit, points, store=store, jobs=jobs, batch="seed", chunk=chunk).digest)
"""


def test_processes_do_not_change_a_bit(tmp_path):
    script = tmp_path / "swept.py"
    script.write_text(SWEPT)
    done = subprocess.run([sys.executable, script, tmp_path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    digests = done.stdout.split()
    assert len(digests) == 3 and len(set(digests)) == 1


@pytest.mark.parametrize("name", ["tanh", "cifar"])
def test_a_model_that_diverges_is_named_and_harms_no_other(name):
    build, make = NETS[name]
    common = dict(epochs=4, batch=16, momentum=0.9)
    replicas, history = fit_many(build, *make(), SEEDS, lr=[0.01, 1e308, 0.01, 0.02], **common)
    assert list(replicas.diverged) == [1]
    assert "training diverged: the loss was" in replicas.diverged[1] and "epoch" in replicas.diverged[1]
    assert history.groupby("model")["epoch"].max().drop(1, errors="ignore").tolist() == [4, 4, 4]
    healthy, _ = fit_many(build, *make(), [3, 5, 8], lr=[0.01, 0.01, 0.02], **common)
    assert all(torch.equal(replicas.parameters[n][[0, 2, 3]], healthy.parameters[n]) for n in healthy.parameters)


@pytest.mark.parametrize("name", ["tanh", "cifar"])
def test_measurements_join_the_history(name):
    build, make = NETS[name]

    def measure(replicas):
        return dict(right=evaluate_many(replicas, *make())["accuracy"].mean(1))

    _, history = fit_many(build, *make(), SEEDS, epochs=3, lr=0.05, measure=measure)
    _, sparse = fit_many(build, *make(), SEEDS, epochs=3, lr=0.05, measure=measure, measure_at=(1, 3))
    pd.testing.assert_frame_equal(sparse, history.assign(right=history["right"].where(history["epoch"] != 2)))
    for index, seed in enumerate(SEEDS):
        net = build(seed)

        def alone(net):
            return dict(right=evaluation.per_class(net, make())["accuracy"].dropna().mean())

        expected = fit(net, make(), seed=seed, epochs=3, lr=0.05, measure=alone)["right"]
        np.testing.assert_allclose(history.loc[history["model"] == index, "right"], expected, rtol=1e-12)


# Memory.


def test_when_memory_runs_out_half_as_many_models_are_trained_at_once(monkeypatch):
    tried = []

    class Greedy(StackedTraining):
        def __init__(self, nets, *args, **kwargs):
            tried.append(len(nets))
            if len(nets) > 1:
                raise torch.OutOfMemoryError("CUDA out of memory")
            super().__init__(nets, *args, **kwargs)

    build, make = NETS["tanh"]
    plenty, _ = fit_many(build, *make(), SEEDS, epochs=1, lr=0.1)
    monkeypatch.setattr(many, "StackedTraining", Greedy)
    little, _ = fit_many(build, *make(), SEEDS, epochs=1, lr=0.1, chunk=4)
    assert tried == [4, 2, 1, 1, 1, 1]
    assert same_bits(plenty, little)


def test_a_single_model_that_does_not_fit_is_an_error(monkeypatch):
    def greedy(*_, **__):
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 byte")

    monkeypatch.setattr(many, "StackedTraining", greedy)
    with pytest.raises(MemoryError, match="does not suffice for the training of a single model"):
        fit_many(NETS["tanh"][0], *clouds(), SEEDS, epochs=1, lr=0.1)


def test_another_error_is_not_taken_for_a_lack_of_memory():
    with pytest.raises(RuntimeError, match=r"batch2 tensor to be: \[\d+, 6\]"):
        fit_many(lambda seed: models.MLP((7, 3), seed=seed).double(), *clouds(), SEEDS, epochs=1, lr=0.1, chunk=2)


def test_the_chunk_follows_the_memory(monkeypatch):
    class Memory:
        available = 0

    monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: Memory)
    net, recipe, inputs = models.MLP((784, 2000, 10), seed=0), Recipe(1), torch.zeros(1000, 784)
    found = []
    for gigabytes in (0, 1, 4, 1000):
        Memory.available = gigabytes * 2**30
        found.append(memory.models_that_fit(net, inputs, recipe, torch.device("cpu"), own=0))
    assert found[0] == 1 and found[0] < found[1] < found[2] <= found[3] == memory.MOST["cpu"]
    Memory.available = 2**30
    assert memory.models_that_fit(net, inputs, recipe, torch.device("cpu"), own=2**28) == 1


# What many models answer.


@pytest.mark.parametrize("name", ["tanh", "cifar"])
def test_many_models_answer_as_each_alone(name, monkeypatch):
    build, make = NETS[name]
    inputs, labels = make()
    replicas, _ = fit_many(build, inputs, labels, SEEDS, epochs=1, lr=0.05)
    monkeypatch.setattr("companion.training.replicas.HELD", len(inputs) * 10 * 8 * 3)  # three models at a time
    found = evaluate_many(replicas, inputs, labels, batch=9)
    logits = replicas.outputs(inputs)
    for index in range(len(SEEDS)):
        net = replicas[index]
        torch.testing.assert_close(logits[index], evaluation.outputs(net, inputs), rtol=1e-12, atol=1e-12)
        table = evaluation.per_class(net, (inputs, labels), classes=logits.shape[-1])
        np.testing.assert_allclose(found["accuracy"][index], table["accuracy"])
        np.testing.assert_allclose(found["loss"][index], table["loss"])
        p = evaluation.probabilities(net, inputs).numpy()
        for label in range(logits.shape[-1]):
            is_it = labels.numpy() == label
            np.testing.assert_allclose(found["probability"][index, label], p[is_it].mean(0), atol=1e-15)
            bits = np.where(is_it, np.log2(p[:, label]), np.log2(1 - p[:, label]))
            np.testing.assert_allclose(found["bits"][index, label], -bits.mean(), rtol=1e-9)
            means = [bits[labels.numpy() == other].mean() for other in range(logits.shape[-1])]
            np.testing.assert_allclose(found["asked"][index, :, label], means, rtol=1e-9)
            taken = p.argmax(1) == label
            shares = [taken[labels.numpy() == other].mean() for other in range(logits.shape[-1])]
            np.testing.assert_allclose(found["answer"][index, :, label], shares)


@pytest.mark.parametrize("name", ["tanh", "cifar"])
def test_each_model_may_answer_to_inputs_of_its_own(name):
    build, make = NETS[name]
    inputs, _ = make()
    replicas = Replicas.of([build(seed) for seed in SEEDS])
    own = [inputs.roll(index, 0)[:20] for index in range(len(SEEDS))]
    answers = replicas.outputs(own, batch=9)
    for index in range(len(SEEDS)):
        torch.testing.assert_close(answers[index], evaluation.outputs(replicas[index], own[index]))
    with pytest.raises(ValueError, match="one for each of the 4 models, not 3"):
        replicas.outputs(own[:3])


def test_certain_answers_have_finite_bits():
    sure = torch.tensor([[[0.0, -800.0], [-800.0, 0.0]]], dtype=torch.float64)
    from companion.training.replicas import class_means

    found = class_means(sure.log_softmax(-1), torch.tensor([0, 1]))
    assert found["bits"].isfinite().all() and (found["bits"] < 1e-10).all()
    assert (found["loss"] == 0).all()


def test_any_reduction_of_the_probabilities_can_be_asked_for():
    build, make = NETS["relu"]
    replicas, _ = fit_many(build, *make(), SEEDS, epochs=1, lr=0.05)

    def entropy(log_p, labels):
        return dict(entropy=-(log_p.exp() * log_p).sum(-1).mean(-1))

    found = evaluate_many(replicas, *make(), reduce=entropy)
    assert found["entropy"].shape == (len(SEEDS),) and (found["entropy"] > 0).all()


def test_models_of_different_architectures_cannot_be_stacked():
    with pytest.raises(ValueError, match="not of one architecture"):
        Replicas.of([models.MLP((3, 4, 2), seed=0), models.MLP((3, 5, 2), seed=0)])
    with pytest.raises(ValueError, match="no models"):
        Replicas.of([])


def test_a_model_is_taken_out_by_its_index():
    build, make = NETS["normed"]
    replicas, _ = fit_many(build, *make(), SEEDS, epochs=1, lr=0.05)
    assert len(replicas) == 4 and not replicas[-1].training
    assert_same(replicas, 3, replicas[-1], rtol=0)
    with pytest.raises(IndexError, match="there are 4 models; 4 is none"):
        replicas[4]


# Convolutions as matrix products.


@settings(deadline=None, max_examples=30)
@given(
    channels=st.integers(1, 4),
    filters=st.integers(1, 4),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.integers(1, 3),
    padding=st.integers(0, 2),
    bias=st.booleans(),
)
def test_a_product_of_patches_is_the_convolution(channels, filters, kernel, stride, padding, bias):
    draw = torch.Generator().manual_seed(0)
    images = torch.randn(2, channels, 7, 6, generator=draw, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(filters, channels, *kernel, generator=draw, dtype=torch.float64, requires_grad=True)
    offset = torch.randn(filters, generator=draw, dtype=torch.float64) if bias else None
    ours = as_product(images, weight, offset, stride, padding)
    theirs = F.conv2d(images, weight, offset, stride, padding)
    torch.testing.assert_close(ours, theirs)
    up = torch.randn(theirs.shape, generator=draw, dtype=torch.float64)
    for mine, right in zip(*(torch.autograd.grad(out, (images, weight), up) for out in (ours, theirs)), strict=True):
        torch.testing.assert_close(mine, right)


def test_what_is_no_plain_convolution_is_left_alone():
    images, weight = torch.randn(1, 4, 6, 6), torch.randn(4, 2, 3, 3)
    with FORMULATIONS["products"]():
        assert torch.equal(F.conv2d(images, weight, groups=2), F.conv2d(images, weight, groups=2))
        dilated = F.conv2d(images, torch.ones(1, 4, 2, 2), dilation=2)
    assert dilated.shape == (1, 1, 4, 4)


# Bad input.


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        (dict(seeds=[]), "there are no seeds"),
        (dict(lr=[0.1, 0.2]), "lr is one number, or one for each of the 4 seeds, not 2 numbers"),
        (dict(targets=[torch.zeros(70).long()] * 3), "targets is a tensor that all models share, or a list"),
        (dict(targets=torch.zeros(4, 70).long()), r"given as list\(labels\)"),
        (dict(inputs=[torch.zeros(70, 6)] * 3 + [torch.zeros(69, 6)]), "all models equally many"),
        (dict(chunk=0), "chunk is how many models are trained at once, at least 1, not 0"),
        (dict(optimizer="rprop"), "unknown optimizer 'rprop'"),
        (dict(arithmetic="fp8"), "unknown arithmetic 'fp8'"),
        (dict(batch=0), "batch must be at least 1, not 0"),
    ],
)
def test_bad_input_gets_a_sentence(changed, sentence):
    given = dict(build=mlp(nn.ReLU), inputs=clouds()[0], targets=clouds()[1], seeds=SEEDS, epochs=1, lr=0.1)
    with pytest.raises(ValueError, match=sentence):
        fit_many(**given | changed)


def test_a_measurement_may_not_take_a_name_of_the_history():
    with pytest.raises(ValueError, match="measure returns loss"):
        fit_many(mlp(nn.ReLU), *clouds(), SEEDS, epochs=1, lr=0.1, measure=lambda some: dict(loss=[0] * len(some)))


def test_a_step_is_captured_once_and_does_its_work_at_every_call(monkeypatch):
    log, capturing = [], []

    class Graph:
        def replay(self):
            log.append("replayed")

    class Capture(contextlib.nullcontext):
        def __enter__(self):
            capturing.append(True)

        def __exit__(self, *_):
            capturing.pop()

    class Stream(contextlib.nullcontext):
        def wait_stream(self, _):
            pass

    fakes = dict(CUDAGraph=Graph, graph=Capture, Stream=Stream, current_stream=Stream, stream=lambda one: one)
    for name, fake in fakes.items():
        monkeypatch.setattr(torch.cuda, name, fake)
    step = _Replay(lambda: log.append("captured" if capturing else "done"))
    for _ in range(6):
        step()
    assert log == ["done"] * 3 + ["captured"] + ["replayed"] * 3  # what is captured is not carried out


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("formulation", FORMULATIONS)
def test_a_gpu_gives_the_answers_of_the_cpu(name, formulation, monkeypatch):
    monkeypatch.setattr("companion.training.stacked.faster", lambda *_, **__: formulation)
    build, make = NETS[name]
    common = dict(epochs=6, batch=16, lr=0.01, optimizer="adam", schedule=lambda epoch: 1 / epoch)
    there, history = fit_many(build, *make(), SEEDS, device="cuda", **common)
    here, same = fit_many(build, *make(), SEEDS, device="cpu", **common)
    np.testing.assert_allclose(history["loss"], same["loss"], rtol=1e-6)
    for name, value in here.parameters.items():
        difference = (there.parameters[name].cpu() - value).norm() / value.norm()
        assert difference < 1e-6
