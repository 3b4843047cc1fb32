"""What a network consists of, layer by layer, found by sending one image through it."""

from __future__ import annotations

import math

import pandas as pd
import torch
from torch import nn


def layer_table(net: nn.Sequential, shape: tuple[int, int, int]) -> pd.DataFrame:
    """Return output shape, parameters and cost of every layer, like the `model.summary()` of Keras.

    Parameters
    ----------
    net : nn.Sequential
        One module per layer.
    shape : (channels, height, width)
        Of one input image.

    Returns
    -------
    DataFrame
        One row per module: layer (its class), output (height x width x channels, or the number of units), parameters,
        and multiply_adds (of one image's forward pass; convolutions and dense layers only).

    Raises
    ------
    ValueError
        If the image is too small for the layers.
    """
    parameter = next(net.parameters())
    maps = torch.zeros(1, *shape, dtype=parameter.dtype, device=parameter.device)
    rows = []
    for layer in net:
        try:
            with torch.no_grad():
                maps = layer(maps)
        except RuntimeError as error:
            raise ValueError(f"an image of shape {shape} does not get through {layer}: {error}") from error
        sizes = tuple(maps.shape[1:])
        rows.append(
            {
                "layer": type(layer).__name__,
                "output": "x".join(map(str, (*sizes[1:], sizes[0]))),
                "parameters": sum(weights.numel() for weights in layer.parameters()),
                "multiply_adds": _multiply_adds(layer, sizes),
            }
        )
    return pd.DataFrame(rows)


def _multiply_adds(layer: nn.Module, sizes: tuple[int, ...]) -> int:
    """Every output number is a sum over the weights of its unit."""
    if not isinstance(layer, nn.Conv2d | nn.Linear):
        return 0
    return math.prod(sizes) * layer.weight[0].numel()
