"""An autoencoder that is told a shift and whose decoder has the same weights at every place (source `invariants`)."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from companion.models.autoencoders import PosedAutoencoder

IMAGE = 28  # pixels a side of what is encoded
PLACES = ("relative", "absolute")


class CoordinateAutoencoder(PosedAutoencoder):
    """The encoder and the layers of `PosedAutoencoder`, its two dense decoder layers applied at each place of the map.

    Every place of the map (a quarter of the canvas a side) is given the code and where it lies, and computes its own
    maps by weights that all places share: 1x1 convolutions. The transposed convolutions are as before. The idea of a
    decoder on a broadcast code with coordinate channels is that of Watters et al. 2019 (arXiv 1901.07017).

    Parameters
    ----------
    seed : int
        Of the initial weights.
    places : {"relative", "absolute"}
        What a place is told: where it lies as seen from the middle of the shifted image; or where it lies on the
        canvas, and the shift.
    code : int
        Components of the code.
    encoder_maps, decoder_maps : (int, int)
        As in `PosedAutoencoder`.
    dense : int
        Units of the encoder's dense layer and of the decoder's first layer at each place.
    canvas : int
        Pixels a side of what is drawn, a multiple of 4 and at least 32; poses are shifts (down, right) over the margin
        of (canvas - 28) / 2 pixels.

    Raises
    ------
    ValueError
        If the places are told in an unknown way or the canvas does not fit.
    """

    def __init__(
        self,
        *,
        seed: int,
        places: str = "relative",
        code: int = 10,
        encoder_maps: tuple[int, int] = (64, 128),
        decoder_maps: tuple[int, int] = (256, 128),
        dense: int = 1024,
        canvas: int = 68,
    ) -> None:
        if places not in PLACES:
            raise ValueError(f"places are told as one of {', '.join(PLACES)}, not {places!r}")
        if canvas % 4 or canvas <= IMAGE:
            raise ValueError(f"the canvas is a multiple of 4 pixels a side and wider than {IMAGE}, not {canvas}")
        super().__init__(
            seed=seed,
            code=code,
            pose=2 if places == "relative" else 4,
            encoder_maps=encoder_maps,
            decoder_maps=decoder_maps,
            dense=dense,
            canvas=4,  # the dense layers of one place
        )
        self.places, self.side = places, canvas // 4
        self.margin = (canvas - IMAGE) / 2
        with torch.device("cpu"):
            line = (4 * torch.arange(self.side) + 2 - canvas / 2) / self.margin
            self.register_buffer("grid", torch.cartesian_prod(line, line), persistent=False)  # (side**2, 2)

    def decode(self, codes: torch.Tensor, poses: torch.Tensor) -> torch.Tensor:
        """Draw codes (N, code) at shifts (N, 2), in units of the margin: (N, 1, canvas, canvas) in [-1, 1]."""
        where, given = self.grid - poses[:, None], codes  # (N, places, 2)
        if self.places == "absolute":
            where, given = self.grid.expand(len(codes), -1, -1), torch.cat([codes, poses], 1)
        # What all places share is weighed once an image.
        by_image, by_place = self.dense2.weight.split([given.shape[1], 2], 1)
        hidden = F.relu(F.linear(given, by_image, self.dense2.bias)[:, None] + F.linear(where, by_place))
        maps = F.relu(self.dense3(hidden)).view(-1, self.side, self.side, self.maps).permute(0, 3, 1, 2)
        return torch.tanh(self.up2(F.relu(self.up1(maps))))
