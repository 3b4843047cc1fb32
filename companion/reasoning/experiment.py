"""What is trained in *Reasonable*: classifiers with and without a noise label, and predictors of the net-reasoning.

Sections II and III of the paper; sections 1, 2 and 4 of the notebooks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd
import torch
from torch import nn
from torch.nn import functional as F

from companion.data.images import Images, mnist
from companion.data.sampling import stratified
from companion.models.reasoning import REASONS, DigitCNN
from companion.reasoning.answers import NOISE, decided
from companion.seeds import generator
from companion.training.evaluation import mean_loss, outputs, predictions
from companion.training.one import fit

POOL = 70_000  # all digits of MNIST
TRAIN_SHARE = 0.85
MNIST_MEAN, MNIST_SD = 0.1307, 0.3081
TARGETS = ("weights", "weights of the label", "activations", "random codes")


class Digits(NamedTuple):
    """Digits to train on, digits to set thresholds by, and digits to test with; the last two are the paper's 15 %."""

    train: Images
    validation: Images
    test: Images

    @property
    def held(self) -> Images:
        """All digits that are not trained on."""
        return joined(self.validation, self.test)


@dataclass(frozen=True)
class Kind:
    """One reading of the network and of its training data.

    Attributes
    ----------
    outputs, hidden : int
        Of the head, see `DigitCNN`.
    noise : str
        Law of the noise images: "uniform", "normal", or "noised digits" (digits under Gaussian noise).
    ratio : float
        Noise images per digit.
    redrawn : bool
        Whether noise is drawn anew in every epoch.
    standardised : bool
        Whether pixels are standardised as in the PyTorch example for MNIST.
    loss : callable
        Of outputs and labels, `NOISE` for a noise image.
    """

    outputs: int = 11
    hidden: int = 128
    noise: str = "uniform"
    ratio: float = 1.0
    redrawn: bool = False
    standardised: bool = False
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] = F.cross_entropy


def two_heads(answers: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the cross-entropy of the digit, over digits, plus that of "noise or not", over all images."""
    noise = (labels == NOISE).long()
    digit = F.cross_entropy(answers[:, :10], labels, ignore_index=NOISE, reduction="sum")
    return digit / (1 - noise).sum().clamp(min=1) + F.cross_entropy(answers[:, 10:], noise)


def digit_or_noise(answers: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the cross-entropy of "noise or not"."""
    return F.cross_entropy(answers, (labels == NOISE).long())


KINDS = {
    "vanilla": Kind(outputs=10, hidden=0, ratio=0),
    "vanilla, hidden layer": Kind(outputs=10, ratio=0),
    "ReasonNet": Kind(),
    "linear head": Kind(hidden=0),
    "two heads": Kind(outputs=12, loss=two_heads),
    "digit or noise": Kind(outputs=2, loss=digit_or_noise),
    "a tenth of noise": Kind(ratio=0.1),
    "normal noise": Kind(noise="normal"),
    "redrawn noise": Kind(redrawn=True),
    "noised digits": Kind(noise="noised digits"),
    "standardised": Kind(standardised=True),
}


def digits(seed: int, *, images: int = POOL, without: tuple[int, ...] = ()) -> Digits:
    """Return all of MNIST in one pool, split at random by classes: 85 % to train on, the rest held out.

    Parameters
    ----------
    seed : int
        Draws the split.
    images : int
        Of the pool that are used, in both parts alike.
    without : tuple of int
        Digits left out of training and validation; the test images keep them.

    Raises
    ------
    ValueError
        If there are not so many images.
    """
    with torch.device("cpu"):
        if not 100 <= images <= POOL:
            raise ValueError(f"the pool has {POOL:,} digits and at least 100 are used, not {images}")
        pool = joined(mnist("train"), mnist("test"))
        train, held = (
            part[: round(len(part) * images / POOL)] for part in stratified(pool.labels, TRAIN_SHARE, seed=seed)
        )
        validation, test = held.tensor_split(2)
        left_out = torch.tensor(without, dtype=torch.long)
        kept = [part[~torch.isin(pool.labels[part], left_out)] for part in (train, validation)]
        return Digits(*(Images(pool.inputs[part], pool.labels[part]) for part in (*kept, test)))


def noise(law: str, digits: torch.Tensor, n: int, draw: torch.Generator) -> torch.Tensor:
    """Return n noise images (n, 1, 28, 28): bytes if uniform, else shares of full ink.

    Parameters
    ----------
    law : {"uniform", "normal", "noised digits"}
        The last adds Gaussian noise, of standard deviation 0.5 and 1 in turn, to digits.
    digits : Tensor, shape (N, 1, 28, 28)
        Bytes; taken in turn where noise is added to them.

    Raises
    ------
    ValueError
        If the law is not known.
    """
    with torch.device("cpu"):
        shape = n, *digits.shape[1:]
        if law == "uniform":
            return torch.randint(256, shape, generator=draw).to(torch.uint8)
        if law == "normal":
            return torch.randn(shape, generator=draw)
        if law == "noised digits":
            sd = torch.tensor([0.5, 1.0]).repeat(n // 2 + 1)[:n, None, None, None]
            return digits[torch.arange(n) % len(digits)] / 255 + sd * torch.randn(shape, generator=draw)
        raise ValueError(f"unknown noise {law!r}; the laws are uniform, normal, noised digits")


def with_noise(kind: Kind, part: Images, draw: torch.Generator) -> Images:
    """Return digits and the noise images that belong to them, labelled `NOISE`."""
    count = round(kind.ratio * len(part.inputs))
    if count == 0:
        return part
    images = noise(kind.noise, part.inputs, count, draw)
    own = part.inputs if images.dtype == torch.uint8 else part.inputs / 255
    return joined(Images(own, part.labels), Images(images, torch.full((count,), NOISE, device="cpu")))


def classifier(
    kind: Kind, given: Digits, *, seed: int, lr: float, epochs: int, follow: bool = False
) -> tuple[DigitCNN, pd.DataFrame]:
    """Train a classifier: Adam at a constant rate, batches of 64.

    Parameters
    ----------
    kind : Kind
        One of `KINDS`, or another.
    given : Digits
        What is trained on and, if followed, measured with.
    follow : bool
        Whether loss and accuracy are measured after every epoch.

    Returns
    -------
    net : DigitCNN
        Trained.
    history : DataFrame
        As `fit` returns it; if followed, with `train_digits`, `test_digits`, `test_noise` and `test` (loss on digits
        trained on, as many as held out; on held-out digits; on fresh noise; on both in the kind's proportion) and
        `accuracy` (share of held-out digits read as themselves); NaN where a kind knows no noise, or no digits.
    """
    draw = generator(seed, "corruption")  # one stream: held-out noise is never what was trained on
    train = with_noise(kind, given.train, draw)
    mixed = with_noise(kind, given.held, draw)
    held = Images(*(part[: len(given.held.inputs)] for part in mixed))
    fresh = Images(*(part[len(given.held.inputs) :] for part in mixed))
    again = Images(*(part[: len(held.inputs)] for part in train))
    standard = dict(mean=MNIST_MEAN, sd=MNIST_SD) if kind.standardised else {}

    def measure(net: nn.Module) -> dict[str, float]:
        digits, unknown, before = (outputs(net, part.inputs).double().cpu() for part in (held, fresh, again))
        right = decided(digits) == held.labels
        return {
            "train_digits": kind.loss(before, again.labels).item(),
            "test_digits": kind.loss(digits, held.labels).item(),
            "test_noise": kind.loss(unknown, fresh.labels).item() if len(unknown) else float("nan"),
            "test": kind.loss(torch.cat([digits, unknown]), mixed.labels).item(),
            "accuracy": right.double().mean().item() if kind.outputs > 2 else float("nan"),
        }

    net = DigitCNN(seed=seed, outputs=kind.outputs, hidden=kind.hidden, **standard)
    settings = dict(epochs=epochs, lr=lr, optimizer="adam", batch=64, loss=kind.loss, seed=seed)
    if kind.redrawn:
        train = Images(torch.where((train.labels == NOISE)[:, None, None, None], 0, train.inputs), train.labels)
        settings["augment"] = _noise_where_empty
    history = fit(net, train, measure=measure if follow else None, **settings)
    return net, history


def reasons(
    vanilla: DigitCNN, given: Digits, *, target: str = "weights", seed: int, lr: float, epochs: int
) -> tuple[DigitCNN, pd.DataFrame, Images]:
    """Train the Reasonable network: image to the net-reasoning vector of the vanilla network, by mean squared error.

    Parameters
    ----------
    vanilla : DigitCNN
        Trained; not changed.
    target : str
        Of `TARGETS`. "weights" is the vanilla network's row of the class that it predicts, "weights of the label" that
        of the true class, "activations" its 256 numbers for that image, "random codes" a fixed random vector for each
        predicted class, of the rows' own variance.

    Returns
    -------
    net : DigitCNN
        With 256 outputs.
    history : DataFrame
        As `fit` returns it, with `test`: the error on held-out digits.
    held : Images
        Held-out digits and their targets.

    Raises
    ------
    ValueError
        If the target is not known.

    Notes
    -----
    Reasonable, section II-B and equation 5.
    """
    code = reason_of(vanilla, target, seed=seed)
    train, held = (Images(part.inputs, code(part)) for part in (given.train, given.held))
    net = DigitCNN(seed=seed, outputs=REASONS, hidden=256)
    history = fit(
        net, train, epochs=epochs, lr=lr, optimizer="adam", batch=64, loss=F.mse_loss, seed=seed,
        measure=lambda net: {"test": mean_loss(net, held, loss=F.mse_loss)},
    )  # fmt: skip
    return net, history, held


def reason_of(vanilla: DigitCNN, target: str, *, seed: int) -> Callable[[Images], torch.Tensor]:
    """Return what maps images to their net-reasoning vectors (N, 256); see `reasons`."""
    rows = vanilla[-1].weight.detach()
    if target == "random codes":
        draw = generator(seed, "corruption")
        rows = torch.randn(rows.shape, generator=draw, device="cpu").to(rows) * (rows - rows.mean(0)).std() + rows.mean(
            0
        )
    if target in ("weights", "random codes"):
        return lambda part: rows[predictions(vanilla, part.inputs)].cpu()
    if target == "weights of the label":
        return lambda part: rows[part.labels.to(rows.device)]
    if target == "activations":
        return lambda part: outputs(vanilla.features, part.inputs)
    raise ValueError(f"unknown target {target!r}; the targets are {', '.join(TARGETS)}")


def joined(one: Images, other: Images) -> Images:
    """Return two sets of images as one."""
    return Images(*(torch.cat(parts) for parts in zip(one, other, strict=True)))


def _noise_where_empty(images: torch.Tensor, draw: torch.Generator) -> torch.Tensor:
    """Put new noise in the place of images without ink: a batch is augmented without its labels."""
    drawn = torch.randint(256, images.shape, generator=draw, device=images.device).to(images.dtype)
    return torch.where(images.flatten(1).amax(1)[:, None, None, None] == 0, drawn, images)
