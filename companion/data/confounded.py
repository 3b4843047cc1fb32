"""Points of two classes in a small region, among squares of points whose labels are random (confounded noise)."""

from __future__ import annotations

from typing import NamedTuple

import torch

from companion.seeds import generator

PER_SQUARE = 30
CELLS = tuple((float(x), y) for x in (0, 2, 4) for y in (0.0, 1.5, 3.0))  # lower left corners of unit squares
REGIONS = {"corner": CELLS[0], "centre": CELLS[4], "moons": CELLS[0]}  # the cell that holds the true points
NOISE = PER_SQUARE * (len(CELLS) - 1)
LABELS = ("coins", "redrawn")


class Confounded(NamedTuple):
    """Points in the plane, the true ones first.

    Attributes
    ----------
    inputs : tensor
        (N, 2) float32.
    labels : tensor
        (N,) int64, 0 or 1; random for the points of the noise.
    true : tensor
        (N,) bool, whether the label follows from the place.
    """

    inputs: torch.Tensor
    labels: torch.Tensor
    true: torch.Tensor

    def part(self, true: bool) -> Confounded:
        """Return the true points only, or the noise only."""
        return Confounded(*(column[self.true == true] for column in self))


def confounded(kind: str, n: int, *, seed: int, labels: str = "coins") -> Confounded:
    """Draw `n` true points and eight squares of thirty points with random labels.

    Parameters
    ----------
    kind : {"corner", "centre", "moons"}
        Where the true points lie, and how: two small squares that touch in a point, in a corner or in the middle of
        the grid of squares, or two moons in the corner.
    n : int
        Number of true points, half of each class.
    seed : int
        Places draw from the stream "points", labels from "corruption".
    labels : {"coins", "redrawn"}
        "coins" throws a fair coin for each point of the noise. "redrawn" is the authors' way: a square is all ones,
        then fifteen of its thirty points, drawn *with* replacement, are set to zero; see `redrawn_zeros`.

    Raises
    ------
    ValueError
        If the kind or the way of labelling is not known, or `n` is odd or less than two.

    Notes
    -----
    Mosaic, section 8, and the authors' notebooks.
    """
    if labels not in LABELS:
        raise ValueError(f"unknown labels {labels!r}; noise is labelled by {' or '.join(LABELS)}")
    draw = generator(seed, "points")
    own = _true_points(kind, n, draw)
    squares = torch.tensor([cell for cell in CELLS if cell != REGIONS[kind]], device="cpu")
    places = torch.rand(len(squares), PER_SQUARE, 2, generator=draw, device="cpu") + squares[:, None]
    draw = generator(seed, "corruption")
    if labels == "coins":
        drawn = torch.randint(2, (len(squares), PER_SQUARE), generator=draw, device="cpu")
    else:
        zeroed = torch.randint(PER_SQUARE, (len(squares), PER_SQUARE // 2), generator=draw, device="cpu")
        drawn = torch.ones(len(squares), PER_SQUARE, dtype=torch.int64, device="cpu").scatter_(1, zeroed, 0)
    noise = Confounded(places.flatten(0, 1), drawn.flatten(), torch.zeros(NOISE, dtype=torch.bool, device="cpu"))
    return Confounded(*(torch.cat(pair) for pair in zip(own, noise, strict=True)))


def true_points(kind: str, n: int, *, seed: int) -> Confounded:
    """Draw the true points alone: those that `confounded` has with the same seed.

    The two squares fill opposite quarters of a unit square, points are uniform in them. The moons are scikit-learn's,
    evenly spaced without jitter, scaled to fill the unit square: the same for every seed.
    """
    return _true_points(kind, n, generator(seed, "points"))


def authors_test(kind: str, n: int, training: Confounded, *, seed: int) -> Confounded:
    """Draw a test set as the authors do: fresh points, but all eight squares of noise have one pattern of labels.

    The pattern is that of the last square of `training`, by a variable left over in their notebooks.
    """
    fresh = confounded(kind, n, seed=seed)
    pattern = training.labels[-PER_SQUARE:].repeat(NOISE // PER_SQUARE)
    return fresh._replace(labels=torch.cat([fresh.labels[fresh.true], pattern]))


def redrawn_zeros() -> float:
    """Return the expected share of zeros among labels that are "redrawn"."""
    return 1 - (1 - 1 / PER_SQUARE) ** (PER_SQUARE // 2)


def _true_points(kind: str, n: int, draw: torch.Generator) -> Confounded:
    if kind not in REGIONS:
        raise ValueError(f"unknown kind {kind!r}; the kinds are {', '.join(REGIONS)}")
    if n < 2 or n % 2:
        raise ValueError(f"half of the true points are of each class: their number is even and at least 2, not {n}")
    labels = torch.arange(2, device="cpu").repeat_interleave(n // 2)
    if kind == "moons":
        from sklearn.datasets import make_moons

        moons = torch.as_tensor(make_moons(n, shuffle=False)[0], dtype=torch.float32, device="cpu")
        places = (moons - torch.tensor([-1.0, -0.5], device="cpu")) / torch.tensor([3.0, 1.5], device="cpu")
    else:
        places = (torch.rand(n, 2, generator=draw, device="cpu") + labels[:, None]) / 2
    corner = torch.tensor(REGIONS[kind], device="cpu")
    return Confounded(places + corner, labels, torch.ones(n, dtype=torch.bool, device="cpu"))
