"""Autoencoders that are told a pose: upright digit in, the digit in that pose out (source `invariants`)."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from companion.models.glorot import glorot_start

SLOPE = 0.1  # of the leaky rectifiers


class PosedAutoencoder(nn.Module):
    """A code of an upright digit, and a drawing of it in the pose that the decoder is told.

    Encoder: two 4x4 convolutions of stride 2 (leaky), dense (leaky), dense `code`. Decoder: code and pose joined, dense
    (ReLU), dense (ReLU) to maps of a quarter of the canvas, two transposed 4x4 convolutions of stride 2 (ReLU, tanh).
    Weights start as in TensorFlow (`glorot_start`).

    Parameters
    ----------
    seed : int
        Of the initial weights.
    code : int
        Components of the code.
    pose : int
        Numbers that tell the pose.
    encoder_maps : (int, int)
        Maps of the convolutions; (64, 128) in the source.
    decoder_maps : (int, int)
        Maps before the first and the second transposed convolution; (128, 64) mirrors the encoder as the article says,
        (256, 128) is the published vanilla model.
    dense : int
        Units of the dense layers; 1024 in the source.
    canvas : int
        Pixels a side of what is drawn, a multiple of 4: 28 for turns, 68 for shifts.

    Raises
    ------
    ValueError
        If the canvas is not a multiple of 4.
    """

    def __init__(
        self,
        *,
        seed: int,
        code: int = 10,
        pose: int = 2,
        encoder_maps: tuple[int, int] = (64, 128),
        decoder_maps: tuple[int, int] = (128, 64),
        dense: int = 1024,
        canvas: int = 28,
    ) -> None:
        super().__init__()
        if canvas % 4:
            raise ValueError(f"the canvas is a multiple of 4 pixels a side, not {canvas}")
        self.side = canvas // 4
        self.maps = decoder_maps[0]
        with torch.device("cpu"):
            self.conv1 = nn.Conv2d(1, encoder_maps[0], 4, stride=2, padding=1)
            self.conv2 = nn.Conv2d(encoder_maps[0], encoder_maps[1], 4, stride=2, padding=1)
            self.dense1 = nn.Linear(49 * encoder_maps[1], dense)
            self.to_code = nn.Linear(dense, code)
            self.dense2 = nn.Linear(code + pose, dense)
            self.dense3 = nn.Linear(dense, self.side**2 * decoder_maps[0])
            self.up1 = nn.ConvTranspose2d(decoder_maps[0], decoder_maps[1], 4, stride=2, padding=1)
            self.up2 = nn.ConvTranspose2d(decoder_maps[1], 1, 4, stride=2, padding=1)
        glorot_start(self, seed=seed)

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        """Map upright images (N, 1, 28, 28) in [-1, 1] to codes (N, code)."""
        maps = F.leaky_relu(self.conv1(images), SLOPE)  # (N, maps, 14, 14)
        maps = F.leaky_relu(self.conv2(maps), SLOPE)  # (N, maps, 7, 7)
        return self.to_code(F.leaky_relu(self.dense1(maps.flatten(1)), SLOPE))

    def decode(self, codes: torch.Tensor, poses: torch.Tensor) -> torch.Tensor:
        """Draw codes (N, code) in poses (N, pose): (N, 1, canvas, canvas) in [-1, 1]."""
        hidden = F.relu(self.dense2(torch.cat([codes, poses], 1)))
        maps = F.relu(self.dense3(hidden)).view(-1, self.maps, self.side, self.side)
        return torch.tanh(self.up2(F.relu(self.up1(maps))))

    def forward(self, images: torch.Tensor, poses: torch.Tensor) -> torch.Tensor:
        """Draw upright images (N, 1, 28, 28) in poses (N, pose)."""
        return self.decode(self.encode(images), poses)
