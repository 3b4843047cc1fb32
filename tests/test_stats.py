from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from companion.stats import (
    bootstrap,
    false_discovery,
    kl_divergence,
    mean_interval,
    paired,
    paired_spread,
    power_law,
    prediction_interval,
    prediction_p,
    slope,
    welch,
)

numbers = st.floats(-1e6, 1e6).map(lambda x: round(x, 6))
samples = st.lists(numbers, min_size=2, max_size=20)
shares = st.lists(st.floats(0, 1), min_size=2, max_size=20)


def test_mean_interval_is_students():
    sample = [2.0, 4.0, 4.0, 5.0, 9.0]
    expected = scipy_stats.ttest_1samp(sample, 0).confidence_interval(0.9)
    assert mean_interval(sample, level=0.9) == pytest.approx((4.8, expected.low, expected.high, 5))


def test_one_value_has_no_interval():
    for interval in (mean_interval([3.0]), prediction_interval([3.0])):
        assert interval.mean == 3 and interval.n == 1 and np.isnan([interval.low, interval.high]).all()
    assert np.isnan(prediction_p([3.0], 0, 1))


@given(numbers, st.integers(2, 20))
def test_equal_values_have_an_interval_of_width_zero(x, n):
    assert mean_interval([x] * n) == (x, x, x, n)
    assert prediction_interval([x] * n) == (x, x, x, n)


@given(samples, st.floats(0.5, 0.9), st.floats(0.01, 0.09))
def test_higher_levels_and_further_draws_are_wider(sample, level, more):
    narrow, wide = mean_interval(sample, level), mean_interval(sample, level + more)
    assert wide.low <= narrow.low <= narrow.high <= wide.high
    further = prediction_interval(sample, level)
    assert further.low <= narrow.low and narrow.high <= further.high


@given(shares)
def test_predicted_shares_are_shares(sample):
    interval = prediction_interval(sample, scale="logit")
    assert 0 <= interval.low <= interval.high <= 1


@given(st.lists(st.floats(0, 1e3), min_size=2, max_size=20))
def test_predicted_losses_are_not_negative(sample):
    interval = prediction_interval(sample, scale="log")
    assert 0 <= interval.low <= interval.high


def test_prediction_on_each_scale():
    sample = np.array([0.81, 0.85, 0.9, 0.88])
    half = scipy_stats.t.ppf(0.975, 3) * np.sqrt(1 + 1 / 4)
    assert prediction_interval(sample)[1:3] == pytest.approx(
        sample.mean() + half * sample.std(ddof=1) * np.array([-1, 1])
    )
    odds = np.log(sample / (1 - sample))
    ends = 1 / (1 + np.exp(-(odds.mean() + half * odds.std(ddof=1) * np.array([-1, 1]))))
    assert prediction_interval(sample, scale="logit")[1:3] == pytest.approx(ends)
    ends = np.exp(np.log(sample).mean() + half * np.log(sample).std(ddof=1) * np.array([-1, 1]))
    assert prediction_interval(sample, scale="log")[1:3] == pytest.approx(ends)


def test_saturated_shares_are_shrunk_by_half_a_count():
    assert prediction_interval([1.0] * 5, scale="logit") == (1.0, 0.99995, 1.0, 5)
    assert prediction_interval([0.0] * 5, scale="logit", trials=100) == (0.0, 0.0, 0.005, 5)
    assert prediction_p([1.0] * 5, 0.999, 1.0, "logit") == 1
    assert prediction_p([1.0] * 5, 0.98, 0.99, "logit") == 0


def test_zeros_on_the_log_scale_count_as_half_of_the_smallest():
    sample = np.array([0.0, 0.1, 0.2, 0.4])
    moved = prediction_interval([0.05, 0.1, 0.2, 0.4], scale="log")
    # Where there is no zero, the end stays where it is, however small.
    assert 0 < moved.low < 0.025
    assert prediction_interval(sample, scale="log")[1:3] == pytest.approx((0, moved.high))
    assert prediction_interval([0.0] * 3, scale="log")[1:3] == pytest.approx((0, 0))
    assert prediction_p([0.0] * 3, 0, 0.005, "log") == 1


@given(shares, st.floats(0, 1), st.floats(0, 0.2), st.sampled_from(["identity", "logit", "log"]))
def test_p_below_a_level_says_that_the_interval_misses(sample, low, width, scale):
    high = min(low + width, 1)
    interval = prediction_interval(sample, scale=scale)
    p = prediction_p(sample, low, high, scale)
    meets = interval.low <= high and low <= interval.high
    if abs(p - 0.05) > 1e-6 and p not in (0, 1):
        assert meets == (p > 0.05)
    assert 0 <= p <= 1


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: mean_interval([]), "at least 1"),
        (lambda: mean_interval([[1.0, 2.0]]), "one row"),
        (lambda: mean_interval([1.0, np.nan]), "holds nan"),
        (lambda: mean_interval([1.0, 2.0], level=95), "level is 95"),
        (lambda: prediction_interval([0.5, 1.5], scale="logit"), "0.5 to 1.5"),
        (lambda: prediction_interval([0.5, 0.6], scale="probit"), "identity, logit, log"),
        (lambda: welch([1.0], [1.0, 2.0]), "at least 2"),
        (lambda: paired([1.0, 2.0, 3.0], [1.0, 2.0]), "3 and 2"),
        (lambda: slope([1.0]), r"\(1,\)"),
        (lambda: slope([1.0, 2.0], x=[3.0, 3.0]), "not all equal"),
        (lambda: power_law([1, 2, 3], [1, 0, 2]), "smallest y 0"),
        (lambda: power_law([1, 2, 3], [1, 2, 3, 4]), "3 values and y has 4"),
        (lambda: kl_divergence([0.5, 0.6], [0.5, 0.5]), "p sums to"),
    ],
)
def test_bad_input_is_told(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_welch_and_paired_are_scipys():
    a, b = np.random.default_rng(1).normal(size=(2, 9))
    for ours, theirs in (
        (welch(a, b[:6]), scipy_stats.ttest_ind(a, b[:6], equal_var=False)),
        (paired(a, b), scipy_stats.ttest_rel(a, b)),
    ):
        assert (ours.t, ours.df, ours.p) == pytest.approx((theirs.statistic, theirs.df, theirs.pvalue))
        assert ours[4:] == pytest.approx(tuple(theirs.confidence_interval(0.95)))
    assert welch(a, b).difference == pytest.approx(a.mean() - b.mean())


def test_comparisons_of_samples_that_do_not_vary():
    assert welch([1, 1], [3, 3, 3]) == (-2, -np.inf, 3, 0, -2, -2)
    assert paired([1.0, 2.0], [1.0, 2.0]) == (0, 0, 1, 1, 0, 0)


def test_bootstrap_covers_and_is_seeded():
    rng = np.random.default_rng(2)
    hits = 0
    for _ in range(200):
        a, b = rng.normal(1, 1, 30), rng.normal(0, 1, 20)
        interval = bootstrap(lambda x, y, axis=-1: x.mean(axis=axis) - y.mean(axis=axis), a, b, resamples=999)
        hits += interval.low <= 1 <= interval.high
    assert interval.n == 20 and interval.mean == pytest.approx(a.mean() - b.mean())
    assert 0.88 < hits / 200 < 0.99
    again = [bootstrap(np.mean, a, resamples=200, seed=seed) for seed in (3, 3, 4)]
    assert again[0] == again[1] != again[2]


def test_bootstrap_of_samples_that_do_not_vary():
    assert bootstrap(np.mean, [2.0, 2.0, 2.0], resamples=99) == (2, 2, 2, 3)


def test_paired_bootstrap_keeps_pairs_together():
    a = np.random.default_rng(5).normal(size=40)
    interval = bootstrap(lambda x, y: (x - y).mean(), a, a + 1, resamples=99, paired=True, method="percentile")
    assert interval[:3] == pytest.approx((-1, -1, -1))


def test_false_discovery():
    assert false_discovery([0.01, 0.02, 0.03]) == pytest.approx([0.03, 0.03, 0.03])
    assert (false_discovery([0.01, 0.9], method="by") >= false_discovery([0.01, 0.9])).all()
    assert false_discovery([]).size == 0


@given(st.lists(st.tuples(numbers, st.floats(-100, 100)), min_size=1, max_size=5), st.integers(2, 8))
def test_slope_of_straight_rows(lines, k):
    offset, rise = np.array(lines).T
    rows = offset[:, None] + rise[:, None] * np.arange(k)
    np.testing.assert_allclose(slope(rows), rise, atol=1e-8)


def test_slope_against_given_places():
    rows = np.random.default_rng(6).normal(size=(3, 5))
    x = [1, 2, 4, 8, 16]
    np.testing.assert_allclose(slope(rows, x), np.polyfit(x, rows.T, 1)[0])
    np.testing.assert_array_equal(slope(np.full((2, 3), 0.1)), [0, 0])


@given(st.floats(-3, 3), st.floats(0.01, 100))
def test_power_law_is_found_again(exponent, factor):
    x = np.array([1.0, 3.0, 10.0, 40.0])
    fit = power_law(x, factor * x**exponent)
    assert fit.exponent == pytest.approx(exponent, abs=1e-9) and fit.factor == pytest.approx(factor)
    assert fit.low - 1e-9 <= exponent <= fit.high + 1e-9 and fit.n == 4


def test_power_law_interval_covers():
    rng = np.random.default_rng(7)
    x = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
    noisy = 3 * x**-0.5 * np.exp(rng.normal(0, 0.1, (1000, 5)))
    hits = np.mean([fit.low <= -0.5 <= fit.high for fit in (power_law(x, y) for y in noisy)])
    assert 0.93 < hits < 0.97


@given(st.lists(st.floats(0.001, 1), min_size=2, max_size=6), st.randoms())
def test_divergence_is_zero_only_at_home(weights, random):
    p = np.array(weights) / np.sum(weights)
    q = np.array(random.sample(list(p), len(p)))
    assert kl_divergence(p, p) == 0
    assert kl_divergence(p, q) == pytest.approx(scipy_stats.entropy(p, q, base=2), abs=1e-9)


def test_divergence_by_row_base_and_support():
    p, q = np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([0.25, 0.75])
    np.testing.assert_allclose(kl_divergence(p, q), [0.5 * np.log2(2) + 0.5 * np.log2(2 / 3), 2])
    assert kl_divergence([1.0, 0.0], q, base=np.e) == pytest.approx(np.log(4))
    assert kl_divergence(q, [1.0, 0.0]) == np.inf


def test_paired_spread_finds_unequal_variances_at_its_level():
    draw = np.random.default_rng(0)
    common = draw.normal(size=(400, 30))
    a, b = common + draw.normal(size=(400, 30)), common + draw.normal(size=(400, 30))
    alike = [paired_spread(one, other) for one, other in zip(a, b, strict=True)]
    assert 0.02 < np.mean([found.p < 0.05 for found in alike]) < 0.09
    assert np.mean([found.correlation for found in alike]) == pytest.approx(0.5, abs=0.02)
    wider = [paired_spread(3 * one, other) for one, other in zip(a, b, strict=True)]
    assert np.mean([found.p < 0.05 for found in wider]) > 0.95
    assert np.median([found.ratio for found in wider]) == pytest.approx(3, rel=0.05)


@pytest.mark.filterwarnings("error")
def test_paired_spread_of_samples_that_do_not_vary():
    same = paired_spread([1.0, 2, 4], [1.0, 2, 4])
    assert (same.ratio, same.p) == (1, 1)
    assert same.correlation == pytest.approx(1)
    for b, ratio in ((np.full(3, 0.07), np.nan), ([0.07, 0.06, 0.07], 0)):  # 0.07 has a mean that is not quite itself
        found = paired_spread(np.full(3, 0.07), b)
        np.testing.assert_equal((found.ratio, found.correlation), (ratio, np.nan))
    with pytest.raises(ValueError, match="3 and 4 values"):
        paired_spread([1.0, 2, 3], [1.0, 2, 3, 4])
