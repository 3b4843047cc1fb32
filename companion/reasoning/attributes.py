"""What can be measured about a digit beyond its class, and how much of it a vector knows.

Reasonable, section II-B: "the net-reasoning vector interpretability is a subject to study"; section F7 of the notebook
on future work.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from scipy import ndimage
from skimage.morphology import skeletonize

ATTRIBUTES = ("holes", "slant", "thickness", "ink", "width", "height")
SMALLEST_HOLE = 2  # pixels
PENALTIES = np.geomspace(1e-2, 1e6, 17)


def measured(images: np.ndarray) -> np.ndarray:
    """Return the `ATTRIBUTES` of images of one stroke drawing each, (N, 6).

    Parameters
    ----------
    images : array, shape (N, H, W)
        Bytes. What is above half of full ink counts as drawn.

    Returns
    -------
    array
        holes: pieces of paper of two pixels or more that are enclosed by ink; slant: degrees that the drawing leans to
        the right, from its second moments; thickness of the stroke in pixels, twice the mean distance to paper along
        the skeleton less one; ink: share of full ink in the whole image; width and height in pixels. A blank image has
        zeros.
    """
    return np.array([_measured(image) for image in images])


def _measured(image: np.ndarray) -> tuple[float, ...]:
    drawn = image > 127
    if not drawn.any():
        return (0.0,) * len(ATTRIBUTES)
    pieces, count = ndimage.label(np.pad(~drawn, 1, constant_values=True))  # neighbours by edges
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)
    holes = np.count_nonzero(sizes[1:] >= SMALLEST_HOLE) - 1  # less the paper around
    weights = image / image.sum()
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    y, x = y - (weights * y).sum(), x - (weights * x).sum()
    lean = -(weights * x * y).sum() / max((weights * y * y).sum(), 1e-9)  # y grows downwards
    away = ndimage.distance_transform_edt(np.pad(drawn, 1))[1:-1, 1:-1]
    thickness = 2 * away[skeletonize(drawn)].mean() - 1
    rows, columns = np.flatnonzero(drawn.any(1)), np.flatnonzero(drawn.any(0))
    ink = float(image.mean()) / 255
    return (
        float(holes), float(np.degrees(np.arctan(lean))), float(thickness), ink,
        float(np.ptp(columns) + 1), float(np.ptp(rows) + 1),
    )  # fmt: skip


def ridge(known: np.ndarray, values: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Predict values by ridge regression on features that keep their proportions.

    Parameters
    ----------
    known : array, shape (N, D)
        Features that the regression is fitted on.
    values : array, shape (N, K)
        What is to be predicted.
    asked : array, shape (M, D)
        Features of others.

    Returns
    -------
    array, shape (M, K)
        Of the `PENALTIES`, each column has that with the least squared error of leaving out one example.
    """
    centre, middle = known.mean(0), values.mean(0)
    # One scale for all: to blow up a pixel that was hardly ever inked would make noise of it.
    scale = max(float(known.std(0).max()), 1e-30)
    known, asked = (known - centre) / scale, (asked - centre) / scale
    # Torch's own decomposition: units compute on one thread, which numpy's does not know of.
    left, singular, right = (part.numpy() for part in torch.linalg.svd(torch.from_numpy(known), full_matrices=False))
    projected = left.T @ (values - middle)  # (R, K)
    errors = []
    for penalty in PENALTIES:
        shrunk = singular**2 / (singular**2 + penalty)
        leverage = (left**2 @ shrunk + 1 / len(known))[:, None]
        residual = values - middle - left @ (shrunk[:, None] * projected)
        errors.append(((residual / np.clip(1 - leverage, 1e-9, None)) ** 2).sum(0))
    best = PENALTIES[np.argmin(errors, axis=0)]  # (K,)
    weights = right.T @ (singular[:, None] / (singular[:, None] ** 2 + best) * projected)
    return middle + asked @ weights


def explained(values: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return the share of the variance of values (N, K) that predictions explain, (K,); below 0 if the mean is better.

    NaN where a value does not vary.
    """
    errors, spread = ((values - predicted) ** 2).sum(0), ((values - values.mean(0)) ** 2).sum(0)
    return np.divide(spread - errors, spread, out=np.full(len(spread), np.nan), where=spread > 0)


def within_class(
    known: np.ndarray, known_classes: np.ndarray, asked: np.ndarray, asked_classes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return features (N, D) and (M, D) less the mean of their class among the first: what the class does not tell.

    A class that the first do not have gets the mean of them all.
    """
    means = {label: known[known_classes == label].mean(0) for label in np.unique(known_classes)}
    everything = known.mean(0)
    return tuple(
        part - np.stack([means.get(label, everything) for label in classes])
        for part, classes in ((known, known_classes), (asked, asked_classes))
    )


def probed(sources: Mapping[str, np.ndarray], values: np.ndarray, classes: np.ndarray) -> dict[str, np.ndarray]:
    """Return how much of some attributes each of several vectors knows: fitted on one half, tested on the other.

    Parameters
    ----------
    sources : mapping
        Vectors (N, D) of the same digits, by name.
    values : array, shape (N, K)
        The attributes.
    classes : array, shape (N,)
        The class that the vanilla network names.

    Returns
    -------
    dict of array
        `explained` (sources, K), the share of an attribute's variance; `within` (sources, K), the same after the mean
        of its class is taken from every vector and every attribute; `predicted` (sources, N - N // 2, K), of the
        second half.
    """
    half = len(values) // 2
    outside = values[half:]
    within_known, within_outside = within_class(values[:half], classes[:half], outside, classes[half:])
    found = {"explained": [], "within": [], "predicted": []}
    for vectors in sources.values():
        vectors = vectors.astype(float)
        predicted = ridge(vectors[:half], values[:half], vectors[half:])
        inner = within_class(vectors[:half], classes[:half], vectors[half:], classes[half:])
        found["predicted"].append(predicted)
        found["explained"].append(explained(outside, predicted))
        found["within"].append(explained(within_outside, ridge(inner[0], within_known, inner[1])))
    return {name: np.stack(rows) for name, rows in found.items()}


def spaced(values: np.ndarray, chosen: np.ndarray, *, n: int = 10) -> np.ndarray:
    """Return n places of chosen examples, evenly spaced in the order of their values, the least first."""
    places = np.flatnonzero(chosen)
    order = places[np.argsort(values[places], kind="stable")]
    return order[np.linspace(0, len(order) - 1, n).round().astype(int)]
