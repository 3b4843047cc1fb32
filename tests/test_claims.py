from __future__ import annotations

import csv
import math
from collections import Counter
from dataclasses import replace
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from scipy.special import expit

import companion.claims
from companion.claims import Claim, Judgement, Verdict, claim, gate, judge, read, registry, reported
from companion.claims.rows import COLUMNS, NEEDS

SOURCES = {"reasonable", "generalizations", "understanding", "invariants", "mosaic"}
FILES = sorted(Path(companion.claims.__file__).parent.glob("*.csv"))
AGREES, DIFFERS, INCONCLUSIVE = Verdict.AGREES, Verdict.DIFFERS, Verdict.INCONCLUSIVE
CELLS = "mosaic.a;value;mosaic/setup;Table 1;One sentence.;85.58;percent;2;draw;3;laptop;cpu;faithful;"
ROW = dict(zip(COLUMNS, CELLS.split(";"), strict=True))


def made(reported=0.0, unit="number", digits=6, rule="within", tolerance=1.0, truncated=False, needs="laptop") -> Claim:
    return Claim(
        id="mosaic.a",
        kind="value",
        section="mosaic/setup",
        locator="Table 1",
        statement="One sentence.",
        reported=reported,
        unit=unit,
        digits=digits,
        truncated=truncated,
        rule=rule,
        tolerance=tolerance if rule in ("draw", "within", "equivalent") else None,
        needs=needs,
        cost="cpu",
        variant="faithful",
        note="",
    )


def written(folder: Path, *changes: dict[str, str]) -> Path:
    path = folder / "mosaic.csv"
    pd.DataFrame([ROW | change for change in changes]).to_csv(path, index=False)
    return path


# Rows


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_committed_claims_are_valid(path):
    rows = registry(path.stem)
    assert path.stem in SOURCES
    with path.open(newline="", encoding="utf-8") as lines:
        assert [row["id"] for row in csv.DictReader(lines)] == list(rows)
    for id, row in rows.items():
        assert id.startswith(f"{path.stem}.") and row.section.split("/")[0] == path.stem
        if isinstance(row.reported, float):
            low, high = row.reported_interval()
            assert low <= row.reported_internal <= high


def test_ids_are_unique_across_files():
    assert len(registry()) == sum(len(read(path)) for path in FILES)


def test_a_row_is_typed(tmp_path):
    path = written(
        tmp_path,
        {},
        {"id": "mosaic.b", "reported": "99", "digits": "0t"},
        {"id": "mosaic.c", "reported": "", "digits": "", "rule": "order", "tolerance": ""},
        {"id": "mosaic.d", "reported": "30x30", "unit": "label", "digits": "", "rule": "equal", "tolerance": ""},
    )
    a, b, c, d = read(path).values()
    assert (a.reported, a.digits, a.truncated, a.tolerance, a.source) == (85.58, 2, False, 3.0, "mosaic")
    assert (a.tolerance_internal, a.range) == (0.03, (0, 1))
    assert b.truncated and b.digits == 0
    assert c.reported is None and c.digits is None and c.tolerance_internal is None
    assert d.reported == "30x30"


@pytest.mark.parametrize(
    ("column", "value", "allowed"),
    [
        ("id", "invariants.a", r"mosaic\."),
        ("id", "mosaic.a b", "letters"),
        ("kind", "fact", "value, statement, setup"),
        ("section", "invariants/setup", "mosaic/"),
        ("locator", "", "place"),
        ("statement", " ", "sentence"),
        ("reported", "high", "a number"),
        ("reported", "nan", "finite"),
        ("reported", "101", r"\[0, 1\]"),
        ("reported", "85.583", "decimals of the reported"),
        ("unit", "points", "percent, share"),
        ("unit", "label", "unit of numbers"),
        ("digits", "", "printed decimals"),
        ("digits", "2r", "printed decimals"),
        ("rule", "same", "draw, within"),
        ("rule", "order", "nothing for rule order"),
        ("rule", "trend", "increasing or decreasing"),
        ("rule", "below", "nothing for rule below"),
        ("tolerance", "", "a number"),
        ("tolerance", "-1", "> 0"),
        ("needs", "gpu", "smoke, laptop, paper"),
        ("cost", "tpu", "cpu, gpu"),
        ("variant", "", "one word"),
    ],
)
def test_a_bad_cell_is_told_with_file_id_value_and_what_is_allowed(tmp_path, column, value, allowed):
    with pytest.raises(ValueError, match=allowed) as error:
        read(written(tmp_path, {column: value}))
    told = str(error.value)
    assert "mosaic.csv" in told and "column" in told and (value in told or column == "rule")
    assert column == "id" or "mosaic.a" in told


def test_every_bad_row_is_told_at_once(tmp_path):
    bad = ({"unit": "count", "reported": "2.5"}, {}, {}, {"cost": "none"})
    with pytest.raises(ValueError) as error:
        read(written(tmp_path, *bad))
    lines = str(error.value).splitlines()
    assert [line.split(",")[1] for line in lines] == [" row 1", " row 3", " row 4"]
    assert "whole number" in lines[0] and "no other row has" in lines[1] and "cpu, gpu" in lines[2]


def test_a_wrong_header_or_a_short_row_is_told(tmp_path):
    path = written(tmp_path, {})
    text = path.read_text()
    short = tmp_path / "short.csv"
    short.write_text(text.replace(",faithful,", ""))
    with pytest.raises(ValueError, match="fewer than 14 cells"):
        read(short)
    other = tmp_path / "other.csv"
    other.write_text(text.replace("locator", "place"))
    with pytest.raises(ValueError, match="header"):
        read(other)


def test_a_section_has_its_own_claims():
    own = registry("understanding/lenet_negatives")
    assert own and {one.section for one in own.values()} == {"understanding/lenet_negatives"}
    assert own.items() < registry("understanding").items() < registry().items()
    assert registry("understanding/no_such_notebook") == {}


def test_a_reported_number_is_a_share_a_gap_is_nan_and_a_word_is_an_error():
    assert reported("understanding.lenet.orig.orig") == pytest.approx(0.9894)
    assert np.isnan(reported("understanding.lenet.orig.no_such_column"))
    word = next(one for one in registry().values() if one.unit == "label")
    with pytest.raises(ValueError, match="which is no number"):
        reported(word.id)


def test_unknown_names_are_told_with_those_that_exist():
    with pytest.raises(ValueError, match=r"'nature'.*mosaic"):
        registry("nature")
    id = next(iter(registry()))
    with pytest.raises(KeyError, match=id.replace(".", r"\.")):
        claim(id[:-1] + "~")
    assert claim(id).id == id


# Printed numbers


@pytest.mark.parametrize(
    ("reported", "digits", "truncated", "unit", "interval"),
    [
        (85.58, 2, False, "percent", (0.85575, 0.85585)),
        (99.0, 0, True, "percent", (0.99, 1.0)),
        (100.0, 0, False, "percent", (0.995, 1.0)),
        (0.0, 1, False, "share", (0.0, 0.05)),
        (-2.78, 2, False, "t", (-2.785, -2.775)),
        (-2.7, 1, True, "t", (-2.8, -2.7)),
        (0.041, 3, False, "nats", (0.0405, 0.0415)),
        (1024.0, 0, False, "count", (1023.5, 1024.5)),
    ],
)
def test_printed_intervals(reported, digits, truncated, unit, interval):
    assert made(reported, unit, digits, truncated=truncated).reported_interval() == pytest.approx(interval, abs=1e-12)


def test_the_open_end_of_a_truncated_number_is_left_out():
    low, high = made(99.0, "percent", 0, truncated=True).reported_interval()
    assert low == 0.99 and high < 1
    low, high = made(-2.7, "t", 1, truncated=True).reported_interval()
    assert low > -2.8 and high == -2.7


@given(st.floats(0, 1), st.integers(0, 4), st.booleans())
def test_a_share_lies_in_the_interval_of_what_is_printed_of_it(share, digits, truncated):
    percent = Decimal(share) * 100
    printed = percent.quantize(Decimal(1).scaleb(-digits), ROUND_DOWN if truncated else ROUND_HALF_EVEN)
    low, high = made(float(printed), "percent", digits, truncated=truncated).reported_interval()
    assert low - 1e-15 <= share <= high + 1e-15
    assert 0 <= low <= high <= 1 and high - low <= 1.01 * 10.0 ** (-digits - 2)


@given(st.floats(-100, 100).map(lambda x: round(x, 2)), st.integers(2, 5), st.booleans())
def test_more_digits_give_a_narrower_interval(x, digits, truncated):
    wide = made(x, digits=digits, truncated=truncated).reported_interval()
    narrow = made(x, digits=digits + 1, truncated=truncated).reported_interval()
    assert wide[0] <= narrow[0] <= x <= narrow[1] <= wide[1]


@pytest.mark.parametrize(
    ("unit", "digits", "x", "text"),
    [
        ("percent", 0, 0.98943, "98.94 %"),
        ("percent", 3, 0.98943, "98.943 %"),
        ("count", 0, 122570, "122,570"),
        ("nats", 3, 0.0412345, "0.0412"),
        ("t", 2, -2.7812, "-2.78"),
        ("ratio", 0, 1.5, "1.50"),
        ("number", 2, 3.2e-7, "3.2e-07"),
        ("label", None, "30x30", "30x30"),
        ("number", 2, math.nan, "–"),
        ("number", 2, None, "–"),
    ],
)
def test_shown(unit, digits, x, text):
    assert made(0.0, unit, digits).shown(x) == text


@given(st.floats(0, 100).map(lambda x: round(x, 2)))
def test_what_is_shown_of_a_reported_percentage_is_what_was_printed(printed):
    row = made(printed, "percent", 2)
    assert float(row.shown(row.reported_internal).removesuffix(" %")) == printed


# Verdicts, case by case


def verdict(row: Claim, *args, **kwargs) -> Verdict:
    return judge(row, *args, **kwargs).verdict


def test_draw():
    row = made(85.58, "percent", 2, "draw", tolerance=3)
    seeds = [0.851, 0.856, 0.862, 0.848, 0.859]
    judged = judge(row, pd.Series(seeds))
    assert judged.verdict == AGREES and judged.n == 5 and judged.p > 0.5
    assert judged.predicted_low < judged.low < judged.mean < judged.high < judged.predicted_high
    assert verdict(replace(row, reported=91.0), seeds) == DIFFERS
    few = judge(row, seeds[:4])
    assert few.verdict == INCONCLUSIVE and "5 values, 4 given" in few.reason
    wide = judge(replace(row, tolerance=0.5), seeds)
    assert wide.verdict == INCONCLUSIVE and "0.50 %" in wide.reason
    half = 100 * (judged.predicted_high - judged.predicted_low) / 2
    assert verdict(replace(row, tolerance=1.01 * half), seeds) == AGREES
    assert verdict(replace(row, tolerance=0.99 * half), seeds) == INCONCLUSIVE


def test_draw_of_saturated_shares_and_of_zeros():
    full = made(100.0, "percent", 2, "draw", tolerance=1)
    assert verdict(full, [1.0] * 5) == AGREES
    assert verdict(replace(full, reported=99.5), [1.0] * 5) == DIFFERS
    zero = made(0.0, "nats", 3, "draw", tolerance=0.01)
    assert verdict(zero, [0.0] * 5) == AGREES
    assert verdict(zero, [0.0, 1e-4, 2e-4, 1e-4, 3e-4]) == AGREES
    assert verdict(replace(zero, reported=0.2), [0.0] * 5) == DIFFERS


def test_draw_of_a_statistic_of_the_whole_study():
    row = made(-2.78, "t", 2, "draw", tolerance=4)
    judged = judge(row, estimate=0.0, low=-2.0, high=2.0, n=28)
    assert (judged.predicted_low, judged.predicted_high) == pytest.approx((-2 * math.sqrt(2), 2 * math.sqrt(2)))
    assert (judged.low, judged.high) == pytest.approx((-2, 2)) and judged.verdict == AGREES
    assert verdict(row, estimate=1.0, low=-1.0, high=3.0, n=28) == DIFFERS
    assert verdict(row, estimate=0.0, low=-2.0, high=2.0) == INCONCLUSIVE
    assert verdict(row, estimate=0.0, low=-2.0, high=2.0, n=4) == INCONCLUSIVE


def test_within():
    row = made(70.0, "percent", 0, "within", tolerance=3)
    assert verdict(row, [0.69, 0.70, 0.71]) == AGREES
    assert verdict(row, [0.60, 0.61, 0.62]) == DIFFERS
    assert verdict(row, [0.66, 0.68, 0.70]) == INCONCLUSIVE
    assert verdict(row, [0.70]) == verdict(row, estimate=0.70) == INCONCLUSIVE
    assert verdict(row, estimate=0.70, low=0.70, high=0.70) == AGREES
    # The printed 70 is anything from 69.5 to 70.5.
    assert verdict(row, estimate=0.734, low=0.734, high=0.734) == AGREES
    assert verdict(row, estimate=0.736, low=0.736, high=0.736) == DIFFERS


def test_thresholds():
    above = made(60.0, "percent", 0, "above")
    below = replace(above, rule="below")
    for values, up, down in (
        ([0.70, 0.72, 0.71], AGREES, DIFFERS),
        ([0.50, 0.52, 0.51], DIFFERS, AGREES),
        ([0.59, 0.60, 0.62], INCONCLUSIVE, INCONCLUSIVE),
        ([0.70], INCONCLUSIVE, INCONCLUSIVE),
        ([0.6, 0.6], AGREES, AGREES),
    ):
        assert (verdict(above, values), verdict(below, values)) == (up, down)
    # The number itself is the threshold, not what rounds to it.
    assert verdict(above, [0.598, 0.598]) == DIFFERS
    judged = judge(below, [0.98, 1.0, 1.0])
    assert judged.high == 1 and judged.p < 0.05


def test_order():
    row = made(None, "share", None, "order")
    seeds = np.array([[0.9, 0.7, 0.5], [0.91, 0.72, 0.49], [0.89, 0.69, 0.52]])
    judged = judge(row, seeds)
    assert judged.verdict == AGREES and judged.n == 3 and judged.p == 1
    assert judged.mean == pytest.approx(0.2) and 0 < judged.low < judged.mean
    assert verdict(row, seeds[:, [0, 2, 1]]) == DIFFERS and judge(row, seeds[:, [0, 2, 1]]).p < 0.05
    assert verdict(row, seeds[:1]) == INCONCLUSIVE
    assert verdict(row, [-0.2, -0.21, -0.19]) == DIFFERS
    assert verdict(row, [0.0, 0.0]) == INCONCLUSIVE
    assert verdict(row, estimate=0.1, low=0.05, high=0.2, n=20) == AGREES
    # A pair decides alone and simultaneously: the interval is wider than that of the difference by itself.
    alone = judge(row, seeds[:, 0] - seeds[:, 1])
    assert alone.high - alone.low < judged.high - judged.low


def test_trend():
    up = made("increasing", "nats", None, "trend")
    down = replace(up, reported="decreasing")
    seeds = np.array([[0.1, 0.3, 0.4, 0.9], [0.1, 0.2, 0.5, 0.8], [0.2, 0.3, 0.6, 0.9]])
    assert (verdict(up, seeds), verdict(down, seeds)) == (AGREES, DIFFERS)
    assert (verdict(up, seeds[:, ::-1]), verdict(down, seeds[:, ::-1])) == (DIFFERS, AGREES)
    judged = judge(up, [-1.0, 1.0, 0.1])
    assert judged.verdict == INCONCLUSIVE and judged.mean == pytest.approx(0.1 / 3)
    assert judge(up, seeds).mean == pytest.approx(np.polyfit(range(4), seeds.T, 1)[0].mean())
    assert verdict(up, np.full((3, 4), 0.1)) == INCONCLUSIVE


def test_equivalent():
    row = made(0.0, "percent", 0, "equivalent", tolerance=2)
    assert verdict(row, [0.001, -0.002, 0.0, 0.002]) == AGREES
    assert verdict(row, [-0.05, -0.051, -0.049]) == DIFFERS
    assert verdict(row, [0.05, -0.05, 0.01]) == INCONCLUSIVE
    # 90 % of the interval lie inside, 95 % do not.
    assert verdict(row, estimate=0.0, low=-0.022, high=0.022, n=50) == AGREES
    assert verdict(row, estimate=0.0, low=-0.025, high=0.025, n=50) == INCONCLUSIVE


@pytest.mark.parametrize(
    ("row", "value", "same"),
    [
        (made(1024.0, "count", 0, "equal"), 1024, True),
        (made(1024.0, "count", 0, "equal"), 1025, False),
        (made("30x30x32", "label", None, "equal"), "30x30x32", True),
        (made("30x30x32", "label", None, "equal"), "28x28x32", False),
        (made(3.14, "number", 2, "equal"), math.pi, True),
        (made(3.15, "number", 2, "equal"), math.pi, False),
        (made(99.0, "percent", 0, "equal", truncated=True), 0.999, True),
        (made(99.0, "percent", 0, "equal", truncated=True), 1.0, False),
        (made(1024.0, "count", 0, "equal"), np.array([1024]), True),
    ],
)
def test_equal(row, value, same):
    judged = judge(row, value)
    assert judged.verdict == (AGREES if same else DIFFERS) and judged.p == same and judged.n == 1


@pytest.mark.parametrize(
    ("row", "args", "kwargs", "words"),
    [
        (made(70.0, "percent", 0), ([70.0, 0.7],), {}, "70 % as 0.7"),
        (made(70.0, "percent", 0), ([-0.1, 0.7],), {}, r"-0\.1 is given.*\[0, 1\]"),
        (made(0.5, "nats", 1), ([0.1, math.nan],), {}, "nan"),
        (made(0.5, "number", 1), ([0.1, math.inf],), {}, "inf"),
        (made(0.5, "ratio", 1), ([0.0, 1.0],), {}, "> 0"),
        (made(0.5, "nats", 1), ([[0.1, 0.2]],), {}, r"\(1, 2\)"),
        (made(0.5, "nats", 1), ([],), {}, r"\(0,\)"),
        (made(0.5, "nats", 1), ("high",), {}, "numbers are needed"),
        (made(0.5, "nats", 1), (), {}, "exactly one"),
        (made(0.5, "nats", 1), ([0.5],), {"estimate": 0.5}, "exactly one"),
        (made(0.5, "nats", 1), ([0.5],), {"n": 3}, "n=3"),
        (made(0.5, "nats", 1), (), {"estimate": 0.5, "low": 0.6, "high": 0.4}, "in order"),
        (made(0.5, "share", 1), (), {"estimate": 1.5, "low": 0.6, "high": 0.7}, "1.5 is given"),
        (made(None, "share", None, "order"), ([[0.5], [0.6]],), {}, "at least two items"),
        (made(None, "share", None, "order"), ([[0.5, -0.1], [0.6, 0.2]],), {}, "a share"),
        (made(None, "share", None, "order"), ([-1.1, 0.2],), {}, "a difference in"),
        (made(0.0, "share", 1, "equivalent"), ([-0.1, 1.2],), {}, "a difference in"),
        (made(3.0, "count", 0, "equal"), ([3, 3],), {}, "one number or text"),
        (made("a", "label", None, "equal"), (3,), {}, "takes a text"),
        (made(3.0, "count", 0, "equal"), (-3,), {}, ">= 0"),
    ],
)
def test_bad_input_is_told_with_the_claims_id(row, args, kwargs, words):
    with pytest.raises(ValueError, match=words) as error:
        judge(row, *args, **kwargs)
    assert "mosaic.a" in str(error.value)


@pytest.mark.parametrize("needs", NEEDS)
@pytest.mark.parametrize("profile", NEEDS)
@pytest.mark.parametrize("reduced", [False, True])
def test_gate(needs, profile, reduced):
    judged = Judgement(DIFFERS, 0.5, n=5, p=0.01)
    gated = gate(judged, made(needs=needs), profile, reduced)
    rank = NEEDS.index(profile) - reduced
    assert (gated.verdict == DIFFERS) == (rank >= NEEDS.index(needs))
    assert gated == judged or (needs in gated.reason and gated.p == judged.p)


def test_gate_leaves_open_verdicts_and_knows_its_profiles():
    for open_verdict in (INCONCLUSIVE, Verdict.NOT_ATTEMPTED):
        judged = Judgement(open_verdict, reason="too wide")
        assert gate(judged, made(needs="paper"), "smoke") is judged
    with pytest.raises(ValueError, match=r"'huge'.*smoke, laptop, paper"):
        gate(Judgement(AGREES), made(), "huge")
    assert [str(one) for one in Verdict] == ["agrees", "differs", "inconclusive", "not attempted"]


# Properties that hold for every sample

samples = st.lists(st.floats(-10, 10).map(lambda x: round(x, 3)), min_size=2, max_size=8)
ROWS = {
    "within": made(rule="within"),
    "below": made(rule="below"),
    "above": made(rule="above"),
    "order": made(None, digits=None, rule="order"),
    "increasing": made("increasing", digits=None, rule="trend"),
    "decreasing": made("decreasing", digits=None, rule="trend"),
    "equivalent": made(rule="equivalent"),
}


@given(samples, st.sampled_from(sorted(ROWS)))
def test_p_is_below_five_percent_exactly_when_it_differs(sample, name):
    judged = judge(ROWS[name], sample)
    if abs(judged.p - 0.05) > 1e-9:
        assert (judged.verdict == DIFFERS) == (judged.p < 0.05)
    assert 0 <= judged.p <= 1 and judged.low <= judged.high


@given(st.integers(0, 10**6), st.integers(2, 5))
def test_p_of_an_order_is_simultaneous_too(seed, items):
    judged = judge(ROWS["order"], np.random.default_rng(seed).normal(size=(6, items)) - np.arange(items) / -2)
    assert (judged.verdict == DIFFERS) == (judged.p < 0.05)


@given(samples, st.floats(0.01, 10), st.sampled_from(["within", "equivalent"]))
def test_a_wider_tolerance_never_takes_agreement_away(sample, more, name):
    row = ROWS[name]
    wider = replace(row, tolerance=row.tolerance + more)
    assert verdict(row, sample) != AGREES or verdict(wider, sample) == AGREES
    assert verdict(wider, sample) != DIFFERS or verdict(row, sample) == DIFFERS


@given(samples)
def test_opposite_claims_never_agree_both(sample):
    row = ROWS["increasing"], ROWS["decreasing"]
    assert {verdict(one, sample) for one in row} in ({AGREES, DIFFERS}, {INCONCLUSIVE})


# Error rates, simulated


def rates(row: Claim, many) -> Counter:
    counts = Counter(verdict(row, values) for values in many)
    return Counter({name: count / len(many) for name, count in counts.items()})


def most(nominal: float, trials: int) -> float:
    """Return what a rate of at most `nominal` does not exceed in one of a thousand simulations."""
    return scipy_stats.binom.ppf(0.999, trials, nominal) / trials


@pytest.mark.parametrize(
    ("unit", "drawn"),
    [
        ("number", lambda z: z),
        ("percent", lambda z: expit(2 + 0.3 * z)),
        ("nats", lambda z: np.exp(-3 + 0.4 * z)),
    ],
)
def test_draw_differs_by_chance_in_five_percent(unit, drawn):
    trials, seeds = 4000, 8
    z = np.random.default_rng(11).normal(size=(trials, seeds + 1))
    ours, printed = drawn(z[:, 1:]), drawn(z[:, 0]) * (100 if unit == "percent" else 1)
    judged = [
        judge(made(float(theirs), unit, 17, "draw", tolerance=100), values)
        for theirs, values in zip(printed, ours, strict=True)
    ]
    differs = sum(one.verdict == DIFFERS for one in judged)
    low, high = scipy_stats.binom.ppf([0.0005, 0.9995], trials, 0.05)
    assert low <= differs <= high
    assert scipy_stats.kstest([one.p for one in judged], "uniform").pvalue > 1e-3
    far = drawn(np.array(6.0)) * (100 if unit == "percent" else 1)
    assert rates(made(float(far), unit, 17, "draw", tolerance=100), ours)[DIFFERS] > 0.97


@pytest.mark.parametrize(
    ("name", "edge", "agree_error", "agreeing", "differing"),
    [
        ("within", 1.0, 0.025, 0.0, 2.0),
        ("below", 0.0, 0.025, -1.0, 1.0),
        ("above", 0.0, 0.025, 1.0, -1.0),
        ("order", 0.0, 0.025, 1.0, -1.0),
        ("increasing", 0.0, 0.025, 1.0, -1.0),
        ("decreasing", 0.0, 0.025, -1.0, 1.0),
        ("equivalent", 1.0, 0.05, 0.0, 2.0),
    ],
)
def test_errors_at_the_edge_and_power_one_standard_deviation_away(name, edge, agree_error, agreeing, differing):
    trials, row = 4000, ROWS[name]
    sd, seeds = (1.0, 12) if edge == 0 else (0.8, 12)
    noise = np.random.default_rng(12).normal(0, sd, size=(trials, seeds))
    # A mean at the edge is the worst case both of a claim that holds and of one that does not.
    at_edge = rates(row, noise + edge)
    assert at_edge[AGREES] <= most(agree_error, trials)
    assert at_edge[DIFFERS] <= most(0.025, trials)
    assert rates(row, noise + agreeing)[AGREES] > 0.8
    assert rates(row, noise + differing)[DIFFERS] > 0.8


def test_errors_of_an_order_of_four():
    trials, seeds = 3000, 10
    noise = np.random.default_rng(13).normal(size=(trials, seeds, 4))
    row = ROWS["order"]
    ties = rates(row, noise)
    assert ties[AGREES] <= most(0.025, trials) and ties[DIFFERS] <= most(0.05, trials)
    one_tie = rates(row, noise + np.array([9.0, 6.0, 3.0, 3.0]))
    assert one_tie[AGREES] <= most(0.025, trials) and one_tie[DIFFERS] <= most(0.05, trials)
    assert rates(row, noise + np.array([9.0, 6.0, 3.0, 0.0]))[AGREES] > 0.8
    assert rates(row, noise + np.array([9.0, 6.0, 0.0, 3.0]))[DIFFERS] > 0.8


def test_errors_of_a_trend_over_five_steps():
    trials, seeds = 3000, 5
    noise = np.random.default_rng(14).normal(size=(trials, seeds, 5)) + 20
    row = made("increasing", "nats", None, "trend")
    flat = rates(row, noise)
    assert flat[AGREES] <= most(0.025, trials) and flat[DIFFERS] <= most(0.025, trials)
    assert rates(row, noise + 0.8 * np.arange(5))[AGREES] > 0.8
    assert rates(row, noise - 0.8 * np.arange(5))[DIFFERS] > 0.8


def test_errors_of_a_study_with_its_own_interval():
    trials, half = 4000, scipy_stats.norm.ppf(0.975)
    theirs, ours = np.random.default_rng(15).normal(size=(2, trials))
    draw = [
        judge(made(float(x), "t", 17, "draw", tolerance=9), estimate=y, low=y - half, high=y + half, n=28).verdict
        for x, y in zip(theirs, ours, strict=True)
    ]
    low, high = scipy_stats.binom.ppf([0.0005, 0.9995], trials, 0.05)
    assert low <= draw.count(DIFFERS) <= high
    above = [judge(ROWS["above"], estimate=y, low=y - half, high=y + half, n=28).verdict for y in ours]
    assert above.count(AGREES) / trials <= most(0.025, trials) >= above.count(DIFFERS) / trials
