"""Functions put together from logistic units by hand: ridges, bumps, tiles, and discs from one layer and from two."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

HELD = 2**24  # numbers held at once
# The steepness of units at the edges of tiles is this times the square of the tiles in a row, so that the share of a
# tile that its edges take up shrinks with it.
SHARPNESS = 20.0


def steps(points: torch.Tensor, places: torch.Tensor, *, steepness: float) -> torch.Tensor:
    """Return units (N, k) that rise at each of the places (k,) along the line, at points (N,) of it."""
    return torch.sigmoid(steepness * (points[:, None] - places))


def ridges(points: torch.Tensor, edges: torch.Tensor, *, steepness: float) -> torch.Tensor:
    """Return ridges (N, k) between neighbours of the edges (k + 1,): two units each, one of them taken off."""
    return -steps(points, edges, steepness=steepness).diff(dim=1)


def fan(points: torch.Tensor, directions: int, reaches: torch.Tensor, *, steepness: float) -> torch.Tensor:
    """Return means (N, k) of ridges through the origin in evenly turned directions: 2 * directions units each.

    Parameters
    ----------
    points : Tensor, shape (N, 2)
        In the plane.
    directions : int
        Over a half turn. With many of them, a mean hardly depends on more than the distance from the origin.
    reaches : Tensor, shape (k,)
        How far the ridges of each mean reach to both sides.
    """
    total = points.new_zeros(len(points), len(reaches))
    for place in range(directions):
        turn = math.pi * place / directions
        along = points @ points.new_tensor([math.cos(turn), math.sin(turn)])
        total += steps(along, -reaches, steepness=steepness) - steps(along, reaches, steepness=steepness)
    return total / directions


def crossed(first: torch.Tensor, second: torch.Tensor, *, steepness: float = 20.0) -> torch.Tensor:
    """Return a unit of a second layer (...,) that is on where both of two ridges are."""
    return torch.sigmoid(steepness * (first + second - 1.5))


def tiles(values: torch.Tensor, points: torch.Tensor, *, layers: int) -> torch.Tensor:
    """Return a sum (N,) of one bump for each tile of the unit square, as high as the function in its middle.

    Parameters
    ----------
    values : Tensor, shape (t, t)
        Of the function at the middles of t rows of t tiles, the first coordinate running along the rows.
    points : Tensor, shape (N, 2)
        In the unit square.
    layers : {1, 2}
        With one hidden layer a bump is half the sum of two crossed ridges: four units, with arms across the square.
        With two, a unit of the second cuts the arms off.

    Raises
    ------
    ValueError
        If there is another number of layers.
    """
    if layers not in (1, 2):
        raise ValueError(f"tiles are built with 1 or 2 hidden layers, not {layers}")
    edges = torch.linspace(0, 1, len(values) + 1, dtype=points.dtype, device=points.device)
    edges[0], edges[-1] = -1, 2  # the outer tiles have no edge in the square
    across, along = (ridges(points[:, k], edges, steepness=SHARPNESS * len(values) ** 2) for k in (0, 1))
    if layers == 1:
        return (across @ values.sum(0) + along @ values.sum(1)) / 2
    size = max(1, HELD // values.numel())
    pairs = zip(across.split(size), along.split(size), strict=True)
    return torch.cat([(crossed(a[:, None, :], b[:, :, None]) * values).sum((1, 2)) for a, b in pairs])


def additive(points: torch.Tensor, values: torch.Tensor, per_side: int) -> torch.Tensor:
    """Return the best fit (N, 1) to values (N, 1) that ridges along both axes can give, whatever their heights."""
    edges = torch.linspace(0, 1, per_side + 1, dtype=points.dtype, device=points.device)[1:-1]
    units = [steps(points[:, k], edges, steepness=SHARPNESS * per_side**2) for k in (0, 1)]
    units = torch.cat([*units, points.new_ones(len(points), 1)], dim=1)
    return units @ torch.linalg.lstsq(units, values).solution


def round_fit(
    points: torch.Tensor, values: torch.Tensor, directions: int, reaches: torch.Tensor, *, steepness: float
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Fit a sum of fans, one for each of the reaches (k,), to values (N, 1) at points (N, 2) by least squares.

    Returns
    -------
    callable
        Maps points (N, 2) to the sum (N, 1): a network with 2 * directions * k units in one hidden layer.
    """

    def fans(some: torch.Tensor) -> torch.Tensor:
        return fan(some, directions, reaches, steepness=steepness)

    heights = torch.linalg.lstsq(fans(points), values, rcond=1e-4, driver="gelsd").solution
    return lambda some: fans(some) @ heights


def polygon(points: torch.Tensor, sides: int, apothem: float, *, steepness: float) -> torch.Tensor:
    """Return a regular polygon (N,) about the origin: one unit a side, and one of a second layer that is on inside."""
    turns = 2 * math.pi * torch.arange(sides, dtype=points.dtype, device=points.device) / sides
    outwards = points @ torch.stack([turns.cos(), turns.sin()])
    return torch.sigmoid(steepness * (torch.sigmoid(steepness * (apothem - outwards)).sum(1) - sides + 0.5))
