"""What is inside a trained `CifarCNN`: where it looks, and what its features know.

For the interpretations in *Finding Generalizations in Multi-Class Image Classifiers* (C. Richoux), section 4.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from companion.models.cnn import CifarCNN
from companion.stats.detection import auroc

HIDDEN = 12  # modules of `layer_by_layer` up to the hidden units


@torch.no_grad()
def occlusion(net: CifarCNN, images: torch.Tensor, label: int, *, side: int = 7, step: int = 3) -> np.ndarray:
    """Return how much of the probability of a class is lost where a patch of an image is covered (Zeiler 2014).

    Parameters
    ----------
    images : Tensor, shape (N, 3, 32, 32)
        Stored bytes.
    label : int
        The class.
    side, step : int
        Of the square patch, and from one patch to the next, in pixels; a patch has the mean colour of its image.

    Returns
    -------
    array, shape (N, 32, 32)
        For every pixel the mean loss over the patches that cover it.
    """
    images = images.to(net.dense2.weight.device)
    whole = net(images).double().softmax(1)[:, label]
    colour = images.double().mean((2, 3), keepdim=True).to(images.dtype)  # (N, 3, 1, 1)
    total = torch.zeros(len(images), 32, 32, dtype=torch.double, device=images.device)
    covered = torch.zeros_like(total[0])
    places = [*range(0, 32 - side, step), 32 - side]
    for top in places:
        for left in places:
            window = slice(top, top + side), slice(left, left + side)
            hidden = images.clone()
            hidden[:, :, *window] = colour
            lost = whole - net(hidden).double().softmax(1)[:, label]
            total[:, *window] += lost[:, None, None]
            covered[window] += 1
    return (total / covered).cpu().numpy()


def share_inside(maps: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Return which share of the positive part of a map lies in its box: (N, H, W) and (left, top, right, bottom)."""
    positive = np.clip(maps, 0, None)
    own = [part[top:bottom, left:right].sum() for part, (left, top, right, bottom) in zip(positive, boxes, strict=True)]
    total = positive.sum((1, 2))
    return np.divide(own, total, out=np.full(len(maps), np.nan), where=total > 0)


@torch.no_grad()
def hidden_units(net: CifarCNN, images: torch.Tensor, *, batch: int = 1000) -> torch.Tensor:
    """Return the 64 hidden units (N, 64) after ReLU, on the CPU."""
    layers = net.layer_by_layer()[:HIDDEN]
    return torch.cat([layers(part.to(net.dense2.weight.device)).cpu() for part in images.split(batch)])


def class_cosines(features: torch.Tensor, labels: torch.Tensor) -> np.ndarray:
    """Return the cosines (K, K) between the mean features of classes, each less the mean of all classes."""
    means = torch.stack([features[labels == label].double().mean(0) for label in labels.unique()])
    unit = F.normalize(means - means.mean(0), dim=1)
    return (unit @ unit.T).numpy()


def probes(
    known: tuple[torch.Tensor, torch.Tensor], unseen: tuple[torch.Tensor, torch.Tensor], *, ridge: float = 1e-2
) -> np.ndarray:
    """Return how well linear probes on features tell each class from all others.

    Parameters
    ----------
    known, unseen : (features, labels)
        Tensors (N, D) and (N,): what the probes are fitted on and tested on.
    ridge : float
        Penalty of the least-squares fit, in units of a standardised feature's variance.

    Returns
    -------
    array, shape (K,)
        Area under the ROC curve of each class; a half says that the features know nothing of it.
    """
    features, labels = known[0].double(), known[1]
    centre, scale = features.mean(0), features.std(0).clamp_min(1e-9)
    design = (features - centre) / scale
    targets = F.one_hot(labels).double()
    square = design.T @ design / len(design) + ridge * torch.eye(
        design.shape[1], dtype=torch.double, device=design.device
    )
    weights = torch.linalg.solve(square, design.T @ (targets - targets.mean(0)) / len(design))
    scores = ((unseen[0].double() - centre) / scale @ weights).numpy()
    own = [(unseen[1] == label).numpy() for label in range(scores.shape[1])]
    return np.array([auroc(column[inside], column[~inside]) for column, inside in zip(scores.T, own, strict=True)])
