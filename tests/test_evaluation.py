from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from companion.models.lenet import LeNet5
from companion.models.mlp import MLP
from companion.training.evaluation import (
    accuracy,
    confusion_matrix,
    mean_loss,
    outputs,
    per_class,
    predictions,
    probabilities,
)

N, CLASSES = 60, 4


@pytest.fixture(scope="module")
def net():
    return MLP((5, 8, CLASSES), seed=0).double()


@pytest.fixture(scope="module")
def examples():
    draw = torch.Generator().manual_seed(0)
    inputs = torch.randn(N, 5, generator=draw, dtype=torch.float64)
    return inputs, torch.randint(CLASSES, (N,), generator=draw)


class Fixed(nn.Module):
    """Answers with its input: logits can be written down."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, inputs):
        return self.scale * inputs


@settings(max_examples=20, deadline=None)
@given(batch=st.integers(1, 70))
def test_in_batches_equals_all_at_once(batch):
    net = MLP((5, 8, CLASSES), seed=0).double()
    draw = torch.Generator().manual_seed(0)
    inputs, labels = torch.randn(N, 5, generator=draw, dtype=torch.float64), torch.arange(N) % CLASSES
    sizes = []
    hook = net.register_forward_hook(lambda _, __, output: sizes.append(len(output)))
    answers = outputs(net, inputs, batch=batch)
    hook.remove()
    assert sum(sizes) == N and max(sizes) == min(batch, N)
    with torch.no_grad():
        torch.testing.assert_close(answers, net(inputs), rtol=1e-12, atol=1e-12)
    for whole in (mean_loss, accuracy):
        assert whole(net, (inputs, labels), batch=batch) == pytest.approx(whole(net, (inputs, labels)), rel=1e-12)
    settled = dict(classes=CLASSES)
    assert torch.equal(
        confusion_matrix(net, (inputs, labels), batch=batch, **settled),
        confusion_matrix(net, (inputs, labels), **settled),
    )
    pd.testing.assert_frame_equal(
        per_class(net, (inputs, labels), batch=batch, **settled), per_class(net, (inputs, labels), **settled)
    )


@pytest.mark.parametrize("training", [True, False])
def test_the_training_flag_is_restored_and_dropout_is_off(training, examples):
    net = nn.Sequential(MLP((5, CLASSES), seed=0).double(), nn.Dropout(0.5)).train(training)
    modes = []
    net.register_forward_pre_hook(lambda module, _: modes.append(module.training))
    first, again = outputs(net, examples[0]), outputs(net, examples[0])
    assert torch.equal(first, again) and (first != 0).all()
    assert modes == [False, False] and net.training is training and net[1].training is training
    with pytest.raises(RuntimeError):
        outputs(net, torch.zeros(3, 7, dtype=torch.float64))
    assert net.training is training


def test_no_gradient_is_kept(net, examples):
    assert not outputs(net, examples[0]).requires_grad and all(weight.grad is None for weight in net.parameters())


def test_probabilities_and_predictions_belong_to_the_outputs(net, examples):
    inputs, _ = examples
    logits, shares = outputs(net, inputs), probabilities(net, inputs)
    assert shares.dtype == torch.float64 and predictions(net, inputs).dtype == torch.int64
    torch.testing.assert_close(shares.sum(1), torch.ones(N, dtype=torch.float64))
    torch.testing.assert_close(shares, logits.exp() / logits.exp().sum(1, keepdim=True))
    assert torch.equal(predictions(net, inputs), shares.argmax(1))
    assert probabilities(Fixed(), torch.tensor([[1000.0, 0.0]])).tolist() == [[1.0, 0.0]]


def test_values_that_can_be_counted_by_hand():
    logits = torch.tensor([[3.0, 0, 0], [0, 3, 0], [3, 0, 0], [0, 0, 3], [0, 3, 0]])
    labels = torch.tensor([0, 1, 1, 2, 2])
    examples = (logits, labels)
    right, wrong = np.log(1 + 2 * np.exp(-3)), np.log(np.exp(3) + 2)
    assert accuracy(Fixed(), examples) == 0.6
    assert mean_loss(Fixed(), examples) == pytest.approx((3 * right + 2 * wrong) / 5, rel=1e-12)
    assert confusion_matrix(Fixed(), examples, classes=3).tolist() == [[1, 0, 0], [1, 1, 0], [0, 1, 1]]
    table = per_class(Fixed(), examples, classes=3)
    assert list(table) == ["label", "n", "accuracy", "loss"]
    assert table.label.tolist() == [0, 1, 2] and table.n.tolist() == [1, 2, 2]
    assert table.accuracy.tolist() == [1, 0.5, 0.5]
    assert table.loss.tolist() == pytest.approx([right, (right + wrong) / 2, (right + wrong) / 2])


def test_per_class_and_confusion_add_up_to_the_whole(net, examples):
    table = per_class(net, examples, classes=CLASSES)
    confusion = confusion_matrix(net, examples, classes=CLASSES)
    assert table.n.sum() == confusion.sum() == N
    assert np.average(table.accuracy, weights=table.n) == pytest.approx(accuracy(net, examples))
    assert np.average(table.loss, weights=table.n) == pytest.approx(mean_loss(net, examples))
    assert confusion.sum(1).tolist() == torch.bincount(examples[1], minlength=CLASSES).tolist() == table.n.tolist()
    assert confusion.sum(0).tolist() == torch.bincount(predictions(net, examples[0]), minlength=CLASSES).tolist()
    assert (confusion.diagonal() / confusion.sum(1)).tolist() == pytest.approx(table.accuracy.tolist())


def test_a_class_without_examples_has_a_row_without_values(net, examples):
    inputs, labels = examples
    kept = labels != 2
    table = per_class(net, (inputs[kept], labels[kept]), classes=CLASSES)
    assert len(table) == CLASSES and table.loc[2, ["accuracy", "loss"]].isna().all()
    assert confusion_matrix(net, (inputs[kept], labels[kept]), classes=CLASSES)[2].sum() == 0


def test_a_class_without_examples_has_an_n_of_zero(net, examples):
    inputs, labels = examples
    kept = labels != 2
    assert per_class(net, (inputs[kept], labels[kept]), classes=CLASSES).n[2] == 0


def test_a_prediction_outside_the_classes_is_not_miscounted():
    logits, labels = F.one_hot(torch.tensor([0, 3]), 5).float(), torch.tensor([0, 0])
    try:
        confusion = confusion_matrix(Fixed(), (logits, labels), classes=3)
    except ValueError:
        return
    assert confusion[1:].sum() == 0  # there is no example of these classes


def test_a_model_without_parameters_is_measured_too():
    logits = torch.eye(3)
    assert torch.equal(outputs(nn.Identity(), logits), logits)
    assert accuracy(nn.Identity(), (logits, torch.arange(3))) == 1


@pytest.mark.parametrize("loss", [F.mse_loss, F.l1_loss])
def test_regression_losses_are_means_over_all_values(loss):
    net, draw = MLP((3, 2), seed=0), torch.Generator().manual_seed(0)
    inputs, targets = torch.randn(17, 3, generator=draw), torch.randn(17, 2, generator=draw)
    power = 2 if loss is F.mse_loss else 1
    expected = (outputs(net, inputs, batch=5).double() - targets).abs().pow(power).mean().item()
    assert mean_loss(net, (inputs, targets), loss=loss, batch=5) == pytest.approx(expected, rel=1e-12)


def test_stored_bytes_are_evaluated():
    draw = torch.Generator().manual_seed(0)
    images = torch.randint(256, (7, 1, 32, 32), generator=draw, dtype=torch.uint8)
    net = LeNet5(seed=0)
    assert outputs(net, images, batch=3).shape == (7, 10)
    assert confusion_matrix(net, (images, torch.arange(7))).shape == (10, 10)
