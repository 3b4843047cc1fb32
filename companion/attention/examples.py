"""Networks on mosaics as networks on numbers of images: patches are gathered, and averaged, batch by batch.

Wrapped so, a network is trained and tested by the same functions as any other, and a mosaic costs nine numbers.
"""

from __future__ import annotations

import torch
from torch import nn

from companion.data.patches import MosaicSet
from companion.models.pixels import Pixels


class OnMosaics(nn.Module):
    """A network on patches (N, 9, 3, 32, 32), fed with the numbers of their images (N, 9).

    Parameters
    ----------
    net : nn.Module
        Maps patches to logits; one with `attend` gives weights and logits.
    mosaics : MosaicSet
        Its images are what numbers point at; they follow the network to its device and are no part of its state.
    """

    def __init__(self, net: nn.Module, mosaics: MosaicSet) -> None:
        super().__init__()
        self.net = net
        _hold(self, mosaics.images)

    def forward(self, members: torch.Tensor) -> torch.Tensor:
        """Map numbers of images (N, 9) to logits (N, classes)."""
        return self.net(self.gathered(members))

    def gathered(self, members: torch.Tensor) -> torch.Tensor:
        """Return the patches (N, 9, 3, 32, 32) as stored bytes."""
        return _gathered(self, members)

    @torch.no_grad()
    def attend(self, members: torch.Tensor, *, batch: int = 250) -> tuple[torch.Tensor, torch.Tensor]:
        """Return weights (N, 9) and logits (N, classes) in evaluation mode, on the CPU, `batch` mosaics at a time."""
        was_training = self.training
        self.eval()
        try:
            parts = [self.net.attend(self.gathered(some.to(self.stored.device))) for some in members.split(batch)]
        finally:
            self.train(was_training)
        weights, logits = zip(*parts, strict=True)
        return torch.cat(weights).cpu(), torch.cat(logits).cpu()


class OnAverages(nn.Module):
    """A network on images, fed with the rows of a set of weighted averages of mosaics: one number each.

    As the code of pixels is linear and weights sum to one, stored bytes are averaged first and then coded once, where
    nine images would be coded: on a CPU less than a tenth of the time.

    Parameters
    ----------
    net : nn.Module
        Maps images (N, 3, 32, 32) in [-1, 1] to logits.
    mosaics : MosaicSet
        N mosaics.
    weights : tensor
        (N, 9) weights of the slots; each row sums to one.

    Raises
    ------
    ValueError
        If there are not nine weights for every mosaic.
    """

    def __init__(self, net: nn.Module, mosaics: MosaicSet, weights: torch.Tensor) -> None:
        super().__init__()
        if weights.shape != mosaics.members.shape:
            raise ValueError(
                f"weights have shape {tuple(weights.shape)}; {len(mosaics.members)} mosaics need "
                f"{tuple(mosaics.members.shape)}"
            )
        self.net, self.pixels = net, Pixels("[-1,1]")
        _hold(self, mosaics.images)
        self.register_buffer("members", mosaics.members, persistent=False)
        self.register_buffer("weights", weights.float(), persistent=False)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Map rows (N,) to logits (N, classes)."""
        return self.net(self.averaged(rows))

    def averaged(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the averages (N, 3, 32, 32) in [-1, 1]."""
        weights = self.weights[rows]
        patches = _gathered(self, self.members[rows]).flatten(2).to(weights.dtype)
        gain, shift, divisor = self.pixels.numbers()
        averages = (weights[:, None] @ patches).mul_(gain).add_(shift).div_(divisor)
        return averages.reshape(len(rows), *self.shape)


def _hold(module: nn.Module, images: torch.Tensor) -> None:
    """Keep images beside a network as rows of bytes: as such `to(memory_format=...)` does not lay them out anew."""
    module.register_buffer("stored", images.flatten(1), persistent=False)
    module.shape = images.shape[1:]


def _gathered(module: nn.Module, members: torch.Tensor) -> torch.Tensor:
    return module.stored.index_select(0, members.flatten()).reshape(*members.shape, *module.shape)
