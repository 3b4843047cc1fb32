"""The initial weights that TensorFlow's layers and Keras give: Glorot uniform, zero biases."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn

from companion.seeds import generator

Net = TypeVar("Net", bound=nn.Module)


@torch.no_grad()
def glorot_start(net: Net, *, seed: int) -> Net:
    """Draw the weights of all dense layers and (transposed) convolutions of `net`, in place, and return it.

    Uniform within ``sqrt(6 / (fan_in + fan_out))`` (Glorot and Bengio 2010), a fan being channels times receptive
    field; biases are zero. Other parameters (batch norm, capsules) are left as they are.

    Parameters
    ----------
    net : nn.Module
        On the CPU.
    seed : int
        Of the "weights" stream.
    """
    draw = generator(seed, "weights")
    for layer in net.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            field = layer.weight[0, 0].numel()  # 1 for a dense layer
            reach = (6 / (field * (layer.weight.shape[0] + layer.weight.shape[1]))) ** 0.5
            layer.weight.uniform_(-reach, reach, generator=draw)
            if layer.bias is not None:
                layer.bias.zero_()
    return net
