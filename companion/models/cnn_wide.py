"""The CIFAR-10 network of `generalizations` with more or fewer units in every layer."""

from __future__ import annotations

from torch import nn

from companion.models.cnn import CifarCNN
from companion.seeds import initial_weights


class WideCifarCNN(CifarCNN):
    """`CifarCNN` with 32, 64, 64 and 64 times `width` units in its hidden layers, computed the same way.

    Parameters
    ----------
    width : float
        1 gives `CifarCNN` itself, weight for weight; parameters grow with its square.
    seed : int
        Seed of the initial weights: Glorot uniform with zero biases.
    classes : int
        Number of outputs.

    Raises
    ------
    ValueError
        If the width leaves a layer without units.
    """

    def __init__(self, *, width: float, seed: int, classes: int = 10) -> None:
        super().__init__(seed=seed, classes=classes)
        narrow, wide = round(32 * width), round(64 * width)
        if narrow < 1:
            raise ValueError(f"a width leaves at least one unit of 32, so it is more than 1/64, not {width}")
        with initial_weights(seed):
            self.conv1 = nn.Conv2d(3, narrow, 3)
            self.conv2 = nn.Conv2d(narrow, wide, 3)
            self.conv3 = nn.Conv2d(wide, wide, 3)
            self.dense1 = nn.Linear(16 * wide, wide)
            self.dense2 = nn.Linear(wide, classes)
            for layer in (self.conv1, self.conv2, self.conv3, self.dense1, self.dense2):
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(layer.bias)
