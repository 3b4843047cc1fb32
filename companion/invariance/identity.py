"""Whose picture is it? Drawings turned back and read by a judge, and set beside what was seen in training."""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from companion.data.geometry import rotate
from companion.data.images import Images, mnist
from companion.invariance.poses import Turns, scaled
from companion.models.lenet import LeNet5
from companion.training.evaluation import accuracy, probabilities
from companion.training.one import fit

LEAN = 15.0  # degrees: the judge sees digits turned by up to as much, and blurred by it as what it judges is
DIGITS = 10


class Judge(NamedTuple):
    """A classifier of upright digits, and the share of upright test digits that it reads."""

    net: nn.Module
    accuracy: float


@functools.cache
def judge(*, images: int, epochs: int, seed: int = 0) -> Judge:
    """Return a LeNet-5 that reads upright digits, trained once in a process.

    Parameters
    ----------
    images : int
        First training images of MNIST.
    epochs, seed : int
        Of the training (Adam, 0.001).
    """
    examples, tests = mnist("train"), mnist("test")
    net = LeNet5(seed=seed, coding="[0,1]", border=2)
    fit(
        net, (examples.inputs[:images], examples.labels[:images]), epochs=epochs, lr=1e-3, optimizer="adam", seed=seed,
        augment=_leaning,
    )  # fmt: skip
    return Judge(net, accuracy(net, tests))


def _leaning(images: torch.Tensor, draw: torch.Generator) -> torch.Tensor:
    lean = LEAN * (2 * torch.rand(len(images), generator=draw, device=images.device) - 1)
    return rotate(images.float() / 255, lean)


def read_back(net: nn.Module, pictures: torch.Tensor, angles: torch.Tensor) -> torch.Tensor:
    """Turn pictures (N, 1, 28, 28) in [-1, 1] back by their angles (N,) and return the probabilities (N, 10)."""
    return probabilities(net, rotate((pictures + 1) / 2, -angles))


@torch.no_grad()
def readings(
    net: nn.Module, reader: nn.Module, digits: Images, settings: torch.Tensor, turns: Turns
) -> tuple[torch.Tensor, torch.Tensor]:
    """Count what the drawings of digits are read as once they are turned back, and what the expected images are.

    Parameters
    ----------
    net : nn.Module
        An autoencoder that is told turns.
    reader : nn.Module
        See `judge`.
    digits : Images
        Stored bytes and labels.
    settings : Tensor, shape (P,)
        Angles in degrees.
    turns : Turns
        How they are told.

    Returns
    -------
    drawn, expected : Tensors, shape (P, 10, 10), int64
        On the CPU: angle, digit, digit read. The second tells what turning there and back leaves the reader.
    """
    device = next(net.parameters()).device
    upright, labels = scaled(digits.inputs.to(device)), digits.labels.to(device)
    codes = net.encode(upright)
    counts = []
    for setting in settings.to(device):
        one = setting.expand(len(upright))
        for pictures in (net.decode(codes, turns.code(one)), turns.apply(upright, one)):
            read = read_back(reader, pictures, one).argmax(1)
            counts.append(torch.bincount(DIGITS * labels + read, minlength=DIGITS**2).view(DIGITS, DIGITS))
    drawn, expected = torch.stack(counts).cpu().unflatten(0, (-1, 2)).unbind(1)
    return drawn, expected


def distances(digits: Images, examples: Images) -> np.ndarray:
    """Return how far images of each digit are from the mean image of each other one.

    Parameters
    ----------
    digits, examples : Images
        Stored bytes (N, 1, H, W) and labels: images, and those whose means they are compared with. Every digit needs
        some of both.

    Returns
    -------
    array, shape (10, 10)
        Mean over the images of a digit (first axis) of the squared distance per pixel, with pixels in [-1, 1], from the
        mean example of a digit (second axis).
    """
    images, means = (
        [scaled(some.inputs[some.labels == digit]).flatten(1) for digit in range(DIGITS)] for some in (digits, examples)
    )
    means = torch.stack([part.mean(0) for part in means])
    return torch.stack([torch.cdist(part, means).square().mean(0) / means.shape[1] for part in images]).cpu().numpy()


class Nearest(NamedTuple):
    """What was seen in training beside drawings of N images at one angle.

    Attributes
    ----------
    index : array, shape (N,)
        Of the nearest training image among those that may be seen at this angle.
    label : array, shape (N,)
        Its digit.
    seen, expected : array, shape (N,)
        Mean squared error per pixel between the drawing and that image, turned; and the image that was expected.
    """

    index: np.ndarray
    label: np.ndarray
    seen: np.ndarray
    expected: np.ndarray


@torch.no_grad()
def nearest_seen(
    net: nn.Module, inputs: torch.Tensor, angle: float, examples: Images, turns: Turns, *, batch: int = 2000
) -> Nearest:
    """Find the training image, turned by the same angle, that is nearest to each drawing.

    Images of a held-back digit are candidates only at angles that they are trained at.

    Parameters
    ----------
    net : nn.Module
        An autoencoder that is told turns.
    inputs : Tensor, shape (N, 1, 28, 28)
        Stored bytes of the images that are drawn.
    angle : float
        Degrees.
    examples : Images
        The training set.
    turns : Turns
        How angles are told, and which are trained.
    batch : int
        Training images at a time.
    """
    device = next(net.parameters()).device
    upright = scaled(inputs.to(device))
    told = torch.full((len(upright),), float(angle), device=device)
    drawn = net(upright, turns.code(told))
    expected = (drawn - turns.apply(upright, told)).square().mean((1, 2, 3))
    allowed = torch.ones(len(examples.labels), dtype=torch.bool, device="cpu")
    if not turns.within[0] <= angle <= turns.within[1]:
        allowed = ~torch.isin(examples.labels.cpu(), torch.tensor(turns.held_back, device="cpu"))
    candidates = allowed.nonzero().flatten()
    best = torch.full((len(upright),), torch.inf, device=device)
    index = torch.zeros(len(upright), dtype=torch.int64, device=device)
    for some in candidates.split(batch):
        images = scaled(examples.inputs[some].to(device))
        turned = turns.apply(images, torch.full((len(images),), float(angle), device=device))
        distance, place = torch.cdist(drawn.flatten(1), turned.flatten(1)).square().div(drawn[0].numel()).min(1)
        index = torch.where(distance < best, some.to(device)[place], index)
        best = torch.minimum(distance, best)
    labels = examples.labels.cpu()[index.cpu()]
    return Nearest(index.cpu().numpy(), labels.numpy(), best.cpu().numpy(), expected.cpu().numpy())
