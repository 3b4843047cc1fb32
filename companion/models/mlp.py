"""Fully connected networks."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import torch
from torch import nn

from companion.seeds import initial_weights


class MLP(nn.Sequential):
    """A fully connected network: linear layers with one activation between them and none at the end.

    Parameters
    ----------
    widths : sequence of int
        Units of every layer from input to output, for instance (3, 64, 128, 3).
    seed : int
        Seed of the initial weights (PyTorch's default initialisation).
    activation : callable
        Makes the activation module, ReLU by default.

    Raises
    ------
    ValueError
        If fewer than two widths are given.
    """

    def __init__(self, widths: Sequence[int], *, seed: int, activation: Callable[[], nn.Module] = nn.ReLU) -> None:
        if len(widths) < 2:
            raise ValueError(f"an MLP needs at least an input and an output width, not {tuple(widths)}")
        with initial_weights(seed):
            layers = [nn.Linear(inside, outside) for inside, outside in itertools.pairwise(widths)]
        modules: list[nn.Module] = []
        for layer in layers:
            modules += [layer, activation()]
        super().__init__(*modules[:-1])

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        """Map points (N, widths[0]) to outputs (N, widths[-1])."""
        return super().forward(points.flatten(1))
