"""Recognition of digits in orientations in which two of them were never seen (source `invariants`, sec. Recognition).

Any network will do that maps images (N, 1, 28, 28) in [0, 1] to scores (N, 8), the greatest score being its answer.
The article turns every test image at random, again and again, and reports the mean accuracy and its variance over the
repetitions. Here every image is turned through a full circle in small steps instead. That gives each image's chance of
being recognised within any range of angles, hence the mean and the variance that endless repetitions come to, and the
curve of accuracy against angle, all from the same answers.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from companion.data.geometry import rotate
from companion.data.images import Images
from companion.data.turning import ALL_ANGLES, INVERTED, OUTSIDE, TRAINED, draw_angles
from companion.training.evaluation import outputs

HELD_BACK = (3, 4)
CLASSES = 8
CHANCE = 1 / CLASSES
LEFTOVER = 72  # of the 1,992 test images of the held-back digits, behind 16 full batches of 120 (or 15 of 128)


class Ranges(NamedTuple):
    """Angles of the held-back digits in degrees, upper ends excluded: in training, outside of it, upside down."""

    trained: tuple[float, float] = TRAINED
    outside: tuple[float, float] = OUTSIDE
    inverted: tuple[float, float] = INVERTED


ARTICLE = Ranges()
CODE = Ranges((-45.0, 46.0), (46.0, 315.0), (135.0, 226.0))  # as the published scripts have them


def scaled(images: torch.Tensor) -> torch.Tensor:
    """Return stored bytes as floats in [0, 1]."""
    return images.float() / 255


def turned_batches(
    digits: Images,
    *,
    batch: int,
    device: torch.device,
    held_back: Collection[int] = HELD_BACK,
    ranges: Ranges = ARTICLE,
) -> Callable[[torch.Generator, torch.Generator], tuple[torch.Tensor, torch.Tensor]]:
    """Return what draws a batch for `training.fit_drawn`: turned images (batch, 1, 28, 28) in [0, 1], and labels.

    Images are drawn with replacement; each is turned by an angle of its own, drawn afresh, the held-back digits within
    the trained range and the others all the way round.

    Parameters
    ----------
    digits : Images
        Stored bytes (N, 1, 28, 28) and labels, for instance ``data.eight_digits("train")``.
    batch : int
        Images of a batch.
    device : device
        Where images are kept and turned.
    held_back : collection of int
        Digits that keep to the trained range.
    ranges : Ranges
        Whose `trained` range.
    """
    inputs, labels = digits.inputs.to(device), digits.labels.cpu()

    def draw(order: torch.Generator, augmentation: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        chosen = torch.randint(len(labels), (batch,), generator=order, device="cpu")
        drawn = labels[chosen]
        angles = draw_angles(drawn, augmentation, restricted=held_back, within=ranges.trained)
        return rotate(scaled(inputs.index_select(0, chosen.to(device))), angles.to(device)), drawn

    return draw


def cross_entropy(net: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the mean cross-entropy of the scores' softmax, in nats."""
    return F.cross_entropy(net(images), labels)


def double_softmax(net: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the loss of the published scripts: probabilities go through a second softmax as if they were scores.

    With eight classes it lies between 1.274 (certain and right) and 2.274 (certain and wrong).
    """
    return F.cross_entropy(net(images).softmax(1), labels)


class Circle(NamedTuple):
    """What a network answers to images in every orientation.

    Attributes
    ----------
    angles : Tensor, shape (A,)
        Degrees, the middles of equal steps from -180 to 180.
    labels : Tensor, shape (N,)
        The true classes.
    answers : Tensor, shape (A, N)
        The answers, int64.
    """

    angles: torch.Tensor
    labels: torch.Tensor
    answers: torch.Tensor

    @property
    def right(self) -> torch.Tensor:
        """Which answers are right: (A, N) in double precision, 0 or 1."""
        return (self.answers == self.labels).double()


def steps_of(step: float) -> torch.Tensor:
    """Return the middles of the steps of a full circle, in degrees from -180 to 180.

    Raises
    ------
    ValueError
        If the step does not divide the circle.
    """
    count = round(360 / step)
    if count < 1 or abs(count * step - 360) > 1e-6:
        raise ValueError(f"a step divides 360 degrees, {step:g} does not")
    return (torch.arange(count, device="cpu") + 0.5) * step - 180


def scores_at(net: nn.Module, inputs: torch.Tensor, angles: torch.Tensor, *, batch: int = 1000) -> torch.Tensor:
    """Return the scores (A, N, K) of stored images (N, 1, 28, 28) at every one of A angles, on the CPU.

    The network is in evaluation mode meanwhile.
    """
    device = next((weights.device for weights in net.parameters()), inputs.device)
    images = scaled(inputs.to(device))
    return torch.stack([outputs(net, rotate(images, float(angle)), batch=batch).cpu() for angle in angles])


def circle(net: nn.Module, digits: Images, step: float, *, batch: int = 1000) -> Circle:
    """Return the answers of a network to every image at every step of a full circle.

    Parameters
    ----------
    net : nn.Module
        Maps images (N, 1, 28, 28) in [0, 1] to scores.
    digits : Images
        Stored bytes and labels.
    step : float
        Degrees; where it divides 45, the article's ranges begin and end between two steps.
    batch : int
        Images at a time.
    """
    angles = steps_of(step)
    answers = scores_at(net, digits.inputs, angles, batch=batch).argmax(2)
    return Circle(angles, digits.labels.cpu(), answers)


def shares(angles: torch.Tensor, within: tuple[float, float]) -> torch.Tensor:
    """Return how much of a range of angles falls to each of the steps of a circle: (A,), in sum 1.

    Raises
    ------
    ValueError
        If the range is empty or longer than a circle.
    """
    low, high = within
    if not 0 < high - low <= 360:
        raise ValueError(f"a range of angles is longer than 0 and at most 360 degrees, not from {low:g} to {high:g}")
    half = 180 / len(angles)
    covered = torch.zeros(len(angles), dtype=torch.float64, device=angles.device)
    for turn in (-360, 0, 360):
        ahead, behind = angles.double() + turn - half, angles.double() + turn + half
        covered += (behind.clamp(max=high) - ahead.clamp(min=low)).clamp(min=0)
    return covered / covered.sum()


def chances(answers: Circle, within: tuple[float, float]) -> torch.Tensor:
    """Return each image's chance of being recognised at an angle drawn from a range: (N,) in double precision."""
    return (shares(answers.angles, within) @ answers.right).clamp(0, 1)  # rounding must not make it more than certain


class Rerotated(NamedTuple):
    """Mean and variance of an accuracy over random re-rotations of the test set."""

    mean: float
    variance: float


def rerotated(chance: torch.Tensor, images: int | None = None) -> Rerotated:
    """Return what endless random re-rotations of a test set come to, by each image's chance of being recognised.

    The number of images that are recognised is a sum of independent draws: its variance is the sum of p(1 - p).

    Parameters
    ----------
    chance : Tensor, shape (N,)
        Chances.
    images : int, optional
        Size of the test set, where `chance` is of a part of it only; N by default.
    """
    return Rerotated(float(chance.mean()), float((chance * (1 - chance)).mean() / (images or len(chance))))


def slipped(clean: torch.Tensor, trained: torch.Tensor, left: int = LEFTOVER) -> torch.Tensor:
    """Return the chances of a test in which the last images were turned within the trained range, (N,).

    Parameters
    ----------
    clean, trained : Tensor, shape (N,)
        Chances within the range meant, and within the trained range; images in their order.
    left : int
        How many, from the end.
    """
    return torch.cat([clean[: len(clean) - left], trained[len(trained) - left :]])


def thinned(digits: Images, every: int) -> Images:
    """Return every so-and-so-many-th image, in order; the last image is always among them."""
    kept = torch.arange(len(digits.labels) - 1, -1, -every, device="cpu").flip(0)
    return Images(digits.inputs[kept], digits.labels[kept])


def parted(digits: Images, held_back: Collection[int] = HELD_BACK) -> tuple[Images, Images]:
    """Return the held-back digits and the others, each in order."""
    held = torch.isin(digits.labels, torch.tensor(sorted(held_back), device=digits.labels.device))
    return Images(digits.inputs[held], digits.labels[held]), Images(digits.inputs[~held], digits.labels[~held])


def tested(
    net: nn.Module,
    digits: Images,
    *,
    step: float = 1.0,
    other_step: float = 5.0,
    every: int = 1,
    ranges: Ranges = ARTICLE,
    batch: int = 1000,
) -> dict[str, float | np.ndarray]:
    """Return the article's accuracies of a network, their variances over re-rotations, and what lies behind them.

    Parameters
    ----------
    net : nn.Module
        Maps images (N, 1, 28, 28) in [0, 1] to scores (N, 8).
    digits : Images
        The test set, ``data.eight_digits("test")``.
    step, other_step : float
        Steps of the circle through which 3 and 4, and the other digits, are turned, in degrees.
    every : int
        Of the images only one in so many is turned; variances are still those of the whole test set.
    ranges : Ranges
        What is trained, outside and upside down.
    batch : int
        Images at a time.

    Returns
    -------
    dict
        Shares p_test, p_in34, p_out, p_inv; p_out_slip and p_inv_slip, with the last 72 images in the trained range;
        for each its variance over re-rotations, ``..._var``. recall (8,): the share of each class that is recognised at
        the angles of training, NaN for a class without an image. by_angle (2, A): accuracy on 3 and on 4 at each step;
        others_by_angle (B,); taken_for (2, 8): what 3 and 4 are taken for upside down, as shares.
    """
    all_held, all_others = parted(digits)
    held = circle(net, thinned(all_held, every), step, batch=batch)
    others = circle(net, thinned(all_others, every), other_step, batch=batch)
    trained, outside, inverted = (chances(held, one) for one in ranges)
    left = round(LEFTOVER / every)
    as_trained, labels = torch.cat([trained, chances(others, ALL_ANGLES)]), torch.cat([held.labels, others.labels])
    measured = {"p_test": rerotated(as_trained, len(digits.labels))}
    for name, chance in {
        "p_in34": trained,
        "p_out": outside,
        "p_inv": inverted,
        "p_out_slip": slipped(outside, trained, left),
        "p_inv_slip": slipped(inverted, trained, left),
    }.items():
        measured[name] = rerotated(chance, len(all_held.labels))
    weights = shares(held.angles, ranges.inverted)
    named = F.one_hot(held.answers, CLASSES).double()  # (A, N, 8)
    taken = torch.stack([weights @ named[:, held.labels == digit].mean(1) for digit in HELD_BACK])
    by_angle = torch.stack([held.right[:, held.labels == digit].mean(1) for digit in HELD_BACK])
    return {
        **{name: one.mean for name, one in measured.items()},
        **{f"{name}_var": one.variance for name, one in measured.items()},
        "recall": torch.stack([as_trained[labels == one].mean() for one in range(CLASSES)]).float().numpy(),
        "by_angle": by_angle.float().numpy(),
        "others_by_angle": others.right.mean(1).float().numpy(),
        "taken_for": taken.float().numpy(),
    }


def cut_off(p_out: float, ranges: Ranges = ARTICLE) -> float:
    """Return the angle at which recognition would end if it ended sharply, and alike on both sides, by its P_out."""
    low, high = ranges.outside
    return low + p_out * (high - low) / 2
