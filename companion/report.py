"""What the records found, set beside what the papers report: REPORT.md, report.html and the README's table.

Run as `python -m companion.report --profile laptop`. The words stand in report.words.j2, the looks in the templates.
"""

from __future__ import annotations

import argparse
import functools
import os
import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from companion import claims, record
from companion.claims import SOURCES
from companion.profiles import PROFILES
from companion.run import root as project_root
from companion.tally import CHANCE, ORDER, Row, best, count, read_rows

TITLES = {
    "reasonable": "Reasonable: using spatial features to learn the reasoning in computer vision",
    "generalizations": "Finding Generalizations in Multi-Class Image Classifiers",
    "understanding": "Understanding Neural Networks",
    "invariants": "Can Deep Networks Learn Invariants?",
    "mosaic": "Research Summary July 2020 (Attention Model on Mosaic image)",
}
MARKERS = ("<!-- verdicts:begin -->", "<!-- verdicts:end -->")


def write(profile: str, figures: Path | None = None, root: Path | None = None) -> list[Path]:
    """Write the report of a profile and the README's table; return the files whose content changed.

    Parameters
    ----------
    profile : str
        "smoke", "laptop" or "paper".
    figures : Path, optional
        The folder with a folder per profile; figures in the root by default. The README always tells of that one.
    root : Path, optional
        The root of the project; `companion.run.root()` by default.

    Raises
    ------
    ValueError
        If the profile is not known, or a record does not fit the registry (see `read_rows`).
    """
    if profile not in PROFILES:
        raise ValueError(f"unknown profile {profile!r}; the profiles are {', '.join(PROFILES)}")
    root = project_root() if root is None else root
    folder = (root / "figures" if figures is None else figures) / profile
    told = _contents(profile, folder, root)
    new = {folder / name: _render(f"{template}.j2", **told) for name, template in _PAGES}
    written = [path for path, content in new.items() if _write(path, content)]
    readme = root / "README.md"
    if readme.exists():
        before, begin, rest = readme.read_text(encoding="utf-8").partition(MARKERS[0])
        _, end, after = rest.partition(MARKERS[1])
        if end and _write(readme, f"{before}{begin}\n{_readme_table(root)}{end}{after}"):
            written.append(readme)
    return written


_PAGES = (("REPORT.md", "report.md"), ("report.html", "report.html"))


def _contents(profile: str, folder: Path, root: Path) -> dict[str, Any]:
    """Return all that the templates tell of the records below a folder."""
    records = {made["notebook"]: made for made in record.read_all(folder)}
    rows = read_rows(records.values())
    by_notebook: dict[str, list[Row]] = {name: [] for name in records}
    for row in rows:
        by_notebook.setdefault(row.notebook, []).append(row)
    notebooks = [_notebook(name, records.get(name), own, folder, root) for name, own in by_notebook.items()]
    papers = []
    for source in SOURCES:
        of_source = [row for row in rows if row.claim.source == source]
        of_paper = [notebook for notebook in notebooks if notebook["name"].startswith(f"{source}/")]
        counts = {"counts": count(of_source), "setup": count(of_source, setup=True)}
        papers.append({"source": source, "title": TITLES[source], "notebooks": of_paper} | counts)
    chance = []
    for rule, share in CHANCE.items():
        counts = count(row for row in rows if row.claim.rule == rule)
        if settled := counts["agrees"] + counts["differs"]:
            chance.append(
                {"rule": rule, "settled": settled, "differs": counts["differs"], "by_chance": share * settled}
            )
    return {
        "profile": profile,
        "papers": papers,
        "counts": count(rows),
        "setup": count(rows, setup=True),
        "chance": chance,
        "refuted": sorted((row for row in rows if row.refuted), key=lambda row: row.adjusted),
        "reduced": [name for name, made in records.items() if made["reduced"]],
        "changes": _changes(),
    }


def _notebook(name: str, made: dict[str, Any] | None, rows: list[Row], folder: Path, root: Path) -> dict[str, Any]:
    """Find a notebook's title and file, and put its claims in order."""
    source = root / "notebooks" / f"{name}.py"
    heading = re.search(r"^# # (.+)$", source.read_text(encoding="utf-8"), re.MULTILINE) if source.exists() else None
    file = next((path for path in (source.with_suffix(".ipynb"), source) if path.exists()), None)
    ordered = sorted(rows, key=lambda row: (ORDER.index(row.verdict), not row.refuted, not row.counted))
    return {
        "name": name,
        "title": heading[1].strip() if heading else name.partition("/")[2].replace("_", " ").capitalize(),
        "link": Path(os.path.relpath(file, folder)).as_posix() if file else None,
        "record": made,
        "judged": [row for row in ordered if row.variants],
        "open": [row for row in ordered if not row.variants],
    }


def _changes() -> list[str]:
    """Return the paragraphs of the list of later changes, without its heading."""
    path = Path(claims.__file__).with_name("CHANGES.md")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def _readme_table(root: Path) -> str:
    """Count the verdicts per paper, each claim by the run that says most of it."""
    laptop, paper = (record.read_all(root / "figures" / profile) for profile in PROFILES[1:])
    reduced = {made["notebook"] for made in paper if made["reduced"]}
    rows = [row for _, row in best(read_rows(laptop), read_rows(paper), reduced)]
    papers = {TITLES[source]: count(row for row in rows if row.claim.source == source) for source in SOURCES}
    reports = [profile for profile in PROFILES[1:] if (root / "figures" / profile / "REPORT.md").exists()]
    return _render("report.readme.j2", papers=papers, counts=count(rows), reports=reports)


@functools.cache
def _templates() -> Environment:
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=lambda name: name is not None and name.endswith(".html.j2"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters["md"] = escape_markdown
    return made


def _render(template: str, **told: Any) -> str:
    return _templates().get_template(template).render(**told)


def escape_markdown(words: str) -> str:
    """Return text as one line that Markdown shows as it is, in a cell of a table too."""
    words = " ".join(words.split()).replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"([\\`*_|$~\[\]])", r"\\\1", words)


def _write(path: Path, content: str) -> bool:
    """Write a text unless the file holds it already."""
    if path.exists() and path.read_text(encoding="utf-8") == content:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
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
