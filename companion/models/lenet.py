"""LeNet-5 as the RECOS papers use it, with the variants of its 1998 form."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from companion.models.pixels import Pixels
from companion.seeds import initial_weights

ACTIVATIONS = {"relu": F.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid}


class LeNet5(nn.Module):
    """LeNet-5: convolutions 6 and 16 of 5x5, two 2x2 poolings, dense 120, 84, 10; 61,706 parameters.

    Parameters
    ----------
    seed : int
        Seed of the initial weights (PyTorch's default initialisation, symmetric about zero).
    coding : str
        How bytes become numbers, one of `companion.models.pixels.CODINGS`.
    activation : {"relu", "tanh", "sigmoid"}
        Non-linearity after both poolings and both hidden dense layers.
    pooling : {"max", "average"}
        Sub-sampling.
    border : int
        Zeros put around the coded image: 0 for images that come as 32x32, 2 for 28x28 images.

    Raises
    ------
    ValueError
        If activation, pooling or coding is not known.

    Notes
    -----
    Understanding, slide "LeNet-5 on original and negative MNIST"; LeCun et al. 1998. The full C3 layer is used (every
    filter sees all six maps), as in today's implementations.
    """

    def __init__(
        self,
        *,
        seed: int,
        coding: str = "[-1,1]",
        activation: str = "relu",
        pooling: str = "max",
        border: int = 0,
    ) -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ValueError(f"unknown activation {activation!r}; the activations are {', '.join(ACTIVATIONS)}")
        if pooling not in ("max", "average"):
            raise ValueError(f"unknown pooling {pooling!r}; the poolings are max, average")
        self.pixels = Pixels(coding)
        self.activation, self.pooling = activation, pooling
        with initial_weights(seed):
            self.conv1 = nn.Conv2d(1, 6, 5, padding=border)
            self.conv2 = nn.Conv2d(6, 16, 5)
            self.dense1 = nn.Linear(400, 120)
            self.dense2 = nn.Linear(120, 84)
            self.dense3 = nn.Linear(84, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images (N, 1, 32, 32), or (N, 1, 28, 28) with a border of 2, to logits (N, 10)."""
        activate = ACTIVATIONS[self.activation]
        maps = self.pixels(images)
        for convolution in (self.conv1, self.conv2):
            maps = convolution(maps)
            if self.pooling == "max":
                # A growing function commutes with the maximum: the same values from a quarter of the elements.
                maps = activate(F.max_pool2d(maps, 2))
            else:
                maps = F.avg_pool2d(activate(maps), 2)
        features = activate(self.dense2(activate(self.dense1(maps.flatten(1)))))
        return self.dense3(features)


@torch.no_grad()
def flip_first_layer(net: LeNet5, *, correct_bias: bool = False) -> LeNet5:
    """Change the sign of every first-layer filter, in place.

    Since conv(-a, -x) + b = conv(a, x) + b, the flipped network treats the negative of an image as the network treated
    the image, exactly so where the negative is coded as -x.

    Parameters
    ----------
    net : LeNet5
        The network to change; returned as well.
    correct_bias : bool
        Add c * sum(a) to each filter's bias, where the coding turns the negative of x into c - x: exact for every
        coding, as long as no zeros are put around the image.
    """
    gain, shift, divisor = net.pixels.numbers()
    if correct_bias:
        net.conv1.bias += (255 * gain + 2 * shift) / divisor * net.conv1.weight.sum((1, 2, 3))
    net.conv1.weight.neg_()
    return net
