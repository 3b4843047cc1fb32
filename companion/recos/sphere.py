"""Clusters on the unit sphere, by the angle between vectors: the RECOS model without a network."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch.nn import functional as F

from companion.models.recos import CONTRAST, directions
from companion.seeds import generator

# Corners of a regular tetrahedron: four directions as far from one another as four can be.
TETRAHEDRON = torch.tensor([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], dtype=torch.float64, device="cpu")


class Clusters(NamedTuple):
    """Centres (k, d) of unit length, the cluster (N,) of every point, and the mean cosine to its centre."""

    centres: torch.Tensor
    labels: torch.Tensor
    cosine: float


def on_circle(degrees: torch.Tensor) -> torch.Tensor:
    """Return the unit vectors (..., 2) at angles (...) from the x axis."""
    turned = torch.deg2rad(degrees)
    return torch.stack([turned.cos(), turned.sin()], -1)


def angles(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return the angles (N, M) in degrees between vectors (N, d) and (M, d), in double precision."""
    a, b = (F.normalize(one.double(), dim=-1) for one in (a, b))
    return torch.rad2deg((a @ b.T).clamp(-1, 1).arccos())


def arc_lengths(a: torch.Tensor, b: torch.Tensor, *, halvings: int = 10) -> torch.Tensor:
    """Walk from unit vectors a (N, d) to b (N, d) along the sphere and return how far it is, (N,).

    The way is halved again and again, at the middle of the straight line pushed out to the sphere, and measured as a
    chain of chords: no angle is used. Between opposite points it is not defined.
    """
    points = torch.stack([a.double(), b.double()])
    for _ in range(halvings):
        middles = F.normalize(points[1:] + points[:-1], dim=-1)
        points = torch.cat([torch.stack([points[:-1], middles], 1).flatten(0, 1), points[-1:]])
    return points.diff(dim=0).norm(dim=-1).sum(0)


def planted(n: int, *, spread: float, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw points about the four corners of a tetrahedron that is turned at random.

    Parameters
    ----------
    n : int
        Points.
    spread : float
        Standard deviation of the normal noise added to each coordinate before a point is put on the sphere.
    seed : int
        Of the stream "points".

    Returns
    -------
    points, labels : Tensor, shapes (n, 3) and (n,)
    """
    drawn = {"generator": generator(seed, "points"), "device": "cpu"}
    turn = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64, **drawn))[0]
    labels = torch.randint(4, (n,), **drawn)
    noise = spread * torch.randn(n, 3, dtype=torch.float64, **drawn)
    return F.normalize(F.normalize(TETRAHEDRON, dim=1)[labels] @ turn + noise, dim=1), labels


def patches(maps: torch.Tensor, n: int, *, size: int = 5, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Cut patches from maps at random places, bring them to zero mean and unit length.

    Parameters
    ----------
    maps : Tensor, shape (N, C, H, W)
        Images or maps, in floating point.
    n : int
        Patches cut; those with hardly any contrast are left out.
    size : int
        Side of a patch.
    seed : int
        Of the stream "points".

    Returns
    -------
    patches : Tensor, shape (at most n, C * size * size)
        In double precision, flattened as a filter is.
    source : Tensor
        Index of the image that each is from.

    Raises
    ------
    ValueError
        If the maps are smaller than a patch, or no patch has contrast.
    """
    if min(maps.shape[2:]) < size:
        raise ValueError(f"patches of {size}x{size} cannot be cut from maps of {maps.shape[2]}x{maps.shape[3]}")
    drawn = {"generator": generator(seed, "points"), "device": "cpu"}
    maps = maps.cpu()
    source, top, left = (
        torch.randint(most, (n,), **drawn) for most in (len(maps), maps.shape[2] - size + 1, maps.shape[3] - size + 1)
    )
    along = torch.arange(size, device="cpu")
    rows, columns = (top[:, None] + along)[:, :, None], (left[:, None] + along)[:, None, :]
    cut = maps.movedim(1, -1)[source[:, None, None], rows, columns].movedim(-1, 1).flatten(1).double()
    kept = (cut - cut.mean(1, keepdim=True)).square().sum(1) > CONTRAST
    if not kept.any():
        raise ValueError(f"none of the {n} patches has any contrast")
    return directions(cut[kept]), source[kept]


def kmeans(points: torch.Tensor, k: int, *, seed: int, restarts: int = 3, most: int = 50) -> Clusters:
    """Cluster unit vectors by angle (spherical k-means); of several starts the one with the largest mean cosine.

    Parameters
    ----------
    points : Tensor, shape (N, d)
        Of unit length; computed with on the CPU.
    k : int
        Clusters.
    seed : int
        Of the stream "corruption": draws the first centres, far ones more likely (k-means++).
    restarts : int
        Starts.
    most : int
        Rounds at most; one start ends when no point changes its cluster.

    Raises
    ------
    ValueError
        If k is not between 1 and the number of points.

    Notes
    -----
    Dhillon and Modha 2001. The mean cosine grows in every round.
    """
    if not 1 <= k <= len(points):
        raise ValueError(f"{len(points)} points make from 1 to {len(points)} clusters, not {k}")
    draw, points = generator(seed, "corruption"), points.cpu()
    found = [_cluster(points, k, draw, most) for _ in range(restarts)]
    return max(found, key=lambda one: one.cosine)


def _cluster(points: torch.Tensor, k: int, draw: torch.Generator, most: int) -> Clusters:
    with torch.device("cpu"):
        centres = points[torch.randint(len(points), (1,), generator=draw)]
        for _ in range(k - 1):
            apart = (1 - points @ centres.T).amin(1).clamp(min=1e-12)
            centres = torch.cat([centres, points[torch.multinomial(apart, 1, generator=draw)]])
        labels = torch.full((len(points),), -1)
        for _ in range(most):
            nearest = (points @ centres.T).max(1)
            if torch.equal(nearest.indices, labels):
                break
            labels = nearest.indices
            sums = torch.zeros_like(centres).index_add_(0, labels, points)
            # A cluster without points begins again at the point that is worst served.
            empty = torch.bincount(labels, minlength=k) == 0
            sums[empty] = points[nearest.values.argmin()]
            centres = F.normalize(sums, dim=1)
        return Clusters(centres, labels, float((points * centres[labels]).sum(1).mean()))


def purity(labels: torch.Tensor, classes: torch.Tensor) -> float:
    """Return the share of points whose class is the most frequent one of their cluster."""
    table = torch.zeros(int(labels.max()) + 1, int(classes.max()) + 1, dtype=torch.long, device=labels.device)
    ones = torch.ones_like(labels)
    return float(table.index_put_((labels, classes), ones, accumulate=True).amax(1).sum() / len(labels))
