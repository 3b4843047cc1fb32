"""Networks whose training labels are partly random: what they know of true and of random labels, and when.

Source `mosaic`, section 4. The authors replace test labels as well, with the same seed, so most of their columns say
nothing about the network; `expected` says what they must hold.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from companion.data.images import Images
from companion.data.label_noise import AUTHORS_SEED, Noisy, mask_labels, mix_noise
from companion.models.cnn import CifarCNN
from companion.models.inception import MiniInception
from companion.seeds import generator
from companion.training.evaluation import outputs
from companion.training.one import fit

KINDS = ("total", "coded", "exact")
NETWORKS = ("mini", "small")
COLUMNS = ("train_corr", "train_uncorr", "train_full", "test_corr", "test_uncorr", "test_full", "test_true")
COURSES = ("noise_given", "noise_true", "true", "test")
MARGINS = np.linspace(-1, 1, 41)  # edges of the bins that margins are counted in


def training_labels(labels: torch.Tensor, kind: str, share: float, true_n: int) -> Noisy:
    """Draw a training set with a share of random labels.

    Parameters
    ----------
    labels : tensor
        (N,) true classes.
    kind : {"total", "coded", "exact"}
        All N examples, each label replaced with probability `share` (Table 4); the authors' way to Table 5, which cuts
        the set to floor(true_n + true_n share / (1 - share)) examples and replaces with the same probability; or
        exactly `true_n` true examples and exactly as many others as make the share.
    share : float
        Of random labels; below 1 unless all N are taken.
    true_n : int
        Number of true examples, of the two latter kinds.

    Raises
    ------
    ValueError
        If the kind is not known, or the share leaves no true example where their number is fixed.
    """
    if kind not in KINDS:
        raise ValueError(f"unknown kind {kind!r}; the kinds are {', '.join(KINDS)}")
    if kind == "total":
        return mask_labels(labels, share)
    if not 0 <= share < 1:
        raise ValueError(f"with {true_n} true examples the share of random ones is at least 0 and below 1, not {share}")
    # Rounded first: 0.1 / 0.9 of 9,000 would come to 999.9999 otherwise.
    noisy_n = int(np.floor(np.round(true_n * share / (1 - share), 6)))
    if kind == "exact":
        return mix_noise(labels, true_n, noisy_n, seed=AUTHORS_SEED)
    order = torch.randperm(len(labels), generator=generator(AUTHORS_SEED, "corruption"), device="cpu")
    rows = order[: true_n + noisy_n]
    return mask_labels(labels.cpu()[rows], share)._replace(rows=rows)


def cropped(examples: Images, n: int, network: str) -> Images:
    """Return the first `n` images, for Mini-Inception the middle 28x28 of each, as the authors have them."""
    images, labels = examples.inputs[:n], examples.labels[:n]
    return Images(images[..., 2:30, 2:30] if network == "mini" else images, labels)


def build(network: str, *, seed: int) -> nn.Module:
    """Return Mini-Inception, or the small network that stands in where that is too slow.

    Raises
    ------
    ValueError
        If the network is not known.
    """
    if network not in NETWORKS:
        raise ValueError(f"unknown network {network!r}; the networks are {', '.join(NETWORKS)}")
    return MiniInception(seed=seed) if network == "mini" else CifarCNN(seed=seed)


def train(
    network: str,
    examples: Images,
    drawn: Noisy,
    tests: Images,
    share: float,
    *,
    seed: int,
    epochs: int,
    batch: int,
    optimizer: str,
    lr: float,
    milestones: Collection[int],
    watched: int,
    checkpoint: str | Path | None = None,
) -> dict[str, object]:
    """Train on the drawn labels until they are known by heart, and return what the network knows.

    Parameters
    ----------
    network : {"mini", "small"}
    examples, tests : Images
        Images and true classes; the labels of `tests` are replaced with probability `share` as the authors do.
    drawn : Noisy
        Rows of `examples` and the labels to train on.
    seed, epochs, batch, optimizer, lr
        As `training.fit` takes them; momentum 0.9 goes with "sgd". Training ends when the mean loss of an epoch is
        below 0.01.
    milestones : collection of int
        Epochs after which the first `watched` training examples and all tests are answered.

    Returns
    -------
    dict
        accuracy_* and ce_* (nats) for each of COLUMNS, NaN where a column has no examples; masked (share of test labels
        that were replaced), epochs, loss (epochs,) padded with NaN, course_* (milestones,) for each of COURSES, NaN
        after the end, and margins (3, 40): counts of the margins of true and random training labels and of tests.
    """
    inputs, truth = examples.inputs[drawn.rows], examples.labels[drawn.rows]
    net = build(network, seed=seed)
    some, noisy = inputs[:watched], drawn.noisy[:watched]
    given, true = drawn.labels[:watched], truth[:watched]

    def measure(net: nn.Module) -> dict[str, float]:
        answers = outputs(net, some).argmax(1).cpu()
        known = {"noise_given": (answers == given)[noisy], "noise_true": (answers == true)[noisy]}
        known |= {"true": (answers == true)[~noisy]}
        known |= {"test": outputs(net, tests.inputs).argmax(1).cpu() == tests.labels}
        return {f"course_{name}": hit.double().mean().item() for name, hit in known.items()}

    history = fit(
        net,
        (inputs, drawn.labels),
        seed=seed,
        epochs=epochs,
        lr=lr,
        batch=batch,
        optimizer=optimizer,
        momentum=0.9 if optimizer == "sgd" else 0.0,
        stop_below=0.01,
        measure=measure,
        measure_at=milestones,
        checkpoint=checkpoint,
    )
    at = history.set_index("epoch").reindex(sorted(milestones))
    courses = {f"course_{name}": at[f"course_{name}"].to_numpy() for name in COURSES}
    loss = history["loss"].reindex(range(epochs)).to_numpy()
    replaced = mask_labels(tests.labels, share)
    trained, tested = (outputs(net, images).cpu() for images in (inputs, tests.inputs))
    found = _seven(trained, drawn, tested, tests.labels, replaced)
    kinds = (trained, drawn.labels, ~drawn.noisy), (trained, drawn.labels, drawn.noisy), (tested, tests.labels, ...)
    margins = np.stack([_margin_counts(logits[part], labels[part]) for logits, labels, part in kinds])
    masked = replaced.noisy.double().mean().item()
    return found | courses | dict(loss=loss, epochs=len(history), masked=masked, margins=margins)


def expected(true: float, masked: float, classes: int = 10) -> dict[str, float]:
    """Return what the test columns with replaced labels must hold, given the accuracy on true labels.

    A replaced label has nothing to do with its image, so an answer agrees with it once in `classes` times, whatever the
    network; the unmasked test images are a random part of all.

    Parameters
    ----------
    true : float
        Accuracy on all test images and true labels.
    masked : float
        Share of test labels that were replaced.
    """
    return {
        "test_corr": 1 / classes,
        "test_uncorr": true,
        "test_full": masked / classes + (1 - masked) * true,
    }


def implied_mask(corr: float, uncorr: float, full: float) -> float:
    """Return the share of replaced test labels that a row of the table implies: `full` is a mixture of the two."""
    return (uncorr - full) / (uncorr - corr)


def _seven(
    trained: torch.Tensor, drawn: Noisy, tested: torch.Tensor, truth: torch.Tensor, replaced: Noisy
) -> dict[str, float]:
    everything = torch.ones_like
    groups = (
        *((trained, drawn.labels, drawn.noisy), (trained, drawn.labels, ~drawn.noisy)),
        (trained, drawn.labels, everything(drawn.noisy)),
        *((tested, replaced.labels, replaced.noisy), (tested, replaced.labels, ~replaced.noisy)),
        *((tested, replaced.labels, everything(replaced.noisy)), (tested, truth, everything(replaced.noisy))),
    )
    found = {}
    for name, (logits, labels, part) in zip(COLUMNS, groups, strict=True):
        if not part.any():
            found |= {f"accuracy_{name}": np.nan, f"ce_{name}": np.nan}
            continue
        hit = logits[part].argmax(1) == labels[part]
        loss = F.cross_entropy(logits[part].double(), labels[part])
        found |= {f"accuracy_{name}": hit.double().mean().item(), f"ce_{name}": loss.item()}
    return found


def _margin_counts(logits: torch.Tensor, labels: torch.Tensor) -> np.ndarray:
    """Count margins: the probability of the label minus the largest of the others, in [-1, 1]."""
    probabilities = logits.double().softmax(1)
    own = probabilities.gather(1, labels[:, None])[:, 0]
    others = probabilities.scatter(1, labels[:, None], 0.0).max(1).values
    return np.histogram((own - others).numpy().clip(-1, 1), MARGINS)[0]
