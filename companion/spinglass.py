"""The spherical p-spin glass: its energy surface, descents on it, and the levels that theory gives.

N real spins sigma on the sphere |sigma|^2 = N have the energy

    H(sigma) = N^(-(p-1)/2) * sum over i1 ... ip of J[i1, ..., ip] sigma[i1] ... sigma[ip],

all J independent standard normal numbers. Energies here are H / N, per spin. *Understanding*, slides on the spherical
spin glass; Auffinger, Ben Arous and Cerny 2013; Choromanska et al. 2015.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from scipy import integrate, optimize

from companion.seeds import generator

LARGEST = {2: 5_000, 3: 600, 4: 110}  # spins whose couplings fit the memory of a laptop, by p
HELD = 2**26  # numbers of an intermediate result held at once


class Levels(NamedTuple):
    """Energies per spin: of the lowest saddles of each index (0 are minima), and the top of their band."""

    lowest: np.ndarray
    top: float


@dataclass(frozen=True)
class Descent:
    """Where descents from many starts ended.

    Attributes
    ----------
    points : Tensor, shape (starts, N)
        On the sphere.
    energy : Tensor, shape (starts,)
        Per spin.
    slope : Tensor, shape (starts,)
        Norm of the gradient along the sphere, divided by the root of N.
    steps : Tensor, shape (starts,)
        Steps that were accepted.
    """

    points: torch.Tensor
    energy: torch.Tensor
    slope: torch.Tensor
    steps: torch.Tensor


def levels(p: int, *, most: int = 5) -> Levels:
    """Return the levels -E0, -E1, ... of a large system, from its complexity function.

    Parameters
    ----------
    p : int
        Spins in each product, at least 2. For p = 2 all levels are one: a quadratic form has no band.
    most : int
        The largest index of a saddle.

    Raises
    ------
    ValueError
        If p is less than 2.

    Notes
    -----
    -E_k is the zero of Theta_k(u) = log(p-1)/2 - (p-2) u^2 / (4 (p-1)) - (k+1) I(u) below -E_infinity =
    -2 sqrt((p-1)/p), where I(u) = 2 / E_infinity^2 * integral from u to -E_infinity of sqrt(z^2 - E_infinity^2) dz.
    """
    if p < 2:
        raise ValueError(f"a p-spin glass has products of at least 2 spins, not {p}")
    top = -2 * math.sqrt((p - 1) / p)

    def complexity(u: float, index: int) -> float:
        area = integrate.quad(lambda z: math.sqrt(max(z * z - top * top, 0.0)), u, top)[0]
        return math.log(p - 1) / 2 - (p - 2) * u * u / (4 * (p - 1)) - (index + 1) * 2 / top**2 * area

    if p == 2:
        return Levels(np.full(most + 1, top), top)
    lowest = [optimize.brentq(complexity, top - 1, top - 1e-12, args=(index,), xtol=1e-12) for index in range(most + 1)]
    return Levels(np.array(lowest), top)


def couplings(n: int, *, p: int = 3, seed: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Draw couplings, made symmetric in their places: the same energy, and a gradient from one contraction.

    Parameters
    ----------
    n : int
        Spins.
    p : int
        Spins in each product.
    seed : int
        Of the "points" stream.

    Returns
    -------
    Tensor, shape (n, ..., n)
        With p places, scaled by n^(-(p-1)/2).

    Raises
    ------
    ValueError
        If p is not one of `LARGEST`, or there are more spins than it allows.
    """
    if p not in LARGEST or not 2 <= n <= LARGEST[p]:
        known = ", ".join(f"p = {k} with 2 to {most} spins" for k, most in LARGEST.items())
        raise ValueError(f"couplings are drawn for {known}, not for p = {p} with {n}")
    drawn = torch.randn((n,) * p, generator=generator(seed, "points"), dtype=dtype, device="cpu")
    drawn = drawn.to(torch.get_default_device())
    total = torch.zeros_like(drawn)
    for order in itertools.permutations(range(p)):
        total += drawn.permute(order)
    return total.mul_(n ** (-(p - 1) / 2) / math.factorial(p))


def starts(count: int, n: int, *, seed: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Draw points (count, n) uniformly on the sphere of radius sqrt(n)."""
    drawn = torch.randn(count, n, generator=generator(seed, "weights"), dtype=dtype, device="cpu")
    return on_sphere(drawn.to(torch.get_default_device()))


def on_sphere(points: torch.Tensor) -> torch.Tensor:
    """Move points (..., n) along their rays to the sphere of radius sqrt(n)."""
    return points * (math.sqrt(points.shape[-1]) / points.norm(dim=-1, keepdim=True))


def contracted(j: torch.Tensor, points: torch.Tensor, *, places: int = 1) -> torch.Tensor:
    """Put points (B, n) into all but some places of symmetric couplings.

    Returns
    -------
    Tensor, shape (B, n) or (B, n, n)
        For one or two places left: the gradient of H, or its matrix of second derivatives, but for the factors p and
        p (p - 1).
    """
    n = points.shape[1]
    if places == j.ndim:
        return j.expand(len(points), *j.shape)
    left = (j.reshape(-1, n) @ points.T).reshape(*(n,) * (j.ndim - 1), len(points))  # the last place is filled
    while left.ndim - 1 > places:
        left = (left * points.T).sum(-2)
    return left.movedim(-1, 0)


def energy(j: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Return the energies per spin (B,) of points (B, n) on the sphere."""
    return (contracted(j, points) * points).sum(1) / points.shape[1]


def descend(
    j: torch.Tensor, points: torch.Tensor, *, tolerance: float = 1e-4, most: int = 5_000, batch: int | None = None
) -> Descent:
    """Go down the energy surface from every start, along the gradient on the sphere, until it is nearly level.

    Parameters
    ----------
    j : Tensor
        Symmetric couplings, as `couplings` draws them.
    points : Tensor, shape (starts, n)
        On the sphere.
    tolerance : float
        A descent ends where the gradient's norm divided by the root of n is less than this.
    most : int
        Trial steps at most.
    batch : int, optional
        Starts that descend at once; found from the memory that they need if not given. Changes no result but by
        rounding.

    Notes
    -----
    Steps are those of Barzilai and Borwein (1988), shortened until the energy falls enough (Armijo's condition), so
    that every accepted step goes down.
    """
    batch = batch or max(1, min(256, HELD // len(j) ** (j.ndim - 1)))
    parts = [_descend(j, some, tolerance, most) for some in points.split(batch)]
    return Descent(*(torch.cat([getattr(part, name) for part in parts]) for name in Descent.__dataclass_fields__))


def _descend(j: torch.Tensor, points: torch.Tensor, tolerance: float, most: int) -> Descent:
    p, n = j.ndim, points.shape[1]

    def look(points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return energies, and gradients along the sphere."""
        field = contracted(j, points)
        height = (field * points).sum(1, keepdim=True) / n
        return height[:, 0], p * (field - height * points)

    found = points.clone()
    energies, gradients = look(found)
    slopes, steps = gradients.norm(dim=1) / math.sqrt(n), torch.zeros(len(points), dtype=torch.long)
    steps = steps.to(points.device)
    length = torch.full_like(energies, 0.1 / p)
    for _ in range(most):
        going = (slopes >= tolerance).nonzero()[:, 0]
        if len(going) == 0:
            break
        old, down = found[going], gradients[going]
        trial = on_sphere(old - length[going, None] * down)
        height, slope = look(trial)
        wanted = energies[going] - 1e-4 * length[going] * slopes[going] ** 2
        # Near a minimum the fall is lost in the rounding of the energy; a level step is then no failure.
        rounding = 4 * torch.finfo(height.dtype).eps * energies[going].abs()
        good = height <= wanted + rounding
        moved, changed = trial - old, slope - down
        curvature = (moved * changed).sum(1)
        longer = (moved**2).sum(1) / curvature.clamp(min=1e-12)
        own = going[good]
        found[own], energies[own], gradients[own] = trial[good], height[good], slope[good]
        slopes[own] = slope[good].norm(dim=1) / math.sqrt(n)
        steps[own] += 1
        length[own] = torch.where(curvature[good] > 0, longer[good].clamp(1e-6, 10.0), 2 * length[own])
        length[going[~good]] /= 4
    return Descent(found, energies, slopes, steps)


def curvatures(j: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Return the eigenvalues (B, n - 1), ascending, of the second derivatives along the sphere at points (B, n).

    Notes
    -----
    Along the sphere, the matrix of second derivatives of H is projected, and the radial slope is taken off: moving on a
    sphere, one falls away from the tangent plane.
    """
    p, n = j.ndim, points.shape[1]
    second = contracted(j, points, places=2)  # (B, n, n)
    field = (second @ points[:, :, None])[:, :, 0]
    radial = p * (field * points).sum(1) / n
    unit = points / math.sqrt(n)
    # A Householder reflection takes the last axis to the point: the other columns span the tangent plane.
    axis = torch.zeros_like(unit)
    axis[:, -1] = 1
    normal = unit - axis
    normal = normal / normal.norm(dim=1, keepdim=True).clamp(min=1e-30)
    eye = torch.eye(n, dtype=points.dtype, device=points.device)
    tangent = (eye - 2 * normal[:, :, None] * normal[:, None, :])[:, :, :-1]  # (B, n, n - 1)
    flat = tangent.transpose(1, 2) @ (p * (p - 1) * second) @ tangent
    return torch.linalg.eigvalsh(flat) - radial[:, None]


def distinct(points: torch.Tensor, *, p: int, overlap: float = 0.99) -> int:
    """Count the different end points among points (B, n): those that overlap by less, up to the sign for even p."""
    close = points @ points.T / points.shape[1]
    close = (close.abs() if p % 2 == 0 else close) > overlap
    seen = torch.zeros(len(points), dtype=torch.bool, device=points.device)
    count = 0
    for place in range(len(points)):
        if not seen[place]:
            count += 1
            seen |= close[place]
    return count


def wander(
    points: torch.Tensor, *, p: int = 3, parts: int = 10, seed: int, sweeps: int = 300, rate: float = 0.3
) -> tuple[torch.Tensor, torch.Tensor]:
    """Go down by stochastic steps: the couplings are a sum of parts, and each step follows one of them.

    Parameters
    ----------
    points : Tensor, shape (B, n)
        Starts on the sphere.
    parts : int
        Of the couplings, independent and of equal variance; drawn in turn from `seed` on.
    sweeps : int
        How often all parts are gone through.
    rate : float
        Step along the gradient of all parts in a sweep; it falls as 1 / (1 + sweep / 50).

    Returns
    -------
    couplings, points : Tensor
        The sum of the parts, and where the points are.

    Notes
    -----
    The "stochastic gradient descent" of the public code behind the figure that the slides show.
    """
    n = points.shape[1]
    drawn = (couplings(n, p=p, seed=parts * seed + part, dtype=points.dtype) for part in range(parts))
    some = [one / math.sqrt(parts) for one in drawn]
    for sweep in range(sweeps):
        for j in some:
            field = contracted(j, points)
            down = p * (field - (field * points).sum(1, keepdim=True) / n * points)
            points = on_sphere(points - rate / (1 + sweep / 50) * down)
    return torch.stack(some).sum(0), points


def anneal(
    j: torch.Tensor, points: torch.Tensor, *, seed: int, sweeps: int = 200, hot: float = 1.0, step: float = 0.05
) -> torch.Tensor:
    """Cool points (B, n) from a temperature to zero along the sphere (Langevin dynamics), and return where they are.

    Parameters
    ----------
    j : Tensor
        Symmetric couplings.
    seed : int
        Of the thermal noise.
    sweeps : int
        Steps; the temperature falls linearly.
    hot : float
        Temperature at the start, in units where H has the scale of N.
    step : float
        Of time.
    """
    p, n = j.ndim, points.shape[1]
    draw = generator(seed, "augmentation")
    for sweep in range(sweeps):
        field = contracted(j, points)
        down = p * (field - (field * points).sum(1, keepdim=True) / n * points)
        kick = torch.randn(points.shape, generator=draw, dtype=points.dtype, device="cpu").to(points.device)
        warmth = math.sqrt(2 * step * hot * (1 - sweep / sweeps))
        points = on_sphere(points - step * down + warmth * kick)
    return points
