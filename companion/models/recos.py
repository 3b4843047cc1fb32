"""LeNet-5 with every part free that the RECOS experiments turn: activations, biases, initial weights, correlations."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.nn import functional as F

from companion.models.pixels import Pixels
from companion.seeds import initial_weights

HIDDEN = 4  # layers with an activation
INITIAL = ("default", "glorot", "he", "normal", "zero")
PLAIN = {"identity": lambda x: x, "relu": F.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid, "abs": torch.abs}
CONTRAST = 1e-4  # least sum of squared deviations from the mean that gives a vector a direction


def activation(name: str) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return an activation by its name.

    Parameters
    ----------
    name : str
        "identity", "relu", "tanh", "sigmoid", "abs"; "leaky 0.1", which multiplies what is negative by that number
        from 0 to 1; or "trelu 0.5", the threshold ReLU: 0 below that number φ, (x - φ) / (1 - φ) above.

    Raises
    ------
    ValueError
        If the name is none of these, or the number is not allowed.

    Notes
    -----
    The threshold ReLU is that of Kuo, *The CNN as a guided multilayer RECOS transform*, 2017, p. 85.
    """
    kind, _, amount = name.partition(" ")
    if not amount and kind in PLAIN:
        return PLAIN[kind]
    try:
        number = float(amount)
    except ValueError:
        number = math.nan
    if kind == "leaky" and 0 <= number <= 1:
        return lambda x: F.leaky_relu(x, number)
    if kind == "trelu" and 0 <= number < 1:
        return lambda x: F.relu(x - number) / (1 - number)
    raise ValueError(
        f"unknown activation {name!r}; the activations are {', '.join(PLAIN)}, 'leaky 0.1' (a slope from 0 to 1) and "
        "'trelu 0.5' (a threshold from 0 to below 1)"
    )


def directions(vectors: torch.Tensor) -> torch.Tensor:
    """Bring vectors (..., d) to zero mean and unit length; those with hardly any contrast stay shorter."""
    centred = vectors - vectors.mean(-1, keepdim=True)
    return centred * centred.square().sum(-1, keepdim=True).clamp(min=CONTRAST).rsqrt()


class Stage(nn.Module):
    """One layer of anchor vectors, its activation, and its pooling or dropout.

    Parameters
    ----------
    layer : nn.Conv2d or nn.Linear
        Its weights are the anchor vectors.
    activation : str
        See `activation`.
    pooling : {"", "max", "average"}
        Of the activated maps, 2x2.
    unit_length : bool
        Bring inputs (patch by patch) and anchor vectors to zero mean and unit length first, so that a response is the
        cosine of an angle.
    dropout : float
        Share of the responses that is dropped in training.
    """

    def __init__(
        self,
        layer: nn.Conv2d | nn.Linear,
        activation: str,
        *,
        pooling: str = "",
        unit_length: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.layer, self.activation, self.pooling, self.unit_length = layer, activation, pooling, unit_length
        self._activate = _activation(activation)
        self.dropout = nn.Dropout(dropout)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Map (N, channels, height, width) to maps for a convolution, anything (N, ...) to (N, outputs) otherwise."""
        responses = self.responses(values)
        if self.pooling == "average":
            return F.avg_pool2d(self._activate(responses), 2)
        if self.pooling == "max" and self.activation == "abs":
            return F.max_pool2d(self._activate(responses), 2)
        if self.pooling == "max":  # a growing function commutes with the maximum and has a quarter to do after it
            return self._activate(F.max_pool2d(responses, 2))
        return self.dropout(self._activate(responses))

    def responses(self, values: torch.Tensor) -> torch.Tensor:
        """Return inner products with the anchor vectors, or correlations, before the activation."""
        dense = isinstance(self.layer, nn.Linear)
        values = values.flatten(1) if dense else values
        if not self.unit_length:
            return self.layer(values)
        anchors = directions(self.layer.weight.flatten(1)).view_as(self.layer.weight)
        if dense:
            return directions(values) @ anchors.T
        # Over each patch with all its channels; anchors of zero mean take a patch's mean away by themselves.
        mean, square = (F.avg_pool2d(one.mean(1, keepdim=True), 5, 1) for one in (values, values.square()))
        contrast = anchors[0].numel() * (square - mean.square())
        return F.conv2d(values, anchors) * contrast.clamp(min=CONTRAST).rsqrt()


_activation = activation  # the stage has an argument of that name


def recos_lenet5(
    *,
    seed: int,
    coding: str = "[-1,1]",
    activation: str | Sequence[str] = "relu",
    pooling: str = "max",
    bias: bool = True,
    unit_length: bool = False,
    initial: str = "default",
    dropout: float = 0.0,
) -> nn.Sequential:
    """Return LeNet-5 for images (N, 1, 32, 32) as a chain of pixels and five stages, which can be cut anywhere.

    Convolutions 6 and 16 of 5x5, two 2x2 poolings, dense 120, 84, 10: 61,706 parameters with biases. With the settings
    that they share it has the weights and gives the answers of `LeNet5`, to the last bit.

    Parameters
    ----------
    seed : int
        Seed of the initial weights.
    coding : str
        How bytes become numbers, one of `companion.models.pixels.CODINGS`.
    activation : str or sequence of four str
        After all hidden layers, or after each; see `activation`.
    pooling : {"max", "average"}
        Sub-sampling, of the activated maps.
    bias : bool
        Whether layers have biases.
    unit_length : bool
        Whether the hidden layers give correlations, see `Stage`; they have no biases then.
    initial : str
        Of `INITIAL`: PyTorch's default, the uniform ones of Glorot and of He, N(0, 1), zeros. Biases are zero with all
        but the default.
    dropout : float
        Share of the dense layers' hidden responses that is dropped in training.

    Raises
    ------
    ValueError
        If a setting is not one of those allowed.

    Notes
    -----
    Understanding, slides "Engineering Practices" to "Nonlinear Activation Functions".
    """
    names = (activation,) * HIDDEN if isinstance(activation, str) else tuple(activation)
    if len(names) != HIDDEN:
        raise ValueError(f"one activation, or one for each of the {HIDDEN} hidden layers, not the {len(names)} {names}")
    if pooling not in ("max", "average"):
        raise ValueError(f"unknown pooling {pooling!r}; the poolings are max, average")
    if initial not in INITIAL:
        raise ValueError(f"unknown initial weights {initial!r}; there are {', '.join(INITIAL)}")
    inner = {"bias": bias and not unit_length}
    with initial_weights(seed):
        layers = [nn.Conv2d(1, 6, 5, **inner), nn.Conv2d(6, 16, 5, **inner)]
        layers += [nn.Linear(400, 120, **inner), nn.Linear(120, 84, **inner), nn.Linear(84, 10, bias=bias)]
        for layer in layers:
            _begin(layer, initial)
    given = [dict(pooling=pooling)] * 2 + [dict(dropout=dropout)] * 2
    hidden = [
        Stage(layer, name, unit_length=unit_length, **one)
        for layer, name, one in zip(layers, names, given, strict=False)
    ]
    return nn.Sequential(Pixels(coding), *hidden, Stage(layers[-1], "identity"))


def _begin(layer: nn.Module, initial: str) -> None:
    draw = {"glorot": nn.init.xavier_uniform_, "he": nn.init.kaiming_uniform_, "normal": nn.init.normal_}
    if initial != "default":
        draw.get(initial, nn.init.zeros_)(layer.weight)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
