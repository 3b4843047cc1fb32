"""Turns and shifts of digits as a task to learn: draw a pose, tell it to a decoder, and show what should come out.

Source `invariants`, sec. Generation: some digits are seen in part of the poses only, the others in all of them.
Pixels are in [-1, 1], the background -1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import nn
from torch.nn import functional as F

from companion.data.geometry import rotate
from companion.data.images import Images
from companion.data.turning import draw_angles

HELD_BACK = (4, 9)


class Poses(Protocol):
    """A family of poses: drawn for labels, coded for a decoder, applied to images."""

    def draw(self, labels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Draw one pose per label as it is in training: (N,) angles or (N, 2) shifts."""

    def code(self, poses: torch.Tensor) -> torch.Tensor:
        """Return what the decoder is told of the poses: (N, numbers), two for turns and shifts."""

    def apply(self, images: torch.Tensor, poses: torch.Tensor) -> torch.Tensor:
        """Return the images (N, 1, 28, 28) in their poses, (N, 1, H, W)."""


@dataclass(frozen=True)
class Turns:
    """Turns about the centre in degrees, counter-clockwise, told as cosine and sine.

    Parameters
    ----------
    held_back : tuple of int
        Digits that are turned within `within` only.
    within : (float, float)
        Their range in training; equal ends give one angle.
    others : (float, float)
        The range of the other digits.
    """

    held_back: tuple[int, ...] = HELD_BACK
    within: tuple[float, float] = (-45.0, 45.0)
    others: tuple[float, float] = (-180.0, 180.0)

    def draw(self, labels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return angles (N,)."""
        return draw_angles(labels, generator, restricted=self.held_back, within=self.within, others=self.others)

    def code(self, poses: torch.Tensor) -> torch.Tensor:
        """Return (cos, sin), (N, 2)."""
        radians = poses.deg2rad()
        return torch.stack([radians.cos(), radians.sin()], 1)

    def apply(self, images: torch.Tensor, poses: torch.Tensor) -> torch.Tensor:
        """Return the turned images (N, 1, 28, 28), background at -1."""
        return rotate(images + 1, poses) - 1


@dataclass(frozen=True)
class Shifts:
    """Shifts of the image on a larger canvas by whole pixels (down, right), told as a share of the farthest.

    Parameters
    ----------
    held_back : tuple of int
        Digits that are shifted within `within` only.
    within, others : (int, int)
        First and last shift along either axis, both drawn; the article's code leaves out the printed upper ends.
    margin : int
        Pixels round the image: the canvas has 28 + 2 `margin` a side, and shifts reach that far.
    """

    held_back: tuple[int, ...] = HELD_BACK
    within: tuple[int, int] = (-5, 4)
    others: tuple[int, int] = (-20, 19)
    margin: int = 20

    def draw(self, labels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return whole shifts (N, 2), each axis by itself."""
        ends = {"within": _half_open(self.within), "others": _half_open(self.others)}
        axes = [draw_angles(labels, generator, restricted=self.held_back, **ends).floor() for _ in range(2)]
        return torch.stack(axes, 1).long()

    def code(self, poses: torch.Tensor) -> torch.Tensor:
        """Return shifts over the margin, (N, 2)."""
        return poses.float() / self.margin

    def apply(self, images: torch.Tensor, poses: torch.Tensor) -> torch.Tensor:
        """Return the canvases (N, 1, 28 + 2 margin, 28 + 2 margin), background at -1."""
        side = images.shape[-1] + 2 * self.margin
        wide = F.pad(images, (2 * self.margin,) * 4, value=-1.0)
        windows = wide.unfold(2, side, 1).unfold(3, side, 1)  # a view; window (m, m) holds the image in its middle
        corner = self.margin - poses.to(images.device)
        return windows[torch.arange(len(images), device=images.device), :, corner[:, 0], corner[:, 1]]


AtPose = Callable[[torch.Tensor], torch.Tensor]  # maps a pose for each of N images to (N,) numbers, or (N, K)
Measure = Callable[[nn.Module, torch.Tensor, Poses], AtPose]  # of a network and a batch of upright images in [-1, 1]


def scaled(images: torch.Tensor) -> torch.Tensor:
    """Return stored bytes as floats in [-1, 1]."""
    return images.float() / 127.5 - 1


def pairs(
    digits: Images, poses: Poses, *, batch: int, device: torch.device
) -> Callable[[torch.Generator, torch.Generator], tuple[torch.Tensor, ...]]:
    """Return what draws a batch for `training.fit_drawn`: upright images, pose codes, and the images in their poses.

    Images are drawn with replacement; the pose of each is drawn afresh.

    Parameters
    ----------
    digits : Images
        Stored bytes (N, 1, 28, 28) and labels.
    poses : Poses
        Which poses, and how they are told.
    batch : int
        Images of a batch.
    device : device
        Where images are kept and posed.
    """
    inputs, labels = digits.inputs.to(device), digits.labels.cpu()

    def draw(order: torch.Generator, augmentation: torch.Generator) -> tuple[torch.Tensor, ...]:
        chosen = torch.randint(len(labels), (batch,), generator=order, device="cpu")
        drawn = poses.draw(labels[chosen], augmentation).to(device)
        upright = scaled(inputs.index_select(0, chosen.to(device)))
        return upright, poses.code(drawn), poses.apply(upright, drawn)

    return draw


def reconstruction_loss(
    net: nn.Module, upright: torch.Tensor, codes: torch.Tensor, targets: torch.Tensor
) -> torch.Tensor:
    """Return the mean squared error per pixel of what `net` draws of upright images in the poses told."""
    return (net(upright, codes) - targets).square().mean()


def drawing_error(net: nn.Module, upright: torch.Tensor, poses: Poses) -> AtPose:
    """Return the mean squared error per pixel of what `net` draws of upright images (N, 1, H, W), pose by pose.

    `net` has methods ``encode(images)`` and ``decode(code, pose)``. An image is encoded once, as the authors do.
    """
    codes = net.encode(upright)

    def at(told: torch.Tensor) -> torch.Tensor:
        return (net.decode(codes, poses.code(told)) - poses.apply(upright, told)).square().mean((1, 2, 3))

    return at


@torch.no_grad()
def errors(
    net: nn.Module,
    inputs: torch.Tensor,
    settings: torch.Tensor,
    poses: Poses,
    *,
    measure: Measure = drawing_error,
    batch: int = 1000,
) -> torch.Tensor:
    """Return the error, or what else is measured, of every image in every pose.

    Parameters
    ----------
    net : nn.Module
        In evaluation mode afterwards.
    inputs : Tensor, shape (N, 1, H, W)
        Stored bytes, upright.
    settings : Tensor, shape (P,) or (P, 2)
        The poses.
    poses : Poses
        What the settings mean.
    measure : callable
        Maps the network, a batch of upright images and `poses` to what measures that batch in one pose; by default the
        mean squared error per pixel of what is drawn.
    batch : int
        Images at a time.

    Returns
    -------
    Tensor, shape (P, N) or, where several numbers are measured of an image, (P, N, K)
        On the CPU.
    """
    device = next(net.parameters()).device
    net.eval()
    chunks = []
    for chunk in inputs.split(batch):
        at = measure(net, scaled(chunk.to(device)), poses)
        rows = [at(setting.expand(len(chunk), *setting.shape)) for setting in settings.to(device)]
        chunks.append(torch.stack(rows))
    return torch.cat(chunks, 1).cpu()


def _half_open(ends: tuple[int, int]) -> tuple[float, float]:
    return float(ends[0]), float(ends[1] + 1)
