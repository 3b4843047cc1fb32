"""Whole classes as noise: trainings with their two controls, and what a network answers on kept and other classes.

The kept classes are 0 to K - 1, so that label k is class k.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from companion.data.images import Images
from companion.data.label_noise import Noisy, confound
from companion.models.attention import PatchLeNet
from companion.models.inception import KINDS, MiniInception
from companion.models.lenet import LeNet5
from companion.seeds import generator, initial_weights
from companion.stats.detection import calibration_error
from companion.training.batch_statistics import batch_statistics
from companion.training.evaluation import accuracy, outputs
from companion.training.one import fit

LABELLINGS = ("random", "marked", "left out")
CONFIDENCES = np.linspace(0, 1, 21)  # edges of the histograms of confidence
LOOKS = 2_000  # images of each kind that are looked at while training
AUTHORS_BATCH = 256


class Optimum(NamedTuple):
    """What the best predictor reaches where kept and other classes never look alike.

    Attributes
    ----------
    accuracy, loss : float
        On the noisy training labels: the share that can be right without knowing them by heart, and nats an example.
    """

    accuracy: float
    loss: float


def optimum(true_n: int, noisy_n: int, classes: int) -> Optimum:
    """Return what the Bayes-optimal predictor reaches on the training labels: certain on kept, uniform on the others.

    Parameters
    ----------
    true_n, noisy_n : int
        Number of true and of randomly labelled examples.
    classes : int
        Number K of kept classes, each as likely for a random label.

    Raises
    ------
    ValueError
        If there are no examples or no classes.
    """
    if true_n < 0 or noisy_n < 0 or true_n + noisy_n == 0 or classes < 1:
        raise ValueError(f"{true_n} true and {noisy_n} noisy examples of {classes} classes make no training set")
    noise = noisy_n / (true_n + noisy_n)
    return Optimum(1 - noise + noise / classes, noise * math.log(classes))


def training_set(
    labels: torch.Tensor, classes: int, true_n: int, noisy_n: int, *, replace: bool, labelling: str, seed: int
) -> Noisy:
    """Draw a training set in mixed order.

    Parameters
    ----------
    labels : tensor
        (N,) true classes.
    classes : int
        Number K of kept classes: 0 to K - 1.
    true_n, noisy_n : int
        Number of examples of the kept classes, and of others.
    replace : bool
        Whether the true examples are drawn with replacement, as the authors' code does.
    labelling : {"random", "marked", "left out"}
        The others have random labels below K, as in the paper; or all have the label K, a class of its own, which tells
        what can be known from the images; or there are none. The examples themselves are the same.
    seed : int
        Seed of the "corruption" stream, and of the "points" stream for the order.

    Raises
    ------
    ValueError
        If the labelling is not known, or there are not as many examples.
    """
    if labelling not in LABELLINGS:
        raise ValueError(f"unknown labelling {labelling!r}; the labellings are {', '.join(LABELLINGS)}")
    others = 0 if labelling == "left out" else noisy_n
    drawn = confound(labels, range(classes), true_n, replace=replace, seed=seed, noisy_n=others)
    given = drawn.labels.masked_fill(drawn.noisy, classes) if labelling == "marked" else drawn.labels
    order = torch.randperm(len(given), generator=generator(seed, "points"), device="cpu")
    return Noisy(drawn.rows[order], given[order], drawn.noisy[order])


def network(kind: str, *, outputs: int, channels: int, seed: int) -> nn.Module:
    """Return one of the authors' networks, or a LeNet, at a small part of the work.

    Parameters
    ----------
    kind : {"simple", "mini", "lenet"}
        The document's "CNN (Simple)", Mini-Inception, and a LeNet for images of one or three channels.
    outputs, channels : int
        Number of outputs, and of the images' channels.

    Raises
    ------
    ValueError
        If the kind is not known.
    """
    if kind in KINDS:
        return MiniInception(seed=seed, kind=kind, outputs=outputs, channels=channels)
    if kind != "lenet":
        raise ValueError(f"unknown network {kind!r}; the networks are {', '.join(KINDS)}, lenet")
    if channels == 3:
        return PatchLeNet(seed=seed, outputs=outputs)
    net = LeNet5(seed=seed, border=2)
    with initial_weights(seed + 1):
        net.dense3 = nn.Linear(net.dense3.in_features, outputs)
    return net


def answers(net: nn.Module, inputs: torch.Tensor, classes: int, *, marked: bool, batch: int = 1000) -> torch.Tensor:
    """Return probabilities (N, outputs) on the CPU, as a network that knows nothing of other classes would give them.

    With `marked` the last of K + 1 outputs stands for all other classes, and its probability is shared out evenly
    among the K: the prediction that is optimal for random labels, if the network's own is right.
    """
    given = outputs(net, inputs, batch=batch).double().softmax(1).cpu()
    return given[:, :classes] + given[:, classes:] / classes if marked else given


def examine(probabilities: torch.Tensor, labels: torch.Tensor, classes: int) -> dict[str, Any]:
    """Return what predictions on test images of all classes come to.

    Parameters
    ----------
    probabilities : tensor
        (N, outputs), at least K of them.
    labels : tensor
        (N,) true classes.
    classes : int
        Number K of kept classes.

    Returns
    -------
    dict
        Accuracies: test (all images, against their true classes), kept (those of kept classes). Mean probability of
        the answer: sure_kept, sure_other. Loss in nats on kept ones (loss_kept) and calibration error there (error).
        Arrays: confusion (K, K), counts of kept images by class and by the largest of the first K outputs; and shares
        of images by confidence (bins of `CONFIDENCES`), confidence_kept and confidence_other.
    """
    labels = labels.cpu()
    sure, answer = probabilities.max(1)
    right, kept = answer == labels, labels < classes
    own = probabilities[kept].gather(1, labels[kept, None])
    among = probabilities[kept, :classes].argmax(1)
    sides = {"kept": kept, "other": ~kept}
    shares = {name: np.histogram(sure[rows], CONFIDENCES)[0] / rows.sum().item() for name, rows in sides.items()}
    return dict(
        test=right.double().mean().item(),
        kept=right[kept].double().mean().item(),
        sure_kept=sure[kept].mean().item(),
        sure_other=sure[~kept].mean().item(),
        loss_kept=-own.clamp(min=1e-300).log().mean().item(),
        error=calibration_error(sure[kept].clamp(max=1).numpy(), right[kept].double().numpy()),
        confusion=torch.bincount(labels[kept] * classes + among, minlength=classes**2).reshape(classes, -1).numpy(),
        **{f"confidence_{name}": share for name, share in shares.items()},
    )


def train(
    images: Images,
    tests: Images,
    *,
    kind: str,
    classes: int,
    heads: int,
    labelling: str,
    replace: bool,
    true_n: int,
    noisy_n: int,
    seed: int,
    epochs: int,
    batch: int,
    lr: float,
    milestones: Sequence[int] = (),
    arithmetic: str = "fp32",
    checkpoint: Any = None,
) -> dict[str, Any]:
    """Train a network by SGD (momentum 0.9), at most until its mean loss is below 0.001, and examine it.

    Parameters
    ----------
    images, tests : Images
        Where training and test images come from.
    kind, labelling, replace, true_n, noisy_n : str, str, bool, int, int
        See `network` and `training_set`.
    classes, heads : int
        Number of kept classes, and of outputs (with "marked" K + 1, whatever `heads`).
    epochs : int
        The most passes over true and noisy examples; fewer examples make more passes, for as many steps.
    batch, lr : int, float
        Of the training.
    milestones : sequence of int
        Epochs after which the network is looked at; with labelling "left out" there are none.

    Returns
    -------
    dict
        Of `examine`; train, fitted_true and fitted_noise (accuracy on the training labels: all, true, noisy; NaN where
        there are none), distinct (true images), counts (true images by class), epochs_run, and arrays with one value
        for each milestone: course_loss, course_kept, course_true, course_noise. A network that stopped keeps its last.
        With batch normalisation also by_batch_train, by_batch_test, by_batch_kept: as the authors test, without
        evaluation mode, in batches of 256.
    """
    marked = labelling == "marked"
    drawn = training_set(images.labels, classes, true_n, noisy_n, replace=replace, labelling=labelling, seed=seed)
    inputs, given = images.inputs.cpu()[drawn.rows], drawn.labels
    net = network(kind, outputs=classes + 1 if marked else heads, channels=inputs.shape[1], seed=seed)
    steps = epochs * math.ceil((true_n + noisy_n) / batch)
    parts = {"true": ~drawn.noisy, "noise": drawn.noisy}
    rows = {name: rows.nonzero()[:LOOKS, 0] for name, rows in parts.items()}
    watched = {name: (inputs[some], given[some]) for name, some in rows.items() if len(some)}
    is_kept = (tests.labels.cpu() < classes).nonzero()[:LOOKS, 0]
    watched["kept"] = tests.inputs.cpu()[is_kept], tests.labels.cpu()[is_kept]
    looks = [] if labelling == "left out" else [epoch for epoch in milestones if epoch <= epochs]
    history = fit(
        net,
        (inputs, given),
        seed=seed,
        epochs=math.ceil(steps / math.ceil(len(given) / batch)),
        lr=lr,
        momentum=0.9,
        batch=batch,
        stop_below=0.001,
        measure=lambda net: {name: accuracy(net, examples) for name, examples in watched.items()},
        measure_at=set(looks),
        arithmetic=arithmetic,
        checkpoint=checkpoint,
    )
    found = examine(answers(net, tests.inputs, classes, marked=marked), tests.labels, classes)
    found |= _fit_of(net, inputs, given, parts) | dict(
        distinct=len(drawn.rows[~drawn.noisy].unique()),
        counts=np.bincount(images.labels.cpu()[drawn.rows[~drawn.noisy]], minlength=classes),
        epochs_run=len(history),
    )
    if any(isinstance(layer, nn.BatchNorm2d) for layer in net.modules()):
        found |= _by_batch(net, inputs, given, tests, classes, marked)
    if looks:
        last = {name: accuracy(net, examples) for name, examples in watched.items()}
        for name, final in {"loss": history["loss"].iloc[-1], **last}.items():
            values = [history[name].iloc[epoch - 1] if epoch <= len(history) else final for epoch in looks]
            found[f"course_{name}"] = np.array(values, dtype=np.float32)
    return found


def _fit_of(
    net: nn.Module, inputs: torch.Tensor, given: torch.Tensor, parts: dict[str, torch.Tensor]
) -> dict[str, float]:
    """Return the accuracy on all training labels, and on the true and the noisy ones (NaN where there are none)."""
    right = (outputs(net, inputs).argmax(1).cpu() == given).double()
    return dict(train=right.mean().item()) | {
        f"fitted_{name}": right[rows].mean().item() for name, rows in parts.items()
    }


def _by_batch(
    net: nn.Module, inputs: torch.Tensor, given: torch.Tensor, tests: Images, classes: int, marked: bool
) -> dict[str, float]:
    """Return the accuracies that the authors print: batch normalisation by the batch, 256 images at a time."""
    with batch_statistics(net):
        trained = (outputs(net, inputs, batch=AUTHORS_BATCH).argmax(1).cpu() == given).double().mean().item()
        tested = answers(net, tests.inputs, classes, marked=marked, batch=AUTHORS_BATCH)
    seen = examine(tested, tests.labels, classes)
    return {"by_batch_train": trained, "by_batch_test": seen["test"], "by_batch_kept": seen["kept"]}
