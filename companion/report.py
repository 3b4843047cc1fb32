"""What the records found, set beside what the papers report: REPORT.md, report.html and the README's table.

Run as `python -m companion.report --profile laptop`. The words stand in report.words.j2, the looks in the templates.
"""

from __future__ import annotations

import argparse
import functools
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from companion import claims, record
from companion.claims import SOURCES, Claim, Judgement, Verdict, text
from companion.run import root as project_root
from companion.stats import false_discovery

PROFILES = ("smoke", "laptop", "paper")
TITLES = {
    "reasonable": "Reasonable: using spatial features to learn the reasoning in computer vision",
    "generalizations": "Finding Generalizations in Multi-Class Image Classifiers",
    "understanding": "Understanding Neural Networks",
    "invariants": "Can Deep Networks Learn Invariants?",
    "mosaic": "Research Summary July 2020 (Attention Model on Mosaic image)",
}
LEVEL = 0.05
# The largest share of true claims that a rule refutes by chance: an interval of 95 % misses on either side or on one,
# and an exact comparison never does.
CHANCE = {"draw": LEVEL, "within": LEVEL, "equivalent": LEVEL, "equal": 0.0} | dict.fromkeys(
    ("below", "above", "order", "trend"), LEVEL / 2
)
SETUP_WORDS = {Verdict.AGREES: "holds", Verdict.DIFFERS: "does not hold", Verdict.INCONCLUSIVE: "open"}
ORDER = (Verdict.DIFFERS, Verdict.AGREES, Verdict.INCONCLUSIVE, Verdict.NOT_ATTEMPTED)
MARKERS = ("<!-- verdicts:begin -->", "<!-- verdicts:end -->")


@dataclass(frozen=True)
class Variant:
    """One version of the experiment behind a claim, as text."""

    name: str
    headline: bool
    reproduced: str
    verdict: str
    reason: str


@dataclass(frozen=True)
class Row:
    """A claim as the report tells it; `adjusted` is its p-value under the false-discovery control."""

    claim: Claim
    notebook: str
    verdict: Verdict = Verdict.NOT_ATTEMPTED
    variants: tuple[Variant, ...] = ()
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
        return str(self.verdict) if self.counted else SETUP_WORDS.get(self.verdict, str(self.verdict))

    @property
    def reported(self) -> str:
        """What the paper reports."""
        return text.reported(self.claim)


@dataclass(frozen=True)
class Notebook:
    """A notebook with its claims; `record` is None where it has not been run."""

    name: str
    title: str
    link: str | None
    record: dict[str, Any] | None
    rows: tuple[Row, ...]

    @property
    def attempted(self) -> list[Row]:
        """The claims that the notebook speaks of, refuted ones first."""
        return [row for row in self.rows if row.variants]

    @property
    def open(self) -> list[Row]:
        """The claims that no run has spoken of."""
        return [row for row in self.rows if not row.variants]


@dataclass(frozen=True)
class Counts:
    """How many claims of each verdict."""

    agrees: int
    differs: int
    inconclusive: int
    not_attempted: int

    @classmethod
    def of(cls, rows: Iterable[Row], *, setup: bool = False) -> Counts:
        """Count values and statements, or else the set-up."""
        count = Counter(row.verdict for row in rows if row.counted != setup)
        return cls(*(count[verdict] for verdict in (Verdict.AGREES, Verdict.DIFFERS)), *(count[v] for v in ORDER[2:]))

    @property
    def attempted(self) -> int:
        """All but those not attempted."""
        return self.agrees + self.differs + self.inconclusive

    @property
    def total(self) -> int:
        """All."""
        return self.attempted + self.not_attempted


def read_rows(records: Sequence[dict[str, Any]]) -> list[Row]:
    """Return every claim of the registry with what the records say of it, in the registry's order.

    Raises
    ------
    ValueError
        If a record judges a claim by a row that is there no longer, or two records judge the same claim.
    """
    registry = claims.registry()
    judged: dict[str, Row] = {}
    for made in records:
        for identifier, entry in made["claims"].items():
            row = registry.get(identifier)
            if row is None or [row.reported, row.rule, row.variant] != [entry[key] for key in ("reported", "rule", "variant")]:
                raise ValueError(f"{made['notebook']} judges {identifier} by a row that has changed since; run it again")
            if identifier in judged:
                both = f"{judged[identifier].notebook} and {made['notebook']}"
                raise ValueError(f"{identifier} is judged by {both}; one notebook judges a claim")
            judged[identifier] = _row(row, made, entry)
    rows = [judged.get(one.id) or Row(one, one.section) for one in registry.values() if one.source in SOURCES]
    return _controlled(rows)


def _row(claim: Claim, made: dict[str, Any], entry: dict[str, Any]) -> Row:
    """Return what a record says of a claim, the headline's variant first."""
    too_small = claims.gate(Judgement(Verdict.AGREES), claim, made["profile"], made["reduced"]).reason
    variants = [
        Variant(
            name,
            name == claim.variant,
            text.result(claim, found),
            found["verdict"],
            found["reason"] or (too_small if found["verdict"] == Verdict.INCONCLUSIVE else ""),
        )
        for name, found in sorted(entry["variants"].items(), key=lambda item: item[0] != claim.variant)
    ]
    p = None
    if claim.variant in entry["variants"] and not too_small:
        # What stayed open was tried as well: it widens the family, and is no evidence against its claim.
        settled = entry["verdict"] in (Verdict.AGREES, Verdict.DIFFERS)
        p = entry["variants"][claim.variant]["p"] if settled else 1.0
    return Row(claim, made["notebook"], Verdict(entry["verdict"]), tuple(variants), p)


def _controlled(rows: list[Row]) -> list[Row]:
    """Add the p-values adjusted for the false-discovery rate; an exact comparison is no matter of chance."""
    family = [row for row in rows if row.counted and row.p is not None and row.claim.rule != "equal"]
    adjusted = dict(zip((row.claim.id for row in family), false_discovery([row.p for row in family]), strict=True))
    return [Row(r.claim, r.notebook, r.verdict, r.variants, r.p, adjusted.get(r.claim.id, r.p)) for r in rows]


def contents(profile: str, figures: Path, root: Path) -> dict[str, Any]:
    """Return all that the templates tell of a profile.

    Parameters
    ----------
    profile : str
        "smoke", "laptop" or "paper".
    figures : Path
        The folder with a folder per profile.
    root : Path
        The root of the project, where the notebooks are.
    """
    records = {made["notebook"]: made for made in record.read_all(figures / profile)}
    rows = read_rows(list(records.values()))
    by_notebook: dict[str, list[Row]] = {}
    for row in rows:
        by_notebook.setdefault(row.notebook, []).append(row)
    by_notebook |= {name: [] for name in records if name not in by_notebook}
    names = sorted(by_notebook, key=lambda name: name not in records)
    notebooks = [
        _notebook(name, records.get(name), by_notebook[name], figures / profile, root) for name in names
    ]
    chance = []
    for rule, share in CHANCE.items():
        settled = [row for row in rows if row.counted and row.claim.rule == rule and row.verdict in ORDER[:2]]
        differ = sum(row.verdict == Verdict.DIFFERS for row in settled)
        chance.append({"rule": rule, "settled": len(settled), "differs": differ, "share": share, "by_chance": share * len(settled)})
    return {
        "profile": profile,
        "papers": [
            {
                "source": source,
                "title": TITLES[source],
                "counts": Counts.of(row for row in rows if row.claim.source == source),
                "setup": Counts.of((row for row in rows if row.claim.source == source), setup=True),
                "notebooks": [one for one in notebooks if one.name.partition("/")[0] == source],
            }
            for source in SOURCES
        ],
        "counts": Counts.of(rows),
        "setup": Counts.of(rows, setup=True),
        "chance": [line for line in chance if line["settled"]],
        "refuted": sorted((row for row in rows if row.refuted), key=lambda row: row.adjusted),
        "reduced": [name for name, made in records.items() if made["reduced"]],
        "verdicts": [str(verdict) for verdict in ORDER] + list(SETUP_WORDS.values()),
        "changes": _changes(),
    }


def _notebook(name: str, made: dict[str, Any] | None, rows: list[Row], folder: Path, root: Path) -> Notebook:
    """Find a notebook's title and file, and put its claims in order."""
    source = root / "notebooks" / f"{name}.py"
    heading = re.search(r"^# # (.+)$", source.read_text(encoding="utf-8"), re.MULTILINE) if source.exists() else None
    title = heading[1].strip() if heading else name.partition("/")[2].replace("_", " ").capitalize()
    files = [path for path in (source.with_suffix(".ipynb"), source) if path.exists()]
    link = Path(os.path.relpath(files[0], folder)).as_posix() if files else None
    ordered = sorted(rows, key=lambda row: (ORDER.index(row.verdict), not row.refuted, not row.counted))
    return Notebook(name, title, link, made, tuple(ordered))


def _changes() -> list[str]:
    """Return the paragraphs of the list of later changes, without its heading."""
    path = Path(claims.__file__).with_name("CHANGES.md")
    told = path.read_text(encoding="utf-8") if path.exists() else ""
    return [line.strip() for line in told.splitlines() if line.strip() and not line.startswith("#")]


def write(profile: str, figures: Path | None = None, root: Path | None = None) -> list[Path]:
    """Write the report of a profile and the README's table; return the files whose content changed.

    Parameters
    ----------
    profile : str
        "smoke", "laptop" or "paper".
    figures : Path, optional
        The folder with a folder per profile; figures in the root by default. The README speaks of that one always.
    root : Path, optional
        The root of the project; `companion.run.root()` by default.
    """
    if profile not in PROFILES:
        raise ValueError(f"unknown profile {profile!r}; the profiles are {', '.join(PROFILES)}")
    root = project_root() if root is None else root
    figures = root / "figures" if figures is None else figures
    told = contents(profile, figures, root)
    new = {
        figures / profile / "REPORT.md": _templates().get_template("report.md.j2").render(told),
        figures / profile / "report.html": _templates().get_template("report.html.j2").render(told),
    }
    written = [path for path, content in new.items() if _write(path, content)]
    readme = root / "README.md"
    if readme.exists():
        before, begin, rest = readme.read_text(encoding="utf-8").partition(MARKERS[0])
        _, end, after = rest.partition(MARKERS[1])
        if end and _write(readme, f"{before}{begin}\n{_readme_table(root)}{end}{after}"):
            written.append(readme)
    return written


def _readme_table(root: Path) -> str:
    """Count the verdicts per paper, each claim at the largest profile that attempted it."""
    laptop, paper = (read_rows(record.read_all(root / "figures" / profile)) for profile in ("laptop", "paper"))
    best = [b if b.verdict != Verdict.NOT_ATTEMPTED else a for a, b in zip(laptop, paper, strict=True)]
    papers = [(TITLES[source], Counts.of(row for row in best if row.claim.source == source)) for source in SOURCES]
    reports = [profile for profile in ("laptop", "paper") if (root / "figures" / profile / "REPORT.md").exists()]
    template = _templates().get_template("report.readme.j2")
    return template.render(papers=papers, counts=Counts.of(best), reports=reports)


@functools.cache
def _templates() -> Environment:
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=lambda name: name is not None and name.endswith(".html.j2"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    templates.filters["md"] = escape_markdown
    return templates


def escape_markdown(words: str) -> str:
    """Return text as one line that Markdown shows as it is, in a cell of a table, too."""
    words = " ".join(words.split()).replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"([\\`*_|$~])", r"\\\1", words)


def _write(path: Path, content: str) -> bool:
    """Write a text unless the file holds it already."""
    if path.exists() and path.read_text(encoding="utf-8") == content:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.part")
    partial.write_text(content, encoding="utf-8")
    partial.replace(path)
    return True


def main() -> None:
    """Write the report that the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m companion.report", description=__doc__.splitlines()[0])
    parser.add_argument("--profile", choices=PROFILES, default="laptop")
    parser.add_argument("--figures", type=Path, help="the folder with a folder per profile (default: figures)")
    given = parser.parse_args()
    write(given.profile, given.figures)


if __name__ == "__main__":
    main()
