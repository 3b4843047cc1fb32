"""From stored bytes to network input: the first layer of every image model here."""

from __future__ import annotations

import torch
from torch import nn

# coded = (gain * byte + shift) / divisor. Whole numbers wherever they can be: then "[-1,1]" codes the negative
# 255 - byte of an image as exactly minus the code of the image, to the last bit.
CODINGS: dict[str, tuple[float, float, float]] = {
    "[0,1]": (1, 0, 255),
    "[-1,1]": (2, -255, 255),
    "standardised": (1, -0.1307 * 255, 0.3081 * 255),  # mean and standard deviation of MNIST's training images
    "1998": (1.275, -25.5, 255),  # LeCun et al. 1998: background -0.1, ink 1.175
}


class Pixels(nn.Module):
    """Turn uint8 images into floats; images already in floating point pass unchanged.

    Parameters
    ----------
    coding : str
        One of `CODINGS`.

    Raises
    ------
    ValueError
        If `coding` is not known.
    """

    def __init__(self, coding: str = "[0,1]") -> None:
        super().__init__()
        if coding not in CODINGS:
            raise ValueError(f"unknown coding {coding!r}; the codings are {', '.join(CODINGS)}")
        self.coding = coding
        # Follows the model to another precision (`.double()`) and device, as its weights do.
        self.register_buffer("_kind", torch.empty(0), persistent=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Code images of shape (N, C, H, W)."""
        if images.is_floating_point():
            return images
        gain, shift, divisor = self.numbers()
        return images.to(self._kind.dtype).mul_(gain).add_(shift).div_(divisor)

    def numbers(self) -> tuple[float, float, float]:
        """Return gain, shift and divisor of coded = (gain * byte + shift) / divisor."""
        return CODINGS[self.coding]

    def extra_repr(self) -> str:
        """Show the coding when the network is printed."""
        return self.coding
