"""How an error falls with a size: laws fitted to several seeds at once, and how well the exponent is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special

from companion.stats.intervals import Interval
from companion.stats.samples import as_sample, t_quantile

LAWS = ("power", "pure power", "exponential", "logarithmic")
STEEPEST = 10.0  # of an exponent; one that ends here is not settled by the data
LOWEST = -12.0  # of the log of the floor, below the least error: no floor at all
PRIOR = 4  # degrees of freedom with which the points' mean variance moderates each point's own
FINEST = 1e-12  # of a variance of log errors
STEPS = 300  # of a descent


@dataclass(frozen=True)
class Decay:
    """A law fitted to errors at several sizes z.

    Attributes
    ----------
    law : str
        "power": factor z^(-exponent) + floor; "pure power": the same without floor; "exponential": factor
        exp(-exponent z) + floor; "logarithmic": factor - exponent log z.
    factor, exponent, floor : float
        The best fit; the floor is never below 0.
    low, high : float
        Interval of the exponent from resampling the seeds; nan if it was not asked for. An end at plus or minus
        `STEEPEST` is no end: the errors step down (or up) once, and any steeper law would do.
    aic : float
        Akaike's criterion, chi-squared plus twice the number of parameters; comparable between laws on the same errors.
    misfit : float
        Chi-squared by degrees of freedom: about 1 where the seeds' scatter explains all that is left over; nan where
        there are as many parameters as points.
    n : int
        Seeds.
    """

    law: str
    factor: float
    exponent: float
    floor: float
    low: float
    high: float
    aic: float
    misfit: float
    n: int

    def __call__(self, z: ArrayLike) -> np.ndarray:
        """Return the law's errors at sizes z."""
        z = np.asarray(z, dtype=float)
        if self.law == "logarithmic":
            return self.factor - self.exponent * np.log(z)
        fallen = np.exp(-self.exponent * z) if self.law == "exponential" else z**-self.exponent
        return self.factor * fallen + self.floor


@dataclass(frozen=True)
class JointDecay:
    """The fit a N^(-b) + d P^(-e) + c: intervals of b and of e, factors a and d, floor c, and misfit as in `Decay`."""

    first: Interval
    second: Interval
    factors: tuple[float, float]
    floor: float
    misfit: float

    def __call__(self, n: ArrayLike, p: ArrayLike) -> np.ndarray:
        """Return the law's errors at pairs of sizes."""
        falling = zip(self.factors, (n, p), (self.first.mean, self.second.mean), strict=True)
        return sum(factor * np.asarray(z, dtype=float) ** -exponent for factor, z, exponent in falling) + self.floor


def decay(
    z: ArrayLike, errors: ArrayLike, *, law: str = "power", resamples: int = 400, seed: int = 0, level: float = 0.95
) -> Decay:
    """Fit a law of decay by weighted least squares on the logarithm of the error.

    A point is the mean over seeds of the log error, weighted by the inverse of its variance (moderated by that of the
    other points, since few seeds tell a variance badly). Seeds are resampled as a whole, because one seed's trainings
    share their order of data; the percentiles are widened as Student's t is (Hesterberg 2015), without which few
    replicates give too narrow an interval.

    Parameters
    ----------
    z : array_like, shape (points,)
        Sizes > 0, at least as many as the law has parameters.
    errors : array_like, shape (seeds, points)
        Errors > 0 of at least two seeds.
    law : str
        One of `LAWS`.
    resamples, seed : int
        Number of resamples, none for 0, and the seed that they are drawn from.
    level : float
        Coverage of the interval of the exponent.

    Raises
    ------
    ValueError
        If the law is not known, or sizes and errors do not fit it.

    Notes
    -----
    Understanding, slide "What is Convergence Rate?"; the law is that of Hestness et al. 2017.
    """
    if law not in LAWS:
        raise ValueError(f"unknown law {law!r}; the laws are {', '.join(LAWS)}")
    floored = law in ("power", "exponential")
    sizes, logs, weights = _prepared([z], errors, 2 + floored)
    z = sizes[0]
    unit = z.min() if law == "exponential" else 1.0
    x = z / unit if law == "exponential" else np.log(z)

    def fitted(means: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return _fit_line(x, means, weights) if law == "logarithmic" else _fit_sum(x[None], means, weights, floored)

    (theta,), (squares,) = fitted(logs.mean(0, keepdims=True))
    factor, exponent, floor = theta if law == "logarithmic" else (np.exp(theta[0]), theta[1], np.exp(theta[2]))
    ends = _resampled(lambda means: fitted(means)[0][:, 1:2], logs, resamples, seed, level)
    low, high = (float(end / unit) for end in ends[:, 0])
    free = x.size - 2 - floored
    return Decay(
        law, float(factor), float(exponent / unit), float(floor), low, high,
        aic=float(squares + 2 * (2 + floored)), misfit=float(squares / free) if free else np.nan, n=len(logs),
    )  # fmt: skip


def joint_decay(
    n: ArrayLike, p: ArrayLike, errors: ArrayLike, *, resamples: int = 400, seed: int = 0, level: float = 0.95
) -> JointDecay:
    """Fit a N^(-b) + d P^(-e) + c to errors at pairs of sizes, as `decay` fits one power.

    Parameters
    ----------
    n, p : array_like, shape (points,)
        Sizes > 0 of every point, at least five points.
    errors : array_like, shape (seeds, points)
        Errors > 0 of at least two seeds.
    resamples, seed, level
        As `decay` takes them.

    Raises
    ------
    ValueError
        If sizes and errors do not fit one another.
    """
    sizes, logs, weights = _prepared([n, p], errors, 5)
    xs = np.log(sizes)
    (theta,), (squares,) = _fit_sum(xs, logs.mean(0, keepdims=True), weights, True)
    ends = _resampled(lambda means: _fit_sum(xs, means, weights, True)[0][:, 2:4], logs, resamples, seed, level)
    first, second = (Interval(*map(float, (theta[2 + k], *ends[:, k])), len(logs)) for k in range(2))
    free = xs.shape[1] - 5
    factors = float(np.exp(theta[0])), float(np.exp(theta[1]))
    return JointDecay(first, second, factors, float(np.exp(theta[4])), float(squares / free) if free else np.nan)


def _prepared(sizes: list[ArrayLike], errors: ArrayLike, least: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return sizes (terms, points), log errors (seeds, points), and the weight of each point."""
    errors = np.asarray(errors, dtype=float)
    sizes = np.stack([as_sample(one, least) for one in sizes])
    if errors.ndim != 2 or len(errors) < 2 or errors.shape[1] != sizes.shape[1]:
        raise ValueError(f"errors of shape {errors.shape} are given for {sizes.shape[1]} sizes; one row per seed is "
                         "needed, of at least two seeds, with one error per size")  # fmt: skip
    if not (sizes > 0).all() or not (errors > 0).all() or not np.isfinite(errors).all():
        raise ValueError(f"a law of decay needs finite numbers > 0; the smallest size is {sizes.min():g}, the smallest "
                         f"error {errors.min():g}")  # fmt: skip
    logs = np.log(errors)
    seeds = len(logs)
    own = logs.var(0, ddof=1)
    moderated = (PRIOR * own.mean() + (seeds - 1) * own) / (PRIOR + seeds - 1)
    return sizes, logs, seeds / np.maximum(moderated, FINEST)


def _fit_sum(xs: np.ndarray, y: np.ndarray, weights: np.ndarray, floored: bool) -> tuple[np.ndarray, np.ndarray]:
    """Fit y = log(sum over terms of exp(alpha - b x) + exp(gamma)) to each row of y (rows, points).

    Returns (alphas, bs, gamma) and chi-squared, row by row. Where nothing is floored, gamma is minus infinity and the
    fit of the one term is linear.
    """
    terms, root, least = len(xs), np.sqrt(weights), y.min(1)
    centre = xs.mean(1)
    xs = xs - centre[:, None]
    if not floored:
        slope, height = np.polyfit(xs[0], y.T, 1, w=root)
        squares = np.sum((root * (height[:, None] + slope[:, None] * xs[0] - y)) ** 2, 1)
        return np.column_stack([height - slope * centre[0], -slope, np.full_like(slope, -np.inf)]), squares
    free = np.full((len(y), terms), np.inf)
    bounds = [
        np.column_stack([sign * free, np.full_like(free, sign * STEEPEST), end])
        for sign, end in ((-1, least + LOWEST), (1, y.max(1)))
    ]
    found = []
    for below in (5.0, 0.7, 0.1):  # log of the least error over the floor, at the start
        above = np.log(np.exp(y) - np.exp(least - below)[:, None])
        slopes = [-np.polyfit(x, above.T, 1)[0].clip(-STEEPEST / 2, STEEPEST / 2) for x in xs]
        heights = [above.mean(1) - np.log(terms)] * terms
        found.append(_descend(np.column_stack([*heights, *slopes, least - below]), xs, y, root, *bounds))
    best = np.argmin([squares for _, squares in found], axis=0)
    theta, squares = (np.stack(part)[best, np.arange(len(y))] for part in zip(*found, strict=True))
    theta[:, :terms] += theta[:, terms:-1] * centre
    theta[:, -1] = np.where(theta[:, -1] > least + LOWEST + 0.1, theta[:, -1], -np.inf)
    return theta, squares


def _descend(
    theta: np.ndarray, xs: np.ndarray, y: np.ndarray, root: np.ndarray, low: np.ndarray, high: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Minimise chi-squared within bounds from one start a row, by the steps of Levenberg and Marquardt for all at once.

    scipy's least_squares takes one problem at a time, which for hundreds of resamples is a hundred times slower.
    """
    terms = len(xs)

    def missed(theta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        falling = theta[:, :terms, None] - theta[:, terms:-1, None] * xs
        parts = np.concatenate([falling, np.broadcast_to(theta[:, -1:, None], (len(y), 1, y.shape[1]))], 1)
        total = special.logsumexp(parts, axis=1)
        misses = root * (total - y)
        return np.exp(parts - total[:, None]), misses, (misses**2).sum(1)

    shares, misses, squares = missed(theta)
    damping = np.full(len(y), 1e-2)
    diagonal = np.arange(theta.shape[1])
    for _ in range(STEPS):
        slopes = root * np.concatenate([shares[:, :terms], -xs * shares[:, :terms], shares[:, terms:]], 1)
        downhill = -np.einsum("rpm,rm->rp", slopes, misses)
        held = ((theta <= low) & (downhill < 0)) | ((theta >= high) & (downhill > 0))
        bend = np.einsum("rpm,rqm->rpq", slopes, slopes) * ~(held[:, :, None] | held[:, None])
        bend[:, diagonal, diagonal] += damping[:, None] * (bend[:, diagonal, diagonal] + 1e-9) + held
        tried = np.clip(theta + np.linalg.solve(bend, (downhill * ~held)[..., None])[..., 0], low, high)
        new = missed(tried)
        better = new[2] < squares
        gain = (squares - new[2])[better]
        theta = np.where(better[:, None], tried, theta)
        shares = np.where(better[:, None, None], new[0], shares)
        misses = np.where(better[:, None], new[1], misses)
        damping = np.where(better, damping / 4, damping * 3)
        if not (gain > 1e-9 * squares[better] + 1e-12).any() and (better | (damping > 1e6)).all():
            break
        squares = np.where(better, new[2], squares)
    return theta, squares


def _fit_line(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fit y = log(a - b x) to each row of y and return (a, b, 0) and chi-squared, row by row."""
    root, tiny = np.sqrt(weights), np.finfo(float).tiny
    first, last = x.argmin(), x.argmax()

    def misses(theta: np.ndarray, logs: np.ndarray) -> np.ndarray:
        return root * (np.log(np.maximum(theta[0] - theta[1] * x, tiny)) - logs)

    found = []
    for logs in y:
        # The line through both ends is positive at every size, so that the search starts where the logarithm exists.
        slope = np.exp(logs)[[first, last]] @ [1, -1] / (x[last] - x[first])
        start = [np.exp(logs[first]) + slope * x[first], slope]
        found.append(optimize.least_squares(misses, start, x_scale="jac", args=(logs,)))
    return np.array([[*one.x, 0.0] for one in found]), np.array([2 * one.cost for one in found])


def _resampled(
    statistics: Callable[[np.ndarray], np.ndarray], logs: np.ndarray, resamples: int, seed: int, level: float
) -> np.ndarray:
    """Return the ends (2, k) of the intervals of k statistics of resampled means, percentiles widened as Student's t.

    `statistics` maps means (rows, points) to numbers (rows, k).
    """
    if not resamples:
        return np.full((2, statistics(logs[:1]).shape[1]), np.nan)
    n = len(logs)
    draws = np.sort(np.random.default_rng(seed).integers(n, size=(resamples, n)), axis=1)
    different, times = np.unique(draws, axis=0, return_counts=True)  # few seeds have few resamples
    values = np.repeat(statistics(logs[different].mean(1)), times, axis=0)
    tail = special.ndtr(-np.sqrt(n / (n - 1)) * t_quantile(level, n - 1))
    return np.quantile(values, [tail, 1 - tail], axis=0)
