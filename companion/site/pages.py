"""The pages of the site, written as Sphinx reads them: notebooks with their outputs, chapters, findings, figures.

Paths on the site are those of the repository, so that links from one page or report to another hold in both.
"""

from __future__ import annotations

import csv
import html
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nbformat
import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined
from nbformat import NotebookNode

from companion import grids, record
from companion.claims import SOURCES
from companion.coverage import CONTEXT
from companion.profiles import PROFILES
from companion.report import TITLES, escape_markdown
from companion.site import findings
from companion.site.explorers import CALL
from companion.tally import Row, best, count, read_rows

LONG = 12  # lines of a code cell from which on it is folded away


def build(root: Path, pictures: Path, folder: Path, *, jobs: int = 1) -> int:
    """Write all pages, let Sphinx make `folder`/html of them, and return its exit code: 1 if it had to warn.

    Parameters
    ----------
    root, pictures
        See `write`.
    jobs : int
        Processes of Sphinx.
    """
    # Sphinx takes a second to import.
    from sphinx.cmd.build import build_main

    as_is = write(root, pictures, folder / "source")
    asked = f"-q -b html -W --keep-going -j {jobs}".split()
    settings = ["-c", str(Path(__file__).parent), "-D", f"html_extra_path={as_is}", "-d", str(folder / "doctrees")]
    return build_main([*asked, *settings, str(as_is.with_name("pages")), str(folder / "html")])


def write(root: Path, pictures: Path, target: Path) -> Path:
    """Write all pages into `target`/pages, and return the folder whose files go to the site as they are.

    Parameters
    ----------
    root : Path
        The root of the project, with executed notebooks, figures, records and coverage.csv.
    pictures : Path
        The grids of the explorers, a folder for each notebook (see `companion.grids`).
    target : Path
        What is there is removed.

    Raises
    ------
    ValueError
        If a finding does not fit the records, see `companion.site.findings`.
    FileNotFoundError
        If an explorer has no grid.
    """
    shutil.rmtree(target, ignore_errors=True)
    pages, as_is = target / "pages", target / "as_is"
    told = _contents(root)
    for name in ("index", "report", "figures"):
        _page(pages / f"{name}.md", name, **told)
    for chapter in told["chapters"]:
        _page(pages / f"{chapter['source']}.md", "chapter", chapter=chapter, **told)
        for notebook in chapter["notebooks"]:
            executed = nbformat.read(root / "notebooks" / f"{notebook['name']}.ipynb", as_version=4)
            path = pages / "notebooks" / f"{notebook['name']}.ipynb"
            path.parent.mkdir(parents=True, exist_ok=True)
            nbformat.write(as_page(executed, notebook["name"], pictures / notebook["name"]), path)
    shutil.copytree(root / "figures", as_is / "figures", ignore=shutil.ignore_patterns("*.parquet", "smoke"))
    shutil.copytree(root / "notebooks", as_is / "notebooks", ignore=shutil.ignore_patterns("*.py", ".*"))
    shutil.copytree(pictures, as_is / "grids", ignore=shutil.ignore_patterns("*.txt"))
    return as_is


def as_page(notebook: NotebookNode, section: str, pictures: Path) -> NotebookNode:
    """Return an executed notebook as the site shows it.

    Pictures get the words that were given with them, long code is folded away, and an explorer becomes sliders over
    its stored grid.

    Parameters
    ----------
    section : str
        The notebook as "source/name".
    pictures : Path
        Its grids, numbered in the order of its explorers.
    """
    shown = nbformat.reads(nbformat.writes(notebook), as_version=4)
    explorers = 0
    for cell in shown.cells:
        if cell.cell_type != "code":
            continue
        if len(cell.source.splitlines()) > LONG:
            cell.metadata["tags"] = [*cell.metadata.get("tags", []), "hide-input"]
        words = [output.metadata.get("image/png", {}).get("alt", "") for output in cell.outputs if "metadata" in output]
        if alt := " ".join(filter(None, words)):
            cell.metadata["mystnb"] = {"image": {"alt": alt}}
        if CALL in cell.source:
            picture_grid = f"../../grids/{section}/{explorers}"
            index = json.loads((pictures / str(explorers) / grids.INDEX).read_text(encoding="utf-8"))
            data = {"text/html": explorer(index, picture_grid)}
            cell.outputs = [nbformat.v4.new_output("display_data", data)]
            explorers += 1
    name = section.rpartition("/")[2]
    told = f'<p class="source"><a href="{name}.ipynb" download>Notebook to download</a>, run at the laptop profile.</p>'
    shown.cells.insert(1, nbformat.v4.new_markdown_cell(told, id="source"))
    return shown


def explorer(index: Mapping[str, Any], folder: str) -> str:
    """Return sliders over a stored grid as HTML; static/explorer.js moves them, without it the first place is shown.

    Parameters
    ----------
    index : mapping
        What `companion.grids.write` left in the grid's index.
    folder : str
        Where the grid's pictures are, seen from the page.
    """
    sliders = []
    for slider in index["sliders"]:
        stops, name = slider["stops"], html.escape(slider["name"])
        fewer = f" ({len(stops)} of {slider['in_notebook']} stops)" if len(stops) < slider["in_notebook"] else ""
        sliders.append(
            f'<label><span>{name}{fewer}</span><input type="range" min="0" max="{len(stops) - 1}" value="0" '
            f'aria-label="{name}" data-stops="{html.escape(json.dumps(stops, ensure_ascii=False))}">'
            f"<output>{html.escape(stops[0])}</output></label>"
        )
    first = "-".join("0" for _ in index["sliders"])
    at = ", ".join(f"{slider['name']} = {slider['stops'][0]}" for slider in index["sliders"])
    pictures = [
        f'<img src="{folder}/{first}.{number}.png" data-number="{number}" alt="{html.escape(at)}">'
        for number in range(index["pictures"])
    ]
    return f'<div class="explorer" data-folder="{folder}">{"".join(sliders)}<div>{"".join(pictures)}</div></div>'


def _contents(root: Path) -> dict[str, Any]:
    """Return all that the templates tell."""
    made = {
        (profile, one["notebook"]): one
        for profile in PROFILES[1:]
        for one in record.read_all(root / "figures" / profile)
    }
    rows = {profile: read_rows(one for (of, _), one in made.items() if of == profile) for profile in PROFILES[1:]}
    reduced = {notebook for (profile, notebook), one in made.items() if profile == "paper" and one["reduced"]}
    kept = {row.claim.id: (profile, row) for profile, row in best(rows["laptop"], rows["paper"], reduced)}
    with (root / "coverage.csv").open(newline="", encoding="utf-8") as lines:
        # Labels are as in the papers' files, two asterisks where a heading is broken in two.
        covered = [
            line | {"label": line["label"].replace("**", " ")}
            for line in csv.DictReader(lines)
            if line["notebook"] != CONTEXT
        ]
    chapters = [_chapter(source, root, covered, made, kept) for source in SOURCES]
    titles = {notebook["name"]: notebook["title"] for chapter in chapters for notebook in chapter["notebooks"]}
    found = findings.read(kept, made)
    return {"chapters": chapters, "titles": titles, "findings": found, "counts": count(row for _, row in kept.values())}


def _chapter(
    source: str,
    root: Path,
    covered: Sequence[dict[str, str]],
    made: Mapping[tuple[str, str], dict[str, Any]],
    best: Mapping[str, tuple[str, Row]],
) -> dict[str, Any]:
    """Return a paper's notebooks in the order in which coverage.csv walks through the paper, and what it covers."""
    own = [line for line in covered if line["source"] == source]
    notebooks = []
    for name in dict.fromkeys(line["notebook"] for line in own):
        first = nbformat.read(root / "notebooks" / f"{name}.ipynb", as_version=4).cells[0].source
        rows = [row for _, row in best.values() if row.notebook == name]
        notebooks.append({
            "name": name,
            "title": first.splitlines()[0].removeprefix("# ").strip(),
            "counts": count(rows),
            "figures": made["laptop", name]["figures"],
            "labels": list(dict.fromkeys(line["label"] for line in own if line["notebook"] == name)),
        })  # fmt: skip
    counts = count(row for _, row in best.values() if row.claim.source == source)
    about = _cited(TITLES[source], root)
    return {"source": source, "title": TITLES[source], "notebooks": notebooks, "covered": own, "counts": counts} | about


def _cited(title: str, root: Path) -> dict[str, str]:
    """Return what CITATION.cff says of a paper: its authors, and when and where it appeared."""
    references = yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))["references"]
    cited = next(one for one in references if title.startswith(one["title"]))
    names = [f"{author['given-names']} {author['family-names']}" for author in cited["authors"]]
    return {"authors": ", ".join(names), "notes": cited["notes"]}


def _page(path: Path, template: str, **told: Any) -> None:
    loaded = Environment(
        loader=PackageLoader("companion.site"), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    loaded.filters |= {"md": escape_markdown, "attribute": lambda words: html.escape(" ".join(words.split()))}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(loaded.get_template(f"{template}.md.j2").render(**told), encoding="utf-8")
