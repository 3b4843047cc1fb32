"""Further families of poses: turns in steps, and affine maps (source `invariants`, the authors' `hypernets`)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from companion.invariance.poses import Turns


@dataclass(frozen=True)
class SteppedTurns(Turns):
    """Turns by whole steps, counted from 0 degrees.

    Parameters
    ----------
    step, held_back_step : float
        Degrees between two turns of the free digits, and of those that are held back.
    """

    step: float = 36.0
    held_back_step: float = 9.0

    def draw(self, labels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return angles (N,); the upper end of a range is left out."""
        held = torch.isin(labels, torch.tensor(self.held_back, dtype=labels.dtype, device=labels.device))
        step = torch.where(held, self.held_back_step, self.step)
        return (super().draw(labels, generator) / step).floor() * step


@dataclass(frozen=True)
class AffineMaps:
    """Turned, sheared, scaled and shifted images, told by the six numbers of the map; no digit is held back.

    A pose is seven shares in [-1, 1]: of the turn (180 degrees, clockwise), the two shears (0.1 to 0.5), the two scales
    (0.9 to 1.4) and the two shifts (5 pixels). The map sends places of the result to places of the image, so that the
    image *shrinks* with a scale over 1; all but the turn act about the upper left corner, as the authors have it.
    """

    def draw(self, labels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return poses (N, 7)."""
        return 2 * torch.rand(len(labels), 7, generator=generator, device=labels.device) - 1

    def code(self, poses: torch.Tensor) -> torch.Tensor:
        """Return the numbers a, b, c, d, e, f of each map, (N, 6): from (x, y) to (ax + by + c, dx + ey + f) pixels."""
        return _matrices(poses)[:, :2].flatten(1)

    def apply(self, images: torch.Tensor, poses: torch.Tensor) -> torch.Tensor:
        """Return the mapped images (N, 1, H, W), background at -1."""
        side = images.shape[-1]
        a, b, c, d, e, f = self.code(poses).unbind(1)
        rows = [torch.stack([a, b, a + b - 1 + 2 * c / side], 1), torch.stack([d, e, d + e - 1 + 2 * f / side], 1)]
        grid = F.affine_grid(torch.stack(rows, 1), list(images.shape), align_corners=False)
        return F.grid_sample(images + 1, grid, align_corners=False) - 1


def _matrices(poses: torch.Tensor, centre: float = 14.0) -> torch.Tensor:
    """Return the maps as matrices (N, 3, 3): a turn about the centre after shear, scale and shift."""
    turn, (shear_x, shear_y) = poses[:, 0] * math.pi, (poses[:, 1:3] / 5 + 0.3).unbind(1)
    (scale_x, scale_y), (shift_x, shift_y) = (poses[:, 3:5] / 4 + 1.15).unbind(1), (5 * poses[:, 5:7]).unbind(1)
    cos, sin, zero, one = turn.cos(), turn.sin(), torch.zeros_like(turn), torch.ones_like(turn)

    def matrix(*numbers: torch.Tensor) -> torch.Tensor:
        return torch.stack([*numbers, zero, zero, one], 1).unflatten(1, (3, 3))

    turned = matrix(cos, sin, centre * (1 - cos - sin), -sin, cos, centre * (1 + sin - cos))
    sheared = matrix(one, shear_x, zero, shear_y, one, zero)
    return (
        turned
        @ sheared
        @ matrix(scale_x, zero, zero, zero, scale_y, zero)
        @ matrix(one, zero, shift_x, zero, one, shift_y)
    )
