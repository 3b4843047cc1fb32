"""A vanilla network and the network that predicts its net-reasoning: what they know, and equation 6 as a score.

Reasonable, sections II-B and IV-B; sections 4 and 5 of the notebooks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from scipy.spatial.distance import cdist
from torch.nn import functional as F

from companion.data.images import Images
from companion.data.novelties import NOVELTIES
from companion.models.reasoning import DigitCNN
from companion.stats.detection import accepting, auroc
from companion.training.evaluation import outputs, predictions

LAMBDAS = (0.0, 0.01, 0.1, 1.0, 10.0, 100.0, 1_000.0, 10_000.0)

Code = Callable[[Images], torch.Tensor]


def understood(vanilla: DigitCNN, reason: DigitCNN, held: Images, labels: torch.Tensor) -> dict[str, float]:
    """Return how much of the net-reasoning of held-out digits is predicted.

    Parameters
    ----------
    held : Images
        Held-out digits and their net-reasoning vectors (N, 256).
    labels : Tensor, shape (N,)
        Their classes.

    Returns
    -------
    dict
        `mse`, mean over digits and components; `variance` of the vectors about their mean, the error of a network that
        knows nothing; `explained`, one minus their ratio; `agrees`, the share of digits whose vector is nearest to the
        row of the class that the vanilla network predicts; `nearest`, the share nearest to the row of the true class;
        `accuracy` of the vanilla network.
    """
    said = outputs(reason, held.inputs).double().cpu()
    wanted = held.labels.double().cpu()
    mse, variance = F.mse_loss(said, wanted), ((wanted - wanted.mean(0)) ** 2).mean()
    predicted = predictions(vanilla, held.inputs).cpu()
    nearest = torch.cdist(said, vanilla[-1].weight.detach().double().cpu()).argmin(1)
    return {
        "mse": mse.item(),
        "variance": variance.item(),
        "explained": (1 - mse / variance).item(),
        "agrees": (nearest == predicted).double().mean().item(),
        "nearest": (nearest == labels).double().mean().item(),
        "accuracy": (predicted == labels).double().mean().item(),
    }


def parts(vanilla: DigitCNN, reason: DigitCNN, code: Code, images: torch.Tensor) -> np.ndarray:
    """Return the two parts of equation 6 for every image, shape (2, N), with the predicted class in place of the label.

    Cross-entropy in nats, and the squared distance (summed over the 256 components) of the predicted vector from the
    stored one.
    """
    answers = outputs(vanilla, images).double()
    wanted = code(Images(images, answers.argmax(1))).to(answers)
    distance = ((outputs(reason, images).double() - wanted) ** 2).sum(1)
    return torch.stack([-answers.log_softmax(1).amax(1), distance]).cpu().numpy()


def score(both: np.ndarray, lam: float) -> np.ndarray:
    """Return equation 6, cross-entropy plus lambda times the squared distance, of parts (2, ...)."""
    return both[0] + lam * both[1]


def swept(
    measure: Callable[[torch.Tensor], np.ndarray],
    validation: torch.Tensor,
    test: torch.Tensor,
    novel: Mapping[str, torch.Tensor],
    lambdas: Sequence[float] = LAMBDAS,
) -> dict[str, np.ndarray]:
    """Return what equation 6 is worth as a score, for every lambda.

    Parameters
    ----------
    measure : callable
        From images to the two parts (2, N): `parts` with its networks bound.
    validation, test : Tensor
        Digits, neither trained on: the threshold accepts 95 % of the first.
    novel : mapping
        Sets by their names in `NOVELTIES`; absent ones give NaN.

    Returns
    -------
    dict of array
        `auroc` and `fpr` (lambdas, NOVELTIES): area under the ROC curve, and share of novelties accepted. `threshold`
        and `penalty` (lambdas,): the 95th percentile over the first digits, and the mean over the others. `medians`
        (1 + NOVELTIES, 2): of the two parts, for digits and every set.
    """
    known, inside = measure(validation), measure(test)
    outside = {name: measure(images) for name, images in novel.items()}
    shape = len(lambdas), len(NOVELTIES)
    found = {"auroc": np.full(shape, np.nan), "fpr": np.full(shape, np.nan)}
    thresholds = np.array([-accepting(-score(known, lam)) for lam in lambdas])
    for row, lam in enumerate(lambdas):
        for name, both in outside.items():
            column = NOVELTIES.index(name)
            found["auroc"][row, column] = auroc(-score(inside, lam), -score(both, lam))
            found["fpr"][row, column] = np.mean(score(both, lam) <= thresholds[row])
    missing = np.full(2, np.nan)
    medians = [np.median(inside, 1), *(np.median(outside[one], 1) if one in outside else missing for one in NOVELTIES)]
    return found | {
        "threshold": thresholds,
        "penalty": np.array([score(inside, lam).mean() for lam in lambdas]),
        "medians": np.stack(medians),
    }


def neighbours(vectors: np.ndarray, queries: Sequence[int], *, k: int = 5) -> np.ndarray:
    """Return the places (queries, k) of the nearest others of some vectors (N, D)."""
    distance = cdist(vectors[list(queries)], vectors)
    distance[np.arange(len(queries)), list(queries)] = np.inf
    return np.argsort(distance, axis=1, kind="stable")[:, :k]


def purity(vectors: np.ndarray, labels: np.ndarray, *, k: int = 5) -> float:
    """Return the share of the k nearest others of every vector (N, D) that have its own label."""
    distance = cdist(vectors, vectors)
    np.fill_diagonal(distance, np.inf)
    nearest = np.argpartition(distance, k, axis=1)[:, :k]
    return float((labels[nearest] == labels[:, None]).mean())


def between(vectors: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of the variance of vectors (N, D) that lies between classes rather than within them."""
    centre = vectors.mean(0)
    means = {label: vectors[labels == label].mean(0) for label in np.unique(labels)}
    spread = sum((labels == label).sum() * ((mean - centre) ** 2).sum() for label, mean in means.items())
    return float(spread / ((vectors - centre) ** 2).sum())
