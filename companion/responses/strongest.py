"""How strongly units respond to images, to which most of all, and how well these belong together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from companion.responses.layers import Hidden, device_of


class Responses(NamedTuple):
    """Responses of the U units of a layer to N images, read through a rectifier, on the CPU.

    Attributes
    ----------
    peak : Tensor, shape (N, U)
        The strongest response over the places of a map.
    place : Tensor, shape (N, U)
        Where that is, counted row by row.
    mean : Tensor, shape (N, U)
        Over the places.
    """

    peak: torch.Tensor
    place: torch.Tensor
    mean: torch.Tensor


@torch.no_grad()
def respond(
    layers: nn.Sequential, hidden: Sequence[Hidden], images: torch.Tensor, *, batch: int = 250
) -> list[Responses]:
    """Return the responses of each hidden layer to images (N, C, H, W)."""
    parts: list[list[Responses]] = [[] for _ in hidden]
    for some in images.split(batch):
        maps, start = some.to(device_of(layers)), 0
        for found, layer in zip(parts, hidden, strict=True):
            maps, start = layers[start : layer.stop](maps), layer.stop
            peak, place = (flat := maps.reshape(*maps.shape[:2], -1).clamp(min=0)).max(2)
            found.append(Responses(peak.cpu(), place.cpu(), flat.mean(2).cpu()))
    return [Responses(*map(torch.cat, zip(*found, strict=True))) for found in parts]


def strongest(responses: Responses, n: int = 9) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the n images that excite each unit most, strongest first, and the places in them: (U, n) each."""
    images = responses.peak.T.argsort(dim=1, descending=True, stable=True)[:, :n]
    return images, responses.place.T.gather(1, images)


def patches(images: torch.Tensor, layer: Hidden, chosen: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Cut out what units see.

    Parameters
    ----------
    images : Tensor, shape (N, C, side, side)
        What the layer's fields are of.
    chosen, places : Tensor of int, shape (P,)
        Image and place of each.

    Returns
    -------
    Tensor, shape (P, C, field, field)
    """
    top, left = corners(images.shape[-1], layer, places)
    one = torch.arange(layer.field, device=images.device)
    rows, columns = top[:, None, None] + one[:, None], left[:, None, None] + one
    return images.movedim(1, -1)[chosen[:, None, None], rows, columns].movedim(-1, 1)


def corners(side: int, layer: Hidden, places: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the upper and left ends, in pixels, of the fields at places of a layer for images of that side."""
    across = (side - layer.field) // max(layer.stride, 1) + 1
    return places // across * layer.stride, places % across * layer.stride


def selectivity(responses: torch.Tensor, labels: torch.Tensor, *, classes: int = 10) -> torch.Tensor:
    """Return how much each unit prefers one class: (best - others) / (best + others), of its mean responses.

    Parameters
    ----------
    responses : Tensor, shape (N, U)
        Not negative.
    labels : Tensor, shape (N,)
        Every class occurs.

    Returns
    -------
    Tensor, shape (U,)
        In [0, 1]; `others` is the mean over the other classes (Morcos et al. 2018). NaN for units that never respond.
    """
    member = F.one_hot(labels, classes).double()
    means = member.T @ responses.double() / member.sum(0)[:, None]
    best = means.amax(0)
    others = (means.sum(0) - best) / (classes - 1)
    return (best - others) / (best + others)


def preference(responses: torch.Tensor, labels: torch.Tensor, label: int) -> torch.Tensor:
    """Return each unit's mean response to a class less that to all others, in its standard deviations: (U,)."""
    own, responses = labels == label, responses.double()
    return (responses[own].mean(0) - responses[~own].mean(0)) / responses.std(0)


def commonest(labels: torch.Tensor, *, classes: int = 10) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the commonest label in each row of (U, n), the lesser of equals, and how often it is there: (U,) each."""
    count, label = F.one_hot(labels, classes).sum(1).max(1)
    return label, count
