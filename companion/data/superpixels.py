"""Digits as graphs: superpixels with their ink and their places."""

from __future__ import annotations

import numpy as np
import torch
from skimage.segmentation import slic

NODES = 75  # at most
ASKED = 70  # of SLIC, which lays 9 by 9 seeds for it and joins what is too small
COMPACTNESS = 0.25  # weight of place against ink


def superpixels(images: torch.Tensor) -> torch.Tensor:
    """Return the nodes of a graph for every image: its superpixels, by SLIC.

    Parameters
    ----------
    images : Tensor, shape (N, 1, H, W)
        Bytes, or shares of full ink.

    Returns
    -------
    Tensor, shape (N, NODES, 4)
        For every node its mean ink, its centre across and down (as shares of width and height), and 1; zeros where an
        image has fewer nodes. On the CPU.

    Raises
    ------
    ValueError
        If the images are not of one channel.
    """
    if images.ndim != 4 or images.shape[1] != 1:
        raise ValueError(f"superpixels are made of images (N, 1, H, W), not of {tuple(images.shape)}")
    shares = (images if images.is_floating_point() else images / 255)[:, 0].cpu().numpy()
    with torch.device("cpu"):
        return torch.from_numpy(np.stack([_nodes(image) for image in shares]).astype(np.float32))


def _nodes(image: np.ndarray) -> np.ndarray:
    """Return the nodes (NODES, 4) of one image (H, W)."""
    # Of a whole image SLIC stretches the ink to [0, 1]; a blank one has none to stretch.
    labels = slic(image, n_segments=ASKED, compactness=COMPACTNESS, channel_axis=None, start_label=0).ravel()
    down, across = ((grid + 0.5).ravel() for grid in np.indices(image.shape))
    features = np.stack([image.ravel(), across / image.shape[1], down / image.shape[0]], 1)  # (pixels, 3)
    size, means = _means(labels, features)
    if len(size) > NODES:  # the smallest join the kept ones that are nearest
        kept = np.sort(np.argsort(-size, kind="stable")[:NODES])
        distance = ((means[:, None, 1:] - means[None, kept, 1:]) ** 2).sum(2)
        size, means = _means(distance.argmin(1)[labels], features)
    return np.pad(np.column_stack([means, np.ones(len(size))]), ((0, NODES - len(size)), (0, 0)))


def _means(labels: np.ndarray, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how many pixels have each label, and the means of their features."""
    _, labels = np.unique(labels, return_inverse=True)
    size = np.bincount(labels)
    return size, np.stack([np.bincount(labels, column) for column in features.T], 1) / size[:, None]
