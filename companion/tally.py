"""The verdicts of a folder's records, claim by claim, under a false-discovery control, and how many there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any

from companion import claims, record
from companion.claims import Claim, Judgement, Verdict, text
from companion.stats.comparisons import false_discovery

LEVEL = 0.05
# The largest share of true claims that a rule refutes by chance: an interval of 95 % misses on either side or on one,
# and an exact comparison never does.
CHANCE = {"draw": LEVEL, "within": LEVEL, "equivalent": LEVEL}
CHANCE |= dict.fromkeys(("below", "above", "order", "trend"), LEVEL / 2) | {"equal": 0.0}
ORDER = (Verdict.DIFFERS, Verdict.AGREES, Verdict.INCONCLUSIVE, Verdict.NOT_ATTEMPTED)
SETUP_WORDS = dict(zip(ORDER, ("does not hold", "holds", "open", "not attempted"), strict=True))


@dataclass(frozen=True)
class Row:
    """A claim and what became of it; `p` is the headline's, `adjusted` the same under the false-discovery control."""

    claim: Claim
    notebook: str
    verdict: Verdict = Verdict.NOT_ATTEMPTED
    variants: tuple[dict[str, Any], ...] = ()
    p: float | None = None
    adjusted: float | None = None

    @property
    def counted(self) -> bool:
        """Whether the claim is counted: all but the set-up are."""
        return self.claim.kind != "setup"

    @property
    def refuted(self) -> bool:
        """Whether the claim differs and that survives the false-discovery control."""
        return self.counted and self.verdict == Verdict.DIFFERS and self.adjusted is not None and self.adjusted < LEVEL

    @property
    def word(self) -> str:
        """The verdict as the report words it."""
        return str(self.verdict) if self.counted else SETUP_WORDS[self.verdict]

    @property
    def reported(self) -> str:
        """What the paper reports."""
        return text.reported(self.claim)


def read_rows(records: Iterable[dict[str, Any]]) -> list[Row]:
    """Return every claim of the registry with what the records say of it, in the registry's order.

    Raises
    ------
    ValueError
        If a record judges a claim by a row that is no longer so, or two records judge the same claim.
    """
    registry = claims.registry()
    found: dict[str, Row] = {}
    for made in records:
        for identifier, entry in made["claims"].items():
            claim = registry.get(identifier)
            if claim is None or any(getattr(claim, name) != entry[name] for name in record.JUDGED_BY):
                raise ValueError(
                    f"{made['notebook']} ({made['profile']}) judges {identifier} by a row of companion/claims that has "
                    "changed since; run the notebook again"
                )
            if identifier in found:
                both = f"{found[identifier].notebook} and {made['notebook']}"
                raise ValueError(f"{identifier} is judged by {both}; a claim is judged by one notebook")
            found[identifier] = _row(claim, made, entry)
    rows = [found.get(claim.id) or Row(claim, claim.section) for claim in registry.values()]
    # An exact comparison is no matter of chance.
    family = [row for row in rows if row.counted and row.p is not None and row.claim.rule != "equal"]
    adjusted = dict(zip((row.claim.id for row in family), false_discovery([row.p for row in family]), strict=True))
    return [replace(row, adjusted=adjusted.get(row.claim.id, row.p)) for row in rows]


def best(laptop: Iterable[Row], paper: Iterable[Row], reduced: Collection[str]) -> list[tuple[str, Row]]:
    """Return every claim's row from the run that says most of it, with that run's profile.

    The paper profile's, where it attempted the claim; but a reduced run does not take the place of a verdict that
    stands at laptop unless it settles the claim itself.

    Parameters
    ----------
    laptop, paper : iterable of Row
        Of `read_rows`, in the same order.
    reduced : collection of str
        Notebooks whose paper run was reduced.
    """
    settled = (Verdict.AGREES, Verdict.DIFFERS)
    found = []
    for small, large in zip(laptop, paper, strict=True):
        silent = large.verdict == Verdict.NOT_ATTEMPTED
        less = large.notebook in reduced and large.verdict not in settled and small.verdict in settled
        found.append(("laptop", small) if silent or less else ("paper", large))
    return found


def _row(claim: Claim, made: dict[str, Any], entry: dict[str, Any]) -> Row:
    """Return what a record says of a claim, the headline's variant first."""
    too_small = claims.gate(Judgement(Verdict.AGREES), claim, made["profile"], made["reduced"]).reason
    variants = [
        {
            "name": name,
            "headline": name == claim.variant,
            "reproduced": text.result(claim, judged),
            "verdict": judged["verdict"] if claim.kind != "setup" else SETUP_WORDS[judged["verdict"]],
            "reason": "; ".join(dict.fromkeys(why for why in (_open(judged, too_small), judged["reason"]) if why)),
        }
        for name, judged in sorted(entry["variants"].items(), key=lambda item: (item[0] != claim.variant, item[0]))
    ]
    p = None
    if entry["verdict"] in (Verdict.AGREES, Verdict.DIFFERS):
        p = entry["variants"][claim.variant]["p"]
    elif entry["verdict"] == Verdict.INCONCLUSIVE and not too_small:
        p = 1.0  # it was tried as well: it widens the family and is no evidence against its claim
    return Row(claim, made["notebook"], Verdict(entry["verdict"]), tuple(variants), p)


def _open(judged: dict[str, Any], too_small: str) -> str:
    """Return that the run was too small, where that may be what left a verdict open."""
    return too_small if judged["verdict"] == Verdict.INCONCLUSIVE else ""


def count(rows: Iterable[Row], *, setup: bool = False) -> dict[str, int]:
    """Count the verdicts of values and statements, or else of the set-up."""
    counts = Counter(row.verdict for row in rows if row.counted != setup)
    told = {verdict.name.lower(): counts[verdict] for verdict in ORDER}
    return told | {"total": counts.total(), "attempted": counts.total() - counts[Verdict.NOT_ATTEMPTED]}
