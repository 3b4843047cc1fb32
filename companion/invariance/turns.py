"""Turns that are told or carried out in another way than in the article (source `invariants`)."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from companion.invariance.poses import Turns


@dataclass(frozen=True)
class RawTurns(Turns):
    """Turns that a decoder is told as one number: the angle as a share of half a turn."""

    def code(self, poses: torch.Tensor) -> torch.Tensor:
        """Return angle / 180, (N, 1): from -1 to 1, with a jump between the two where nothing jumps in the images."""
        return poses[:, None] / 180


@dataclass(frozen=True)
class Detour:
    """Turns that are carried out in two parts, so that images are interpolated where a single turn leaves them sharp.

    Parameters
    ----------
    turns : Turns
        How they are drawn and told.
    via : float
        Degrees of the second part. At `via` and a multiple of 90 degrees from it an image is interpolated once, at
        other angles twice.
    """

    turns: Turns
    via: float = 45.0

    def draw(self, labels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return angles (N,)."""
        return self.turns.draw(labels, generator)

    def code(self, poses: torch.Tensor) -> torch.Tensor:
        """Return what the decoder is told of the whole turns."""
        return self.turns.code(poses)

    def apply(self, images: torch.Tensor, poses: torch.Tensor) -> torch.Tensor:
        """Return the images turned by angle - `via`, then by `via`."""
        return self.turns.apply(self.turns.apply(images, poses - self.via), torch.full_like(poses, self.via))
