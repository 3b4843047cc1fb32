"""Which images to label: ways of choosing a training set from a pool, and statistics of what was chosen."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from companion.seeds import generator

KINDS = ("random", "k-centre", "nearest to the mean", "one cluster", "duplicates")
CLUSTERS = 10  # of each class; "one cluster" takes one of them
CODES = 128  # clusters of the pool, for the coverage
ROUNDS = 8  # of spherical k-means
CHUNK = 1_000  # rows of a matrix of distances held at once


def select(kind: str, images: torch.Tensor, labels: torch.Tensor, n: int, *, seed: int) -> torch.Tensor:
    """Choose n images of a pool.

    Parameters
    ----------
    kind : str
        "random": the first n of a random order, so that smaller choices of a seed lie in larger ones. "k-centre": one
        at random, then again and again the image farthest from all those chosen. "nearest to the mean": of each class
        those nearest to its mean. "one cluster": of each class those with the least angle to one of its spherical
        clusters, drawn at random. "duplicates": a random half, twice.
    images : Tensor, shape (N, channels, height, width)
        The pool, in bytes.
    labels : Tensor, shape (N,)
        Their classes. All but "random", "k-centre" and "duplicates" need them, and take equally many of each.
    n : int
        How many to choose; any remainder over the classes goes to the first of them.
    seed : int
        Draws what is random.

    Returns
    -------
    Tensor, shape (n,)
        Indices into the pool; all different but for "duplicates".

    Raises
    ------
    ValueError
        If the kind is not known, or the pool (or a class) has too few images.

    Notes
    -----
    Understanding, slide "What is Convergence Rate?", scenario #2.
    """
    if kind not in KINDS:
        raise ValueError(f"unknown kind of selection {kind!r}; the kinds are {', '.join(KINDS)}")
    if not 0 < n <= len(images):
        raise ValueError(f"{n} images are asked for from a pool of {len(images)}; choose from 1 up to all of them")
    draw = generator(seed, "points")
    if kind == "k-centre":
        return _farthest_first(_points(images), n, draw)
    if kind in ("nearest to the mean", "one cluster"):
        return _class_by_class(kind, _points(images), labels, n, draw)
    order = torch.randperm(len(images), generator=draw, device="cpu").to(images.device)
    return order[:n] if kind == "random" else order[: -(-n // 2)].repeat(2)[:n]


def mislabel(labels: torch.Tensor, share: float, *, seed: int, classes: int = 10) -> torch.Tensor:
    """Give a share of the examples (rounded to whole ones) another class, all others equally likely.

    Raises
    ------
    ValueError
        If the share is not between 0 and 1.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"the share of wrong labels lies between 0 and 1, not {share}")
    draw = generator(seed, "corruption")
    wrong = torch.randperm(len(labels), generator=draw, device="cpu")[: round(share * len(labels))]
    further = torch.randint(1, classes, (len(wrong),), generator=draw, device="cpu")
    changed = labels.clone()
    wrong = wrong.to(labels.device)
    changed[wrong] = (labels[wrong] + further.to(labels.device)) % classes
    return changed


def sample_statistics(
    images: torch.Tensor, pool: torch.Tensor, unseen: torch.Tensor, *, seed: int, codes: int = CODES
) -> dict[str, float]:
    """Return statistics of a training set that need no label of it.

    Parameters
    ----------
    images, pool, unseen : Tensor, shapes (N, ...), (M, ...), (K, ...)
        What was chosen, what it was chosen from, and test images, in bytes.
    seed : int
        Of the clusters of the pool.
    codes : int
        How many spherical clusters the pool is divided into.

    Returns
    -------
    dict
        rank: effective rank of the covariance, exp of the entropy of its eigenvalues' shares (Roy and Vetterli 2007).
        distance: mean distance of a test image to the nearest of `images` (pixels from 0 to 1).
        coverage: share of the pool's clusters that hold at least one of `images`.

    Raises
    ------
    ValueError
        If there are fewer than two images, or fewer images in the pool than codes.
    """
    if len(images) < 2:
        raise ValueError(f"a covariance needs at least two images, not {len(images)}")
    points = _points(images)
    centred = (points - points.mean(0)).double()
    product = centred.T @ centred if len(centred) > centred.shape[1] else centred @ centred.T
    spread = torch.linalg.eigvalsh(product).clamp_min(0)
    parts = spread / spread.sum().clamp_min(torch.finfo(torch.float64).tiny)
    near = [torch.cdist(chunk, points).amin(1) for chunk in _points(unseen).split(CHUNK)]
    anchors = spherical_clusters(_points(pool), codes, draw=generator(seed, "points"))
    return {
        "rank": torch.special.entr(parts).sum().exp().item(),
        "distance": torch.cat(near).double().mean().item(),
        "coverage": len(nearest_anchor(points, anchors).unique()) / codes,
    }


def spherical_clusters(points: torch.Tensor, count: int, *, draw: torch.Generator) -> torch.Tensor:
    """Return the unit vectors (count, d) of spherical k-means, begun at points drawn without replacement.

    A cluster that runs empty keeps its anchor.

    Raises
    ------
    ValueError
        If there are fewer points than clusters.
    """
    if not 0 < count <= len(points):
        raise ValueError(f"{count} clusters are asked for of {len(points)} points; from 1 up to as many are allowed")
    units = F.normalize(points, dim=1)
    anchors = units[torch.randperm(len(points), generator=draw, device="cpu")[:count].to(points.device)]
    for _ in range(ROUNDS):
        sums = torch.zeros_like(anchors).index_add_(0, nearest_anchor(units, anchors), units)
        anchors = torch.where(sums.any(1, keepdim=True), F.normalize(sums, dim=1), anchors)
    return anchors


def nearest_anchor(points: torch.Tensor, anchors: torch.Tensor) -> torch.Tensor:
    """Return for each point (N, d) the anchor at the least angle, (N,)."""
    return (points @ anchors.T).argmax(1)


def _points(images: torch.Tensor) -> torch.Tensor:
    """Turn bytes into points (N, d) with coordinates from 0 to 1."""
    return images.flatten(1).float() / 255


def _farthest_first(points: torch.Tensor, n: int, draw: torch.Generator) -> torch.Tensor:
    """Choose n centres greedily (Gonzalez 1985)."""
    chosen = torch.empty(n, dtype=torch.int64, device=points.device)
    chosen[0] = int(torch.randint(len(points), (1,), generator=draw, device="cpu"))
    squares = points.square().sum(1)
    distance = torch.full_like(squares, torch.inf)
    for place in range(1, n):
        last = chosen[place - 1]
        distance = torch.minimum(distance, squares - 2 * (points @ points[last]) + squares[last])
        distance[last] = -torch.inf  # rounding must not bring a chosen one back
        chosen[place] = distance.argmax()
    return chosen


def _class_by_class(
    kind: str, points: torch.Tensor, labels: torch.Tensor, n: int, draw: torch.Generator
) -> torch.Tensor:
    """Choose the nearest of every class to its mean, or to one of its clusters."""
    classes = labels.unique().tolist()
    chosen = []
    for rank, label in enumerate(classes):
        members = (labels == label).nonzero()[:, 0].to(points.device)
        wanted = n // len(classes) + (rank < n % len(classes))
        if wanted > len(members):
            raise ValueError(f"{wanted} images of class {label} are asked for; the pool has {len(members)}")
        own = points[members]
        if kind == "nearest to the mean":
            far = (own - own.mean(0)).square().sum(1)
        else:
            anchors = spherical_clusters(own, min(CLUSTERS, len(own)), draw=draw)
            one = int(torch.randint(len(anchors), (1,), generator=draw, device="cpu"))
            far = -F.normalize(own, dim=1) @ anchors[one]
        chosen.append(members[far.argsort(stable=True)[:wanted]])
    return torch.cat(chosen)
