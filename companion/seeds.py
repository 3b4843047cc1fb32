"""Independent random streams derived from one seed, and what else it takes for one seed to give the same bits.

Initial weights, data order, corruption, augmentation and made-up points each draw from a stream of their own, so that
changing how one of them is used leaves the others as they were.
"""

from __future__ import annotations

import hashlib
import operator
import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

# Left to itself, MKL adds up in an order that hangs on where an array lies in memory (seen on AMD processors), and the
# bits of a model would hang on its company. MKL reads this at its first call; the setting costs no time.
os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")

STREAMS = ("weights", "order", "dropout", "corruption", "augmentation", "points", "mosaics")


def stream(seed: int, name: str) -> int:
    """Return the 63-bit seed of the stream `name` that belongs to `seed`.

    Raises
    ------
    ValueError
        If `name` is not one of `STREAMS`.
    TypeError
        If `seed` is no whole number.
    """
    if name not in STREAMS:
        raise ValueError(f"unknown random stream {name!r}; the streams are {', '.join(STREAMS)}")
    digest = hashlib.sha256(f"{operator.index(seed)}/{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(seed: int, name: str, device: str | torch.device = "cpu") -> torch.Generator:
    """Return a torch generator at the start of the stream `name` of `seed`."""
    return torch.Generator(device=device).manual_seed(stream(seed, name))


def numpy_generator(seed: int, name: str) -> np.random.Generator:
    """Return a numpy generator at the start of the stream `name` of `seed`."""
    return np.random.default_rng(stream(seed, name))


@contextmanager
def initial_weights(seed: int) -> Iterator[None]:
    """Draw the weights of the layers built inside from the "weights" stream of `seed`.

    Layers are built on the CPU, so a model starts from the same weights on every device; the global generator is left
    as it was.
    """
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.default_generator.manual_seed(stream(seed, "weights"))  # torch.manual_seed would seed CUDA as well
        yield
