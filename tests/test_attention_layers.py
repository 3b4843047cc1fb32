from __future__ import annotations

import pytest
import torch

from companion.models.attention_layers import DESIGNS, LayerAttention, classifier_size, matched_hidden

PATCHES = torch.randint(256, (3, 9, 3, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
FOCUS = 105_833


@pytest.mark.parametrize(("layer", "classifier"), [(0, 36_831), (1, 172_599), (2, 103_587), (3, 97_567)])
def test_networks_have_the_parameters_of_the_spec(layer, classifier):
    net = LayerAttention(seed=0, average_at=layer)
    assert sum(weights.numel() for weights in net.parameters()) == FOCUS + classifier
    assert classifier_size(layer) == classifier


@pytest.mark.parametrize(
    ("design", "layer"), [(name, layer) for name, plan in DESIGNS.items() for layer in plan.classify]
)
def test_every_design_answers_at_every_layer(design, layer):
    weights, logits = LayerAttention(seed=0, average_at=layer, design=design).attend(PATCHES)
    assert logits.shape == (3, 3)
    assert torch.allclose(weights.sum(1), torch.ones(3))


def test_the_average_is_of_tanh_before_the_rectifier():
    net = LayerAttention(seed=1, average_at=2).eval()
    images = net.pixels(PATCHES[0])
    first = torch.relu(torch.max_pool2d(net.where.convolutions[0](images), 2))
    second = net.where.convolutions[1](first)
    features = torch.relu(net.where.convolutions[2](torch.relu(second))).flatten(1)
    weights = net.score(features)[:, 0].softmax(0)
    average = (weights[:, None, None, None] * torch.tanh(second)).sum(0, keepdim=True)
    logits = net.answer(torch.relu(net.what.convolutions[0](average)).flatten(1))
    ours, answered = net.attend(PATCHES[:1])
    assert torch.allclose(ours[0], weights, atol=1e-6)
    assert torch.allclose(answered, logits, atol=1e-5)


def test_the_focus_convolutions_below_the_average_serve_both_tasks():
    def moved(layer):
        net = LayerAttention(seed=0, average_at=layer)
        # With the weights of the patches cut off from the graph, only the average carries a gradient.
        net.score = torch.nn.Sequential(*net.score, torch.nn.Threshold(float("inf"), 0.0))
        net(PATCHES).square().sum().backward()
        return [bool(conv.weight.grad is not None and conv.weight.grad.any()) for conv in net.where.convolutions]

    assert [moved(layer) for layer in range(4)] == [[k < layer for k in range(3)] for layer in range(4)]


@pytest.mark.parametrize("layer", range(4))
def test_matched_classifiers_are_alike_within_a_percent(layer):
    target = classifier_size(3)
    assert classifier_size(layer, hidden=matched_hidden(layer, target)) == pytest.approx(target, rel=0.01)


def test_a_size_out_of_reach_is_refused():
    with pytest.raises(ValueError, match="layer 1 has about 500 parameters"):
        matched_hidden(1, 500)


@pytest.mark.parametrize(("settings", "told"), [
    (dict(average_at=4), r"'three' averages at layers 0, 1, 2, 3, not 4"),
    (dict(average_at=0, design="five"), "unknown design 'five'; the designs are three, six"),
])  # fmt: skip
def test_what_is_not_there_is_refused(settings, told):
    with pytest.raises(ValueError, match=told):
        LayerAttention(seed=0, **settings)
