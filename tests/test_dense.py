"""The dense layer whose products oneDNN makes: the answers and gradients of nn.Linear, everywhere."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from companion import models
from companion.models import dense


def twins(inputs, outputs, *, bias=True):
    """A Dense and a Linear with the same weights."""
    torch.manual_seed(0)
    ours = models.Dense(inputs, outputs, bias=bias)
    theirs = nn.Linear(inputs, outputs, bias=bias)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def step(layer, examples, onwards):
    """Answers, and the gradients of inputs and parameters."""
    examples = examples.clone().requires_grad_()
    answers = layer(examples)
    onwards(answers).backward()
    return [answers.detach(), examples.grad, *(one.grad for one in layer.parameters())]


@settings(deadline=None)
@given(
    shape=st.lists(st.integers(0, 9), min_size=0, max_size=3),
    inputs=st.integers(1, 40),
    outputs=st.integers(1, 40),
    bias=st.booleans(),
    spread=st.booleans(),
)
def test_answers_and_gradients_are_those_of_linear(shape, inputs, outputs, bias, spread):
    ours, theirs = twins(inputs, outputs, bias=bias)
    examples = torch.randn(*shape, inputs)
    onwards = torch.sum if spread else lambda answers: answers.square().sum()  # the sum's gradient has stride zero
    for one, other in zip(step(ours, examples, onwards), step(theirs, examples, onwards), strict=True):
        assert one.shape == other.shape
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-4)


@pytest.mark.skipif(not dense._offered(), reason="PyTorch was built without oneDNN")
def test_onednn_makes_the_products(monkeypatch):
    calls = []
    product = dense._times
    monkeypatch.setattr(dense, "_times", lambda *tensors: calls.append(1) or product(*tensors))
    ours, _ = twins(30, 20)
    step(ours, torch.randn(8, 30), torch.sum)
    assert len(calls) == 3  # answers, gradient of the inputs, gradient of the weights
    with torch.no_grad():
        ours(torch.randn(8, 30))
    assert len(calls) == 4


def frozen_inputs(layer):
    return layer(torch.randn(8, 30)).sum()


def frozen_weights(layer):
    layer.weight.requires_grad_(False)
    return layer(torch.randn(8, 30, requires_grad=True)).sum()


@pytest.mark.parametrize("loss", [frozen_inputs, frozen_weights])
def test_what_needs_no_gradient_gets_none(loss):
    ours, _ = twins(30, 20)
    loss(ours).backward()
    assert (ours.weight.grad is None) == (loss is frozen_weights)


def test_transforms_other_precisions_and_autocast_are_left_to_linear():
    ours, theirs = twins(30, 20)
    stack = torch.randn(5, 8, 30)
    assert torch.equal(torch.vmap(ours)(stack), torch.vmap(theirs)(stack))
    slope = torch.func.grad(lambda one, layer: layer(one).square().sum())
    assert torch.equal(slope(stack[0], ours), slope(stack[0], theirs))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(ours(stack), theirs(stack))
    assert torch.equal(ours.double()(stack.double()), theirs.double()(stack.double()))


def test_a_copy_shares_nothing_and_the_names_are_those_of_linear():
    ours, theirs = twins(30, 20)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    other = copy.deepcopy(ours)
    other.weight.data.zero_()
    assert ours.weight.abs().sum() > 0


def test_the_same_seed_gives_the_same_bits():
    ours, _ = twins(300, 70)
    examples = torch.randn(16, 300)
    first, second = (step(copy.deepcopy(ours), examples, torch.sum) for _ in range(2))
    assert all(torch.equal(*pair) for pair in zip(first, second, strict=True))
