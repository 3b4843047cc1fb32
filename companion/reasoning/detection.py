"""What a trained network makes of images that are no digits, and how well its scores tell them from digits.

The experiment that *Reasonable* asserts (sections IV-A and V-B) and does not show.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch

from companion.data.novelties import NOVELTIES
from companion.models.reasoning import DigitCNN
from companion.reasoning.answers import decided, probabilities
from companion.stats.detection import accepting, auroc
from companion.training.evaluation import outputs

DETECTORS = ("softmax", "energy", "Mahalanobis", "noise label", "pixel mean")
CONFIDENT = 0.9
BINS = 20

Score = Callable[[torch.Tensor], np.ndarray]


def detectors(net: DigitCNN, images: torch.Tensor, labels: torch.Tensor) -> dict[str, Score]:
    """Return the scores that a network offers, each a map from images to numbers, higher for digits.

    Parameters
    ----------
    net : DigitCNN
        A classifier.
    images, labels : Tensor
        Digits that it was trained on; the Mahalanobis distance is fitted to them.

    Returns
    -------
    dict
        Of `DETECTORS`: the largest probability of a digit (Hendrycks and Gimpel 2017), the logarithm of the summed
        exponentials of the digits' logits (Liu et al. 2020), minus the least Mahalanobis distance to a class mean among
        the 256 features (Lee et al. 2018), one minus the probability of the noise label (ReasonNet), and minus the mean
        of the pixels, which asks no network.
    """
    known = net[-1].out_features
    found: dict[str, Score] = {"pixel mean": lambda images: -_shares(images).mean((1, 2, 3)).double().numpy()}
    if known != 2:
        found["softmax"] = lambda images: _numbers(probabilities(outputs(net, images))[:, :10].amax(1))
        found["energy"] = lambda images: _numbers(outputs(net, images)[:, :10].double().logsumexp(1))
        found["Mahalanobis"] = mahalanobis(net, images, labels)
    if known != 10:
        found["noise label"] = lambda images: _numbers(1 - probabilities(outputs(net, images))[:, 10])
    return {name: found[name] for name in DETECTORS if name in found}


def mahalanobis(net: DigitCNN, images: torch.Tensor, labels: torch.Tensor) -> Score:
    """Return minus the least Mahalanobis distance to a class mean in feature space, one covariance for all classes."""
    features = outputs(net.features, images).double()
    labels = labels.to(features.device)
    means = torch.stack([features[labels == label].mean(0) for label in labels.unique()])  # (classes, 256)
    centred = features - means[torch.searchsorted(labels.unique(), labels)]
    covariance = centred.T @ centred / len(centred)
    # Units that are never active have no variance: a hair of it keeps the inverse.
    ridge = 1e-6 * covariance.diagonal().mean() * torch.eye(len(covariance), dtype=torch.double, device=features.device)
    white = torch.linalg.cholesky(torch.linalg.inv(covariance + ridge))  # (256, 256)

    def score(images: torch.Tensor) -> np.ndarray:
        return -_numbers(torch.cdist(outputs(net.features, images).double() @ white, means @ white).amin(1))

    return score


def judged(
    scores: Mapping[str, Score],
    validation: torch.Tensor,
    test: torch.Tensor,
    novel: Mapping[str, torch.Tensor],
    names: Sequence[str] = DETECTORS,
    *,
    right: np.ndarray,
) -> dict[str, np.ndarray]:
    """Return how well scores tell digits from novelties.

    Parameters
    ----------
    scores : mapping
        By name; a name of `names` that is absent gives NaN.
    validation, test : Tensor
        Digits, neither trained on: the threshold accepts 95 % of the first; the second are told from the novelties.
    novel : mapping
        Sets by their names in `NOVELTIES`; absent ones give NaN.
    right : array of bool
        Whether the network reads each test digit rightly.

    Returns
    -------
    dict of array
        `auroc` (names, NOVELTIES), the area under the ROC curve; `fpr` of the same shape, the share of novelties that
        is accepted; `accepted` (names,), the share of test digits that is, and `kept`, the share of these read rightly.
    """
    shape = len(names), len(NOVELTIES)
    found = {"auroc": np.full(shape, np.nan), "fpr": np.full(shape, np.nan), "accepted": np.full(len(names), np.nan)}
    found["kept"] = found["accepted"].copy()
    for row, name in enumerate(names):
        if name not in scores:
            continue
        threshold, inside = accepting(scores[name](validation)), scores[name](test)
        found["accepted"][row] = np.mean(inside >= threshold)
        found["kept"][row] = np.mean(right[inside >= threshold])
        for column, kind in enumerate(NOVELTIES):
            if kind in novel:
                outside = scores[name](novel[kind])
                found["auroc"][row, column] = auroc(inside, outside)
                found["fpr"][row, column] = np.mean(outside >= threshold)
    return found


def told(net: DigitCNN, sets: Mapping[str, torch.Tensor]) -> dict[str, np.ndarray]:
    """Return what a classifier says about sets of images.

    Returns
    -------
    dict of array
        For each set, in the order given: `confident`, the share called a digit with a probability above `CONFIDENT`;
        `top`, the mean of the largest probability of a digit; `noise`, the mean probability of noise; `called`
        (sets, 11), the share that is answered with each label; `spread` (sets, BINS), the share of images by their
        largest probability of a digit, in equal bins from 0 to 1.
    """
    rows = []
    for images in sets.values():
        answers = outputs(net, images)
        p = probabilities(answers).cpu().numpy()
        top = p[:, :10].max(1)
        label = decided(answers).cpu().numpy()
        rows.append(
            {
                "confident": (top > CONFIDENT).mean(),
                "top": top.mean(),
                "noise": p[:, 10].mean(),
                "called": np.bincount(label[label >= 0], minlength=11) / len(label),
                "spread": np.histogram(top, BINS, (0, 1))[0] / len(top),
            }
        )
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


def _shares(images: torch.Tensor) -> torch.Tensor:
    return images if images.is_floating_point() else images / 255


def _numbers(values: torch.Tensor) -> np.ndarray:
    return values.cpu().numpy()
