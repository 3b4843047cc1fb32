"""Where the energy of an image lies: on the ink of a digit, or in the box of a salient object found without hands."""

from __future__ import annotations

import torch
from skimage.color import rgb2lab


def energy_inside(images: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
    """Return which share of the energy (squares, summed over colours) of each image lies inside.

    Parameters
    ----------
    images : Tensor, shape (P, C, H, W)
    inside : Tensor of bool, shape (P, H, W)

    Returns
    -------
    Tensor, shape (P,)
        NaN for images without energy.
    """
    energy = images.double().square().sum(1)
    return (energy * inside).sum((1, 2)) / energy.sum((1, 2))


def ink(images: torch.Tensor) -> torch.Tensor:
    """Return where digits (P, 1, H, W), stored bytes, have more than half of the full ink: (P, H, W)."""
    return images[:, 0] > 127


def boxed(images: torch.Tensor) -> torch.Tensor:
    """Return masks (P, H, W) of the `salient_boxes` of images (P, 3, H, W)."""
    return framed(salient_boxes(images), images.shape[-1])


def salient_boxes(images: torch.Tensor, *, left_out: float = 0.05) -> torch.Tensor:
    """Return the box (left, top, right, bottom) of what stands out from the edges of each image.

    A pixel stands out by the Mahalanobis distance of its colour (CIELAB) to the colours of one edge, a strip two pixels
    wide. Of the four edges the one that it stands out from most is left out; what is above the image's mean counts.

    Parameters
    ----------
    images : Tensor, shape (N, 3, H, W)
        Bytes.
    left_out : float
        Share of what stands out that the box leaves out on each of its sides.

    Returns
    -------
    Tensor of int64, shape (N, 4)
        Right and bottom are the first pixels outside.

    Notes
    -----
    After the backgroundness map of Zhang et al. 2015, "Minimum barrier salient object detection at 80 fps".
    """
    lab = torch.from_numpy(rgb2lab(images.movedim(1, -1).cpu().numpy()))  # (N, H, W, 3)
    edges = lab[:, :2], lab[:, -2:], lab[:, :, :2], lab[:, :, -2:]
    far = torch.stack([_distance(lab, edge.flatten(1, 2)) for edge in edges])
    out = far.sum(0) - far.amax(0)
    out = (out - out.mean((1, 2), keepdim=True)).clamp(min=0) + 1e-12  # a plain image gets its whole extent
    found = []
    for axis in (1, 2):  # summed over rows: left and right; over columns: top and bottom
        along = out.sum(axis).cumsum(1)
        along = along / along[:, -1:]
        found.append(((along <= left_out).sum(1), (along < 1 - left_out).sum(1) + 1))
    (left, right), (top, bottom) = found
    return torch.stack([left, top, right, bottom], 1)


def framed(boxes: torch.Tensor, side: int) -> torch.Tensor:
    """Return masks (N, side, side) that are true inside boxes (N, 4) of (left, top, right, bottom)."""
    pixel = torch.arange(side, device=boxes.device)
    left, top, right, bottom = boxes[:, :, None].unbind(1)
    across, down = (left <= pixel) & (pixel < right), (top <= pixel) & (pixel < bottom)
    return down[:, :, None] & across[:, None, :]


def _distance(colours: torch.Tensor, ground: torch.Tensor) -> torch.Tensor:
    """Return Mahalanobis distances (N, H, W) of colours (N, H, W, 3) to those of a ground (N, G, 3), at most 1."""
    apart = ground - ground.mean(1, keepdim=True)
    spread = apart.mT @ apart / apart.shape[1] + torch.eye(3, dtype=apart.dtype, device="cpu")  # a unit of CIELAB
    less = colours.flatten(1, 2) - ground.mean(1, keepdim=True)
    far = (less * torch.linalg.solve(spread, less.mT).mT).sum(2).sqrt()
    return (far / far.amax(1, keepdim=True).clamp_min(1e-12)).reshape(colours.shape[:3])
