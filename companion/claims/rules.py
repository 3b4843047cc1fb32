"""The rules by which a result is judged against a claim.

A rule sets an interval of ours beside the region of values that the claim allows: `agrees` means inside the region,
`differs` means wholly outside it, anything else is `inconclusive`. Rule draw, for a number that the paper drew once,
sets the interval of one further draw beside the number as printed: `agrees` means that they meet, `differs` that they
do not. It speaks only where that interval is no wider than the row allows; a wider one is `inconclusive` wherever it
lies.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from companion.claims.rows import NEEDS, UNITS, Claim, allowed_range
from companion.stats.fits import slope
from companion.stats.intervals import Interval, mean_interval, prediction_interval, prediction_p

LEAST_DRAWS = 5


class Verdict(StrEnum):
    """What a comparison with the paper came to."""

    AGREES = "agrees"
    DIFFERS = "differs"
    INCONCLUSIVE = "inconclusive"
    NOT_ATTEMPTED = "not attempted"


@dataclass(frozen=True)
class Judgement:
    """A verdict and what it rests on, in internal units.

    `mean`, `low`, `high` and `n` are the mean with its 95 % interval (None where there is none); for rule order, those
    of the adjacent difference with the least lower end (simultaneous over the pairs); for trend, of the slope per step.
    `predicted_low` and `predicted_high` are the prediction interval of rule draw. `p` is the two-sided p-value against
    the claim, below 0.05 where our interval lies outside what the claim allows. `reason` says why a verdict is open.
    """

    verdict: Verdict
    mean: float | str | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    p: float | None = None
    predicted_low: float | None = None
    predicted_high: float | None = None
    reason: str = ""


def judge(
    claim: Claim,
    values: ArrayLike | str | None = None,
    *,
    estimate: float | None = None,
    low: float | None = None,
    high: float | None = None,
    n: int | None = None,
) -> Judgement:
    """Judge a result by the claim's rule.

    Parameters
    ----------
    claim : Claim
        Its rule decides.
    values : array_like, shape (seeds,) or (seeds, items); or one number or text
        In internal units (shares, not percent), one per seed. Rule order: items in the order stated, the one claimed
        largest first, or the differences (first minus second) in one dimension. Rule trend: items along the axis, or
        the slopes in one dimension. Rule equivalent: the differences. Rule equal: the one exact value.
    estimate, low, high, n : float, float, float, int
        In place of `values`, a statistic of the whole study (for order and trend a difference or a slope) with its
        95 % interval from resampling `n` replicates; low equal to high says that it is exact. Rule draw takes the
        paper's study to scatter as much as ours does and widens the interval by sqrt(2) for it.

    Returns
    -------
    Judgement
        In internal units.

    Raises
    ------
    ValueError
        If a value is not finite or outside the unit's range, if values have the wrong shape, or if not exactly one of
        `values` and `estimate` is given.
    """
    if (values is None) == (estimate is None):
        raise ValueError(f"{claim.id}: both or neither of values and estimate are given; exactly one is needed")
    if claim.rule == "equal":
        return _judge_equal(claim, estimate if values is None else values)
    if values is None:
        return _judge_estimate(claim, estimate, low, high, n)
    if (low, high, n) != (None, None, None):
        raise ValueError(f"{claim.id}: low={low}, high={high}, n={n} are given with values; they go with an estimate")
    return _judge_values(claim, values)


def gate(judgement: Judgement, claim: Claim, profile: str, reduced: bool = False) -> Judgement:
    """Leave a verdict open where the run was smaller than the claim needs; a reduced run counts one profile lower."""
    if profile not in NEEDS:
        raise ValueError(f"unknown profile {profile!r}; the profiles are {', '.join(NEEDS)}")
    enough = NEEDS.index(profile) - reduced >= NEEDS.index(claim.needs)
    if enough or judgement.verdict not in (Verdict.AGREES, Verdict.DIFFERS):
        return judgement
    run = f"a reduced {profile} run" if reduced else f"a {profile} run"
    return replace(judgement, verdict=Verdict.INCONCLUSIVE, reason=f"needs the {claim.needs} profile, this is {run}")


class _Evidence(NamedTuple):
    """Where a statistic is taken to lie: a t distribution (normal if `df` is infinite) of scale `error` at `centre`."""

    mean: float
    centre: float
    error: float
    df: float
    n: int | None

    @classmethod
    def of(cls, interval: Interval, df: float) -> _Evidence:
        """Read centre and error off a 95 % interval."""
        half = (interval.high - interval.low) / 2
        return cls(interval.mean, (interval.low + interval.high) / 2, half / _quantile(0.95, df), df, interval.n)

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Return the ends of the interval at a level."""
        half = _quantile(level, self.df) * self.error
        return self.centre - half, self.centre + half

    def p(self, region: tuple[float, float]) -> float:
        """Return the two-sided p-value against lying in `region`: below 0.05 if the 95 % interval lies outside it."""
        gap = max(region[0] - self.centre, self.centre - region[1], 0.0)
        if gap == 0 or self.error == 0:
            return float(gap == 0)
        return float(2 * special.stdtr(self.df, -gap / self.error))


def _quantile(level: float, df: float) -> float:
    """Return the two-sided quantile of Student's t."""
    return float(special.stdtrit(df, (1 + level) / 2))


def _region(claim: Claim) -> tuple[float, float]:
    """Return the least and the greatest value that the claim allows; order and trend leave out the 0 itself."""
    if claim.rule == "order" or claim.reported == "increasing":
        return 0.0, math.inf
    if claim.reported == "decreasing":
        return -math.inf, 0.0
    x = claim.reported_internal
    if claim.rule == "below":
        return -math.inf, x
    if claim.rule == "above":
        return x, math.inf
    low, high = claim.reported_interval() if claim.rule == "within" else (x, x)
    return low - claim.tolerance_internal, high + claim.tolerance_internal


def _judge_equal(claim: Claim, value: ArrayLike | str) -> Judgement:
    """Compare one exact value, numbers up to the printed digits."""
    if np.size(value) != 1:
        raise ValueError(f"{claim.id}: {value!r} is given; rule equal takes one number or text")
    value = np.asarray(value).item()
    if claim.unit == "label":
        if not isinstance(value, str):
            raise ValueError(f"{claim.id}: {value!r} is given; unit label takes a text")
        same, shown = value == claim.reported, Judgement(Verdict.DIFFERS, value, n=1)
    else:
        x = float(_checked(claim, value)[0])
        low, high = claim.reported_interval()
        same = x == claim.reported if claim.unit == "count" else low <= x <= high
        shown = Judgement(Verdict.DIFFERS, x, x, x, n=1)
    return replace(shown, verdict=Verdict.AGREES if same else Verdict.DIFFERS, p=float(same))


def _judge_values(claim: Claim, values: ArrayLike) -> Judgement:
    """Judge one value or one row of items per seed."""
    array = _checked(claim, values)
    if claim.rule == "order":
        differences = -np.diff(array, axis=1) if array.ndim == 2 else array[:, None]
    elif claim.rule == "trend" and array.ndim == 2:
        differences = slope(array)[:, None]
    else:
        differences = array[:, None]
    n = len(array)
    if n == 1:
        return Judgement(Verdict.INCONCLUSIVE, float(differences.min()), n=1, reason="one value has no interval")
    evidence = [_Evidence.of(mean_interval(column), n - 1) for column in differences.T]
    if claim.rule != "draw":
        return _decide(claim, evidence)
    scale = UNITS[claim.unit].scale
    reported = claim.reported_interval()
    p = prediction_p(array, *reported, scale=scale)
    return _decide_draw(claim, evidence[0], prediction_interval(array, scale=scale)[1:3], p)


def _judge_estimate(claim: Claim, estimate: float, low: float | None, high: float | None, n: int | None) -> Judgement:
    """Judge a statistic of the whole study by the interval that comes with it."""
    mean = float(_checked(claim, estimate, difference=claim.rule in ("order", "trend"))[0])
    if low is None or high is None:
        return Judgement(Verdict.INCONCLUSIVE, mean, n=n, reason="an estimate without an interval")
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise ValueError(f"{claim.id}: the interval [{low}, {high}] is given; two finite ends in order are needed")
    evidence = _Evidence.of(Interval(mean, float(low), float(high), n), math.inf)
    if claim.rule != "draw":
        return _decide(claim, [evidence])
    further = evidence._replace(error=math.sqrt(2) * evidence.error)
    return _decide_draw(claim, evidence, further.interval(), further.p(claim.reported_interval()))


def _decide(claim: Claim, evidence: list[_Evidence]) -> Judgement:
    """Set the intervals beside the region: all of them must lie inside, and any one outside contradicts the claim."""
    region = _region(claim)
    level = 1 - 0.05 / len(evidence)
    intervals = [one.interval(level) for one in evidence]
    # Two one-sided tests at 5 % are a 90 % interval.
    inner = [one.interval(0.90) for one in evidence] if claim.rule == "equivalent" else intervals
    if any(low > region[1] or high < region[0] for low, high in intervals):
        verdict = Verdict.DIFFERS
    elif all(_inside(claim, ends, region) for ends in inner):
        verdict = Verdict.AGREES
    else:
        verdict = Verdict.INCONCLUSIVE
    p = min(1.0, len(evidence) * min(one.p(region) for one in evidence))
    least = min(range(len(evidence)), key=lambda i: intervals[i][0])
    reason = "the interval lies partly outside what the claim allows" if verdict == Verdict.INCONCLUSIVE else ""
    return Judgement(
        verdict, evidence[least].mean, *_clipped(claim, intervals[least]), evidence[least].n, p, reason=reason
    )


def _inside(claim: Claim, ends: tuple[float, float], region: tuple[float, float]) -> bool:
    """Say whether an interval lies inside the region."""
    if claim.rule in ("order", "trend"):
        return region[0] < ends[0] and ends[1] < region[1]
    return region[0] <= ends[0] and ends[1] <= region[1]


def _decide_draw(claim: Claim, evidence: _Evidence, predicted: tuple[float, float], p: float) -> Judgement:
    """Set the interval of one further draw beside the reported interval, unless it is too wide or rests on too few."""
    low, high = np.clip(predicted, *claim.range).tolist()
    reported_low, reported_high = claim.reported_interval()
    reason = ""
    if evidence.n is None or evidence.n < LEAST_DRAWS:
        reason = f"a draw needs {LEAST_DRAWS} values, {evidence.n or 'an unknown number'} given"
    elif (high - low) / 2 > claim.tolerance_internal:
        reason = (
            f"the prediction interval's half-width {claim.shown((high - low) / 2)} is over the tolerance "
            f"{claim.shown(claim.tolerance_internal)}"
        )
    meets = low <= reported_high and reported_low <= high
    verdict = Verdict.INCONCLUSIVE if reason else Verdict.AGREES if meets else Verdict.DIFFERS
    return Judgement(
        verdict, evidence.mean, *_clipped(claim, evidence.interval()), evidence.n, p, low, high, reason=reason
    )


def _clipped(claim: Claim, ends: tuple[float, float]) -> tuple[float, float]:
    """Return an interval cut to the range of what it speaks of."""
    low, high = np.clip(ends, *allowed_range(claim, difference=claim.rule in ("order", "trend")))
    return float(low), float(high)


def _checked(claim: Claim, values: ArrayLike, difference: bool = False) -> np.ndarray:
    """Return values as floats of an allowed shape, all finite and in the range of what they are."""
    try:
        array = np.atleast_1d(np.asarray(values, dtype=float))
    except (TypeError, ValueError):
        raise ValueError(f"{claim.id}: {values!r} is given; numbers are needed") from None
    paired = claim.rule in ("order", "trend")
    if array.size == 0 or array.ndim > 1 + paired or (array.ndim == 2 and array.shape[1] < 2):
        allowed = "(seeds,) or (seeds, items) with at least two items" if paired else "(seeds,)"
        raise ValueError(f"{claim.id}: values of shape {array.shape} are given; rule {claim.rule} takes {allowed}")
    low, high = allowed_range(claim, difference or (paired and array.ndim == 1))
    wrong = array[~((array >= low) & (array <= high) & np.isfinite(array))]
    if wrong.size:
        x = float(wrong[0])
        allowed = UNITS[claim.unit].allowed if (low, high) == claim.range else f"a difference in [{low:g}, {high:g}]"
        hint = f"; percent are given as shares, {x:g} % as {x / 100:g}" if claim.unit == "percent" and x > 1 else ""
        raise ValueError(f"{claim.id}: the value {x:g} is given; allowed is {allowed}{hint}")
    return array
