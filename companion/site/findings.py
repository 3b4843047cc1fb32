"""What the companion found, for the front page: sentences of ours, each tied to a claim whose verdict carries it."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from companion.tally import Row

PATH = Path(__file__).with_name("findings.csv")


@dataclass(frozen=True)
class Finding:
    """A sentence, the claim and the profile whose run carries it, and a figure of that run with its caption."""

    headline: str
    row: Row
    profile: str
    figure: str
    caption: str

    @property
    def notebook(self) -> str:
        """The notebook that judges the claim."""
        return self.row.notebook


def read(
    best: Mapping[str, tuple[str, Row]], records: Mapping[tuple[str, str], dict[str, Any]], path: Path = PATH
) -> list[Finding]:
    """Return the findings in the order of their file.

    Parameters
    ----------
    best : mapping
        For each claim the profile whose run says most of it, and its row there (`companion.tally.best`).
    records : mapping
        The records by profile and notebook.

    Raises
    ------
    ValueError
        If a claim is not there, or has no longer the verdict that the sentence speaks of, or the figure is not among
        those of its run.
    """
    with path.open(newline="", encoding="utf-8") as lines:
        return [_finding(line, best, records) for line in csv.DictReader(lines, strict=True)]


def _finding(
    line: Mapping[str, str],
    best: Mapping[str, tuple[str, Row]],
    records: Mapping[tuple[str, str], dict[str, Any]],
) -> Finding:
    if line["claim"] not in best:
        raise ValueError(f"{line['claim']} is no claim; a finding names one of companion/claims")
    profile, row = best[line["claim"]]
    if row.verdict != line["verdict"]:
        raise ValueError(
            f"the finding on {line['claim']} rests on the verdict {line['verdict']!r}; it is now {str(row.verdict)!r}, "
            "so its sentence is to be written anew"
        )
    made: Sequence[Mapping[str, Any]] = records[profile, row.notebook]["figures"]
    captions = {one["file"]: one["caption"] for one in made}
    if line["figure"] not in captions:
        raise ValueError(f"{row.notebook} draws no {line['figure']}; there are {', '.join(captions)}")
    return Finding(line["headline"], row, profile, line["figure"], captions[line["figure"]])
