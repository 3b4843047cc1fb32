"""Networks on averages of mosaics whose focus is given, fixed or drawn: the data sets D1 to D9, and tests across them.

D_i gives i/9 of the weight to the foreground: exactly, or in the mean of a Dirichlet distribution. No scores are
learnt; the question is what a given focus is worth to the network that classifies.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from companion.attention.examples import OnAverages
from companion.data.images import Images
from companion.data.mosaics import BACKGROUNDS
from companion.data.patches import PATCHES, MosaicSet, mosaic_set
from companion.seeds import numpy_generator
from companion.training.batch_statistics import batch_statistics
from companion.training.evaluation import accuracy
from companion.training.one import fit

FOREGROUND = (0, 1, 2)  # plane, car, bird
DATASETS = tuple(range(1, PATCHES + 1))
TESTS = ("same mosaics", "new mosaics", "held-out images")
MOSAICS = 20_000
HALF = MOSAICS // 2  # the first half makes D1 to D9, the second D10 and the new mosaics
FIXED = math.inf  # the Dirichlet concentration whose draws are all alike
OWN = 10_000  # times i, added to a seed: mosaics of its own for D_i


def foreground_factor(i: int) -> float:
    """Return a_i = (i/9) (72/(9-i)), by which the foreground's concentration exceeds a background's.

    The mean weight of the foreground is then a_i/(a_i + 8) = i/9.

    Raises
    ------
    ValueError
        If `i` is not 1 to 8: D9 has no background, and no finite factor.
    """
    if not 1 <= i < PATCHES:
        raise ValueError(f"a foreground factor belongs to D1 to D{PATCHES - 1}, not to D{i}")
    return i * BACKGROUNDS / (PATCHES - i)


def focus_weights(position: torch.Tensor, i: int, *, alpha: float = FIXED, seed: int) -> torch.Tensor:
    """Return the weights of the nine patches of every mosaic in D_i.

    Parameters
    ----------
    position : tensor
        (N,) slot of the foreground.
    i : int
        1 to 9.
    alpha : float
        Concentration of each background, the foreground's being a_i times as large. Infinity fixes the weights at their
        mean: i/9 for the foreground, (9-i)/72 for each background.
    seed : int
        Seed of the draws (a stream for each i, the same one at every alpha).

    Returns
    -------
    tensor
        (N, 9) float64 on the CPU; every row sums to one. D9 has all its weight on the foreground.

    Raises
    ------
    ValueError
        If `i` is not 1 to 9 or `alpha` not positive.

    Notes
    -----
    Mosaic, sections 3.2 and 3.3. A gamma variable of shape c is one of shape c + 1 times U^(1/c); in logarithms this is
    safe at shapes of 0.01, where most gamma variables are zero in floating point and their ratio 0/0.
    """
    if i not in DATASETS or not alpha > 0:
        raise ValueError(f"focus is given for D1 to D9 and a concentration above 0, not for D{i} and {alpha}")
    place = position.cpu()[:, None]
    shape = len(place), PATCHES
    if i == PATCHES or math.isinf(alpha):
        background = torch.full(shape, (PATCHES - i) / (PATCHES * BACKGROUNDS), dtype=torch.float64, device="cpu")
        return background.scatter_(1, place, i / PATCHES)
    concentration = np.full(shape, float(alpha))
    np.put_along_axis(concentration, place.numpy(), alpha * foreground_factor(i), axis=1)
    draw = numpy_generator(seed, "points").spawn(PATCHES)[i - 1]
    logs = np.log(draw.standard_gamma(concentration + 1)) - draw.standard_exponential(shape) / concentration
    return torch.from_numpy(logs).softmax(1)


def background_ahead(weights: torch.Tensor, position: torch.Tensor) -> float:
    """Return the share of mosaics in which some background outweighs the foreground."""
    foreground = weights.gather(1, position.cpu()[:, None])
    return (weights > foreground).any(1).double().mean().item()


def three_sets(train: Images, test: Images, *, n: int, tests: int, seed: int, own: int = 0) -> list[MosaicSet]:
    """Return the `n` mosaics to train on, then `tests` new ones of the same images, and `tests` of held-out images.

    Parameters
    ----------
    own : int
        i of the data set that has mosaics of its own ("90k"), or 0 for the ones that all data sets share ("10k").
    """
    if not (0 < n <= HALF and 0 < tests <= HALF):
        raise ValueError(f"{n} mosaics to train on and {tests} to test on are asked for; 1 to {HALF} can be had")
    drawn = mosaic_set(train, FOREGROUND, n=MOSAICS, seed=seed + OWN * own)
    held_out = mosaic_set(test, FOREGROUND, n=tests, seed=seed)
    return [drawn.part(0, n), drawn.part(HALF, HALF + tests), held_out]


def transfer(net: nn.Module, mosaics: MosaicSet, *, alpha: float, seed: int, first: int) -> list[float]:
    """Return the accuracy on D1 to D9 made of the `first` of some mosaics, in batches of 256."""
    rows = torch.arange(min(first, len(mosaics.members)), device="cpu")
    device = next(net.parameters()).device
    results = []
    for j in DATASETS:
        weights = focus_weights(mosaics.position, j, alpha=alpha, seed=seed)
        results.append(accuracy(OnAverages(net, mosaics, weights).to(device), (rows, mosaics.labels[rows]), batch=256))
    return results


def train_and_test(
    net: nn.Module,
    i: int,
    sets: Sequence[MosaicSet],
    *,
    alpha: float,
    laws: Sequence[float],
    tests: int,
    seed: int,
    **recipe: Any,
) -> list[dict[str, Any]]:
    """Train a network on D_i and test it on D1 to D9.

    Parameters
    ----------
    net : nn.Module
        Maps images to logits.
    sets : sequence
        What `three_sets` returns; the first is trained on.
    alpha : float
        Concentration of the weights that are trained on.
    laws : sequence of float
        Concentrations of the weights to test on.
    tests : int
        The most mosaics of a set to test on.
    recipe
        Further arguments of `companion.training.one.fit`.

    Returns
    -------
    list of dict
        For each law: law; loss (epochs,) while training; accuracy (3, 9) by the sets and D_j, with the statistics of
        the batch where there is batch normalisation, as the authors test; evaluated, the same in evaluation mode.
        Accuracy on D_i of the same mosaics is training accuracy: the weights are those trained on.
    """
    training = sets[0]
    inputs = OnAverages(net, training, focus_weights(training.position, i, alpha=alpha, seed=seed))
    history = fit(inputs, (torch.arange(len(training.members), device="cpu"), training.labels), seed=seed, **recipe)
    normed = any(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in net.modules())

    def tested(law: float) -> np.ndarray:
        # A seed for each set: new mosaics have weights of their own.
        seeds = [seed + k * OWN**2 for k in range(len(sets))]
        rows = [transfer(net, m, alpha=law, seed=s, first=tests) for m, s in zip(sets, seeds, strict=True)]
        return np.array(rows)

    found = []
    for law in laws:
        evaluated = accuracies = tested(law)
        if normed:
            with batch_statistics(net):
                accuracies = tested(law)
        loss = history["loss"].to_numpy(np.float32)
        found.append(dict(law=law, loss=loss, accuracy=accuracies, evaluated=evaluated))
    return found


def by_seed(table: pd.DataFrame, column: str) -> np.ndarray:
    """Arrange a column of arrays by seed and data set trained on, (seeds, 9, ...), NaN where nothing was trained.

    Parameters
    ----------
    table : DataFrame
        Columns seed, i and `column`, one row for each network.
    """
    cells = {(row["seed"], row["i"]): row[column] for _, row in table.iterrows()}
    empty = np.full_like(next(iter(cells.values())), np.nan)
    return np.array([[cells.get((s, i), empty) for i in DATASETS] for s in sorted(set(table["seed"]))], dtype=float)


def as_printed(accuracies: np.ndarray, *, own: bool) -> np.ndarray:
    """Turn accuracies (..., 9, 3, 9) by data set, `TESTS` and D_j into matrices (..., 9, 10) as the authors print them.

    With shared mosaics D1 to D9 are the same mosaics and D10 the pure foregrounds of new ones. With mosaics of their
    own all but the diagonal are new mosaics, and there is no D10 (NaN).
    """
    same, new = accuracies[..., 0, :], accuracies[..., 1, :]
    if not own:
        return np.concatenate([same, new[..., -1:]], axis=-1)
    matrix = np.where(np.eye(len(DATASETS), dtype=bool), same, new)
    return np.concatenate([matrix, np.full_like(new[..., -1:], np.nan)], axis=-1)
