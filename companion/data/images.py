"""MNIST and CIFAR-10 as tensors of bytes, in the canonical order."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

SPLITS = ("train", "test")
CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

# Sums of the arrays' bytes in C order: uint8 images, labels as little-endian int64. They stand here, in the module that
# units reach, so that every result's key holds the checksum of its data.
SHA256 = {
    "mnist": {
        "train_images": "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
        "train_labels": "e474323ac02fc156161b0bbb1f8c9cfeb327a74bcd9f9680a8385269a24f566c",
        "test_images": "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
        "test_labels": "2fd8de6bdb8d11780b4b96dc57847bcfe6953f7c32aa48bfcd8237c3b7847243",
    },
    "cifar10": {
        "train_images": "9d5c2eddadb0deff02c14c350c0385aab7b1d5ff1edfeb4997c8dc8644960111",
        "train_labels": "f5cfe00b0f00968c0cc5ff3b1d2de51b10e33efa277c2986f4e0fa63e58c9f4f",
        "test_images": "177777c33ba79825320efa646ad04a94bdc3c80e4ebe3bd21724f8cdfd4b9d56",
        "test_labels": "cbb7365de8ed11f05cc4c3a1e7f78144127c5e851efd83762fb18202461230bb",
    },
}


class Images(NamedTuple):
    """Images (N, channels, height, width) as uint8 and their classes (N,) as int64."""

    inputs: torch.Tensor
    labels: torch.Tensor


def mnist(split: str) -> Images:
    """Return MNIST in the canonical order, memory-mapped; it is fetched when it is not here yet.

    Parameters
    ----------
    split : {"train", "test"}
        60,000 or 10,000 images.

    Returns
    -------
    Images
        inputs (N, 1, 28, 28) uint8 and labels (N,) int64. Writing to them changes this process's copy only.

    Raises
    ------
    ValueError
        If the split is not known.
    companion.data.download.DataUnavailable
        If the files are not here and cannot be fetched.
    """
    return _load("mnist", split, (1, 28, 28))


def cifar10(split: str) -> Images:
    """Return CIFAR-10 in the canonical order, memory-mapped; it is fetched when it is not here yet.

    Parameters
    ----------
    split : {"train", "test"}
        50,000 or 10,000 images; the classes are named by `CIFAR10_CLASSES`.

    Returns
    -------
    Images
        inputs (N, 3, 32, 32) uint8 and labels (N,) int64. Writing to them changes this process's copy only.

    Raises
    ------
    ValueError
        If the split is not known.
    companion.data.download.DataUnavailable
        If the files are not here and cannot be fetched.
    """
    return _load("cifar10", split, (3, 32, 32))


def _load(dataset: str, split: str, shape: tuple[int, int, int]) -> Images:
    """Map the verified arrays of one split."""
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}; the splits of {dataset} are {' and '.join(SPLITS)}")
    # Imported here, so that `python -m companion.data.download` does not find itself imported already.
    from companion.data import download

    paths = download.ensure(dataset, SHA256[dataset])
    # Copy-on-write: the tensors are writable, as torch wants them, and the files never change.
    inputs, labels = (
        torch.from_numpy(np.load(paths[f"{split}_{part}"], mmap_mode="c")) for part in ("images", "labels")
    )
    return Images(inputs.view(-1, *shape), labels)
