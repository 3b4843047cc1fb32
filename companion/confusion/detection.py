"""Which classes was a network mistrained on? Kernel PCA of what its layers hold, and the nearest group of networks.

*Finding Generalizations in Multi-Class Image Classifiers* (C. Richoux), section 5, second paragraph.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from companion.confusion.inspection import class_cosines
from companion.models.cnn import CifarCNN

STOPS = {"conv1": 4, "conv2": 7, "conv3": 9, "dense1": 12}  # modules of `layer_by_layer` up to the end of each layer


@torch.no_grad()
def layer_cosines(net: CifarCNN, images: torch.Tensor, labels: torch.Tensor) -> np.ndarray:
    """Return how alike the classes are to each layer, whatever the order of its units.

    Parameters
    ----------
    images, labels : Tensor, shapes (N, 3, 32, 32) and (N,)
        Images of K classes.

    Returns
    -------
    array, shape (len(STOPS), K (K - 1) / 2)
        Cosines between the mean activations of two classes, each less the mean of all, for all pairs of classes.
    """
    modules, rows, start = net.layer_by_layer(), [], 0
    maps = images.to(net.dense2.weight.device)
    for stop in STOPS.values():
        maps = modules[start:stop](maps)
        cosines = class_cosines(maps.flatten(1).cpu(), labels.cpu())
        rows.append(cosines[np.triu_indices(len(cosines), 1)])
        start = stop
    return np.stack(rows)


def matched(filters: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return the order in which filters (M, D) resemble those of a reference (M, D) most, by the sum of products."""
    return linear_sum_assignment(reference @ filters.T, maximize=True)[1]


def kernel_pca(features: np.ndarray, components: int) -> np.ndarray:
    """Return the principal components of rows under a Gaussian kernel (Schoelkopf et al. 1998).

    Parameters
    ----------
    features : array, shape (N, D)
        One row per network. The kernel is as wide as the median distance between two different rows.
    components : int
        At most N.

    Returns
    -------
    array, shape (N, components)
        The component with the largest variance first; the sign of each is arbitrary.
    """
    squares = cdist(features, features, "sqeuclidean")
    apart = squares[squares > 0]
    kernel = np.exp(-squares / (np.median(apart) if len(apart) else 1.0))
    centred = kernel - kernel.mean(0) - kernel.mean(1, keepdims=True) + kernel.mean()
    values, vectors = np.linalg.eigh(centred)
    largest = np.argsort(values)[::-1][:components]
    return vectors[:, largest] * np.sqrt(np.clip(values[largest], 0, None))


def nearest_group(points: np.ndarray, groups: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Return for every point the group whose mean over the points of the other folds is nearest.

    Parameters
    ----------
    points : array, shape (N, D)
        Where each network lies.
    groups, folds : arrays of int, shape (N,)
        What it is, and the part of the data that it is left out with.

    Raises
    ------
    ValueError
        If there is only one fold, so that nothing is left to learn from.
    """
    if len(np.unique(folds)) < 2:
        raise ValueError(f"at least two folds are needed to leave one out, not {len(np.unique(folds))}")
    found = np.empty_like(groups)
    for fold in np.unique(folds):
        out = folds == fold
        known = np.unique(groups[~out])
        means = np.stack([points[~out & (groups == group)].mean(0) for group in known])
        found[out] = known[cdist(points[out], means).argmin(1)]
    return found
