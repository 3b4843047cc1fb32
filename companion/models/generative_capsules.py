"""Autoencoders whose decoder says where: capsules with a position each write to the map that is drawn from.

Source `invariants`, the authors' repository (`gencaps_net`); in no text of theirs.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from companion.models.autoencoders import SLOPE
from companion.models.glorot import glorot_start

CATEGORIES = 10  # of the code of the kind "digits", softmax; the rest of the code is a pose
LENGTH, UNITS = 10, 128  # of the kind "digits": numbers in a capsule, hidden units of each of its two small nets
KEY = 4  # numbers of a key of the kind "address"


def splat(positions: torch.Tensor, values: torch.Tensor, side: int) -> torch.Tensor:
    """Write vectors to a square map at real-valued positions, each shared bilinearly by the four cells around it.

    Parameters
    ----------
    positions : Tensor, shape (N, C, 2)
        Row and column in cells, 0 to side - 1; what lies a cell or more outside is lost.
    values : Tensor, shape (N, C, M)
        What is written; where several meet, their sum.
    side : int
        Cells a side.

    Returns
    -------
    Tensor, shape (N, M, side, side)
    """
    cells = torch.arange(side, dtype=positions.dtype, device=positions.device)
    near = F.relu(1 - (cells - positions[..., None]).abs())  # (N, C, 2, side)
    weights = near[:, :, 0, :, None] * near[:, :, 1, None, :]  # (N, C, side, side)
    return (values.transpose(1, 2) @ weights.flatten(2)).unflatten(2, (side, side))


def in_cells(positions: torch.Tensor, side: int) -> torch.Tensor:
    """Map [-1, 1] to the cells 0 to side - 1."""
    return (positions + 1) * (side - 1) / 2


class GenerativeCapsules(nn.Module):
    """A code of an upright digit, and a drawing of it in the pose told, by capsules that are written to a map.

    The encoder is that of `PosedAutoencoder`; two transposed 4x4 convolutions of stride 2 draw from the map. Between
    them stands one of three decoders:

    - "continuous": dense (ReLU), then for every capsule two coordinates (linear) and its activations (sigmoid);
    - "digits": the first ten numbers of the code, by a softmax, mix ten linear maps of the other numbers and the pose
      to capsules of ten numbers; each capsule has two small nets of its own, to coordinates and to activations;
    - "address": dense (ReLU), then for every capsule a key of four numbers and an amount (ReLU); the amount is spread
      over all cells of all maps by a softmax of the key's products with learned keys. No coordinates.

    Parameters
    ----------
    seed : int
        Of the initial weights, as in TensorFlow (`glorot_start`).
    kind : {"continuous", "digits", "address"}
        Of the decoder.
    code, pose : int
        Components of the code, and numbers that tell the pose.
    encoder_maps, dense : (int, int), int
        Of the encoder.
    hidden : int
        Units before the capsules; unused by "digits".
    capsules, maps, drawn_maps : int
        Capsules, maps they write to, maps after the first transposed convolution.
    canvas : int
        Pixels a side of what is drawn, a multiple of 4.
    slope : float
        Of the rectifier after the first transposed convolution.

    Raises
    ------
    ValueError
        If the kind is unknown, the canvas is not a multiple of 4, or a code of "digits" has no room for a pose.
    """

    def __init__(
        self,
        *,
        seed: int,
        kind: str = "continuous",
        code: int = 10,
        pose: int = 2,
        encoder_maps: tuple[int, int] = (64, 128),
        dense: int = 1024,
        hidden: int = 1024,
        capsules: int = 128,
        maps: int = 32,
        drawn_maps: int = 32,
        canvas: int = 28,
        slope: float = 0.0,
    ) -> None:
        super().__init__()
        if kind not in WRITERS:
            raise ValueError(f"unknown kind {kind!r}; the kinds are {', '.join(WRITERS)}")
        if canvas % 4:
            raise ValueError(f"the canvas is a multiple of 4 pixels a side, not {canvas}")
        if kind == "digits" and code <= CATEGORIES:
            raise ValueError(f"a code of kind digits has more than {CATEGORIES} numbers, not {code}")
        self.slope = slope
        with torch.device("cpu"):
            self.encode = nn.Sequential(
                nn.Conv2d(1, encoder_maps[0], 4, stride=2, padding=1),
                nn.LeakyReLU(SLOPE),
                nn.Conv2d(encoder_maps[0], encoder_maps[1], 4, stride=2, padding=1),
                nn.LeakyReLU(SLOPE),
                nn.Flatten(),
                nn.Linear(49 * encoder_maps[1], dense),
                nn.LeakyReLU(SLOPE),
                nn.Linear(dense, code),
            )
            self.write = WRITERS[kind](code + pose, hidden, capsules, maps, canvas // 4)
            self.up1 = nn.ConvTranspose2d(maps, drawn_maps, 4, stride=2, padding=1)
            self.up2 = nn.ConvTranspose2d(drawn_maps, 1, 4, stride=2, padding=1)
        glorot_start(self, seed=seed)

    def decode(self, codes: torch.Tensor, poses: torch.Tensor) -> torch.Tensor:
        """Draw codes (N, code) in poses (N, pose): (N, 1, canvas, canvas) in [-1, 1]."""
        maps = self.write(torch.cat([codes, poses], 1))
        return torch.tanh(self.up2(F.leaky_relu(self.up1(maps), self.slope)))

    def forward(self, images: torch.Tensor, poses: torch.Tensor) -> torch.Tensor:
        """Draw upright images (N, 1, 28, 28) in poses (N, pose)."""
        return self.decode(self.encode(images), poses)


class _Continuous(nn.Module):
    def __init__(self, inputs: int, hidden: int, capsules: int, maps: int, side: int) -> None:
        super().__init__()
        self.side = side
        self.hidden = nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU())
        self.positions = nn.Sequential(nn.Linear(hidden, capsules * 2), nn.Unflatten(1, (capsules, 2)))
        self.values = nn.Sequential(nn.Linear(hidden, capsules * maps), nn.Unflatten(1, (capsules, maps)), nn.Sigmoid())

    def forward(self, told: torch.Tensor) -> torch.Tensor:
        hidden = self.hidden(told)
        return splat(in_cells(self.positions(hidden), self.side), self.values(hidden), self.side)


class _Digits(nn.Module):
    def __init__(self, inputs: int, hidden: int, capsules: int, maps: int, side: int) -> None:
        super().__init__()
        self.side = side
        self.first = nn.Linear(inputs - CATEGORIES, capsules * LENGTH * CATEGORIES)
        self.shape = capsules, LENGTH, CATEGORIES
        self.positions = nn.Sequential(_Apart(capsules, LENGTH, UNITS), nn.ReLU(), _Apart(capsules, UNITS, 2))
        self.values = nn.Sequential(
            _Apart(capsules, LENGTH, UNITS), nn.ReLU(), _Apart(capsules, UNITS, maps), nn.Sigmoid()
        )

    def forward(self, told: torch.Tensor) -> torch.Tensor:
        category = told[:, :CATEGORIES].softmax(1)
        parts = self.first(told[:, CATEGORIES:]).unflatten(1, self.shape)  # (N, C, length, categories)
        capsules = torch.einsum("ncld,nd->ncl", parts, category)
        return splat(in_cells(self.positions(capsules), self.side), self.values(capsules), self.side)


class _Apart(nn.ModuleList):
    """One dense layer for each capsule: (N, capsules, inputs) to (N, capsules, outputs)."""

    def __init__(self, capsules: int, inputs: int, outputs: int) -> None:
        super().__init__(nn.Linear(inputs, outputs) for _ in range(capsules))

    def forward(self, capsules: torch.Tensor) -> torch.Tensor:
        weight = torch.stack([layer.weight for layer in self])  # (capsules, outputs, inputs)
        bias = torch.stack([layer.bias for layer in self])[:, None]
        return torch.baddbmm(bias, capsules.transpose(0, 1), weight.transpose(1, 2)).transpose(0, 1)


class _Address(nn.Module):
    def __init__(self, inputs: int, hidden: int, capsules: int, maps: int, side: int) -> None:
        super().__init__()
        self.hidden = nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU())
        self.asked = nn.Sequential(nn.Linear(hidden, capsules * KEY), nn.Unflatten(1, (capsules, KEY)), nn.ReLU())
        self.amounts = nn.Sequential(nn.Linear(hidden, capsules), nn.ReLU())
        self.keys = nn.Linear(KEY, maps * side**2, bias=False)
        self.shape = maps, side, side

    def forward(self, told: torch.Tensor) -> torch.Tensor:
        hidden = self.hidden(told)
        spread = self.keys(self.asked(hidden)).softmax(2)  # (N, C, maps * side**2)
        return (self.amounts(hidden)[:, None] @ spread).unflatten(2, self.shape)[:, 0]


WRITERS = {"continuous": _Continuous, "digits": _Digits, "address": _Address}
