"""Whether coverage.csv, the list of what the papers hold, fits papers, notebooks, figures and claims."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from companion.claims import SOURCES, registry

COLUMNS = ["source", "kind", "label", "title", "notebook", "output", "reason"]
KINDS = ("heading", "figure", "table")
CONTEXT = "context"
_HEADING = re.compile(r"#+ *(?P<label>.*)")
_NUMBERED = re.compile(r"(?P<kind>Fig(?:ure|\.)|Table) *(?P<number>\d+)(?:[:.]|$)")


def coverage_problems(root: Path, sections: Iterable[str] | None = None) -> list[str]:
    """Return what is wrong with coverage.csv, one sentence each; nothing if it is sound.

    Parameters
    ----------
    root : Path
        The root of the project, with coverage.csv, notebooks and figures. Where ../shared/papers lies beside it, the
        headings and the labels of figures and tables in the papers are compared, too.
    sections : iterable of str, optional
        The notebooks that the claims belong to; those of the registry by default.
    """
    path = root / "coverage.csv"
    if not path.exists():
        return ["there is no coverage.csv"]
    with path.open(newline="", encoding="utf-8") as lines:
        reader = csv.DictReader(lines, restkey="more", strict=True)
        if reader.fieldnames != COLUMNS:
            return [f"the header is {reader.fieldnames}; it must be {','.join(COLUMNS)}"]
        rows = list(reader)
    problems = [
        f"row {number} ({row['source']}, {row['label']}): {problem}"
        for number, row in enumerate(rows, start=1)
        for problem in _row_problems(row, root)
    ]
    named = {row["notebook"] for row in rows}
    written = {
        path.relative_to(root / "notebooks").with_suffix("").as_posix() for path in root.glob("notebooks/*/*.py")
    }
    problems += [f"the notebook {name} is named by no row" for name in sorted(written - named)]
    belong = {claim.section for claim in registry().values()} if sections is None else set(sections)
    problems += [f"claims belong to the notebook {name}, which no row names" for name in sorted(belong - named)]
    papers = root.parent / "shared" / "papers"
    if papers.is_dir():
        problems += [problem for source in SOURCES for problem in _paper_problems(papers / f"{source}.md", rows)]
    return problems


def _row_problems(row: dict[str, str], root: Path) -> Iterable[str]:
    if "more" in row or None in row.values():
        yield f"the row has more or fewer than {len(COLUMNS)} cells"
        return
    if row["source"] not in SOURCES:
        yield f"the source is {row['source']!r}; the sources are {', '.join(SOURCES)}"
    if row["kind"] not in KINDS:
        yield f"the kind is {row['kind']!r}; the kinds are {', '.join(KINDS)}"
    if not row["label"] or not row["title"]:
        yield "a label and a title are needed"
    notebook, output = row["notebook"], row["output"]
    if notebook == CONTEXT:
        if not row["reason"]:
            yield "context needs a reason"
        if output:
            yield f"context has no output, {output!r} is given"
    elif not re.fullmatch(rf"{row['source']}/[a-z0-9_]+", notebook):
        yield f"the notebook is {notebook!r}; allowed is {row['source']}/name or {CONTEXT}"
    elif not (root / "notebooks" / f"{notebook}.py").exists():
        if output:
            yield f"the output {output!r} is given, but the notebook {notebook} does not exist"
    elif not output:
        yield f"the notebook {notebook} exists, so an output is needed"
    elif not any((root / "figures" / profile / notebook / output).is_file() for profile in ("laptop", "paper")):
        yield f"the output {output!r} lies neither in figures/laptop/{notebook} nor in figures/paper/{notebook}"


def _paper_problems(paper: Path, rows: list[dict[str, str]]) -> Iterable[str]:
    """Compare the labels of a paper with its rows, as often as each occurs; a label may be covered by more rows."""
    if not paper.exists():
        return
    lines = [_plain(line) for line in paper.read_text(encoding="utf-8").splitlines()]
    wanted = Counter(label for line in lines if (label := _label(line)))
    covered = Counter((row["kind"], _plain(row["label"])) for row in rows if row["source"] == paper.stem)
    for (kind, label), times in wanted.items():
        if covered[kind, label] < times:
            yield f"{paper.stem} has the {kind} {label!r} {times} time(s), rows of coverage.csv {covered[kind, label]}"
    for kind, label in covered:
        # Some headings are plain lines in the text of a paper.
        if (kind, label) not in wanted and (kind != "heading" or label not in lines):
            yield f"coverage.csv has the {kind} {label!r}, which is not in {paper.stem}"


def _label(line: str) -> tuple[str, str] | None:
    """Return kind and label of a line that is a heading or begins with the number of a figure or table."""
    if found := _NUMBERED.match(line.lstrip("# ")):
        kind = "table" if found["kind"] == "Table" else "figure"
        return kind, f"{kind.capitalize()} {found['number']}"
    found = _HEADING.fullmatch(line)
    return ("heading", found["label"]) if found and found["label"] else None


def _plain(text: str) -> str:
    """Drop the signs of bold and italic, and spaces that do not show."""
    return " ".join(text.replace("*", "").split())
