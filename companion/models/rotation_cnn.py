"""The eleven networks that are to recognise digits in orientations that they never saw (source `invariants`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from companion.models.dense import Dense
from companion.models.glorot import glorot_start

SLOPE = 0.1  # of the leaky rectifiers
SIDE = 28  # pixels of an image


class Convolution(NamedTuple):
    """One convolution: its maps, the sides and the stride of its filters, and whether a max-pooling follows."""

    maps: int
    kernel: int = 4
    stride: int = 2
    pooled: bool = False


@dataclass(frozen=True)
class RotationRow:
    """What tells a row of the authors' table from the others.

    Attributes
    ----------
    convolutions : tuple of Convolution
        In their order.
    norm, dropout : bool
        Whether batch norm follows every convolution, and dropout of one half the hidden dense layer.
    leaky_output : bool
        Whether the scores pass a leaky rectifier, as in three of the published scripts.
    """

    convolutions: tuple[Convolution, ...]
    norm: bool = False
    dropout: bool = False
    leaky_output: bool = False


def _strided(*maps: int) -> tuple[Convolution, ...]:
    return tuple(Convolution(one) for one in maps)


def _pooled(first: int, second: int, *rest: Convolution) -> tuple[Convolution, ...]:
    return Convolution(first, 5, 1, pooled=True), Convolution(second, 5, 1, pooled=True), *rest


ROTATION_ROWS = {
    "regular_00": RotationRow(_strided(64, 128), leaky_output=True),
    "regular_01": RotationRow(_strided(64, 128, 256), leaky_output=True),
    "regular_02": RotationRow(_strided(32, 64, 128, 256), leaky_output=True),
    "dropout_00": RotationRow(_strided(32, 64, 128), dropout=True),
    "dropout_01": RotationRow(_strided(64, 128, 256), dropout=True),
    "dropout_bn_00": RotationRow(_strided(64, 128), norm=True, dropout=True),
    "dropout_bn_01": RotationRow(_strided(32, 64, 128), norm=True, dropout=True),
    "dropout_bn_02": RotationRow(_strided(64, 128, 256), norm=True, dropout=True),
    "pooling_00": RotationRow(_pooled(64, 128), norm=True, dropout=True),
    "pooling_01": RotationRow(_pooled(32, 64, Convolution(128, 3, 1)), norm=True, dropout=True),
    "pooling_02": RotationRow(_pooled(64, 128, Convolution(256)), norm=True, dropout=True),
}


class RotationCNN(nn.Module):
    """A row of the authors' table: convolutions, a dense layer, eight scores; all leaky rectifiers of slope 0.1.

    Batch norm comes *after* the activation, and pooling (2x2 with stride 1, so that maps keep their size) after that.
    Borders are those of TensorFlow's SAME padding, weights start as in TensorFlow (`glorot_start`).

    Parameters
    ----------
    row : str or RotationRow
        A name of `ROTATION_ROWS`, or a row of one's own.
    seed : int
        Of the initial weights.
    width : float
        Factor of all maps and of the 1024 dense units; 1 is the published size.
    momentum : float
        Weight of a batch in the running means of batch norm. The authors' graph updates them twice a step at a decay
        of 0.999, which is 0.002.

    Raises
    ------
    ValueError
        If there is no row of that name, or the width leaves a layer without units.

    Notes
    -----
    Source `invariants`, sec. Recognition / CNNs; layers from the authors' scripts, whose softmax belongs to the loss
    here (`companion.invariance.recognition`).
    """

    def __init__(
        self, row: str | RotationRow, *, seed: int, classes: int = 8, width: float = 1.0, momentum: float = 0.002
    ) -> None:
        super().__init__()
        if isinstance(row, str):
            if row not in ROTATION_ROWS:
                raise ValueError(f"unknown row {row!r}; the rows are {', '.join(ROTATION_ROWS)}")
            row = ROTATION_ROWS[row]
        self.row = row
        maps = [round(width * one.maps) for one in row.convolutions]
        dense = round(width * 1024)
        if min(*maps, dense) < 1:
            raise ValueError(f"a width of {width:g} leaves layers of {[*maps, dense]} units; each needs at least one")
        side, before = SIDE, 1
        self.odd = []  # zeros that SAME padding puts after the last row and column, and not before the first
        with torch.device("cpu"):
            self.convolutions, self.norms = nn.ModuleList(), nn.ModuleList()
            for one, after in zip(row.convolutions, maps, strict=True):
                ahead, behind = same_padding(side, one.kernel, one.stride)
                self.odd.append(behind - ahead)
                self.convolutions.append(nn.Conv2d(before, after, one.kernel, stride=one.stride, padding=ahead))
                if row.norm:
                    self.norms.append(nn.BatchNorm2d(after, eps=1e-3, momentum=momentum))
                side, before = -(-side // one.stride), after
            self.hidden = Dense(side**2 * before, dense)
            self.scores = nn.Linear(dense, classes)
        glorot_start(self, seed=seed)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images (N, 1, 28, 28) in [0, 1] to scores (N, classes)."""
        maps = images
        for place, (one, convolution) in enumerate(zip(self.row.convolutions, self.convolutions, strict=True)):
            if odd := self.odd[place]:
                maps = F.pad(maps, (0, odd, 0, odd))
            maps = F.leaky_relu(convolution(maps), SLOPE)
            if self.row.norm:
                maps = self.norms[place](maps)
            if one.pooled:
                maps = F.max_pool2d(F.pad(maps, (0, 1, 0, 1), value=-torch.inf), 2, stride=1)
        hidden = F.leaky_relu(self.hidden(maps.flatten(1)), SLOPE)
        if self.row.dropout:
            hidden = F.dropout(hidden, 0.5, self.training)
        scores = self.scores(hidden)
        return F.leaky_relu(scores, SLOPE) if self.row.leaky_output else scores


def same_padding(side: int, kernel: int, stride: int) -> tuple[int, int]:
    """Return the zeros that SAME padding puts before and after maps of that side; an odd one goes after."""
    around = max((-(-side // stride) - 1) * stride + kernel - side, 0)
    return around // 2, around - around // 2
