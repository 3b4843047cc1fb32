"""Deep linear networks, and the one matrix that they amount to."""

from __future__ import annotations

import torch
from torch import nn

ACTIVATIONS = {"identity": nn.Identity, "tanh": nn.Tanh, "ReLU": nn.ReLU}


def collapse(net: nn.Sequential) -> nn.Linear:
    """Return the linear layer that maps every input to what the network makes of it.

    Parameters
    ----------
    net : nn.Sequential
        Linear layers, and nothing between them but identities. It is left as it was.

    Returns
    -------
    nn.Linear
        The product of the weights, formed in double precision, in that of the network. W2 (W1 x + b1) + b2 =
        (W2 W1) x + (W2 b1 + b2), and so on.

    Raises
    ------
    ValueError
        If another module is among them, or there is no linear layer.
    """
    if wrong := [type(part).__name__ for part in net if not isinstance(part, nn.Linear | nn.Identity)]:
        raise ValueError(f"only linear layers and identities collapse into one layer, and this net has {wrong[0]}")
    layers = [part for part in net if isinstance(part, nn.Linear)]
    if not layers:
        raise ValueError("there is no linear layer to collapse")
    weights, biases = layers[0].weight.double(), layers[0].bias.double()
    for layer in layers[1:]:
        weights, biases = layer.weight.double() @ weights, layer.weight.double() @ biases + layer.bias.double()
    return _linear(weights, biases).to(layers[0].weight.dtype)


def least_squares(inputs: torch.Tensor, labels: torch.Tensor, classes: int = 10) -> nn.Linear:
    """Return the linear layer with the least squared distance to the labels as unit vectors, in double precision.

    Parameters
    ----------
    inputs, labels : Tensor, shapes (N, d) and (N,)
        Examples. Where the weights are not unique, those of least norm are taken.
    """
    known = torch.cat([inputs.double(), torch.ones(len(inputs), 1, dtype=torch.double, device=inputs.device)], dim=1)
    wanted = nn.functional.one_hot(labels, classes).double()
    found = torch.linalg.pinv(known.T @ known, rtol=1e-10, hermitian=True) @ (known.T @ wanted)
    return _linear(found[:-1].T, found[-1])


def _linear(weights: torch.Tensor, biases: torch.Tensor) -> nn.Linear:
    """Return a layer (K, d) of these weights and biases; no random number is drawn for it."""
    one = nn.utils.skip_init(nn.Linear, *weights.shape[::-1], device=weights.device, dtype=weights.dtype)
    with torch.no_grad():
        one.weight.copy_(weights)
        one.bias.copy_(biases)
    return one
