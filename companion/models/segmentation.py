"""The encoder-decoder of `reasonable`: an answer for every pixel of a canvas (`companion.data.canvases`)."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from companion.models.pixels import Pixels
from companion.seeds import initial_weights

WIDTH = 16  # numbers a pixel has before the last layer: the length of its net-reasoning vector
LEVELS = (16, 32, 64)  # channels at a half, a quarter and an eighth of the side


class Segmenter(nn.Module):
    """Three steps down, three up, what was seen on the way down added on the way up; a linear layer for every pixel.

    Parameters
    ----------
    seed : int
        Seed of the initial weights (PyTorch's default initialisation).
    outputs : int
        11 makes the vanilla network (ten digits and ground), 16 the one that predicts its net-reasoning.
    hidden : int
        Channels of a hidden layer before the last; 0 for none.

    Attributes
    ----------
    last : nn.Conv2d
        1x1, on `WIDTH` channels, or on the hidden ones.

    Raises
    ------
    ValueError
        If there is no output, or a negative number of hidden channels.

    Notes
    -----
    Reasonable, section V-A names segmentation and no more. The convolutions at an eighth of the side see 40 pixels and
    more, twice the side of a digit.
    """

    def __init__(self, *, seed: int, outputs: int = 11, hidden: int = 0) -> None:
        if outputs < 1 or hidden < 0:
            raise ValueError(f"a pixel has at least one output and no less than 0 hidden ones, not {outputs}, {hidden}")
        super().__init__()
        half, quarter, eighth = LEVELS
        with initial_weights(seed):
            self.pixels = Pixels("[0,1]")
            self.fine = nn.Conv2d(1, WIDTH, 3, padding=1, bias=False)
            self.down1 = _block(1, half, kernel=5, stride=2)
            self.down2 = _block(half, quarter, stride=2)
            self.down3 = nn.Sequential(_block(quarter, eighth, stride=2), _block(eighth, eighth))
            self.up3 = nn.ConvTranspose2d(eighth, quarter, 2, stride=2, bias=False)
            self.at2 = _block(quarter, quarter)
            self.up2 = nn.ConvTranspose2d(quarter, half, 2, stride=2, bias=False)
            self.at1 = _block(half, half)
            self.up1 = nn.ConvTranspose2d(half, WIDTH, 2, stride=2, bias=False)
            self.norm = nn.BatchNorm2d(WIDTH)
            self.hidden = nn.Sequential(nn.Conv2d(WIDTH, hidden, 1), nn.ReLU()) if hidden else nn.Identity()
            self.last = nn.Conv2d(hidden or WIDTH, outputs, 1)

    def forward(self, canvases: torch.Tensor) -> torch.Tensor:
        """Map canvases (N, 1, H, W), sides multiples of 8, to (N, outputs, H, W)."""
        canvases = self.pixels(canvases)
        half = self.down1(canvases)
        quarter = self.down2(half)
        quarter = self.at2(quarter + self.up3(self.down3(quarter)))
        half = self.at1(half + self.up2(quarter))
        return self.last(self.hidden(F.relu(self.norm(self.up1(half) + self.fine(canvases)))))


def _block(inputs: int, outputs: int, *, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Return a convolution that keeps the side (or divides it by the stride), normalised over the batch, then ReLU."""
    convolution = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU())
