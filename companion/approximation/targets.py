"""Made-up functions to approximate, on the unit interval, the unit square and the unit cube of eight dimensions."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from scipy.stats import qmc

from companion.seeds import generator, numpy_generator

TARGETS = {
    "sine": 1, "kink": 1, "step": 1, "four cosines": 1, "product of sines": 2, "disc": 2, "smooth, 8 inputs": 8,
}  # fmt: skip
STEP_AT = 0.37
RADIUS = 0.3  # of the disc, about the middle of the square
WAVES = 20  # of which the smooth function is the sum
TURN = 2 * math.pi
SIDE = 23  # of the grid on which functions of two variables are drawn
SEEN = SIDE**2


def even(n: int, dimension: int, *, seed: int) -> torch.Tensor:
    """Draw points (n, dimension) that fill the unit cube evenly, in double precision on the CPU.

    Parameters
    ----------
    n : int
        Points: the first ones of a scrambled Sobol sequence. Independent draws would leave gaps, and what a fit does in
        a gap is no matter of how well it *can* approximate.
    dimension : int
        Of the cube.
    seed : int
        Of the "points" stream, which scrambles the sequence.
    """
    drawn = qmc.Sobol(dimension, rng=numpy_generator(seed, "points")).random_base2(max(0, n - 1).bit_length())
    return torch.from_numpy(drawn[:n])


def sample(names: Sequence[str], n: int, *, seed: int, test: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
    """Return points (n, d), and the values (n, K) there of K targets of one dimension d.

    Parameters
    ----------
    names : sequence of str
        Of the targets.
    n : int
        Points.
    seed : int
        Of the points, and of the smooth function.
    test : bool
        Other points, of the same functions.
    """
    points = even(n, TARGETS[names[0]], seed=seed + 10**6 * test)
    return points, torch.stack([evaluate(name, points, seed=seed) for name in names], dim=1)


def undetermined(values: torch.Tensor, kind: str, *, seed: int) -> torch.Tensor:
    """Return targets that their inputs do not determine.

    Parameters
    ----------
    values : Tensor
        Of a function.
    kind : {"noise", "two values"}
        Normal noise with half the spread of the values; or the value, or one more than it, by the toss of a coin.
    seed : int
        Of the "corruption" stream.

    Raises
    ------
    ValueError
        If the kind is not known.
    """
    draw = {"generator": generator(seed, "corruption"), "dtype": values.dtype, "device": "cpu"}
    if kind == "noise":
        return values + 0.5 * values.std() * torch.randn(values.shape, **draw)
    if kind == "two values":
        return values + (torch.rand(values.shape, **draw) < 0.5)
    raise ValueError(f"unknown kind {kind!r}; targets are undetermined by noise or by two values")


def view(dimension: int) -> torch.Tensor:
    """Return points (SEEN, dimension) to draw a function at: an interval, a square grid, or the cube's diagonal."""
    if dimension == 2:
        along = (torch.arange(SIDE, dtype=torch.double, device="cpu") + 0.5) / SIDE
        return torch.cartesian_prod(along, along).flip(1)
    return torch.linspace(0, 1, SEEN, dtype=torch.double, device="cpu")[:, None].expand(-1, dimension)


def evaluate(name: str, points: torch.Tensor, *, seed: int = 0) -> torch.Tensor:
    """Return a target's values (N,) at points (N, d).

    Parameters
    ----------
    name : str
        One of `TARGETS`, which also tells the dimension d.
    seed : int
        Draws the smooth function; the others are the same for every seed.

    Raises
    ------
    ValueError
        If there is no such target, or the points have another dimension.
    """
    if name not in TARGETS:
        raise ValueError(f"unknown target {name!r}; the targets are {', '.join(TARGETS)}")
    if points.ndim != 2 or points.shape[1] != TARGETS[name]:
        raise ValueError(f"{name} takes points (N, {TARGETS[name]}), not {tuple(points.shape)}")
    x = points[:, 0]
    if name == "sine":
        return torch.sin(TURN * x)
    if name == "kink":
        return (x - 0.5).abs()
    if name == "step":
        return (x > STEP_AT).double()
    if name == "four cosines":  # the first terms of a function of Weierstrass
        return sum(0.5**k * torch.cos(TURN * 3**k * x) for k in range(4))
    if name == "product of sines":
        return torch.sin(TURN * points).prod(1)
    if name == "disc":
        return ((points - 0.5).norm(dim=1) < RADIUS).double()
    draw = generator(seed, "mosaics")  # not the stream of the points
    waves, phases = (torch.randn(WAVES, k, generator=draw, dtype=torch.double, device="cpu") for k in (8, 1))
    return torch.cos((points - 0.5) @ (1.5 * waves).T + TURN * phases[:, 0]).sum(1) / math.sqrt(WAVES / 2)
