"""Which augmented digits can still be read, and which scores would know: filters of augmentations.

Reasonable, section V-A: "Proposed methodology helps in obtaining only meaningful augmentations."
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import torch
from torch import nn

from companion.data.images import Images
from companion.models.reasoning import Ink
from companion.reasoning.answers import NOISE, probabilities
from companion.reasoning.augmentations import at_random, augmented, mixed
from companion.reasoning.experiment import KINDS, Digits, classifier, reason_of, reasons
from companion.reasoning.pairs import parts, score
from companion.seeds import generator, initial_weights
from companion.stats.detection import accepting, auroc
from companion.training.evaluation import outputs, predictions
from companion.training.one import fit

LAMBDA = 10.0
FILTERS = ("equation 6", "noise label", "softmax")
ARMS = ("none", "all", *FILTERS, "chance", "judge")
JUDGE_SEED = 10_000  # added to the unit's: the judge shares no weights and no data order with what it judges
GRID = np.linspace(0, 1, 21)  # of false-positive rates, for ROC curves

Score = Callable[[torch.Tensor], np.ndarray]


def filters(given: Digits, *, seed: int, lr: float, epochs: int) -> dict[str, Score]:
    """Train a vanilla network, its Reasonable network and ReasonNet on digits, and return their scores.

    Returns
    -------
    dict
        Of `FILTERS`, each a map from images to numbers, higher for what is accepted: minus equation 6 with lambda = 10
        and the predicted class; one minus ReasonNet's probability of noise; the vanilla network's largest probability.
    """
    settings = dict(seed=seed, lr=lr, epochs=epochs)
    vanilla, _ = classifier(KINDS["vanilla"], given, **settings)
    reason, _, _ = reasons(vanilla, given, **settings)
    reasonnet, _ = classifier(KINDS["ReasonNet"], given, **settings)
    code = reason_of(vanilla, "weights", seed=seed)
    return {
        "equation 6": lambda images: -score(parts(vanilla, reason, code, images), LAMBDA),
        "noise label": lambda images: 1 - probabilities(outputs(reasonnet, images))[:, NOISE].cpu().numpy(),
        "softmax": lambda images: probabilities(outputs(vanilla, images)).amax(1).cpu().numpy(),
    }


def judge(given: Digits, kind: str | None, *, seed: int, width: int, lr: float, epochs: int) -> nn.Sequential:
    """Train a stronger network that has seen an augmentation at every strength (every one, if None): it can read it.

    One half of every batch is augmented, the other left as it is.

    Parameters
    ----------
    width : int
        Filters of its first convolution; the two others have twice as many. `DigitCNN` has 6 and 16 in two.
    """
    with initial_weights(seed + JUDGE_SEED):
        net = nn.Sequential(
            Ink(),
            *(nn.Conv2d(1, width, 3, padding=1), nn.MaxPool2d(2), nn.ReLU()),  # 14x14
            *(nn.Conv2d(width, 2 * width, 3, padding=1), nn.MaxPool2d(2), nn.ReLU()),  # 7x7
            *(nn.Conv2d(2 * width, 2 * width, 3), nn.ReLU(), nn.Flatten()),  # 5x5
            *(nn.Linear(50 * width, 128), nn.ReLU(), nn.Linear(128, 10)),
        )
    augment = partial(_half, mixed if kind is None else partial(at_random, kind=kind))
    fit(
        net, given.train, seed=seed + JUDGE_SEED, lr=lr, epochs=epochs, optimizer="adam", batch=64, augment=augment
    )  # fmt: skip
    return net


def sieved(
    scores: Mapping[str, Score], judge: nn.Module, given: Digits, kind: str, strengths: Sequence[float], *, seed: int
) -> dict[str, np.ndarray]:
    """Return how well scores tell augmented test digits that can still be read from those that cannot.

    Parameters
    ----------
    scores : mapping
        Named as `FILTERS`.
    judge : nn.Module
        An augmented digit counts as readable if this network still gives its label.
    given : Digits
        Each score's threshold accepts 95 % of the plain validation digits; the test digits are augmented.
    kind : str
        The augmentation.
    strengths : sequence of float
        All test digits are augmented at each.

    Returns
    -------
    dict of array
        `readable` (strengths,), the share that is; `accepted` (FILTERS, strengths), the share accepted; `auroc`
        (FILTERS + 1,) of each score over all strengths, last of the strength itself; `within` (FILTERS,), the mean of
        the areas at each one strength, for the strengths where at least a tenth can and a tenth cannot be read; `roc`
        (FILTERS + 1, GRID), the share of readable digits kept, by share of unreadable ones kept; `kept` and `pure`
        (FILTERS,), the share of readable digits that is accepted, and the share of accepted digits that is readable.
        NaN where it is not defined.
    """
    with torch.device("cpu"):
        draw = generator(seed, "augmentation")
        images = [augmented(given.test.inputs, kind, strength, draw) for strength in strengths]
    readable = np.stack([(predictions(judge, one).cpu() == given.test.labels).numpy() for one in images])
    values = np.stack([np.stack([scores[name](one) for one in images]) for name in FILTERS])  # (filters, strengths, N)
    thresholds = [accepting(scores[name](given.validation.inputs)) for name in FILTERS]
    accepted = values >= np.array(thresholds)[:, None, None]
    strength = np.broadcast_to(-np.asarray(strengths, float)[None, :, None], (1, *readable.shape))
    ranked = np.concatenate([values, strength])
    told = [
        [_auroc(part, can) for part, can in zip(one, readable, strict=True) if 0.1 <= can.mean() <= 0.9]
        for one in values
    ]
    return {
        "readable": readable.mean(1),
        "accepted": accepted.mean(2),
        "auroc": np.array([_auroc(one, readable) for one in ranked]),
        "within": np.array([np.mean(part) if part else np.nan for part in told]),
        "roc": np.stack([_roc(one, readable) for one in ranked]),
        "kept": np.array([_share(one[readable]) for one in accepted]),
        "pure": np.array([_share(readable[one]) for one in accepted]),
    }


def chosen(
    scores: Mapping[str, Score], judge: nn.Module, given: Digits, extra: torch.Tensor, *, seed: int
) -> dict[str, torch.Tensor]:
    """Return which augmented training digits each way of choosing keeps.

    Parameters
    ----------
    scores, judge, given
        As in `sieved`.
    extra : Tensor, shape (N, 1, 28, 28)
        The training digits, augmented.

    Returns
    -------
    dict
        Of `ARMS`, flags (N,): none of them; all; those that a score accepts; as many as equation 6 accepts, by chance;
        those that the judge still reads.
    """
    with torch.device("cpu"):
        kept = {"none": torch.zeros(len(extra), dtype=torch.bool), "all": torch.ones(len(extra), dtype=torch.bool)}
        for name in FILTERS:
            threshold = accepting(scores[name](given.validation.inputs))
            kept[name] = torch.from_numpy(scores[name](extra) >= threshold)
        order = torch.randperm(len(extra), generator=generator(seed, "corruption"))
        kept["chance"] = kept["equation 6"][order]
        kept["judge"] = predictions(judge, extra).cpu() == given.train.labels
        return {name: kept[name] for name in ARMS}


def with_kept(train: Images, extra: torch.Tensor, kept: torch.Tensor) -> Images:
    """Return training digits twice, the second time augmented where that is kept: as many, whatever is kept."""
    plain = train.inputs / 255
    second = torch.where(kept[:, None, None, None], extra, plain)
    return Images(torch.cat([plain, second]), torch.cat([train.labels, train.labels]))


def _half(augment: Callable[..., torch.Tensor], images: torch.Tensor, draw: torch.Generator) -> torch.Tensor:
    """Augment the first half of a batch of bytes."""
    first, rest = (images / 255).tensor_split(2)
    return torch.cat([augment(first, draw=draw), rest])


def _auroc(score: np.ndarray, readable: np.ndarray) -> float:
    inside, outside = score[readable], score[~readable]
    return auroc(inside, outside) if inside.size and outside.size else np.nan


def _roc(score: np.ndarray, readable: np.ndarray) -> np.ndarray:
    """Return the true-positive rates at `GRID`, on straight lines between the thresholds (ties make slopes)."""
    if readable.all() or not readable.any():
        return np.full(GRID.shape, np.nan)
    levels, where = np.unique(-score, return_inverse=True)
    rates = [
        np.concatenate([[0], np.bincount(where.ravel()[part.ravel()], minlength=len(levels)).cumsum() / part.sum()])
        for part in (~readable, readable)
    ]
    last = np.flatnonzero(np.append(np.diff(rates[0]) > 0, True))  # of equal false-positive rates the highest point
    return np.interp(GRID, rates[0][last], rates[1][last])


def _share(flags: np.ndarray) -> float:
    return float(flags.mean()) if flags.size else np.nan
