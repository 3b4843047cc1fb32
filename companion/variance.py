"""What becomes of digit and background inside LeNet-5: shares of variance by layer, weights on pixels and positions.

Understanding, slides "Consistency Across Multiple Samples of the Same Class" and "Why Background Being Removed?";
sections 12 and 13 of the notebooks.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy import stats as scipy_stats
from torch.nn import functional as F

from companion.data.backgrounds import composed
from companion.models.lenet import ACTIVATIONS, LeNet5
from companion.stats.intervals import Interval, bootstrap

LAYERS = ("input", "C1", "S2", "C3", "S4", "C5", "F6", "output")
FACTORS = ("class", "digit", "background", "together")
ZONES = ("ink", "rim", "ground")
INK = 128  # bytes from here on are ink
RIM = 2  # pixels that the rim is wide


@torch.no_grad()
def layers(net: LeNet5, images: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return what every layer gives for images (N, 1, H, W): name, of `LAYERS`, and activations (N, units).

    C1 and C3 are taken behind the rectifier, S2 and S4 behind the pooling; C5 and F6 are dense, with 120 and 84 units.
    """
    activate = ACTIVATIONS[net.activation]
    pool = F.max_pool2d if net.pooling == "max" else F.avg_pool2d
    found = {"input": net.pixels(images)}
    found["C1"] = activate(net.conv1(found["input"]))
    found["S2"] = pool(found["C1"], 2)
    found["C3"] = activate(net.conv2(found["S2"]))
    found["S4"] = pool(found["C3"], 2)
    found["C5"] = activate(net.dense1(found["S4"].flatten(1)))
    found["F6"] = activate(net.dense2(found["C5"]))
    found["output"] = net.dense3(found["F6"])
    return {name: values.flatten(1) for name, values in found.items()}


class Crossed:
    """Analysis of variance of units over all pairs of digit and background, fed one background at a time.

    Parameters
    ----------
    labels : Tensor, shape (D,)
        Classes of the digits; a digit is nested in its class, and meets every background once.

    Notes
    -----
    The sum of squares of a unit splits exactly into what lies between classes, between digits of a class, between
    backgrounds (over all digits), and the rest: what neither digit nor background gives alone.
    """

    def __init__(self, labels: torch.Tensor) -> None:
        self.member = F.one_hot(labels).double()  # (D, classes)
        self.member = self.member[:, self.member.sum(0) > 0]
        self.by_digit: torch.Tensor | None = None
        self.by_ground: list[torch.Tensor] = []

    def add(self, values: torch.Tensor) -> None:
        """Take the activations (D, units) of all digits on one more background.

        Raises
        ------
        ValueError
            If there are not as many as digits.
        """
        if len(values) != len(self.member):
            raise ValueError(f"{len(self.member)} digits meet every background; {len(values)} were given")
        values = values.double()
        if self.by_digit is None:
            self.origin = values.mean(0)  # keeps sums of squares clear of the mean's rounding
            self.by_digit, self.squares = torch.zeros_like(values), torch.zeros_like(self.origin)
        values = values - self.origin
        self.by_digit += values
        self.squares += values.square().sum(0)
        self.by_ground.append(values.mean(0))

    def squares_by_factor(self) -> torch.Tensor:
        """Return sums of squares (4, units) in the order of `FACTORS`.

        Raises
        ------
        ValueError
            If fewer than two backgrounds were added.
        """
        if len(self.by_ground) < 2:
            raise ValueError(f"an analysis of variance needs at least two backgrounds, not {len(self.by_ground)}")
        digit, ground = self.by_digit / len(self.by_ground), torch.stack(self.by_ground)
        grand, sizes = digit.mean(0), self.member.sum(0)
        of_class = (self.member.T @ digit) / sizes[:, None]  # (classes, units)
        between = len(ground) * (sizes[:, None] * (of_class - grand).square()).sum(0)
        within = len(ground) * (digit - self.member @ of_class).square().sum(0)
        grounds = len(digit) * (ground - grand).square().sum(0)
        total = self.squares - len(digit) * len(ground) * grand.square()
        rest = (total - between - within - grounds).clamp(min=0)
        return torch.stack([between, within, grounds, rest])

    def varying(self) -> torch.Tensor:
        """Say which units (units,) vary by more than rounding."""
        scale = self.origin.square().clamp(min=1e-12) * len(self.by_digit) * len(self.by_ground)
        return self.squares_by_factor().sum(0) > 1e-10 * scale


class Shares(NamedTuple):
    """Shares of variance (layers, factors), each row summing to 1: over standardised units, and over units as they are.

    A layer in which nothing varies has shares of NaN.
    """

    standardised: np.ndarray
    raw: np.ndarray


def variance_shares(
    net: LeNet5, digits: torch.Tensor, labels: torch.Tensor, grounds: torch.Tensor, *, by: str = "maximum"
) -> Shares:
    """Return the share of each layer's variance that class, digit, background, or the latter two together give.

    Parameters
    ----------
    net : LeNet5
        The trained network.
    digits, labels : Tensor, shapes (D, 1, 28, 28) and (D,)
        Bytes and classes.
    grounds : Tensor, shape (B, 1, 28, 28)
        Bytes; every digit is laid on every one of them.
    by : str
        How, see `companion.data.backgrounds.composed`.

    Returns
    -------
    Shares
        Eta squared by `LAYERS` and `FACTORS`. `standardised` is the mean of the units' own shares (units that do not
        vary are left out), `raw` the share of the layer's summed variance.
    """
    device = net.dense3.weight.device
    sums = {name: Crossed(labels.to(device)) for name in LAYERS}
    for ground in grounds:
        for name, values in layers(net, composed(digits, ground, by=by).to(device)).items():
            sums[name].add(values)
    both = []
    for one in sums.values():
        squares = one.squares_by_factor()[:, one.varying()]
        both.append(torch.stack([(squares / squares.sum(0)).mean(1), squares.sum(1) / squares.sum()]))
    standardised, raw = torch.stack(both, 1).cpu().numpy()
    return Shares(standardised, raw)


class WithinClass(NamedTuple):
    """Variance of every pixel over the samples of a class, and how many samples that is: arrays (10, H, W)."""

    variance: np.ndarray
    n: np.ndarray

    def mean(self, where: np.ndarray | bool = True) -> float:
        """Return the mean variance over pixels of samples, at the places (10, H, W) asked for; NaN for none."""
        n = self.n * where
        return float((np.nan_to_num(self.variance) * n).sum() / n.sum()) if n.any() else float("nan")


def within_class_variance(images: torch.Tensor, labels: torch.Tensor, where: torch.Tensor | None = None) -> WithinClass:
    """Return the variance of every pixel over the samples of a class.

    Parameters
    ----------
    images, labels : Tensor, shapes (N, 1, H, W) and (N,)
        Bytes, and classes from 0 to 9.
    where : Tensor, shape (N, 1, H, W), optional
        Which pixels of which samples count; all by default.

    Returns
    -------
    WithinClass
        Variance NaN where no sample counts.
    """
    variance, n = [], []
    for label in range(10):
        values = images[labels == label, 0].double()
        counts = torch.ones_like(values) if where is None else where[labels == label, 0].double()
        total = counts.sum(0)
        mean = (values * counts).sum(0) / total
        variance.append(((values - mean).square() * counts).sum(0) / total)
        n.append(total)
    return WithinClass(*(torch.stack(parts).cpu().numpy() for parts in (variance, n)))


def zones(digits: torch.Tensor) -> torch.Tensor:
    """Split each image into ink, the rim around it, and the ground beyond: masks (3, N, H, W) in the order of `ZONES`.

    The rim has its own zone because it tells where the ink ends: it belongs to the digit's shape.
    """
    ink = digits[:, 0] >= INK
    near = F.max_pool2d(ink[:, None].float(), 2 * RIM + 1, stride=1, padding=RIM)[:, 0] > 0
    return torch.stack([ink, near & ~ink, ~near])


def pixel_weights(net: LeNet5, images: torch.Tensor, labels: torch.Tensor, *, batch: int = 500) -> torch.Tensor:
    """Return how strongly the logit of each image's label answers to each pixel: the gradient's absolute value.

    Parameters
    ----------
    net : LeNet5
        The trained network.
    images, labels : Tensor, shapes (N, 1, H, W) and (N,)
        Bytes, and the class whose logit is meant for each.

    Returns
    -------
    Tensor, shape (N, H, W)
        In logits per unit of coded pixel.
    """
    device, parts = net.dense3.weight.device, []
    for some, wanted in zip(images.split(batch), labels.split(batch), strict=True):
        coded = net.pixels(some.to(device)).requires_grad_()
        logits = net(coded).gather(1, wanted.to(device)[:, None]).sum()
        parts.append(torch.autograd.grad(logits, coded)[0].abs()[:, 0])
    return torch.cat(parts).cpu()


def by_zone(weights: torch.Tensor, digits: torch.Tensor) -> np.ndarray:
    """Return the mean of pixels' weights (N, H, W) in each of the `ZONES` of their digits (N, 1, H, W): array (3,)."""
    return np.array([weights[mask].mean().item() for mask in zones(digits)])


class Ranks(NamedTuple):
    """Spearman's rank correlations over positions.

    Attributes
    ----------
    inconsistency, signal : float
        Of `Positions.within`, and of `Positions.between`, with `spread`.
    given_signal : float
        The first with `between` held fixed: the partial correlation of the ranks.
    influence : float
        Of `spread` with `influence`.
    """

    inconsistency: float
    signal: float
    given_signal: float
    influence: float


class Positions(NamedTuple):
    """The 400 positions of S4, each array (400,).

    Attributes
    ----------
    within, between : array
        Mean variance of the position's activation over samples of one class, and variance of its means over classes.
    spread : array
        Variance over the 120 units of C5 of their weights on the position: of its anchor-position vector.
    influence : array
        Mean absolute change of the logits when the position is held at its mean.
    """

    within: np.ndarray
    between: np.ndarray
    spread: np.ndarray
    influence: np.ndarray

    def varying(self) -> Positions:
        """Return the positions whose input varies at all."""
        return Positions(*(one[self.within > 0] for one in self))

    def ranks(self) -> Ranks:
        """Return how the quantities of the positions that vary correlate."""
        found = scipy_stats.spearmanr(np.stack(self.varying(), 1).astype(float)).statistic
        within, between = found[0, 2], found[1, 2]
        partial = (within - found[0, 1] * between) / np.sqrt((1 - found[0, 1] ** 2) * (1 - between**2))
        return Ranks(*map(float, (within, between, partial, found[2, 3])))


@torch.no_grad()
def positions(net: LeNet5, images: torch.Tensor, labels: torch.Tensor) -> Positions:
    """Return how consistent the input of every position of S4 is, and what the network makes of it.

    Parameters
    ----------
    net : LeNet5
        The network.
    images, labels : Tensor, shapes (N, 1, H, W) and (N,)
        Bytes and classes.

    Notes
    -----
    The vector of position n is made of the n-th entries of the 120 anchor vectors of C5 (Kuo 2017, page 86).
    """
    device, activate = net.dense3.weight.device, ACTIVATIONS[net.activation]
    found = layers(net, images.to(device))
    values, labels = found["S4"], labels.to(device)
    member = F.one_hot(labels).double()
    member = member[:, member.sum(0) > 0]
    share = member.mean(0)  # of the samples, by class
    means = (member.T @ values.double()) / member.sum(0)[:, None]
    residual = values.double() - member @ means
    grand = share @ means
    before = net.dense1(values)  # C5 in front of its rectifier
    off = values - grand.to(values.dtype)
    influence = []
    for place in range(values.shape[1]):
        held = before - off[:, place, None] * net.dense1.weight[:, place]
        logits = net.dense3(activate(net.dense2(activate(held))))
        influence.append((logits - found["output"]).abs().mean())
    arrays = (
        residual.square().mean(0),
        share @ (means - grand).square(),
        net.dense1.weight.double().var(0),
        torch.stack(influence),
    )
    return Positions(*(array.cpu().numpy() for array in arrays))


def rank_correlation(a: ArrayLike, b: ArrayLike, *, seed: int = 0, resamples: int = 2_000) -> Interval:
    """Return Spearman's rank correlation of pairs with its interval from resampling them."""

    def spearman(x: np.ndarray, y: np.ndarray, axis: int = -1) -> np.ndarray:
        x, y = (scipy_stats.rankdata(one, axis=axis) for one in (x, y))
        x, y = (one - one.mean(axis=axis, keepdims=True) for one in (x, y))
        return (x * y).sum(axis) / np.sqrt((x**2).sum(axis) * (y**2).sum(axis))

    return bootstrap(spearman, a, b, paired=True, resamples=resamples, seed=seed)
