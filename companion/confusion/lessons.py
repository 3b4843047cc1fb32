"""Trainings whose labels change on the way, or that are looked at more often than once an epoch.

For the experiments that *Finding Generalizations in Multi-Class Image Classifiers* (C. Richoux), section 5, asks for.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

from companion.seeds import generator
from companion.training.checkpoint import Checkpoint
from companion.training.one import Examples, fit
from companion.training.replicas import Replicas, evaluate_many

FINE = 2**-12  # scores and probabilities are kept to this: far below what two networks differ by


class _Held(Checkpoint):
    """The state of a training kept in memory."""

    def __init__(self) -> None:
        super().__init__(None)
        self.state: dict[str, Any] | None = None

    def load(self) -> dict[str, Any] | None:
        """Return the state, None before the first epoch."""
        return self.state

    def save(self, state: dict[str, Any]) -> None:
        """Keep the state."""
        self.state = state


def train(
    net: nn.Module,
    lessons: Iterable[Examples],
    *,
    seed: int,
    measure: Callable[[nn.Module], Any] | None = None,
    at: Collection[int] | None = None,
    **settings: Any,
) -> list[Any]:
    """Train on one set of examples after another, one pass over each, as a single training.

    Every lesson is an epoch of `fit` that goes on from the checkpoint of the one before: weights, optimiser and random
    streams run on. With the same examples in all lessons this is `fit` itself, bit for bit on the CPU.

    Parameters
    ----------
    net : nn.Module
        Trained in place and left in evaluation mode.
    lessons : iterable of (inputs, targets)
        All of one length; what changes may be the labels, or which part of the data it is.
    seed : int
        As `fit` takes it.
    measure : callable, optional
        Called with the network, in evaluation mode, after lessons.
    at : collection of int, optional
        The lessons (from 1; 0 is before the first) after which it is called; after each if not given.
    **settings
        Of `fit`: lr, optimizer, batch and so on.

    Returns
    -------
    list
        What `measure` returned, in order.
    """
    held, measured = _Held(), []

    def look(count: int) -> None:
        if measure is not None and (count > 0 if at is None else count in at):
            measured.append(measure(net.eval()))

    look(0)
    for count, examples in enumerate(lessons, start=1):
        fit(net, examples, seed=seed, epochs=count, checkpoint=held, **settings)
        look(count)
    return measured


def slices(examples: Examples, pieces: int, *, epochs: int, seed: int) -> Iterator[Examples]:
    """Yield every epoch of a training in equal pieces, which the seed draws anew for each epoch.

    Parameters
    ----------
    examples : (inputs, targets)
        N examples.
    pieces : int
        Of an epoch; divides N.

    Raises
    ------
    ValueError
        If it does not.
    """
    inputs, targets = examples
    if len(inputs) % pieces:
        raise ValueError(f"{len(inputs)} examples cannot be cut into {pieces} equal pieces")
    draw = generator(seed, "points")
    for _ in range(epochs):
        order = torch.randperm(len(inputs), generator=draw, device="cpu").to(inputs.device)
        for chosen in order.split(len(inputs) // pieces):
            yield inputs[chosen], targets[chosen]


def standing(net: nn.Module, examples: Examples) -> dict[str, np.ndarray]:
    """Return how well a network knows each class.

    Parameters
    ----------
    examples : (inputs, labels)
        Images of all classes with their true labels.

    Returns
    -------
    dict of array, shape (classes,)
        `score`: the one-vs-rest log-likelihood S of the paper (section 3) in bits per image, never positive; `own`:
        mean probability of the class for its own images. Multiples of `FINE`.
    """
    found = evaluate_many(Replicas.of([net]), *examples)
    own = np.diagonal(found["probability"][0])
    return {"score": rounded(-found["bits"][0], FINE), "own": rounded(own, FINE)}


def rounded(values: np.ndarray, step: float) -> np.ndarray:
    """Return values as float32 multiples of a power of two, which take little room in a file."""
    return np.round(np.asarray(values) / step).astype(np.float32) * np.float32(step)
