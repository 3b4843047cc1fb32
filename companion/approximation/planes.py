"""Logistic units as half-planes: shapes in the square from -1 to 1, and networks that tell their inside."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch.nn import functional as F

from companion.approximation.shallow import Shallow, minimise, random_units
from companion.approximation.targets import RADIUS as OF_UNIT_SQUARE
from companion.approximation.targets import even
from companion.seeds import generator

SHAPES = ("disc", "ring", "two moons", "checkerboard")
RADIUS = 2 * OF_UNIT_SQUARE  # the disc of the targets, on a square twice as wide
RING = (0.35, 0.75)  # inner and outer radius
STEEPER = (10.0, 40.0, 160.0)  # the slopes of half-planes while a polygon is trained
SQUARES = 3  # of the checkerboard along a side


class Labelled(NamedTuple):
    """Points (N, 2) in double precision, and (N,) ones for those of the shape and zeros for the others."""

    inputs: torch.Tensor
    labels: torch.Tensor


def shape(kind: str, n: int, *, seed: int) -> Labelled:
    """Draw points inside and outside of a shape.

    Parameters
    ----------
    kind : str
        One of `SHAPES`. The moons are two half-circles with normal scatter; for the others, points fill the square
        evenly.
    n : int
        Points.
    seed : int
        Of the "points" stream.

    Raises
    ------
    ValueError
        If there is no such shape.
    """
    if kind not in SHAPES:
        raise ValueError(f"unknown shape {kind!r}; the shapes are {', '.join(SHAPES)}")
    if kind != "two moons":
        points = 2 * even(n, 2, seed=seed) - 1
        return Labelled(points, inside(kind, points))
    draw = {"generator": generator(seed, "points"), "dtype": torch.double, "device": "cpu"}
    turn, lower = math.pi * torch.rand(n, **draw), (torch.rand(n, **draw) < 0.5).double()
    sign = 1 - 2 * lower  # the lower moon is the upper one turned about the middle
    moons = torch.stack([sign * (torch.cos(turn) - 0.5), sign * (torch.sin(turn) - 0.25)], dim=1)
    return Labelled(0.6 * (moons + 0.12 * torch.randn(n, 2, **draw)), lower)


def inside(kind: str, points: torch.Tensor) -> torch.Tensor:
    """Return ones for points (N, 2) in the disc, in the ring, or on the squares of one colour, and zeros for others."""
    if kind == "checkerboard":
        return 1 - ((points + 1) * SQUARES / 2).floor().clamp(0, SQUARES - 1).sum(1) % 2
    r = points.norm(dim=1)
    return (r < RADIUS).double() if kind == "disc" else ((r > RING[0]) & (r < RING[1])).double()


def lattice(side: int) -> torch.Tensor:
    """Return the middles (side * side, 2) of a grid of cells over the square, the first coordinate running fastest."""
    along = (torch.arange(side, dtype=torch.double, device="cpu") + 0.5) * 2 / side - 1
    return torch.cartesian_prod(along, along).flip(1)


def classify(
    points: torch.Tensor, labels: torch.Tensor, units: int, *, seed: int, starts: int = 10, steps: int = 500
) -> Shallow:
    """Train logistic units to tell a shape from its surroundings: the best of several starts by cross-entropy.

    Parameters
    ----------
    points, labels : Tensor, shapes (N, 2) and (N,)
        As `shape` draws them.
    units : int
        Hidden units, as steep as training makes them.
    seed : int
        Of the first start.
    starts, steps : int
        Starts, and the most iterations of L-BFGS from each.

    Returns
    -------
    Shallow
        Its output is a logit: positive where a point is taken to be inside.
    """

    def loss(weights: torch.Tensor, biases: torch.Tensor, outputs: torch.Tensor) -> torch.Tensor:
        logits = Shallow("logistic", weights, biases, outputs)(points)[:, 0]
        return F.binary_cross_entropy_with_logits(logits, labels)

    def begin(one: int) -> list[torch.Tensor]:
        first, draw = random_units(units, 2, rises=1, seed=one), generator(one, "order")
        outputs = torch.randn(units + 1, 1, generator=draw, dtype=torch.double, device="cpu")
        # The units of the unit square, moved to that from -1 to 1.
        return [first.weights / 2, first.biases + first.weights.sum(1) / 2, outputs]

    return Shallow("logistic", *_best([loss], begin, seed, starts, steps))


def cut_polygon(
    points: torch.Tensor, labels: torch.Tensor, sides: int, *, seed: int, starts: int = 10, steps: int = 500
) -> Shallow:
    """Train half-planes to have a shape as what they share: a polygon, the best of several starts by cross-entropy.

    Parameters
    ----------
    points, labels, seed, starts, steps
        As for `classify`.
    sides : int
        Half-planes. A point is inside with the product of their logistic units as probability; the units get steeper in
        the course of training, all equally.

    Returns
    -------
    Shallow
        Threshold units, and an output that is positive where all of them are on.
    """

    def units(turns: torch.Tensor, distances: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return -torch.stack([turns.cos(), turns.sin()], dim=1), distances

    def loss_at(steepness: float) -> Callable[..., torch.Tensor]:
        def loss(*numbers: torch.Tensor) -> torch.Tensor:
            weights, biases = units(*numbers)
            inside = F.logsigmoid(steepness * (points @ weights.T + biases)).sum(1).clamp(max=-1e-12)
            return -torch.where(labels > 0, inside, torch.log(-torch.expm1(inside))).mean()

        return loss

    def begin(one: int) -> list[torch.Tensor]:
        draw = {"generator": generator(one, "weights"), "dtype": torch.double, "device": "cpu"}
        return [2 * math.pi * torch.rand(sides, **draw), torch.rand(sides, **draw)]

    weights, biases = units(*_best([loss_at(one) for one in STEEPER], begin, seed, starts, steps))
    outputs = torch.full((sides + 1, 1), 10.0, dtype=torch.double, device="cpu")
    outputs[-1] *= 0.5 - sides
    return Shallow("threshold", weights, biases, outputs)


def _best(
    losses: Sequence[Callable[..., torch.Tensor]], begin: Callable[[int], list[torch.Tensor]], seed: int, starts: int,
    steps: int,
) -> list[torch.Tensor]:  # fmt: skip
    """Go down one loss after the other from several starts, and return where the last is least."""
    ends = []
    for start in range(starts):
        numbers = begin(1_000 * seed + start)
        for loss in losses:
            numbers = minimise(loss, numbers, steps=steps)
        ends.append((float(losses[-1](*numbers)), start, numbers))
    return min(ends)[2]


def cells(net: Shallow, *, side: int = 400) -> int:
    """Count the pieces into which the units' zero lines cut the square, as far as a grid of side * side points sees."""
    positive = lattice(side) @ net.weights.T + net.biases > 0
    return len(positive.unique(dim=0))


def most_cells(lines: int) -> int:
    """Return the most pieces into which lines cut a plane."""
    return 1 + lines + lines * (lines - 1) // 2


def area_error(net: Shallow, *, side: int = 400) -> float:
    """Return the area on which a network is wrong about the disc, in units of the disc's."""
    points = lattice(side)
    disc = inside("disc", points) > 0
    return float(((net(points)[:, 0] > 0) != disc).sum() / disc.sum())


def inscribed_error(sides: int) -> float:
    """Return the area that the regular polygon inside a disc leaves uncovered, in units of the disc's."""
    return 1 - sides / (2 * math.pi) * math.sin(2 * math.pi / sides)


def best_polygon(sides: int) -> tuple[float, float]:
    """Return the regular polygon that comes nearest to a disc, and how near that is.

    Parameters
    ----------
    sides : int
        At least three.

    Returns
    -------
    apothem, error : float
        Distance of the sides from the middle, in radii; area between polygon and disc, in units of the disc's.

    Notes
    -----
    With h = pi / sides and the apothem cos(t), the error is the mean over u from 0 to h of |cos(t)^2 / cos(u)^2 - 1|.
    It is least where tan(t) = tan(h) / 2, with half of every side inside the disc, and is 2 t / h - 1 then.
    """
    if sides < 3:
        raise ValueError(f"a polygon has at least 3 sides, not {sides}")
    half = math.pi / sides
    t = math.atan(math.tan(half) / 2)
    return math.cos(t), 2 * t / half - 1
