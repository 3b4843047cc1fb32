"""Keep results over a refactoring that is proven to change none.

    make rekey SINCE=<commit> PROOF=tests/test_same_bits.py ONLY=generalizations

The proof is run first; it tells which modules of the package it ran. Then the notebooks run as always, and where a
result is missing under its new key but stands under the key that the package had at that commit, it is entered under
the new one. Every such entry says so. Where a changed module is reached that the proof does not run, that is refused.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from companion.fingerprint import Dependencies
from companion.source import module_digest, package_modules, tree_digest

SINCE = "COMPANION_REKEY_SINCE"
PROOF = "COMPANION_REKEY_PROOF"
RAN = "COMPANION_REKEY_RAN"  # to the proof a file to write, to the kernels what it wrote: names of modules, one a line


class Unproven(ValueError):
    """A module has changed that the proof does not run."""


def prove(test: str, commit: str) -> None:
    """Run the test that shows a refactoring to change no result, and let this process's kernels re-key.

    Parameters
    ----------
    test : str
        As pytest names it. It finds the commit in the variable `SINCE`, and writes the package modules that it ran, one
        a line, to the file that the variable `RAN` names.
    commit : str
        The commit that is re-keyed from.

    Raises
    ------
    ValueError
        If the test does not pass, or git does not know the commit.
    """
    _digest_at(commit, "companion.seeds")
    root = package_modules()["companion"].parent.parent
    asked = [sys.executable, "-m", "pytest", "-q", *test.split()]
    with tempfile.TemporaryDirectory() as folder:
        ran = Path(folder) / "ran"
        settings = os.environ | {SINCE: commit, PROOF: test, RAN: str(ran)}
        done = subprocess.run(asked, cwd=root, env=settings, capture_output=True, text=True) if test else None
        if done is None or done.returncode != 0:
            lines = (done.stdout + done.stderr).splitlines() if done else []
            why = [line for line in lines if line.startswith(("FAILED", "ERROR"))][:1]
            told = "; ".join([f"PROOF names the test {test!r}, which did not pass", *why, "nothing was re-keyed"])
            raise ValueError(told)
        names = ran.read_text(encoding="utf-8") if ran.exists() else ""
    os.environ |= {SINCE: commit, PROOF: test, RAN: names}


def earlier(reached: Dependencies) -> Dependencies | None:
    """Return the dependencies as they were at the commit that is re-keyed from, or None if nothing is re-keyed.

    A module that did not exist at that commit is left out, as it was then. Results that reached one which is gone since
    are not found again: they are computed anew.

    Raises
    ------
    Unproven
        If a module that has another tree than at the commit is none of those that the proof ran.
    """
    commit = os.environ.get(SINCE, "")
    if not commit:
        return None
    digests = {name: _digest_at(commit, name) for name in reached.modules}
    check_proven(name for name, one in digests.items() if one not in (None, module_digest(name)))
    return dataclasses.replace(reached, modules={name: one for name, one in digests.items() if one is not None})


def check_proven(changed: Iterable[str]) -> None:
    """Refuse to keep results over changes of which the proof says nothing.

    Raises
    ------
    Unproven
        Names the modules that the proof does not run.
    """
    if silent := sorted(set(changed) - set(os.environ.get(RAN, "").split())):
        raise Unproven(
            f"{', '.join(silent)} changed since {os.environ[SINCE]}, and PROOF={os.environ.get(PROOF, '')!r} runs "
            "nothing of it; add to the test what shows that no result changed"
        )


def note() -> dict[str, str]:
    """Return what a re-keyed entry says of itself."""
    return {"since": os.environ.get(SINCE, ""), "proof": os.environ.get(PROOF, "")}


def _digest_at(commit: str, module: str) -> str | None:
    path: Path = package_modules()[module]
    asked = ["git", "-C", str(path.parent), "show", f"{commit}:./{path.name}"]
    shown = subprocess.run(asked, capture_output=True, text=True)
    if shown.returncode == 0:
        return tree_digest(shown.stdout)
    if "does not exist" in shown.stderr or "exists on disk" in shown.stderr:
        return None
    raise ValueError(f"SINCE is a commit of this repository, not {commit!r}")
