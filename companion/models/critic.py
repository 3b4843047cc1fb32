"""The critic of an adversarial autoencoder: a score of codes (source `invariants`)."""

from __future__ import annotations

import torch
from torch import nn

from companion.models.glorot import glorot_start

SLOPE = 0.1  # of the leaky rectifiers


class Critic(nn.Sequential):
    """Map codes (N, code) to scores (N, 1): two dense layers (leaky), one linear output; TensorFlow's initial weights.

    Parameters
    ----------
    seed : int
        Of the initial weights. They are drawn from the same stream as those of an autoencoder with this seed; layers of
        other shapes make them other numbers.
    code : int
        Components of the code.
    dense : int
        Units of both layers; 1024 in the source, which gives 1,061,889 weights.
    """

    def __init__(self, *, seed: int, code: int = 10, dense: int = 1024) -> None:
        with torch.device("cpu"):
            hidden = nn.Linear(code, dense), nn.LeakyReLU(SLOPE), nn.Linear(dense, dense), nn.LeakyReLU(SLOPE)
            super().__init__(*hidden, nn.Linear(dense, 1))
        glorot_start(self, seed=seed)
