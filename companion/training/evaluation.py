"""What a trained model answers: outputs, loss, accuracy, per class and confused."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd
import torch
from torch import nn
from torch.nn import functional as F


@torch.no_grad()
def outputs(net: nn.Module, inputs: torch.Tensor, *, batch: int = 1000) -> torch.Tensor:
    """Return the outputs (N, K) of `net` in evaluation mode, computed `batch` inputs at a time on its device."""
    device = next((weights.device for weights in net.parameters()), inputs.device)
    was_training = net.training
    net.eval()
    try:
        return torch.cat([net(chunk.to(device)) for chunk in inputs.split(batch)])
    finally:
        net.train(was_training)


def probabilities(net: nn.Module, inputs: torch.Tensor, *, batch: int = 1000) -> torch.Tensor:
    """Return softmax probabilities (N, K) in double precision."""
    return outputs(net, inputs, batch=batch).double().softmax(1)


def predictions(net: nn.Module, inputs: torch.Tensor, *, batch: int = 1000) -> torch.Tensor:
    """Return the most probable class of every input, (N,) int64."""
    return outputs(net, inputs, batch=batch).argmax(1)


def mean_loss(
    net: nn.Module,
    examples: Sequence[torch.Tensor],
    *,
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] = F.cross_entropy,
    batch: int = 1000,
) -> float:
    """Return the mean loss over all examples (inputs, targets); cross-entropy in nats by default."""
    inputs, targets = examples
    answers = outputs(net, inputs, batch=batch)
    answers = answers.double() if answers.is_floating_point() else answers
    return float(loss(answers, targets.to(answers.device)))


def accuracy(net: nn.Module, examples: Sequence[torch.Tensor], *, batch: int = 1000) -> float:
    """Return the share of examples (inputs, labels) whose most probable class is their label."""
    inputs, labels = examples
    predicted = predictions(net, inputs, batch=batch)
    return (predicted == labels.to(predicted.device)).double().mean().item()


def confusion_matrix(
    net: nn.Module, examples: Sequence[torch.Tensor], *, classes: int = 10, batch: int = 1000
) -> torch.Tensor:
    """Return counts (classes, classes): row the true class, column the predicted one.

    Raises
    ------
    ValueError
        If a label or a prediction is not one of the classes.
    """
    inputs, labels = examples
    predicted = predictions(net, inputs, batch=batch).cpu()
    _check_classes(torch.cat([labels.cpu(), predicted]), classes)
    return torch.bincount(labels.cpu() * classes + predicted, minlength=classes**2).reshape(classes, classes)


def per_class(
    net: nn.Module, examples: Sequence[torch.Tensor], *, classes: int = 10, batch: int = 1000
) -> pd.DataFrame:
    """Return one row per class: label, n, accuracy (share) and loss (mean cross-entropy in nats) of its examples.

    Raises
    ------
    ValueError
        If a label is not one of the classes.
    """
    inputs, labels = examples
    labels = labels.cpu()
    _check_classes(labels, classes)
    logits = outputs(net, inputs, batch=batch).double().cpu()
    table = pd.DataFrame(
        {
            "label": labels.numpy(),
            "accuracy": (logits.argmax(1) == labels).double().numpy(),
            "loss": F.cross_entropy(logits, labels, reduction="none").numpy(),
        }
    )
    grouped = table.groupby("label").agg(n=("loss", "size"), accuracy=("accuracy", "mean"), loss=("loss", "mean"))
    grouped = grouped.reindex(range(classes)).reset_index()
    return grouped.assign(n=grouped["n"].fillna(0).astype(int))


def _check_classes(found: torch.Tensor, classes: int) -> None:
    if len(found) and not 0 <= int(found.min()) <= int(found.max()) < classes:
        raise ValueError(f"there are {classes} classes, but labels or predictions from {found.min()} to {found.max()}")
