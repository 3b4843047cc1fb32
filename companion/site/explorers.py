"""Pictures for the explorers of the notebooks, drawn once for each state of a notebook."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterable
from pathlib import Path

import joblib

from companion import grids, record
from companion.execution import Settings, execute, inputs_digest
from companion.run import root

CALL = "widgets.explore("
KEY = "key.txt"


def with_explorer(sections: Iterable[str]) -> list[str]:
    """Return the sections whose notebook has an explorer."""
    return [one for one in sections if CALL in (root() / "notebooks" / f"{one}.py").read_text(encoding="utf-8")]


def draw(sections: Iterable[str], folder: Path, jobs: int = 1) -> list[str]:
    """Draw the grids that are missing or out of date into `folder`/`section`, and return the sections drawn anew.

    A notebook is run from the committed result tables, at the laptop profile on the CPU: nothing is trained.

    Parameters
    ----------
    sections : iterable of str
        Notebooks with an explorer.
    jobs : int
        How many notebooks are run side by side.
    """
    settings = Settings("laptop", "cpu", "", "published", 1)
    keys = {section: _key(section, settings) for section in sections}
    waiting = [section for section, key in keys.items() if _kept(folder / section) != key]
    # What is said here concerns the kernels, not the reader.
    warnings.filterwarnings("ignore", module="papermill|nbclient|jupyter_client|traitlets")
    running = joblib.Parallel(n_jobs=jobs, return_as="generator")
    for section in running(joblib.delayed(_draw)(section, folder, settings) for section in waiting):
        (folder / section / KEY).write_text(keys[section], encoding="utf-8")
        print(f"explorer of {section}")
    return waiting


def _key(section: str, settings: Settings) -> str:
    """Name the state of a notebook: its inputs, and the result tables that it is drawn from."""
    made = record.read(root() / "figures" / settings.profile / section)
    return f"{inputs_digest(section, settings)} {made['digest']}"


def _kept(folder: Path) -> str:
    return (folder / KEY).read_text(encoding="utf-8") if (folder / KEY).exists() else ""


def _draw(section: str, folder: Path, settings: Settings) -> str:
    shutil.rmtree(folder / section, ignore_errors=True)
    # The figures of this run are those committed; they are left where nobody looks.
    variables = {grids.VARIABLE: str(folder / section), "COMPANION_OUTPUT": str(folder.parent / "figures")}
    execute(section, settings, variables=variables)
    return section
