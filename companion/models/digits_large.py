"""The larger digit network with which others have tried digits on backgrounds."""

from __future__ import annotations

from torch import nn

from companion.models.pixels import Pixels
from companion.seeds import initial_weights


class LargeDigitCNN(nn.Sequential):
    """Convolutions 5x5 with 32 and 64 filters, each with a 2x2 max-pool, dense 1,024 with dropout, dense 10.

    Parameters
    ----------
    seed : int
        Seed of the initial weights (PyTorch's default initialisation).
    coding : str
        How bytes become numbers, one of `companion.models.pixels.CODINGS`.
    dropout : float
        Share of the 1,024 units that is dropped while training.

    Notes
    -----
    Understanding, slide "Example 2: Handwritten Digits", as re-created in XinDongol/RECOS, exp4; images (N, 1, 28, 28)
    to logits (N, 10), 3,274,634 parameters. ReLU follows the pool, with which it commutes.
    """

    def __init__(self, *, seed: int, coding: str = "[0,1]", dropout: float = 0.25) -> None:
        with initial_weights(seed):
            convolutions = nn.Conv2d(1, 32, 5, padding=2), nn.Conv2d(32, 64, 5, padding=2)
            hidden, last = nn.Linear(64 * 7 * 7, 1024), nn.Linear(1024, 10)
        trunk = [layer for one in convolutions for layer in (one, nn.MaxPool2d(2), nn.ReLU())]
        super().__init__(Pixels(coding), *trunk, nn.Flatten(), hidden, nn.ReLU(), nn.Dropout(dropout), last)
