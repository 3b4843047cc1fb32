"""Images in colour that are no photographs of the classes known: what a network of CIFAR-10 was not trained on."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from companion.data.images import mnist
from companion.seeds import generator

COLOURED = ("colour noise", "coloured digits", "shuffled", "negative")


def coloured_novelties(photographs: torch.Tensor, *, seed: int) -> dict[str, torch.Tensor]:
    """Return sets of images unlike the photographs, each as large as they are.

    Parameters
    ----------
    photographs : Tensor, shape (N, 3, H, W)
        Bytes; at most as many as MNIST has test digits.
    seed : int
        Draws all that is random.

    Returns
    -------
    dict
        Name, of `COLOURED`, and images (N, 3, H, W) as shares of full light.

    Raises
    ------
    ValueError
        If there are more photographs than digits.

    Notes
    -----
    colour noise: uniform in every pixel and colour; coloured digits: MNIST test digits, drawn in one colour on another,
    which differ in every channel; shuffled: the photographs, their pixels in another, fixed order; negative: of the
    photographs.
    """
    digits, _ = mnist("test")
    if len(photographs) > len(digits):
        raise ValueError(f"there are {len(digits):,} digits to be coloured, not {len(photographs):,}")
    with torch.device("cpu"):
        draw = generator(seed, "points")
        light = photographs.float() / 255
        order = torch.randperm(light[0, 0].numel(), generator=draw)
        chosen = torch.randperm(len(digits), generator=draw)[: len(light)]
        ink = F.interpolate(digits[chosen].float() / 255, size=light.shape[-2:], mode="bilinear")
        paper = torch.rand(len(light), 3, 1, 1, generator=draw)
        # Around the circle of shades, so that ink is never as light as paper.
        drawn = (paper + 0.3 + 0.4 * torch.rand(paper.shape, generator=draw)) % 1
        return {
            "colour noise": torch.rand(light.shape, generator=draw),
            "coloured digits": paper + ink * (drawn - paper),
            "shuffled": light.flatten(2)[..., order].reshape(light.shape),
            "negative": 1 - light,
        }
