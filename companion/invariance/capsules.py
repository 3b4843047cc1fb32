"""Capsule networks that recognise turned digits and draw what they recognise: losses, drawings, errors by angle.

Source `invariants`, sec. Recognition / CapsNets. A network here has, besides scores for images in [0, 1], a method
``capsules(images)`` that returns scores (N, 8) and output capsules (N, 8, length), and a ``decoder(capsules, chosen)``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import nn

from companion.data.geometry import rotate
from companion.data.images import Images
from companion.data.turning import INVERTED, TRAINED, draw_angles
from companion.invariance.recognition import HELD_BACK, parted, scaled, steps_of, tested, thinned
from companion.seeds import generator
from companion.training.evaluation import accuracy

PIXELS = 784
DYNAMIC_WEIGHT = 0.0005 * PIXELS  # of the mean squared error per pixel, beside the margin loss
EM_WEIGHT = 0.05 * PIXELS  # beside the spread loss, as coded; the implementation that was taken has 0.0005 * 784
FOLLOWED = ("train", "validation", "upright", "upside down")
MASKS = ("named class", "true class")
SHEET = 32  # pictures of a sheet, as published
TURNED = tuple(range(-180, 181, 30))  # degrees at which one digit is shown

Loss = Callable[[nn.Module, torch.Tensor, torch.Tensor], torch.Tensor]


def margin_loss(lengths: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the margin loss of capsule lengths (N, K): the true one at least 0.9, the others (at half weight) 0.1."""
    wrong = (lengths - 0.1).clamp(min=0).square() / 2
    right = (0.9 - lengths.gather(1, labels[:, None])).clamp(min=0).square()
    return (wrong.scatter(1, labels[:, None], 0).sum(1) + right.squeeze(1)).mean()


def spread_loss(activations: torch.Tensor, labels: torch.Tensor, margin: float | torch.Tensor) -> torch.Tensor:
    """Return the spread loss of activations (N, K): how far others come within `margin` of the true one, squared."""
    near = (margin - activations.gather(1, labels[:, None]) + activations).clamp(min=0).square()
    return near.scatter(1, labels[:, None], 0).sum(1).mean()


def margins(seen: torch.Tensor, epoch: int) -> torch.Tensor:
    """Return the spread loss's margin in the step that is number `seen`: 0.2, and 0.035 more an epoch up to 0.9."""
    return (0.2 + 0.035 * ((seen - 1) // epoch)).clamp(max=0.9)


def dynamic_loss(weight: float = DYNAMIC_WEIGHT) -> Loss:
    """Return the loss of the network with dynamic routing: margin loss, and the error of the true capsule's drawing."""

    def loss(net: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        lengths, vectors = net.capsules(images)
        return margin_loss(lengths, labels) + weight * _error(net.decoder(vectors, labels), images).mean()

    return loss


def em_loss(weight: float = EM_WEIGHT, *, epoch: int = 1200) -> Loss:
    """Return the loss of the network with EM routing: spread loss, and the error of the true capsule's drawing.

    The margin follows the batches that the network's batch norm has counted, so that a resumed training goes on with
    the margin that it had.

    Parameters
    ----------
    weight : float
        Of the mean squared error per pixel.
    epoch : int
        Steps after which the margin grows; 1,200 in the source.
    """

    def loss(net: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        activations, vectors = net.capsules(images)
        margin = margins(net.norm.num_batches_tracked, epoch)
        return spread_loss(activations, labels, margin) + weight * _error(net.decoder(vectors, labels), images).mean()

    return loss


def followed(
    train: Images, test: Images, n: int, *, seed: int, device: torch.device, batch: int = 1000
) -> Callable[[nn.Module], dict[str, float]]:
    """Return what measures a network on the way: its accuracy on four fixed sets of n images.

    Parameters
    ----------
    train, test : Images
        Stored bytes and labels; of each the first n are taken.
    n : int
        Images of each set.
    seed : int
        Draws the angles, once, in their training ranges.
    device : device
        Where the sets are kept.
    batch : int
        Images at a time.

    Returns
    -------
    callable
        Maps a network to the shares `FOLLOWED`: of training and of test images turned as in training; of the test
        images as they are, which the published script validates on; and of 3 and 4 at 180 degrees, 45 more or less.
    """
    draw = generator(seed, "points")

    def turned(digits: Images, within: tuple[float, float]) -> Images:
        labels = digits.labels[:n].cpu()
        angles = draw_angles(labels, draw, restricted=HELD_BACK, within=within).to(device)
        return Images(rotate(scaled(digits.inputs[:n].to(device)), angles), labels.to(device))

    upright = Images(scaled(test.inputs[:n].to(device)), test.labels[:n].to(device))
    parts = turned(train, TRAINED), turned(test, TRAINED), upright, turned(parted(test)[0], INVERTED)
    sets = dict(zip(FOLLOWED, parts, strict=True))
    return lambda net: {name: accuracy(net, part, batch=batch) for name, part in sets.items()}


def milestones(steps: int, looks: int) -> list[int]:
    """Return the steps after which a training is looked at: often in the beginning, where most happens, and at the end.

    Raises
    ------
    ValueError
        If the looks are more than the steps have room for.
    """
    found = [round(steps * ((look + 1) / looks) ** 2) for look in range(looks)]
    if looks < 1 or found[0] < 1 or len(set(found)) < looks:
        raise ValueError(f"{looks} looks do not fit into {steps} steps; they grow apart as squares do")
    return found


def curves(history: pd.DataFrame) -> dict[str, float | np.ndarray]:
    """Return a history as arrays: curve (4, looks) of the shares `FOLLOWED`, loss (looks,), and skipped, a share."""
    return {
        "curve": history[list(FOLLOWED)].to_numpy(np.float32).T.copy(),
        "loss": history["loss"].to_numpy(np.float32),
        "skipped": float(history["skipped"].sum() / history["step"].iloc[-1]),
    }


class Drawing(NamedTuple):
    """The class that a capsule network names, and its drawings (N, 1, 28, 28) by that class and by the true one."""

    named: torch.Tensor
    own: torch.Tensor
    true: torch.Tensor


@torch.no_grad()
def drawn(net: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> Drawing:
    """Let a network draw images (N, 1, 28, 28) in [0, 1] by the capsules of the class it names and of the true one."""
    scores, vectors = net.capsules(images)
    named = scores.argmax(1)
    return Drawing(named, net.decoder(vectors, named), net.decoder(vectors, labels.to(named.device)))


@torch.no_grad()
def drawing_errors(
    net: nn.Module, digits: Images, *, step: float, every: int = 1, batch: int = 500
) -> dict[str, np.ndarray]:
    """Return how well a network draws digits in every orientation, and what it sees in its own drawings.

    Parameters
    ----------
    net : nn.Module
        In evaluation mode afterwards.
    digits : Images
        Stored bytes and labels.
    step : float
        Of the full circle, in degrees.
    every : int
        Of the images only one in so many is turned.
    batch : int
        Images at a time.

    Returns
    -------
    dict
        drawing_error (2, 3, A): mean squared error per pixel by mask (`MASKS`), for 3, 4 and the other digits, at each
        step; drawn_as_other (2, A): share of the 3 and of the 4 whose drawing by the named class the network itself
        reads as another digit.
    """
    device = next(net.parameters()).device
    net.eval()
    errors, others = [], []
    for part in (Images(*(column[digits.labels == digit] for column in digits)) for digit in HELD_BACK):
        error, other = _by_angle(net, thinned(part, every), step, device, batch)
        errors.append(error)
        others.append(other)
    errors.append(_by_angle(net, thinned(parted(digits)[1], every), step, device, batch)[0])
    return {
        "drawing_error": torch.stack(errors, 1).float().cpu().numpy(),
        "drawn_as_other": torch.stack(others).float().cpu().numpy(),
    }


def _by_angle(
    net: nn.Module, digits: Images, step: float, device: torch.device, batch: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return errors (2, A) by mask and the share (A,) of drawings that are read as another digit."""
    columns = []
    for angle in steps_of(step):
        sums = torch.zeros(3, dtype=torch.float64, device=device)
        for inputs, labels in zip(digits.inputs.split(batch), digits.labels.split(batch), strict=True):
            images, labels = rotate(scaled(inputs.to(device)), float(angle)), labels.to(device)
            made = drawn(net, images, labels)
            other = net(made.own).argmax(1) != labels
            sums += torch.stack([_error(made.own, images).sum(), _error(made.true, images).sum(), other.sum()])
        columns.append(sums / len(digits.labels))
    table = torch.stack(columns, 1)
    return table[:2], table[2]


@torch.no_grad()
def sheet(net: nn.Module, digits: Images, angles: torch.Tensor) -> dict[str, np.ndarray]:
    """Return images turned by an angle each, what the network names them, and its drawings of them.

    Returns
    -------
    dict
        inputs and drawn (N, 28, 28) and (2, N, 28, 28), bytes, the drawings by mask (`MASKS`); named (N,), bytes.
    """
    device = next(net.parameters()).device
    net.eval()
    images = rotate(scaled(digits.inputs.to(device)), angles.to(device))
    made = drawn(net, images, digits.labels.to(device))
    return {
        "inputs": _bytes(images),
        "drawn": np.stack([_bytes(made.own), _bytes(made.true)]),
        "named": made.named.cpu().numpy().astype(np.uint8),
    }


def sheets(net: nn.Module, digits: Images, *, seed: int) -> dict[str, np.ndarray]:
    """Return the published pictures: `sheet` of three sets of test images, each name after the set's and an underscore.

    seen: the first 32 images, turned as in training. novel: the first 32 of 3 and 4, turned upside down by up to 45
    degrees more or less. turning: the first 3 and the first 4, each at the angles `TURNED`.

    Parameters
    ----------
    net : nn.Module
        In evaluation mode afterwards.
    digits : Images
        Stored bytes and labels of the test set.
    seed : int
        Draws the angles.
    """
    draw = generator(seed, "points")
    seen, novel = (Images(*(column[:SHEET] for column in part)) for part in (digits, parted(digits)[0]))
    first = torch.cat([(digits.labels == digit).nonzero()[:1, 0] for digit in HELD_BACK])
    turning = Images(*(column[first].repeat_interleave(len(TURNED), 0) for column in digits))
    sets = {
        "seen": (seen, draw_angles(seen.labels, draw, restricted=HELD_BACK, within=TRAINED)),
        "novel": (novel, draw_angles(novel.labels, draw, restricted=HELD_BACK, within=INVERTED)),
        "turning": (turning, torch.tensor(TURNED * len(HELD_BACK), dtype=torch.float32, device="cpu")),
    }
    return {f"{name}_{key}": value for name, given in sets.items() for key, value in sheet(net, *given).items()}


def studied(
    net: nn.Module,
    digits: Images,
    *,
    seed: int,
    step: float,
    other_step: float,
    drawing_step: float,
    every: int = 1,
    batch: int = 500,
) -> dict[str, float | np.ndarray]:
    """Return all that is asked of a trained capsule network: accuracies, errors of its drawings, and pictures.

    Parameters
    ----------
    digits : Images
        The test set.
    seed : int
        Draws the pictures' angles.
    step, other_step, every, batch
        See `companion.invariance.recognition.tested`.
    drawing_step : float
        Of the circle in which drawings are compared with their images, in degrees.
    """
    return (
        tested(net, digits, step=step, other_step=other_step, every=every, batch=batch)
        | drawing_errors(net, digits, step=drawing_step, every=every, batch=batch)
        | sheets(net, digits, seed=seed)
    )


def _error(drawing: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """Return the mean squared error per pixel of every drawing, (N,)."""
    return (drawing - images).square().mean((1, 2, 3))


def _bytes(images: torch.Tensor) -> np.ndarray:
    return (255 * images[:, 0]).round().to(torch.uint8).cpu().numpy()
