"""Attention on mosaics of points: two small fully connected networks and a weighted average of the points."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from companion.models.attention import WHAT
from companion.models.mlp import MLP


class PlanarAttention(nn.Module):
    """Score every point of a mosaic, average the points by the softmax of their scores, classify the average.

    Parameters
    ----------
    where : sequence of int
        Widths of the focus network, from the coordinates of a point to one score: (2, 4, 8, 1).
    what : sequence of int
        Widths of the classification network, from the coordinates to the classes: (2, 4, 3). Two widths make a
        linear network.
    seed : int
        Seed of the initial weights of both networks, drawn apart.

    Raises
    ------
    ValueError
        If the two networks do not take the same points, or the focus network has not one output.

    Notes
    -----
    Mosaic, section 6; stacked by `training.fit_many`, since it is made of linear layers only.
    """

    def __init__(self, where: Sequence[int], what: Sequence[int], *, seed: int) -> None:
        super().__init__()
        if where[0] != what[0] or where[-1] != 1:
            raise ValueError(
                f"a focus network scores the points that the classification network takes, one score each; "
                f"widths {tuple(where)} and {tuple(what)} do not fit"
            )
        self.where = MLP(where, seed=seed)
        self.what = MLP(what, seed=seed + WHAT)

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        """Map mosaics (N, K, D) to logits (N, classes)."""
        return self.attend(points)[1]

    def attend(self, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the weights of the points (N, K) and the logits (N, classes)."""
        weights = self.where(points.flatten(0, 1)).reshape(points.shape[:2]).softmax(1)
        return weights, self.what((weights[..., None] * points).sum(1))
