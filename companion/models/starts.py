"""Initial weights other than a layer's own."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn

from companion.seeds import generator

Net = TypeVar("Net", bound=nn.Module)


@torch.no_grad()
def uniform_start(net: Net, *, seed: int, low: float = -1.0, high: float = 1.0) -> Net:
    """Draw all weights and biases of `net` uniformly between two numbers, in place, and return it.

    The start "from the unit cube" of Choromanska et al. 2015, section 5.2: one scale for all layers, whatever their
    width.

    Parameters
    ----------
    net : nn.Module
        On the CPU.
    seed : int
        Of the "weights" stream.

    Raises
    ------
    ValueError
        If `low` is not less than `high`.
    """
    if not low < high:
        raise ValueError(f"a uniform start needs low < high, not {low:g} and {high:g}")
    draw = generator(seed, "weights")
    for weights in net.parameters():
        weights.uniform_(low, high, generator=draw)
    return net
