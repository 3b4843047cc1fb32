"""Made-up points."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch

from companion.seeds import generator

GEOMETRIES = ("lifted", "rotated")
# Class means in the plane; classes 0-2 are foreground, 3-9 background (mosaic, section 9, the authors' notebooks).
PLANE_MEANS = torch.tensor(
    [[2, 2], [0, -2], [-2, 2], [0, 0], [-2, -4], [2, -4], [-4, 0], [-2, 4], [2, 4], [4, 0]],
    dtype=torch.float64,
    device="cpu",
)
PLANE_NORMAL_XY = (2.0, 3.0)  # the foreground plane is 2x + 3y = c z


class Points(NamedTuple):
    """Points (N, 3) in double precision and their classes (N,)."""

    inputs: torch.Tensor
    labels: torch.Tensor


def two_planes(
    n: int, *, angle: float, seed: int, geometry: str = "lifted", background_noise: float = 0.0, sd: float = 0.1
) -> Points:
    """Draw ten classes of points, three of them in a plane at an angle to the plane of the other seven.

    Parameters
    ----------
    n : int
        Number of points; the class of each is uniform over ten.
    angle : float
        Angle between the two planes, in degrees.
    seed : int
        Seed of the "points" stream; the same seed gives the same points in the x-y plane at every angle.
    geometry : {"lifted", "rotated"}
        "lifted" sets z = tan(angle) * (2x + 3y) / sqrt(13) and leaves x and y as they are, which is what the authors'
        code does and moves the foreground classes apart as the angle grows; "rotated" turns the foreground rigidly
        about the line in which the planes meet.
    background_noise : float
        Standard deviation of z of the background points; 0 in the paper.
    sd : float
        Standard deviation of x and of y around the class mean.

    Raises
    ------
    ValueError
        If the geometry is not known, or "lifted" is asked for a right angle.

    Notes
    -----
    Mosaic, section 9.
    """
    if geometry not in GEOMETRIES:
        raise ValueError(f"unknown geometry {geometry!r}; the geometries are {', '.join(GEOMETRIES)}")
    if geometry == "lifted" and abs(math.cos(math.radians(angle))) < 1e-9:
        raise ValueError(f"a plane cannot be lifted to {angle} degrees; use geometry='rotated' for a right angle")
    # Drawn on the CPU whatever the default device is: the same points everywhere.
    drawn = {"generator": generator(seed, "points"), "device": "cpu"}
    labels = torch.randint(10, (n,), **drawn)
    flat = PLANE_MEANS[labels] + sd * torch.randn(n, 2, dtype=torch.float64, **drawn)
    noise = background_noise * torch.randn(n, dtype=torch.float64, **drawn)
    steepest = torch.tensor(PLANE_NORMAL_XY, dtype=torch.float64, device="cpu") / math.hypot(*PLANE_NORMAL_XY)
    along = flat @ steepest  # (N,) how far up the slope of the foreground plane
    turn = math.radians(angle)
    if geometry == "lifted":
        foreground = torch.column_stack([flat, math.tan(turn) * along])
    else:
        kept = flat + (math.cos(turn) - 1) * along[:, None] * steepest
        foreground = torch.column_stack([kept, math.sin(turn) * along])
    background = torch.column_stack([flat, noise])
    return Points(torch.where((labels < 3)[:, None], foreground, background), labels)
