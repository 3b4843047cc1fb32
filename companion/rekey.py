"""Keep results over a refactoring that is proven to change none.

    make rekey SINCE=<commit> PROOF=tests/test_same_bits.py ONLY=generalizations

The proof is run first. Then the notebooks run as always, and where a result is missing under its new key but stands
under the key that the package had at that commit, it is entered under the new one. Every such entry says so.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

from companion.fingerprint import Dependencies
from companion.source import package_modules, tree_digest

SINCE = "COMPANION_REKEY_SINCE"
PROOF = "COMPANION_REKEY_PROOF"


def prove(test: str, commit: str) -> None:
    """Run the test that shows a refactoring to change no result, and let this process's kernels re-key.

    Parameters
    ----------
    test : str
        As pytest names it; it finds the commit in the variable `SINCE`.
    commit : str
        The commit that is re-keyed from.

    Raises
    ------
    ValueError
        If the test does not pass, or git does not know the commit.
    """
    _digest_at(commit, "companion.seeds")
    os.environ |= {SINCE: commit, PROOF: test}
    root = package_modules()["companion"].parent.parent
    asked = [sys.executable, "-m", "pytest", "-q", *test.split()]
    if not test or subprocess.run(asked, cwd=root, env=dict(os.environ), capture_output=True).returncode != 0:
        raise ValueError(f"PROOF names the test {test!r}, which did not pass; nothing was re-keyed")


def earlier(reached: Dependencies) -> Dependencies | None:
    """Return the dependencies as they were at the commit that is re-keyed from, or None if nothing is re-keyed.

    A module that did not exist at that commit is left out, as it was then.
    """
    commit = os.environ.get(SINCE, "")
    if not commit:
        return None
    digests = {name: _digest_at(commit, name) for name in reached.modules}
    return dataclasses.replace(reached, modules={name: one for name, one in digests.items() if one is not None})


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
