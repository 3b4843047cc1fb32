"""Networks with one hidden layer, in double precision on the CPU: random units, and units that are trained.

For given hidden units the best output weights are a least-squares problem. Training moves the hidden units only and
lets the output weights follow, which leaves the least error as a function of the hidden weights (variable projection,
Golub and Pereyra 1973).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from scipy import optimize

from companion.seeds import generator

# The squashing functions all rise with slope 1/4 in the middle, as the logistic does, but for the threshold.
SQUASHING: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "logistic": torch.sigmoid,
    "threshold": lambda x: (x > 0).to(x.dtype),
    "ramp": lambda x: (0.5 + x / 4).clamp(0, 1),
    "cosine": lambda x: (1 + torch.sin((x / 2).clamp(-math.pi / 2, math.pi / 2))) / 2,
}
ACTIVATIONS = SQUASHING | {"ReLU": torch.relu, "square": torch.square, "identity": lambda x: x}

RANK = 1e-10  # singular values below this share of the largest count as none
RIDGE = 1e-10  # of the mean square of a unit: keeps the output weights finite while units are trained
BATCH = 2**22  # activations held at once


class Shallow(NamedTuple):
    """A network with n hidden units, d inputs and K outputs.

    Attributes
    ----------
    activation : str
        One of `ACTIVATIONS`.
    weights, biases : Tensor, shapes (n, d) and (n,)
        Of the hidden units.
    outputs : Tensor, shape (n + 1, K)
        Output weights, and the constants in the last row.
    """

    activation: str
    weights: torch.Tensor
    biases: torch.Tensor
    outputs: torch.Tensor

    def __call__(self, points: torch.Tensor) -> torch.Tensor:
        """Return the outputs (N, K) at points (N, d)."""
        size = max(1, BATCH // len(self.biases))
        return torch.cat([self.hidden(some) @ self.outputs for some in points.split(size)])

    def hidden(self, points: torch.Tensor) -> torch.Tensor:
        """Return what the output layer sees, (N, n + 1): the hidden units and a one."""
        return _hidden(self.activation, self.weights, self.biases, points)


def shape_of(squash: Callable[[torch.Tensor], torch.Tensor], *, far: float = 1e6) -> str:
    """Say whether a function is one of Hornik, Stinchcombe and White's squashing functions.

    Returns
    -------
    str
        "non-decreasing from 0 to 1" if it never falls on a fine grid and is within 1e-6 of 0 and of 1 far out; else
        "not a squashing function".
    """
    x = torch.cat([torch.linspace(-20, 20, 4001, dtype=torch.double, device="cpu"), torch.tensor([far], device="cpu")])
    values = squash(torch.cat([torch.tensor([-far], device="cpu"), x]))
    limits = values[0].abs() < 1e-6 and (values[-1] - 1).abs() < 1e-6
    return "non-decreasing from 0 to 1" if limits and (values.diff() >= 0).all() else "not a squashing function"


def packed(net: Shallow, most: int) -> torch.Tensor:
    """Return a network with one output as an array (most + 1, d + 2) that is as large for every width up to `most`.

    A row per unit (weights, bias, output weight), NaN where there is none; the constant stands last in the last row.
    """
    rows = torch.column_stack([net.weights, net.biases, net.outputs[:-1]])
    array = rows.new_full((most + 1, rows.shape[1]), math.nan)
    array[: len(rows)], array[-1, -1] = rows, net.outputs[-1, 0]
    return array


def unpacked(array: np.ndarray, activation: str = "logistic") -> Shallow:
    """Return the network that `packed` made an array of."""
    rows = torch.from_numpy(array[np.isfinite(array[:, 0])])
    outputs = torch.cat([rows[:, -1], rows.new_tensor(array[-1:, -1])])
    return Shallow(activation, rows[:, :-2], rows[:, -2], outputs[:, None])


def random_units(
    units: int, dimension: int, *, activation: str = "logistic", rises: float | None = None, seed: int
) -> Shallow:
    """Draw hidden units; the output weights are zero.

    Parameters
    ----------
    units, dimension : int
        Hidden units and inputs.
    rises : float, optional
        The domain's width over that within which a unit rises; as many as there are units by default, so that each
        rises about where its neighbour does.
    seed : int
        Of the "weights" stream. A point of the unit cube, drawn uniformly, lies on each unit's zero line; the weights
        are normal.

    Raises
    ------
    ValueError
        If the activation is not known, or there is no unit.
    """
    if activation not in ACTIVATIONS:
        raise ValueError(f"unknown activation {activation!r}; the activations are {', '.join(ACTIVATIONS)}")
    if units < 1:
        raise ValueError(f"a hidden layer has at least one unit, not {units}")
    draw = {"generator": generator(seed, "weights"), "dtype": torch.double, "device": "cpu"}
    scale = 4 * (units if rises is None else rises) / math.sqrt(dimension)  # a slope of 4 is a rise over the domain
    weights = scale * torch.randn(units, dimension, **draw)
    biases = -(weights * torch.rand(units, dimension, **draw)).sum(1)
    return Shallow(activation, weights, biases, weights.new_zeros(units + 1, 1))


def solve(net: Shallow, points: torch.Tensor, values: torch.Tensor) -> Shallow:
    """Return the network with the output weights that have the least squared error at points (N, d) for values (N, K).

    Where they are not unique, those of least norm.
    """
    hidden = net.hidden(points)
    lengths = hidden.norm(dim=0)  # units of any scale count alike, but for those that hardly see a point
    lengths = lengths.clamp(min=0.01 * lengths.max())
    found = torch.linalg.lstsq(hidden / lengths, values, rcond=RANK, driver="gelsd").solution
    return net._replace(outputs=found / lengths[:, None])


def errors(net: Shallow, points: torch.Tensor, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the root-mean-square and the largest error (K,) of each output, in standard deviations of its values."""
    wrong, spread = net(points) - values, values.std(0)
    return wrong.square().mean(0).sqrt() / spread, wrong.abs().amax(0) / spread


def train(
    points: torch.Tensor,
    values: torch.Tensor,
    units: int,
    *,
    activation: str = "logistic",
    seed: int,
    starts: int = 10,
    steps: int = 200,
) -> Shallow:
    """Train all weights of a network from several starts (L-BFGS) and return the best by its error at the points.

    Parameters
    ----------
    points, values : Tensor, shapes (N, d) and (N, 1)
        What is fitted by least squares.
    units : int
        Hidden units.
    activation : str
        One with a slope: no threshold.
    seed : int
        Of the first start. Units rise within the whole domain in the first, and the more steeply the later the start.
    starts, steps : int
        Starts, and the most iterations from each.

    Raises
    ------
    ValueError
        If the units have no slope to follow.
    """
    if activation == "threshold":
        raise ValueError("threshold units have no slope to follow; their hidden weights are drawn, not trained")

    def error(weights: torch.Tensor, biases: torch.Tensor) -> torch.Tensor:
        hidden = _hidden(activation, weights, biases, points)
        with torch.no_grad():  # these are the best: moving them with the hidden weights would change nothing
            outputs, ridge = _ridge(hidden, values)
        return (hidden @ outputs - values).square().mean() + ridge * outputs.square().sum()

    best, least = None, math.inf
    for start in range(starts):
        rises = units ** (start / max(1, starts - 1))
        first = random_units(units, points.shape[1], activation=activation, rises=rises, seed=1_000 * seed + start)
        weights, biases = minimise(error, [first.weights, first.biases], steps=steps)
        net = first._replace(weights=weights, biases=biases)
        net = net._replace(outputs=_ridge(net.hidden(points), values)[0])
        reached = float((net(points) - values).square().mean())
        if reached < least or best is None:
            best, least = net, reached
    return best


def minimise(objective: Callable[..., torch.Tensor], start: list[torch.Tensor], *, steps: int) -> list[torch.Tensor]:
    """Go down from tensors of double precision by L-BFGS (scipy's) and return where it ends.

    Parameters
    ----------
    objective : callable
        Takes tensors shaped like those of `start`, returns a scalar.
    steps : int
        The most iterations.
    """
    sizes = [part.numel() for part in start]

    def parts(numbers: torch.Tensor) -> list[torch.Tensor]:
        return [one.view(part.shape) for one, part in zip(numbers.split(sizes), start, strict=True)]

    def look(numbers: np.ndarray) -> tuple[float, np.ndarray]:
        free = torch.from_numpy(numbers).requires_grad_()
        value = objective(*parts(free))
        (slope,) = torch.autograd.grad(value, free)
        return value.item(), slope.numpy()

    flat = torch.cat([part.flatten() for part in start]).numpy()
    options = {"maxiter": steps, "maxfun": 2 * steps, "ftol": 1e-15, "gtol": 1e-12}
    return parts(torch.from_numpy(optimize.minimize(look, flat, jac=True, method="L-BFGS-B", options=options).x))


def _hidden(activation: str, weights: torch.Tensor, biases: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    active = ACTIVATIONS[activation](torch.addmm(biases, points, weights.T))
    return torch.cat([active, active.new_ones(len(points), 1)], dim=1)


def _ridge(hidden: torch.Tensor, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return output weights by the normal equations, fast, and the ridge that makes these stable."""
    gram = hidden.T @ hidden / len(hidden)
    ridge = RIDGE * gram.diagonal().mean()
    gram.diagonal().add_(ridge)
    return torch.cholesky_solve(hidden.T @ values / len(hidden), torch.linalg.cholesky(gram)), ridge
