"""Networks of second order: a small net computes, from a pose or from the image, the weights of another.

Source `invariants`, the authors' repository (`hypernets`), which shows pictures of them and no scores.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from companion.models.generative_capsules import in_cells, splat
from companion.models.glorot import glorot_start

UNITS = 64  # between a pose and the weights


class PixelMatrix(nn.Module):
    """The image times a matrix (pixels x pixels) that is computed; there are no other weights.

    Each pixel drawn is a mean of the image's pixels, weighted by a softmax.

    Parameters
    ----------
    seed : int or None
        Of the initial weights, as in TensorFlow (`glorot_start`). None builds shapes only, on the "meta" device: with
        a control from the image the source's network has more weights than a laptop should hold.
    pose : int
        Numbers that tell the pose; 0 computes the matrix from the image itself, by two convolutions.
    side : int
        Pixels a side; 28 in the source.
    """

    def __init__(self, *, seed: int | None, pose: int = 2, side: int = 28) -> None:
        super().__init__()
        self.pose = pose
        with torch.device("meta" if seed is None else "cpu"):
            self.control = _control(pose, side**4, side)
        if seed is not None:
            glorot_start(self, seed=seed)

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        """Return the images as they are: what they are drawn from is the images themselves."""
        return images

    def decode(self, images: torch.Tensor, poses: torch.Tensor) -> torch.Tensor:
        """Draw images (N, 1, side, side) in poses (N, pose)."""
        pixels = images.flatten(1)
        weights = self.control(poses if self.pose else images).unflatten(1, (pixels.shape[1], -1)).softmax(2)
        return (weights @ pixels[..., None]).view_as(images)

    def forward(self, images: torch.Tensor, poses: torch.Tensor) -> torch.Tensor:
        """Draw images (N, 1, side, side) in poses (N, pose)."""
        return self.decode(images, poses)


class Readdressed(nn.Module):
    """Features of the image, written to the places of a map that a linear layer computes from the pose.

    Two 5x5 convolutions of stride 2 (16 maps, tanh; 32 maps, ReLU), `splat`, two transposed ones.

    Parameters
    ----------
    seed : int
        Of the initial weights, as in TensorFlow (`glorot_start`).
    pose : int
        Numbers that tell the pose.
    """

    SIDE = 7  # cells of the map

    def __init__(self, *, seed: int, pose: int = 2) -> None:
        super().__init__()
        with torch.device("cpu"):
            self.encode = nn.Sequential(_down(1, 16), nn.Tanh(), _down(16, 32), nn.ReLU())
            self.addresses = nn.Sequential(nn.Linear(pose, 2 * self.SIDE**2), nn.Unflatten(1, (self.SIDE**2, 2)))
            self.draw = nn.Sequential(_up(32, 16), nn.ReLU(), _up(16, 1), nn.Tanh())
        glorot_start(self, seed=seed)

    def decode(self, maps: torch.Tensor, poses: torch.Tensor) -> torch.Tensor:
        """Draw feature maps (N, 32, 7, 7) in poses (N, pose): (N, 1, 28, 28) in [-1, 1]."""
        places = in_cells(self.addresses(poses), self.SIDE)
        return self.draw(splat(places, maps.flatten(2).transpose(1, 2), self.SIDE))

    def forward(self, images: torch.Tensor, poses: torch.Tensor) -> torch.Tensor:
        """Draw images (N, 1, 28, 28) in poses (N, pose)."""
        return self.decode(self.encode(images), poses)


class ControlledCode(nn.Module):
    """An autoencoder with a computed matrix between its two halves, each column a softmax.

    5x5 convolutions of stride 2 (10 and 20 maps, ReLU), dense code (linear), the matrix, dense (linear), and the same
    back (ReLU, tanh).

    Parameters
    ----------
    seed : int
        Of the initial weights, as in TensorFlow (`glorot_start`).
    pose : int
        Numbers that tell the pose; 0 computes the matrix from the image itself, by two convolutions.
    code : int
        Components of the code; 200 in the source.
    """

    def __init__(self, *, seed: int, pose: int, code: int = 200) -> None:
        super().__init__()
        self.pose = pose
        with torch.device("cpu"):
            self.control = _control(pose, code**2, 28)
            self.encode = nn.Sequential(
                _down(1, 10), nn.ReLU(), _down(10, 20), nn.ReLU(), nn.Flatten(), nn.Linear(980, code)
            )
            self.draw = nn.Sequential(
                nn.Linear(code, 980), nn.Unflatten(1, (20, 7, 7)), _up(20, 10), nn.ReLU(), _up(10, 1), nn.Tanh()
            )
        glorot_start(self, seed=seed)

    def forward(self, images: torch.Tensor, poses: torch.Tensor) -> torch.Tensor:
        """Draw images (N, 1, 28, 28) in poses (N, pose); without a pose, the image decides what is done to it."""
        code = self.encode(images)
        weights = self.control(poses if self.pose else images).unflatten(1, (code.shape[1], -1)).softmax(2)
        return self.draw((weights @ code[..., None])[..., 0])


def _control(pose: int, weights: int, side: int) -> nn.Sequential:
    """Return the net that computes `weights` numbers from a pose, or from an image of `side` pixels if `pose` is 0."""
    if pose:
        return nn.Sequential(nn.Linear(pose, UNITS), nn.ReLU(), nn.Linear(UNITS, weights))
    return nn.Sequential(
        _down(1, 20), nn.ReLU(), _down(20, 10), nn.ReLU(), nn.Flatten(), nn.Linear(10 * (side // 4) ** 2, weights)
    )


def _down(inputs: int, outputs: int) -> nn.Sequential:
    """Return a 5x5 convolution of stride 2 that halves the map, padded as TensorFlow does: more at the far ends."""
    return nn.Sequential(nn.ZeroPad2d((1, 2, 1, 2)), nn.Conv2d(inputs, outputs, 5, stride=2))


def _up(inputs: int, outputs: int) -> nn.Sequential:
    """Return its transpose, which doubles the map."""
    return nn.Sequential(nn.ConvTranspose2d(inputs, outputs, 5, stride=2), _Cropped())


class _Cropped(nn.Module):
    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return F.pad(maps, (-1, -2, -1, -2))
