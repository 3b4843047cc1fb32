"""What the papers report: one CSV row per number or statement, read, checked and typed.

Inside the package a share is a share: a row printed in percent is converted here and nowhere else.
"""

from __future__ import annotations

import csv
import difflib
import functools
import math
import re
from dataclasses import dataclass, fields
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import NamedTuple

SOURCES = ("reasonable", "generalizations", "understanding", "invariants", "mosaic")  # as the README tells them
KINDS = ("value", "statement", "setup")
RULES = ("draw", "within", "below", "above", "order", "trend", "equivalent", "equal")
NEEDS = ("smoke", "laptop", "paper")
COSTS = ("cpu", "gpu")


class _Unit(NamedTuple):
    """The range of a unit inside the package, in words too, and the scale on which draws are taken to be normal."""

    low: float
    high: float
    allowed: str
    scale: str = "identity"


UNITS = {
    "percent": _Unit(0, 1, "a share in [0, 1]", "logit"),
    "share": _Unit(0, 1, "a share in [0, 1]", "logit"),
    "nats": _Unit(0, math.inf, "a number >= 0", "log"),
    "loss": _Unit(0, math.inf, "a number >= 0", "log"),
    "bits": _Unit(-math.inf, math.inf, "a finite number"),
    "count": _Unit(0, math.inf, "a number >= 0"),
    "number": _Unit(-math.inf, math.inf, "a finite number"),
    "ratio": _Unit(math.nextafter(0, 1), math.inf, "a number > 0"),
    "t": _Unit(-math.inf, math.inf, "a finite number"),
    "label": _Unit(-math.inf, math.inf, "a text"),
}


@dataclass(frozen=True)
class Claim:
    """One reported number or statement: a row of a CSV, typed. `reported` and `tolerance` are as printed."""

    id: str
    kind: str
    section: str
    locator: str
    statement: str
    reported: float | str | None
    unit: str
    digits: int | None
    truncated: bool
    rule: str
    tolerance: float | None
    needs: str
    cost: str
    variant: str
    note: str

    @property
    def source(self) -> str:
        """The paper's short name."""
        return self.id.partition(".")[0]

    @property
    def range(self) -> tuple[float, float]:
        """Least and greatest value of the unit inside the package."""
        return UNITS[self.unit].low, UNITS[self.unit].high

    @property
    def reported_internal(self) -> float:
        """The reported number in internal units (percent as a share)."""
        return float(self._internal(Decimal(repr(self._number()))))

    @property
    def tolerance_internal(self) -> float | None:
        """The tolerance in internal units (percentage points as a share)."""
        return None if self.tolerance is None else float(self._internal(Decimal(repr(self.tolerance))))

    def reported_interval(self) -> tuple[float, float]:
        """Return the least and greatest number, in internal units, that is printed as the paper printed it.

        85.58 percent is [0.85575, 0.85585]; 99 percent that was truncated is [0.99, 1.00), its open end being the last
        float below. A rounded interval does not leave the unit's range, save for a difference (rule equivalent).
        """
        printed, step = Decimal(repr(self._number())), Decimal(1).scaleb(-self.digits)
        if not self.truncated:
            low, high = (float(self._internal(printed + sign * step / 2)) for sign in (-1, 1))
        else:
            # Truncation goes towards zero: -2.7 stands for (-2.8, -2.7].
            inner, outer = (float(self._internal(abs(printed) + k * step)) for k in (0, 1))
            low, high = inner, math.nextafter(outer, 0)
            if printed < 0:
                low, high = -high, -low
        least, most = allowed_range(self)
        return max(low, least), min(high, most)

    def shown(self, x: float | str | None) -> str:
        """Return an internal value as text in the printed unit, at the paper's precision or three digits if finer."""
        if x is None or (isinstance(x, float) and math.isnan(x)):
            return "–"
        if isinstance(x, str):
            return x
        if self.unit == "count" and float(x).is_integer():
            return f"{int(x):,}"
        if self.unit == "percent":
            return f"{100 * x:.{max(self.digits or 0, 2)}f} %"
        if not math.isfinite(x) or 0 < abs(x) < 1e-4:
            return f"{x:.3g}"
        leading = math.floor(math.log10(abs(x))) if x else 0
        return f"{x:,.{max(self.digits or 0, 2 - leading)}f}"

    def _number(self) -> float:
        """Return the reported number or say that there is none."""
        if not isinstance(self.reported, float):
            raise ValueError(f"{self.id} reports {self.reported!r}, which is no number")
        return self.reported

    def _internal(self, printed: Decimal) -> Decimal:
        """Convert from the printed unit."""
        return printed / 100 if self.unit == "percent" else printed


def registry(of: str | None = None) -> dict[str, Claim]:
    """Return the claims of a source ("mosaic"), of a section ("mosaic/stagewise") or of all, by id.

    Raises
    ------
    ValueError
        If there is no such source, or a row is not valid; every bad row of a file is named.
    """
    files = {path.stem: path for path in sorted(Path(__file__).parent.glob("*.csv"))}
    source, _, section = (of or "").partition("/")
    if source and source not in files:
        raise ValueError(f"there are no claims of a source {source!r}; the sources are {', '.join(files)}")
    found = {c.id: c for name, path in files.items() if source in ("", name) for c in read(path).values()}
    return {id: claim for id, claim in found.items() if claim.section == of} if section else found


def claim(id: str) -> Claim:
    """Return the claim called `id`; a KeyError names those that are called nearly so."""
    claims = registry()
    if id not in claims:
        close = difflib.get_close_matches(id, claims, n=3, cutoff=0.5)
        hint = f"close to it are {', '.join(close)}" if close else "none is close to it"
        raise KeyError(f"there is no claim {id!r} among {len(claims)}; {hint}")
    return claims[id]


def reported(id: str) -> float:
    """Return the number that the claim called `id` reports, in internal units; NaN where no claim has that name.

    For tables of reported numbers that have gaps; `claim` tells a wrong name from a gap.

    Raises
    ------
    ValueError
        If the claim reports no number.
    """
    found = registry().get(id)
    return found.reported_internal if found else float("nan")


COLUMNS = tuple(field.name for field in fields(Claim) if field.name != "truncated")


@functools.cache
def read(path: Path) -> dict[str, Claim]:
    """Read and check the claims of one CSV, whose name is the source's; the columns are told in `COLUMNS`.

    Raises
    ------
    ValueError
        One sentence for each bad row, with file, id, column, value and what is allowed.
    """
    with path.open(newline="", encoding="utf-8") as lines:
        reader = csv.DictReader(lines, strict=True)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise ValueError(f"{path.name}: the header is {reader.fieldnames}; it must be {','.join(COLUMNS)}")
        rows = list(reader)
    claims, bad = {}, []
    for number, row in enumerate(rows, start=1):
        try:
            new = _claim(row, path.stem)
            if new.id in claims:
                raise _bad("id", new.id, "an id that no other row has")
            claims[new.id] = new
        except ValueError as error:
            bad.append(f"{path.name}, row {number}, {row['id'] or 'no id'}: {error}.")
    if bad:
        raise ValueError("\n".join(bad))
    return claims


def _bad(column: str, value: object, allowed: str) -> ValueError:
    """Return the error of a cell."""
    return ValueError(f"column {column} is {value!r}; allowed is {allowed}")


def _claim(row: dict[str, str], source: str) -> Claim:
    """Turn a row into a claim or raise the first thing that is wrong with it."""
    if None in row or None in row.values():
        raise ValueError(f"the row has more or fewer than {len(COLUMNS)} cells")
    for column, allowed in {"kind": KINDS, "unit": UNITS, "rule": RULES, "needs": NEEDS, "cost": COSTS}.items():
        if row[column] not in allowed:
            raise _bad(column, row[column], ", ".join(allowed))
    for column, pattern, allowed in (
        ("id", rf"{source}\.[\w.-]+", f"{source}. and letters, digits and ._- only"),
        ("section", rf"{source}/\w+", f"{source}/ and the name of a notebook"),
        ("locator", r"\S.*", "a place in the paper"),
        ("statement", r"\S.*", "a sentence"),
        ("variant", r"[\w.-]+", "one word"),
    ):
        if not re.fullmatch(pattern, row[column], re.ASCII if column in ("id", "section", "variant") else re.DOTALL):
            raise _bad(column, row[column], allowed)
    reported, digits, truncated = _reported(row)
    tolerance = None
    if row["rule"] in ("draw", "within", "equivalent"):
        tolerance = float(_decimal("tolerance", row["tolerance"]))
        if tolerance <= 0:
            raise _bad("tolerance", row["tolerance"], f"a number > 0 for rule {row['rule']}")
    elif row["tolerance"]:
        raise _bad("tolerance", row["tolerance"], f"nothing for rule {row['rule']}")
    new = Claim(**{**row, "reported": reported, "digits": digits, "truncated": truncated, "tolerance": tolerance})
    if isinstance(reported, float):
        low, high = allowed_range(new)
        if not low <= new.reported_internal <= high:
            raise _bad("reported", row["reported"], f"what the unit {new.unit} allows, {UNITS[new.unit].allowed}")
        if new.unit == "count" and not reported.is_integer():
            raise _bad("reported", row["reported"], "a whole number for unit count")
    return new


def _reported(row: dict[str, str]) -> tuple[float | str | None, int | None, bool]:
    """Return the reported value, its printed decimals and whether the paper truncates."""
    rule, text = row["rule"], row["reported"]
    if row["unit"] == "label" and rule != "equal":
        raise _bad("unit", "label", f"a unit of numbers for rule {rule}")
    if rule in ("order", "trend") or row["unit"] == "label":
        if rule == "order" and text:
            raise _bad("reported", text, "nothing for rule order")
        if rule == "trend" and text not in ("increasing", "decreasing"):
            raise _bad("reported", text, "increasing or decreasing for rule trend")
        if rule == "equal" and not text.strip():
            raise _bad("reported", text, "a text for unit label")
        if row["digits"]:
            raise _bad("digits", row["digits"], "nothing where no number is reported")
        return text or None, None, False
    number = _decimal("reported", text)
    if not re.fullmatch(r"\d{1,2}t?", row["digits"]):
        raise _bad("digits", row["digits"], "the number of printed decimals, with a t behind it if truncated")
    digits = int(row["digits"].rstrip("t"))
    if -number.normalize().as_tuple().exponent > digits:
        raise _bad("digits", row["digits"], f"at least the decimals of the reported {text}")
    return float(number), digits, row["digits"].endswith("t")


def _decimal(column: str, text: str) -> Decimal:
    """Return the finite number that a cell holds."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise _bad(column, text, "a number") from None
    if not number.is_finite():
        raise _bad(column, text, "a finite number")
    return number


def allowed_range(claim: Claim, difference: bool = False) -> tuple[float, float]:
    """Return the range, in internal units, of a value or of a difference of two (always with rule equivalent)."""
    low, high = claim.range
    return (-(high - low), high - low) if difference or claim.rule == "equivalent" else (low, high)
