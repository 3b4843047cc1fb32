"""The loss surface of networks with one hidden layer: its minima, what lies between them, and how it bends there.

The loss is the mean cross-entropy over a fixed set of examples and, where asked for, half the weight decay times the
squared norm of all weights. *Understanding*, slides on non-convex loss and on the energy surface.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from scipy import optimize
from torch import nn

ZERO = 1e-3  # eigenvalues of a smaller magnitude count as zero (Choromanska et al. 2015, section 5.3)
RIDGE = 1e-2  # added to the inputs' second moments before their root is taken
EACH = 20  # steps of a descent between two tests whether it is at its end

Function = Callable[[torch.Tensor], torch.Tensor]


class Activation(NamedTuple):
    """An activation, its first two derivatives as functions of the input, and whether it is odd."""

    value: Function
    slope: Function
    bend: Function
    odd: bool


ACTIVATIONS = {
    "tanh": Activation(
        torch.tanh, lambda a: 1 - a.tanh() ** 2, lambda a: -2 * a.tanh() * (1 - a.tanh() ** 2), odd=True
    ),
    "relu": Activation(torch.relu, lambda a: (a > 0).to(a.dtype), torch.zeros_like, odd=False),
}


class Weights(NamedTuple):
    """A network with one hidden layer.

    Attributes
    ----------
    inner : Tensor, shape (units, inputs + 1)
        Of the hidden units; the last column holds the biases.
    outer : Tensor, shape (classes, units + 1)
        Of the outputs; the last column holds the biases.
    """

    inner: torch.Tensor
    outer: torch.Tensor

    @classmethod
    def of(cls, net: nn.Sequential) -> Weights:
        """Read them off an `MLP` with one hidden layer, in double precision."""
        linear = [layer for layer in net if isinstance(layer, nn.Linear)]
        if len(linear) != 2:
            raise ValueError(f"a network with one hidden layer has two linear layers, not {len(linear)}")
        return cls(*(torch.cat([one.weight, one.bias[:, None]], 1).detach().double() for one in linear))

    @property
    def units(self) -> torch.Tensor:
        """What belongs to each hidden unit, incoming and outgoing: (units, inputs + 1 + classes)."""
        return torch.cat([self.inner, self.outer[:, :-1].T], 1)

    @property
    def norm(self) -> torch.Tensor:
        """The root of the sum of all squares."""
        return (self.inner.square().sum() + self.outer.square().sum()).sqrt()

    def toward(self, other: Weights, share: float) -> Weights:
        """Return the point that has gone so far of the straight way to `other`."""
        return Weights(*(torch.lerp(a, b, share) for a, b in zip(self, other, strict=True)))


@dataclass(frozen=True)
class Surface:
    """A loss as a function of `Weights`.

    Attributes
    ----------
    inputs : Tensor, shape (inputs + 1, N)
        Examples in columns; the last row is 1.
    taught : Tensor, shape (classes, N)
        1 where the class is the example's own, else 0.
    activation : str
        One of `ACTIVATIONS`.
    decay : float
        Weight decay.
    """

    inputs: torch.Tensor
    taught: torch.Tensor
    activation: str
    decay: float

    @classmethod
    def over(
        cls,
        inputs: torch.Tensor,
        labels: torch.Tensor,
        *,
        activation: str = "tanh",
        decay: float = 0.0,
        classes: int = 10,
    ) -> Surface:
        """Make the surface of examples (N, inputs) with labels (N,), in double precision.

        Raises
        ------
        ValueError
            If the activation is not known, or there are not as many inputs as labels.
        """
        if activation not in ACTIVATIONS:
            raise ValueError(f"unknown activation {activation!r}; the activations are {', '.join(ACTIVATIONS)}")
        if inputs.ndim != 2 or len(inputs) != len(labels):
            raise ValueError(f"inputs (N, inputs) and labels (N,), not {tuple(inputs.shape)} and {tuple(labels.shape)}")
        device = torch.get_default_device()
        columns = inputs.to(device, torch.double).T
        taught = nn.functional.one_hot(labels.to(device), classes).T.double()
        return cls(torch.cat([columns, torch.ones_like(columns[:1])]), taught, activation, decay)

    def loss(self, weights: Weights) -> float:
        """Return the loss, weight decay included."""
        return self._loss(weights, self._log_shares(weights, self._hidden(weights)))

    def accuracy(self, weights: Weights) -> float:
        """Return the share of the examples that are recognised."""
        answers = self._log_shares(weights, self._hidden(weights)).argmax(0)
        return float((answers == self.taught.argmax(0)).double().mean())

    def gradient(self, weights: Weights) -> Weights:
        """Return the loss's derivatives, in the form of weights."""
        return self.loss_and_gradient(weights)[1]

    def loss_and_gradient(self, weights: Weights) -> tuple[float, Weights]:
        """Return the loss and its derivatives, in the form of weights."""
        act = ACTIVATIONS[self.activation]
        sums = weights.inner @ self.inputs
        hidden = act.value(sums)
        log_shares = self._log_shares(weights, hidden)
        misses = self._misses(log_shares)
        outer = torch.cat([misses @ hidden.T, misses.sum(1, keepdim=True)], 1)
        inner = (weights.outer[:, :-1].T @ misses * act.slope(sums)) @ self.inputs.T
        gradient = Weights(inner + self.decay * weights.inner, outer + self.decay * weights.outer)
        return self._loss(weights, log_shares), gradient

    def _hidden(self, weights: Weights) -> torch.Tensor:
        """Return the values of the hidden units, (units, N)."""
        return ACTIVATIONS[self.activation].value(weights.inner @ self.inputs)

    def _log_shares(self, weights: Weights, hidden: torch.Tensor) -> torch.Tensor:
        """Return the logarithms of the answered probabilities, (classes, N)."""
        return torch.addmm(weights.outer[:, -1:], weights.outer[:, :-1], hidden).log_softmax(0)

    def _loss(self, weights: Weights, log_shares: torch.Tensor) -> float:
        entropy = -(self.taught * log_shares).sum() / self.taught.shape[1]
        return (entropy + self.decay / 2 * weights.norm**2).item()

    def _misses(self, log_shares: torch.Tensor) -> torch.Tensor:
        """Return the loss's derivatives by the scores, (classes, N)."""
        return (log_shares.exp() - self.taught) / self.taught.shape[1]

    def hessian(self, weights: Weights) -> torch.Tensor:
        """Return the loss's second derivatives (P, P) by all weights: inner row by row, then outer row by row.

        Notes
        -----
        Every block is a weighted product of the inputs (or of the hidden values) with themselves: a tenth of the work
        of differentiating the gradient once for each weight, as `torch.func.hessian` does.
        """
        act, x, v = ACTIVATIONS[self.activation], self.inputs, weights.outer[:, :-1]
        n, wide = weights.inner.shape
        classes = len(v)
        sums = weights.inner @ x
        hidden, slope, bend = act.value(sums), act.slope(sums), act.bend(sums)
        tall = torch.cat([hidden, torch.ones_like(hidden[:1])])
        log_shares = self._log_shares(weights, hidden)
        shares, misses = log_shares.exp() / x.shape[1], self._misses(log_shares)
        mean = v.T @ log_shares.exp()  # of the outgoing weights, over the classes as answered
        curved = bend * (v.T @ misses)

        inner = x.new_empty(n, wide, n, wide)
        mixed = x.new_empty(n, wide, classes, n + 1)
        outer = x.new_empty(classes, n + 1, classes, n + 1)
        for a in range(n):
            both = slope[a] * slope[a:] * ((v[:, a : a + 1] * v[:, a:]).T @ shares - mean[a] * mean[a:] / x.shape[1])
            both[0] += curved[a]
            for b, weight in enumerate(both, a):
                inner[a, :, b] = (x * weight) @ x.T
                inner[b, :, a] = inner[a, :, b]
            for k in range(classes):
                mixed[a, :, k] = (x * (slope[a] * shares[k] * (v[k, a] - mean[a]))) @ tall.T
                mixed[a, :, k, a] += x @ (slope[a] * misses[k])
        for k in range(classes):
            for other in range(k, classes):
                weight = shares[k] * (float(k == other) - log_shares[other].exp())
                outer[k, :, other] = (tall * weight) @ tall.T
                outer[other, :, k] = outer[k, :, other]
        corner = mixed.reshape(n * wide, -1)
        top = torch.cat([inner.reshape(n * wide, -1), corner], 1)
        whole = torch.cat([top, torch.cat([corner.T, outer.reshape(classes * (n + 1), -1)], 1)])
        whole.diagonal().add_(self.decay)
        return whole

    def curvatures(self, weights: Weights) -> torch.Tensor:
        """Return the eigenvalues (P,) of the second derivatives, ascending."""
        return torch.linalg.eigvalsh(self.hessian(weights))

    def opened(self, weights: Weights) -> torch.Tensor:
        """Return what one more hidden unit of zero weights adds to the curvatures, (2 min(classes, inputs + 1),).

        Such a unit changes no answer, and a critical point stays one if the activation of 0 is 0. Moved together, what
        goes into it and what comes out of it change the loss by a product with the correlation of errors and inputs:
        along its singular vectors the loss bends by the decay plus and minus the singular values. All other new
        curvatures are the decay itself.
        """
        misses = self._misses(self._log_shares(weights, self._hidden(weights)))
        together = misses @ self.inputs.T * ACTIVATIONS[self.activation].slope(misses.new_zeros(1))
        bent = torch.linalg.svdvals(together)
        return self.decay + torch.cat([-bent, bent.flip(0)])


@dataclass(frozen=True)
class Polished:
    """Where `polish` ended: the weights, their loss, the norm of its gradient, and how often it was computed."""

    weights: Weights
    loss: float
    slope: float
    looks: int


def polish(surface: Surface, weights: Weights, *, tolerance: float = 1e-5, most: int = 20_000) -> Polished:
    """Go down by L-BFGS on all examples until the gradient's norm is below `tolerance`, or the steps are used up.

    Parameters
    ----------
    surface : Surface
        The loss.
    weights : Weights
        Where to start: where stochastic steps ended.
    most : int
        Steps at most, rounded up to twenties.

    Notes
    -----
    PyTorch's L-BFGS with a strong Wolfe line search. (That of scipy counts on BLAS, whose number of threads would show
    in the last bits.) The incoming weights are walked in coordinates in which the inputs are uncorrelated, which halves
    the steps; the gradient's norm is that in the weights themselves.
    """
    x = surface.inputs
    values, vectors = torch.linalg.eigh(x @ x.T / x.shape[1])
    root = vectors @ ((values + RIDGE).rsqrt()[:, None] * vectors.T)  # (inputs + 1, inputs + 1)
    shape, cut = weights.inner.shape, weights.inner.numel()
    whitened = torch.linalg.solve(root, weights.inner, left=False)
    flat = torch.cat([whitened.flatten(), weights.outer.flatten()])
    looks = 0

    def here() -> Weights:
        return Weights(flat[:cut].view(shape) @ root, flat[cut:].view(weights.outer.shape))

    def look() -> float:
        nonlocal looks
        looks += 1
        loss, gradient = surface.loss_and_gradient(here())
        flat.grad = torch.cat([(gradient.inner @ root).flatten(), gradient.outer.flatten()])
        return loss

    limits = dict(max_iter=min(EACH, most), history_size=20, tolerance_grad=0, tolerance_change=0)
    walk = torch.optim.LBFGS([flat], line_search_fn="strong_wolfe", **limits)
    for _ in range(-(-most // EACH)):
        walk.step(look)
        slope = surface.gradient(here()).norm.item()
        if slope < tolerance:
            break
    return Polished(here(), surface.loss(here()), slope, looks)


def matched(weights: Weights, to: Weights, *, odd: bool = False) -> Weights:
    """Renumber the hidden units of a network so that it lies as near as may be to another; it answers as before.

    Parameters
    ----------
    weights, to : Weights
        Of one shape.
    odd : bool
        Whether the activation is odd: then the sign of a unit may be turned as well, going in and coming out.

    Raises
    ------
    ValueError
        If the shapes differ.

    Notes
    -----
    A linear assignment: the squared distance is a sum over pairs of units.
    """
    if weights.inner.shape != to.inner.shape or weights.outer.shape != to.outer.shape:
        raise ValueError(
            f"networks of one shape can be matched, not {tuple(weights.inner.shape)} and {tuple(to.inner.shape)}"
        )
    alike = to.units @ weights.units.T
    gain = alike.abs() if odd else alike
    rows, columns = optimize.linear_sum_assignment(gain.cpu().numpy(), maximize=True)
    order = torch.as_tensor(columns, device=alike.device)
    opposed = alike[torch.as_tensor(rows, device=alike.device), order] < 0
    turn = torch.where(opposed & odd, -1.0, 1.0).to(alike)
    inner = weights.inner[order] * turn[:, None]
    return Weights(inner, torch.cat([weights.outer[:, :-1][:, order] * turn, weights.outer[:, -1:]], 1))


def distance(one: Weights, other: Weights) -> float:
    """Return the distance as a share of what it would be at a right angle: |a - b| / sqrt(|a|^2 + |b|^2)."""
    apart = Weights(one.inner - other.inner, one.outer - other.outer).norm
    return (apart / torch.hypot(one.norm, other.norm)).item()


def along(surface: Surface, one: Weights, other: Weights, shares: Sequence[float]) -> np.ndarray:
    """Return the losses on the straight line between two networks, at so many shares of the way."""
    return np.array([surface.loss(one.toward(other, share)) for share in shares])


def plane(
    surface: Surface, origin: Weights, right: Weights, up: Weights, shares: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the losses on the plane through three networks, and where the three lie on it.

    Parameters
    ----------
    shares : sequence of float
        Ticks of a square grid, in units of the distance from `origin` to `right`, the first axis; 0 is `origin`.

    Returns
    -------
    losses : array, shape (len(shares), len(shares))
        Rows go up.
    places : array, shape (3, 2)
        Of origin, right and up, in the same units. The axes stand at a right angle.

    Notes
    -----
    Where the three lie on a line, the plane is that through the line and the zero of all weights.
    """
    flat = [torch.cat([one.inner.flatten(), one.outer.flatten()]) for one in (origin, right, up)]
    across, cut = flat[1] - flat[0], origin.inner.numel()

    def off(way: torch.Tensor) -> torch.Tensor:
        return way - (way @ across) / (across @ across) * across

    upward = off(flat[2] - flat[0])
    height = upward.norm() / across.norm()
    if height < 1e-3:
        upward = off(flat[0])
    upward = upward * across.norm() / upward.norm()

    def loss(u: float, w: float) -> float:
        point = flat[0] + u * across + w * upward
        return surface.loss(Weights(point[:cut].view_as(origin.inner), point[cut:].view_as(origin.outer)))

    lean = (flat[2] - flat[0]) @ across / (across @ across)
    places = np.array([[0, 0], [1, 0], [lean.item(), height.item()]])
    return np.array([[loss(u, w) for u in shares] for w in shares]), places
