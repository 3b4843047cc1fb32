"""Networks that were taught to mistake two classes for one another, and what they make of all ten.

*Finding Generalizations in Multi-Class Image Classifiers* (C. Richoux), section 3.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from companion.data.corruption import swap_halves
from companion.data.images import cifar10
from companion.models.cnn import CifarCNN
from companion.training.many import fit_many
from companion.training.replicas import Replicas, evaluate_many

PAIRS = tuple(itertools.combinations(range(10), 2))
CLEAN = ()  # no pair: a network that saw true labels only
KEPT = ("probability", "answer", "asked")
STEP = np.float32(2**-16)  # numbers are kept to this: far finer than any spread, and thousands of trials stay small


def taught(
    pair: Sequence[int],
    seeds: Sequence[int],
    *,
    images: int,
    epochs: int,
    batch: int = 64,
    arithmetic: str = "fp32",
) -> Replicas:
    """Train `CifarCNN` with half of the labels of two classes swapped, once for each seed.

    No two trials have anything in common: each pair has its own initial weights, data order and swapped images for
    every seed.

    Parameters
    ----------
    pair : two of the ten classes, or `CLEAN`
        Which labels are swapped.
    seeds : sequence of int
        The trials.
    images : int
        How many of the first training images are used.
    epochs, batch, arithmetic
        As `fit` takes them; the optimiser is Adam with Keras's settings.

    Raises
    ------
    ValueError
        If the pair is none of `PAIRS` and not `CLEAN`.
    """
    groups = [*PAIRS, CLEAN]
    if tuple(pair) not in groups:
        raise ValueError(f"a pair is two classes from 0 to 9 in rising order, or () for none, not {tuple(pair)}")
    own = [groups.index(tuple(pair)) + len(groups) * seed for seed in seeds]
    known = cifar10("train")
    labels = known.labels[:images]
    told = [swap_halves(labels, (pair[0], pair[1]), seed=one) if pair else labels for one in own]
    networks, _ = fit_many(
        lambda seed: CifarCNN(seed=seed),
        known.inputs[:images],
        told,
        own,
        epochs=epochs,
        batch=batch,
        optimizer="adam",
        lr=1e-3,
        eps=1e-7,
        arithmetic=arithmetic,
    )
    return networks


def trials(
    pair: Sequence[int], seeds: Sequence[int], *, images: int, scored: int, **settings: Any
) -> list[dict[str, np.ndarray]]:
    """Train as `taught` does, and test on true labels.

    Parameters
    ----------
    pair, seeds, images, **settings
        As `taught` takes them.
    scored : int
        How many of the first test images are used.

    Returns
    -------
    list of dict
        For each seed `probability`, `answer` and `asked` of `training.class_means`: (10, 10) each, rows are true
        classes, rounded to multiples of `STEP`.
    """
    networks, unseen = taught(pair, seeds, images=images, **settings), cifar10("test")
    found = evaluate_many(networks, unseen.inputs[:scored], unseen.labels[:scored])
    return [
        {name: np.round(found[name][k] / STEP).astype(np.float32) * STEP for name in KEPT} for k in range(len(networks))
    ]
