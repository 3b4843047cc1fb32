"""Labels replaced at random, for a share of all examples or for whole classes; the images stay what they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from companion.seeds import generator

AUTHORS_SEED = 1234  # the one seed in the authors' code; they mask training and test labels with it alike


class Noisy(NamedTuple):
    """A training set with noise in its labels, as rows of the set it is made of.

    Attributes
    ----------
    rows : tensor
        (N,) int64, which example; one may occur more than once where examples are drawn with replacement.
    labels : tensor
        (N,) int64, the label to train on.
    noisy : tensor
        (N,) bool, whether the label was drawn at random (it may be the true one by chance).
    """

    rows: torch.Tensor
    labels: torch.Tensor
    noisy: torch.Tensor


def mask_labels(labels: torch.Tensor, share: float, *, classes: int = 10, seed: int = AUTHORS_SEED) -> Noisy:
    """Replace every label with probability `share` by one of all `classes`, each as likely, the true one included.

    Parameters
    ----------
    labels : tensor
        (N,) true classes; not changed.
    share : float
        Probability that a label is replaced.
    classes : int
        Number of classes.
    seed : int
        Seed of numpy's classic generator, which the authors use: theirs gives their masks.

    Raises
    ------
    ValueError
        If `share` is outside [0, 1].

    Notes
    -----
    Mosaic, section 4 (and the authors' utils/corrupt_data.py).
    """
    _check_share(share)
    draw = np.random.RandomState(seed)
    noisy = torch.from_numpy(draw.rand(len(labels)) <= share)
    replaced = labels.cpu().clone()
    replaced[noisy] = torch.from_numpy(draw.randint(classes, size=int(noisy.sum())))
    return Noisy(torch.arange(len(labels), device="cpu"), replaced, noisy)


def mix_noise(labels: torch.Tensor, true_n: int, noisy_n: int, *, classes: int = 10, seed: int) -> Noisy:
    """Take exactly `true_n` examples with true labels and `noisy_n` others with random ones, in mixed order.

    Parameters
    ----------
    labels : tensor
        (N,) true classes.
    true_n, noisy_n : int
        How many of each.
    classes : int
        Number of classes that random labels are drawn from.
    seed : int
        Seed of the "corruption" stream. With the same seed, more noise is added to the same true examples.

    Raises
    ------
    ValueError
        If there are not as many examples.

    Notes
    -----
    Mosaic, section 4.2, which holds the number of true examples fixed.
    """
    if true_n < 0 or noisy_n < 0 or true_n + noisy_n > len(labels):
        raise ValueError(f"{true_n} true and {noisy_n} noisy examples were asked for, out of {len(labels)}")
    draw = generator(seed, "corruption")
    rows = torch.randperm(len(labels), generator=draw, device="cpu")[: true_n + noisy_n]
    noisy = torch.arange(len(rows), device="cpu") >= true_n
    replaced = torch.randint(classes, (len(labels),), generator=draw, device="cpu")[: len(rows)]
    chosen = torch.where(noisy, replaced, labels.cpu()[rows])
    order = torch.randperm(len(rows), generator=draw, device="cpu")
    return Noisy(rows[order], chosen[order], noisy[order])


def confound(
    labels: torch.Tensor, kept: Sequence[int], true_n: int, *, replace: bool, seed: int, noisy_n: int | None = None
) -> Noisy:
    """Take `true_n` examples of the classes that are kept, and those of all other classes with a random kept label.

    Parameters
    ----------
    labels : tensor
        (N,) true classes.
    kept : sequence of int
        Classes whose labels stay; label k is the k-th of them.
    true_n : int
        Number of true examples.
    replace : bool
        Draw them with replacement, as the authors' code does (about 63 % of as many are distinct), or without.
    seed : int
        Seed of the "corruption" stream. The noise does not hang on `true_n` and `replace`.
    noisy_n : int, optional
        Take only so many of the other examples, the first in a random order; all if not given, none with 0.

    Raises
    ------
    ValueError
        If there are not as many examples to take.

    Notes
    -----
    Mosaic, section 5: z = y for the kept classes, z uniform among them for all others.
    """
    labels, order = labels.cpu(), list(kept)
    is_kept = torch.isin(labels, torch.as_tensor(order, device="cpu"))
    true, others = is_kept.nonzero()[:, 0], (~is_kept).nonzero()[:, 0]
    noisy_n = len(others) if noisy_n is None else noisy_n
    if not true_n >= 0 or not 0 <= noisy_n <= len(others) or len(true) == 0 or (true_n > len(true) and not replace):
        raise ValueError(
            f"{true_n} true and {noisy_n} noisy examples were asked for, out of {len(true)} of the classes "
            f"{order} and {len(others)} others"
        )
    draw = generator(seed, "corruption")
    others = others[torch.randperm(len(others), generator=draw, device="cpu")]
    replaced = torch.randint(len(order), (len(others),), generator=draw, device="cpu")
    if replace:
        true = true[torch.randint(len(true), (true_n,), generator=draw, device="cpu")]
    else:
        true = true[torch.randperm(len(true), generator=draw, device="cpu")[:true_n]]
    place = torch.full((int(labels.max()) + 1,), -1, device="cpu")
    place[order] = torch.arange(len(order), device="cpu")
    rows = torch.cat([true, others[:noisy_n]])
    return Noisy(
        rows, torch.cat([place[labels[true]], replaced[:noisy_n]]), torch.arange(len(rows), device="cpu") >= true_n
    )


def _check_share(share: float) -> None:
    if not 0 <= share <= 1:
        raise ValueError(f"share is a probability, between 0 and 1, not {share}")
