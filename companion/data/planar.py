"""Points of several classes in few dimensions, and mosaics of them: one foreground point among background points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch

from companion.data.synthetic import Points
from companion.seeds import generator, stream

FRESH = 10_000  # added to a seed, it makes points and mosaics that no network was trained on
TESTS = 20_000  # added to a seed, it makes other mosaics of the same points


class Mixture(NamedTuple):
    """Classes of points, each an even mixture of round Gaussians.

    Attributes
    ----------
    means : nested tuple, shape (classes, components, dimensions)
        Of every Gaussian.
    foreground : int
        The first so many classes are foreground, the others background.
    variance : float
        Of every coordinate.
    points : int
        Size of a pool.
    """

    means: tuple[tuple[tuple[float, ...], ...], ...]
    foreground: int
    variance: float
    points: int


class PointMosaics(NamedTuple):
    """N mosaics of K points in D dimensions.

    Attributes
    ----------
    points : tensor
        (N, K, D) in double precision.
    labels : tensor
        (N,) class of the foreground point.
    position : tensor
        (N,) its slot.
    """

    points: torch.Tensor
    labels: torch.Tensor
    position: torch.Tensor


def _singles(*means: tuple[float, ...]) -> tuple[tuple[tuple[float, ...]], ...]:
    return tuple((mean,) for mean in means)


_OVERLAPPING = ((-1, 0), (0, 2), (1, 0), (0, -1), (0, 0), (-0.5, -0.5), (0.4, 0.2))
# The five data types of Table 9, by the authors' readme (mosaic, section 6): classes 0-2 are foreground.
PLANAR_TYPES = {
    1: Mixture(
        _singles(
            *((2, 5), (-15, -7), (2, -2)),
            *((-2, 0), (15, 8), (-15, 6), (2, -18), (10, -10), (-10, -15), (-2, 10)),
        ),
        foreground=3, variance=0.1, points=5000,
    ),
    2: Mixture(_singles((5, 5), (-6, 7), (-5, -4), *_OVERLAPPING), foreground=3, variance=0.1, points=5000),
    3: Mixture(_singles((5, 5), (6, 6), (5.5, 6.5), *_OVERLAPPING), foreground=3, variance=0.1, points=5000),
    4: Mixture(
        _singles(
            *((4, 6.5), (5.5, 6), (4.5, 4.5)),
            *((3, 3.5), (2.5, 5.5), (3.5, 8), (5.5, 8), (7, 6.5), (6.5, 4.5), (5, 3)),
        ),
        foreground=3, variance=0.1, points=5000,
    ),
    5: Mixture(
        (
            *(((2, 7), (0, -10)), ((-15, -7), (-5, 15)), ((4, -2), (-10, 0))),
            *(((-5, 0), (-20, 10)), ((-8, 10), (10, 20)), ((-15, 6), (0, 2)), ((2, -18), (7, 7))),
            *(((10, -10), (-8, -11)), ((-10, -15), (10, -2)), ((15, 8), (2, 20))),
        ),
        foreground=3, variance=0.1, points=10_000,
    ),
}  # fmt: skip


def draw_points(mixture: Mixture, *, seed: int) -> Points:
    """Draw a pool of points (N, D); class and component of each are uniform.

    Parameters
    ----------
    mixture : Mixture
        Where the classes lie, and how many points there are.
    seed : int
        Seed of the "points" stream.
    """
    drawn = {"generator": generator(seed, "points"), "device": "cpu"}
    means = torch.tensor(mixture.means, dtype=torch.float64, device="cpu")  # (classes, components, D)
    labels = torch.randint(len(means), (mixture.points,), **drawn)
    component = torch.randint(means.shape[1], (mixture.points,), **drawn)
    noise = torch.randn(mixture.points, means.shape[2], dtype=torch.float64, **drawn)
    return Points(means[labels, component] + math.sqrt(mixture.variance) * noise, labels)


def draw_point_mosaics(points: Points, foreground: int, *, n: int, slots: int, seed: int) -> PointMosaics:
    """Draw mosaics as the authors do: every class uniformly, then a point of the class; the slot uniformly.

    Parameters
    ----------
    points : Points
        The pool; points are drawn with replacement.
    foreground : int
        The first so many classes are foreground, the others background.
    n, slots : int
        Number of mosaics, and of points in each.
    seed : int
        Seed of the "mosaics" stream.

    Raises
    ------
    ValueError
        If there are not both foreground and background classes, a class has no point, or there are less than two slots.
    """
    order = points.labels.cpu().argsort(stable=True)
    sizes = points.labels.cpu().bincount()
    classes = len(sizes)
    if not 0 < foreground < classes or slots < 2:
        raise ValueError(
            f"a mosaic has one foreground point among background points; {foreground} foreground classes of {classes} "
            f"and {slots} slots do not give one"
        )
    if not sizes.all():
        raise ValueError(f"every class needs a point to be drawn; they have {sizes.tolist()} points")
    drawn = {"generator": generator(seed, "mosaics"), "device": "cpu"}
    chosen = torch.randint(foreground, classes, (n, slots), **drawn)
    labels, position = torch.randint(foreground, (n,), **drawn), torch.randint(slots, (n,), **drawn)
    chosen[torch.arange(n, device="cpu"), position] = labels
    place = (torch.rand(n, slots, dtype=torch.float64, **drawn) * sizes[chosen]).long()
    first = sizes.cumsum(0) - sizes
    return PointMosaics(points.inputs.cpu()[order[first[chosen] + place]], labels, position)


def fixed_focus(mosaics: PointMosaics, focus: float) -> torch.Tensor:
    """Return the averages (N, D) with weight `focus` on the foreground, the others sharing the rest evenly.

    Raises
    ------
    ValueError
        If `focus` is outside [0, 1].
    """
    if not 0 <= focus <= 1:
        raise ValueError(f"focus is the weight of the foreground, between 0 and 1, not {focus}")
    own = torch.arange(len(mosaics.points), device="cpu"), mosaics.position
    others = mosaics.points.shape[1] - 1
    inside = mosaics.points[own]
    return focus * inside + (1 - focus) * (mosaics.points.sum(1) - inside) / others


def clouds(
    foreground: Sequence[Sequence[float]],
    background: Sequence[Sequence[float]],
    *,
    variance: float = 0.1,
    points: int = 5000,
) -> Mixture:
    """Return foreground classes of one Gaussian each and one background class that is a mixture of Gaussians.

    Parameters
    ----------
    foreground : sequence of means
        One for each class.
    background : sequence of means
        One for each component of the one class.
    variance, points
        As `Mixture` has them.
    """
    many = len(background)
    classes = [[mean] * many for mean in foreground] + [background]
    means = tuple(tuple(tuple(map(float, mean)) for mean in components) for components in classes)
    return Mixture(means, len(foreground), variance, points)


def random_clouds(seed: int, *, reach: float = 2.0) -> Mixture:
    """Return two foreground classes and a background class in the plane, their means uniform in a square.

    Parameters
    ----------
    seed : int
        Seed of the means, which are drawn from a stream that the points do not use.
    reach : float
        Side of the square.
    """
    draw = generator(seed, "corruption")
    means = (reach * torch.rand(3, 2, dtype=torch.float64, generator=draw, device="cpu")).tolist()
    return clouds(means[:2], means[2:])


def window(mixture: Mixture, margin: float = 4.0) -> tuple[float, float, float, float]:
    """Return (left, right, bottom, top) of the part of the plane where points lie: `margin` sd around the means."""
    means = torch.tensor(mixture.means, dtype=torch.float64, device="cpu").flatten(0, 1)
    room = margin * math.sqrt(mixture.variance)
    (left, bottom), (right, top) = (means.amin(0) - room).tolist(), (means.amax(0) + room).tolist()
    return left, right, bottom, top


def hypercube_points(dimensions: int, *, seed: int, n: int = 500, flip: float = 0.2) -> tuple[Points, Points]:
    """Return two pools of `n` points from one of scikit-learn's made-up problems of three classes.

    Parameters
    ----------
    dimensions : int
        All of them informative.
    seed : int
        Seed of the "points" stream: each gives another problem.
    n : int
        Points in a pool.
    flip : float
        Share of the points whose class is drawn anew.

    Returns
    -------
    pool, fresh : Points
        From the same problem, no point in both.

    Notes
    -----
    `sklearn.datasets.make_classification` with its own settings otherwise (mosaic, section 6: the authors' rows of
    three and more dimensions).
    """
    from sklearn.datasets import make_classification

    inputs, labels = make_classification(
        2 * n, dimensions, n_informative=dimensions, n_redundant=0, n_classes=3, flip_y=flip,
        random_state=stream(seed, "points") % 2**32,
    )  # fmt: skip
    inputs, labels = torch.as_tensor(inputs, device="cpu"), torch.as_tensor(labels, device="cpu")
    return Points(inputs[:n], labels[:n]), Points(inputs[n:], labels[n:])
