"""The graph network of `reasonable`: digits as superpixels (`companion.data.superpixels`)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from companion.models.reasoning import REASONS, head
from companion.seeds import initial_weights

NEIGHBOURS = 8
WIDTH = 0.15  # of the Gaussian, in shares of the image's side: somewhat more than from one superpixel to the next


class Graph(NamedTuple):
    """What travels through the layers: features (N, V, F), adjacency (N, V, V) and presence (N, V, 1) of the nodes."""

    features: torch.Tensor
    adjacency: torch.Tensor
    present: torch.Tensor


def adjacency(nodes: torch.Tensor, *, neighbours: int = NEIGHBOURS, width: float = WIDTH) -> torch.Tensor:
    """Return the row-normalised adjacency of graphs.

    Parameters
    ----------
    nodes : Tensor, shape (N, V, 4)
        As `superpixels` gives them: the second and third number are the place, the last is 0 where no node is.
    neighbours : int
        Each node is joined to so many of the nearest others (all that are as near as the last of them).
    width : float
        An edge weighs exp(-(distance / width)^2).

    Returns
    -------
    Tensor, shape (N, V, V)
        Rows sum to 1, or to 0 where no node is.

    Raises
    ------
    ValueError
        If there are not more nodes than neighbours.
    """
    if not 0 < neighbours < nodes.shape[1]:
        raise ValueError(
            f"a graph of {nodes.shape[1]} nodes has 1 to {nodes.shape[1] - 1} neighbours, not {neighbours}"
        )
    place, present = nodes[..., 1:3], nodes[..., 3:] > 0
    squared = sum((axis[..., None] - axis[:, None]).square() for axis in place.unbind(2))  # (N, V, V)
    itself = torch.eye(nodes.shape[1], dtype=torch.bool, device=nodes.device)
    squared = squared.masked_fill(itself | ~present.mT | ~present, torch.inf)
    # A threshold, not a choice of indices: ties are all kept, so the order of the nodes does not matter.
    last = squared.topk(neighbours, largest=False).values[..., -1:]
    weights = torch.where(squared <= last, (-squared / width**2).exp(), 0)
    return weights / weights.sum(2, keepdim=True).clamp(min=torch.finfo(weights.dtype).tiny)


class Edges(nn.Module):
    """Join the nodes (N, V, 4) of graphs to their neighbours, see `adjacency`."""

    def forward(self, nodes: torch.Tensor) -> Graph:
        """Return graphs whose features are ink and place, the place counted from the middle."""
        present = nodes[..., 3:]
        features = torch.cat([nodes[..., :1], 2 * nodes[..., 1:3] - 1], 2) * present
        return Graph(features, adjacency(nodes), present)


class GraphConv(nn.Module):
    """Map every node's features and the weighted mean of its neighbours', normalised over the features, then ReLU.

    Parameters
    ----------
    inputs, outputs : int
        Features of a node before and after.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.own = nn.Linear(inputs, outputs)
        self.around = nn.Linear(inputs, outputs, bias=False)
        self.norm = nn.LayerNorm(outputs)  # of a node alone: a batch, with its absent nodes, has no say

    def forward(self, graph: Graph) -> Graph:
        """Return the graphs with new features; absent nodes keep zeros."""
        features, joined, present = graph
        features = F.relu(self.norm(self.own(features) + self.around(joined @ features))) * present
        return Graph(features, joined, present)


class Gather(nn.Module):
    """Turn graphs into vectors: mean and largest value of every feature over the nodes."""

    def forward(self, graph: Graph) -> torch.Tensor:
        """Map graphs with F features to (N, 2 F)."""
        mean = graph.features.sum(1) / graph.present.sum(1)
        return torch.cat([mean, graph.features.amax(1)], 1)  # features are never negative: absent nodes do not count


class GraphCNN(nn.Sequential):
    """Three graph convolutions with 32, 32 and 128 features, mean and maximum over the nodes, and a head on those 256.

    Parameters
    ----------
    seed : int
        Seed of the initial weights (PyTorch's default initialisation).
    outputs, hidden : int
        See `companion.models.reasoning.head`.

    Raises
    ------
    ValueError
        If there is no output, or a negative number of hidden units.

    Notes
    -----
    Reasonable, section V-A names graph networks and no more. The net maps nodes (N, V, 4), see `superpixels`, to
    (N, outputs), whatever the order of the nodes. It is built as `DigitCNN` is, the last layer linear on 256 numbers.
    """

    def __init__(self, *, seed: int, outputs: int = 10, hidden: int = 0) -> None:
        with initial_weights(seed):
            layers = GraphConv(3, 32), GraphConv(32, 32), GraphConv(32, REASONS // 2)
            top = head(outputs, hidden)
        super().__init__(Edges(), *layers, Gather(), *top)

    @property
    def features(self) -> nn.Sequential:
        """All layers up to the 256 numbers: (N, V, 4) to (N, 256)."""
        return nn.Sequential(*list(self)[:5])
