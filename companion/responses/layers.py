"""A network as a row of modules, its hidden layers, and the part of the image that a unit of each sees."""

from __future__ import annotations

import copy
from typing import NamedTuple

import torch
from torch import nn

from companion.models.cnn import CifarCNN
from companion.models.lenet import LeNet5


class Hidden(NamedTuple):
    """One hidden layer: `layers[:stop]` compute its units, and `layers[stop - 1]` is their non-linearity.

    A unit at row i, column j of a map sees a square, `field` pixels a side, whose corner is at `stride` times (i, j). A
    dense unit has one place, and sees everything.
    """

    name: str
    stop: int
    units: int
    field: int
    stride: int


def layer_by_layer(net: LeNet5 | CifarCNN) -> nn.Sequential:
    """Return a network as a row of modules, on the same weights: each non-linearity before its pooling.

    Raises
    ------
    ValueError
        If a LeNet-5 has another activation than ReLU, another pooling than max, or a border: responses are looked up
        by place, so that images have to come in their full size.
    """
    if isinstance(net, CifarCNN):
        return net.layer_by_layer()
    if (kind := (net.activation, net.pooling, net.conv1.padding)) != ("relu", "max", (0, 0)):
        raise ValueError(f"the network has activation, pooling and border {kind}; needed are 'relu', 'max', (0, 0)")
    return nn.Sequential(
        net.pixels,
        *(net.conv1, nn.ReLU(), nn.MaxPool2d(2)),
        *(net.conv2, nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        *(net.dense1, nn.ReLU(), net.dense2, nn.ReLU(), net.dense3),
    )


def linear(layers: nn.Sequential) -> nn.Sequential:
    """Return a copy whose outputs are a linear map of the pixels: no ReLU, and averages in place of maxima."""
    changed = []
    for layer in copy.deepcopy(layers):
        if isinstance(layer, nn.MaxPool2d):
            layer = nn.AvgPool2d(layer.kernel_size)
        changed.append(nn.Identity() if isinstance(layer, nn.ReLU) else layer)
    return nn.Sequential(*changed)


def hidden_layers(layers: nn.Sequential, side: int) -> list[Hidden]:
    """Return the hidden layers of a network for images of side x side pixels, first to last.

    Raises
    ------
    ValueError
        If a convolution has zeros around its maps.
    """
    found, counted = [], {"conv": 0, "dense": 0}
    field, stride, kind, units = 1, 1, "conv", 0
    for index, layer in enumerate(layers):
        if isinstance(layer, nn.Conv2d):
            if layer.padding != (0, 0):
                raise ValueError(f"{layer} has a border; fields are followed through convolutions without one")
            field, stride = field + (layer.kernel_size[0] - 1) * stride, stride * layer.stride[0]
            units = layer.out_channels
        elif isinstance(layer, nn.MaxPool2d | nn.AvgPool2d):
            size = _side(layer.kernel_size)
            field, stride = field + (size - 1) * stride, stride * size
        elif isinstance(layer, nn.Flatten):
            field, stride, kind = side, 0, "dense"
        elif isinstance(layer, nn.Linear):
            units = layer.out_features
        elif isinstance(layer, nn.ReLU | nn.Identity):
            counted[kind] += 1
            found.append(Hidden(f"{kind}{counted[kind]}", index + 1, units, field, stride))
    return found


def device_of(layers: nn.Module) -> torch.device:
    """Return where the weights are."""
    return next(layers.parameters()).device


def _side(size: int | tuple[int, int]) -> int:
    return size if isinstance(size, int) else size[0]
