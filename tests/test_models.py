from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from companion.models.cnn import CifarCNN
from companion.models.lenet import ACTIVATIONS, LeNet5, flip_first_layer
from companion.models.mlp import MLP
from companion.models.pixels import CODINGS, Pixels

BUILDERS = {"cnn": CifarCNN, "lenet": LeNet5, "mlp": lambda *, seed: MLP((4, 6, 3), seed=seed)}


@pytest.fixture
def double():
    """Bytes are coded in the default precision."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def parameters(net: nn.Module) -> int:
    return sum(weight.numel() for weight in net.parameters())


def made_up_bytes(*shape: int, seed: int = 0) -> torch.Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randint(256, shape, generator=draw, dtype=torch.uint8)


@pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)
def test_weights_come_from_the_seed_alone(build):
    before = torch.get_rng_state()
    first = build(seed=1).state_dict()
    assert torch.equal(before, torch.get_rng_state())
    torch.rand(3)
    with torch.device("meta"):
        again = build(seed=1).state_dict()
    other = build(seed=2).state_dict()
    assert first.keys() == again.keys() and all(torch.equal(first[name], again[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first if name.endswith("weight"))


# Pixels


@pytest.mark.parametrize(
    ("coding", "black", "white"),
    [
        ("[0,1]", 0, 1),
        ("[-1,1]", -1, 1),
        ("standardised", -0.1307 / 0.3081, (1 - 0.1307) / 0.3081),
        ("1998", -0.1, 1.175),
    ],
)
def test_codings_of_the_darkest_and_brightest_byte(coding, black, white):
    ends = Pixels(coding)(torch.tensor([0, 255], dtype=torch.uint8).reshape(2, 1, 1, 1)).flatten()
    assert ends.dtype == torch.float32 and ends.tolist() == pytest.approx([black, white], rel=1e-6)


@pytest.mark.parametrize("coding", CODINGS)
def test_codings_are_straight_lines_and_leave_bytes_and_floats_alone(coding):
    stored = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    coded = Pixels(coding)(stored).flatten().double()
    assert torch.equal(stored.flatten(), torch.arange(256, dtype=torch.uint8))
    torch.testing.assert_close(coded, torch.linspace(coded[0], coded[-1], 256, dtype=torch.float64), rtol=0, atol=1e-6)
    assert (coded.diff() > 0).all()
    floats = torch.rand(1, 1, 4, 4)
    assert Pixels(coding)(floats) is floats
    assert coding in repr(Pixels(coding))


def test_the_symmetric_coding_turns_the_negative_into_the_exact_opposite():
    code, stored = Pixels("[-1,1]"), torch.arange(256, dtype=torch.uint8)
    assert torch.equal(code(255 - stored), -code(stored))


# CifarCNN


def test_cifar_cnn_has_the_layers_of_the_paper():
    table, values = [], torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
    net = CifarCNN(seed=0)
    for layer in net.layer_by_layer():
        values = layer(values)
        if not isinstance(layer, nn.ReLU | Pixels):
            table.append((type(layer).__name__, tuple(values.shape[1:]), parameters(layer)))
    assert table == [
        ("Conv2d", (32, 30, 30), 896),
        ("MaxPool2d", (32, 15, 15), 0),
        ("Conv2d", (64, 13, 13), 18496),
        ("MaxPool2d", (64, 6, 6), 0),
        ("Conv2d", (64, 4, 4), 36928),
        ("Flatten", (1024,), 0),
        ("Linear", (64,), 65600),
        ("Linear", (10,), 650),
    ]
    assert parameters(net) == sum(count for *_, count in table) == 122_570
    assert CifarCNN(seed=0, classes=7)(torch.zeros(2, 3, 32, 32)).shape == (2, 7)


@pytest.mark.parametrize("stored", [True, False])
def test_cifar_cnn_computes_what_its_layers_spell_out(stored, double):
    net = CifarCNN(seed=0)
    images, labels = made_up_bytes(6, 3, 32, 32), torch.arange(6)
    images = images if stored else (images / 255.0).requires_grad_()
    results = []
    for way in (net, net.layer_by_layer()):
        wanted = [*net.parameters(), *([] if stored else [images])]
        loss = F.cross_entropy(way(images), labels)
        results.append([loss.detach(), *torch.autograd.grad(loss, wanted)])
    assert all(gradient.abs().max() > 0 for gradient in results[0])
    for ours, spelled_out in zip(*results, strict=True):
        torch.testing.assert_close(ours, spelled_out, rtol=1e-10, atol=1e-10)


def test_the_last_two_rows_and_columns_never_reach_the_output():
    layers, images = CifarCNN(seed=0).layer_by_layer(), torch.rand(3, 3, 32, 32)
    changed = images.clone()
    changed[..., 30:, :] = 9
    changed[..., 30:] = 9
    assert torch.equal(layers(images), layers(changed))
    changed[0, 0, 29, 29] = 9
    assert not torch.equal(layers(images)[0], layers(changed)[0])


def test_cifar_cnn_starts_as_keras_does():
    for name, weight in CifarCNN(seed=0).named_parameters():
        if name.endswith("bias"):
            assert not weight.any()
        else:
            area = weight[0, 0].numel()
            limit = math.sqrt(6 / (area * (weight.shape[0] + weight.shape[1])))
            assert 0.95 * limit < weight.abs().max() <= limit
            assert weight.std().item() == pytest.approx(limit / math.sqrt(3), rel=0.06)


@settings(max_examples=25, deadline=None)
@given(size=st.integers(2, 9), seed=st.integers(0, 999))
def test_activation_after_the_pool_is_activation_before_it(size, seed):
    maps = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(seed))
    assert torch.equal(F.relu(F.max_pool2d(maps, 2)), F.max_pool2d(F.relu(maps), 2))
    for activate in (torch.tanh, torch.sigmoid):  # a value's last bit may depend on its place in the vector
        torch.testing.assert_close(activate(F.max_pool2d(maps, 2)), F.max_pool2d(activate(maps), 2))


# LeNet-5


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("pooling", ["max", "average"])
@pytest.mark.parametrize(("border", "size"), [(0, 32), (2, 28)])
def test_lenet_is_the_1998_stack_in_every_variant(activation, pooling, border, size, double):
    net = LeNet5(seed=0, activation=activation, pooling=pooling, border=border)
    assert parameters(net) == 61_706
    assert [parameters(layer) for layer in net.children()] == [0, 156, 2416, 48120, 10164, 850]
    act, pool = (
        {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}[activation],
        {"max": nn.MaxPool2d, "average": nn.AvgPool2d}[pooling],
    )
    stack = nn.Sequential(
        *(net.pixels, nn.ZeroPad2d(border), nn.Conv2d(1, 6, 5), act(), pool(2), net.conv2, act(), pool(2)),
        *(nn.Flatten(), net.dense1, act(), net.dense2, act(), net.dense3),
    )
    stack[2].weight, stack[2].bias = net.conv1.weight, net.conv1.bias
    images, labels = made_up_bytes(5, 1, size, size), torch.arange(5)
    results = []
    for way in (net, stack):
        logits = way(images)
        assert logits.shape == (5, 10)
        loss = F.cross_entropy(logits, labels)
        results.append([logits.detach(), *torch.autograd.grad(loss, list(net.parameters()))])
    for ours, spelled_out in zip(*results, strict=True):
        torch.testing.assert_close(ours, spelled_out, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (
            lambda: LeNet5(seed=0, activation="gelu"),
            "unknown activation 'gelu'; the activations are relu, tanh, sigmoid",
        ),
        (lambda: LeNet5(seed=0, pooling="min"), "unknown pooling 'min'; the poolings are max, average"),
        (
            lambda: LeNet5(seed=0, coding="[0,2]"),
            r"unknown coding '\[0,2\]'; the codings are \[0,1\], \[-1,1\], standard",
        ),
        (lambda: MLP((3,), seed=0), r"an MLP needs at least an input and an output width, not \(3,\)"),
    ],
)
def test_a_wrong_name_is_named_with_those_allowed(build, sentence):
    with pytest.raises(ValueError, match=sentence):
        build()


@pytest.mark.parametrize("pooling", ["max", "average"])
@pytest.mark.parametrize(("border", "size"), [(0, 32), (2, 28)])
@pytest.mark.parametrize("correct_bias", [False, True])
def test_the_flipped_net_answers_the_negative_with_the_same_bits(pooling, border, size, correct_bias):
    net = LeNet5(seed=0, coding="[-1,1]", pooling=pooling, border=border)
    images = made_up_bytes(4, 1, size, size)
    with torch.no_grad():
        original = net(images)
        assert not torch.equal(net(255 - images), original)
        assert flip_first_layer(net, correct_bias=correct_bias) is net
        assert torch.equal(net(255 - images), original)
        assert torch.equal(flip_first_layer(net)(images), original)


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_with_the_corrected_bias_the_flip_is_exact_in_every_coding(coding, activation, double):
    net = LeNet5(seed=0, coding=coding, activation=activation)
    images = made_up_bytes(4, 1, 32, 32)
    with torch.no_grad():
        original = net(images)
        flipped = flip_first_layer(net, correct_bias=True)
        torch.testing.assert_close(flipped(255 - images), original, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("coding", [coding for coding in CODINGS if coding != "[-1,1]"])
def test_without_the_correction_other_codings_are_off(coding):
    net = LeNet5(seed=0, coding=coding)
    images = made_up_bytes(4, 1, 32, 32)
    with torch.no_grad():
        original = net(images)
        assert (flip_first_layer(net)(255 - images) - original).abs().max() > 1e-3


def test_the_flip_changes_the_first_layer_only():
    net, flipped = LeNet5(seed=0, coding="1998"), flip_first_layer(LeNet5(seed=0, coding="1998"))
    for (name, before), after in zip(net.named_parameters(), flipped.parameters(), strict=True):
        assert torch.equal(after, -before if name == "conv1.weight" else before)
        assert after.requires_grad


def test_a_model_in_double_precision_takes_bytes():
    assert LeNet5(seed=0).double()(made_up_bytes(2, 1, 32, 32)).dtype == torch.float64


# MLP


def test_mlp_is_linear_layers_with_activations_between():
    net = MLP((3, 64, 128, 3), seed=0, activation=nn.Tanh)
    assert [type(layer).__name__ for layer in net] == ["Linear", "Tanh", "Linear", "Tanh", "Linear"]
    assert parameters(net) == 4 * 64 + 65 * 128 + 129 * 3
    assert [type(layer) for layer in MLP((2, 2), seed=0)] == [nn.Linear]
    points = torch.randn(5, 3)
    by_hand = torch.tanh(torch.tanh(points @ net[0].weight.T + net[0].bias) @ net[2].weight.T + net[2].bias)
    torch.testing.assert_close(net(points), by_hand @ net[4].weight.T + net[4].bias)
    assert MLP((12, 2), seed=0)(torch.zeros(5, 3, 2, 2)).shape == (5, 2)
