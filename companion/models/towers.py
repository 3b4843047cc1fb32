"""Towers of equal convolutions: a family in which depth, width and filter size can be varied one by one."""

from __future__ import annotations

from torch import nn

from companion.models.pixels import Pixels
from companion.seeds import initial_weights

POOLED = 3  # convolutions that a 2x2 max-pooling follows


class Tower(nn.Sequential):
    """Layers of same-padded convolutions with ReLU, max-pooling after each of the first three, linear output.

    Parameters
    ----------
    layers : int
        Convolutions.
    filters : int
        Filters of each of them.
    size : int
        Height and width of a filter, odd, so that the padding is the same on all sides.
    seed : int
        Seed of the initial weights (PyTorch's default initialisation).
    shape : (channels, side)
        Of the square input images.
    classes : int
        Number of outputs.
    coding : str
        How bytes become numbers, one of `companion.models.pixels.CODINGS`; in "[0,1]" the padding has the colour of the
        digits' background.

    Raises
    ------
    ValueError
        If a number is below 1, the filter size is even, or the image is too small for the poolings.

    Notes
    -----
    Understanding, slide "What is Convergence Rate?", scenario #1. ReLU follows the pooling, which gives the same values
    from a quarter of the elements. Maps (N, filters, side, side) have half the side after each pooling, rounded down.
    """

    def __init__(
        self,
        layers: int,
        filters: int,
        size: int,
        *,
        seed: int,
        shape: tuple[int, int] = (1, 28),
        classes: int = 10,
        coding: str = "[0,1]",
    ) -> None:
        if min(layers, filters, size) < 1 or size % 2 == 0:
            raise ValueError(
                f"a tower of {layers} layers of {filters} filters of size {size} was asked for; all are at least 1, "
                "and the size is odd"
            )
        channels, side = shape
        left = side // 2 ** min(layers, POOLED)
        if left < 1:
            raise ValueError(f"images of side {side} are too small for {min(layers, POOLED)} poolings")
        modules: list[nn.Module] = [Pixels(coding)]
        with initial_weights(seed):
            for layer in range(layers):
                modules.append(nn.Conv2d(filters if layer else channels, filters, size, padding=size // 2))
                modules += [nn.MaxPool2d(2), nn.ReLU()] if layer < POOLED else [nn.ReLU()]
            modules += [nn.Flatten(), nn.Linear(filters * left**2, classes)]
        super().__init__(*modules)
