"""The small CIFAR-10 network of `generalizations`."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from companion.models.pixels import Pixels
from companion.seeds import initial_weights


class CifarCNN(nn.Module):
    """Three valid 3x3 convolutions (32, 64, 64), two 2x2 max-pools, dense 64, dense 10; 122,570 parameters.

    Parameters
    ----------
    seed : int
        Seed of the initial weights: Glorot uniform with zero biases, the defaults of Keras.
    classes : int
        Number of outputs.

    Notes
    -----
    Generalizations, section 1; the network of the TensorFlow tutorial on CIFAR-10. `forward` computes what
    `layer_by_layer` spells out, with two rewrites that leave loss and gradients the same: the second pool drops the
    last row and column of its input, so rows and columns 30 and 31 of the image never reach the output and are cut off
    first; and ReLU follows the max-pool, where it has a quarter of the elements to do.
    """

    def __init__(self, *, seed: int, classes: int = 10) -> None:
        super().__init__()
        self.pixels = Pixels("[0,1]")
        with initial_weights(seed):
            self.conv1 = nn.Conv2d(3, 32, 3)
            self.conv2 = nn.Conv2d(32, 64, 3)
            self.conv3 = nn.Conv2d(64, 64, 3)
            self.dense1 = nn.Linear(1024, 64)
            self.dense2 = nn.Linear(64, classes)
            for layer in (self.conv1, self.conv2, self.conv3, self.dense1, self.dense2):
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(layer.bias)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images (N, 3, 32, 32) to logits (N, classes)."""
        maps = self.pixels(images[..., :30, :30])
        maps = F.relu(F.max_pool2d(self.conv1(maps), 2))  # (N, 32, 14, 14)
        maps = F.relu(F.max_pool2d(self.conv2(maps), 2))  # (N, 64, 6, 6)
        maps = F.relu(self.conv3(maps))  # (N, 64, 4, 4)
        return self.dense2(F.relu(self.dense1(maps.flatten(1))))

    def layer_by_layer(self) -> nn.Sequential:
        """Return the network as the paper's table lists it, on the same weights: one module a row, 32x32 images in."""
        return nn.Sequential(
            self.pixels,
            *(self.conv1, nn.ReLU(), nn.MaxPool2d(2)),
            *(self.conv2, nn.ReLU(), nn.MaxPool2d(2)),
            *(self.conv3, nn.ReLU(), nn.Flatten()),
            *(self.dense1, nn.ReLU(), self.dense2),
        )
