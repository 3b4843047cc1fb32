"""Results that are kept over a refactoring."""

import dataclasses
import subprocess

import pytest

from companion import rekey
from companion.fingerprint import dependencies
from companion.models import MLP
from companion.source import package_modules, tree_digest
from companion.store import Store
from companion.sweep import _keys, grid, sweep


def unit(seed):
    return dict(weights=sum(w.numel() for w in MLP((3, 4, 2), seed=seed).parameters()), seed_squared=seed**2)


@pytest.fixture
def refactored(monkeypatch):
    """The package as if its modules had another tree at the commit "before"."""
    monkeypatch.setattr(rekey, "_digest_at", lambda commit, module: f"{module} at {commit}")
    monkeypatch.setenv(rekey.PROOF, "tests/test_same_bits.py")
    monkeypatch.setenv(rekey.RAN, "\n".join(package_modules()))
    monkeypatch.delenv(rekey.SINCE, raising=False)
    return monkeypatch


def kept_before(store, points, **changes):
    """Put results into a store under the keys that they had at that commit."""
    reached = dependencies(unit)
    old = dataclasses.replace(reached, modules={name: f"{name} at before" for name in reached.modules}, **changes)
    for key, point in zip(_keys(unit, old, points, "cpu"), points, strict=True):
        store.put(key, {"unit": "unit", "arguments": {}, "seconds": 1.0, "result": [unit(**point)]})


def test_results_are_entered_under_the_new_keys(refactored, tmp_path):
    store, points = Store(tmp_path), grid(seed=[1, 2, 3, 4])
    kept_before(store, points[:3])
    refactored.setenv(rekey.SINCE, "before")
    found = sweep(unit, points, store=store)
    assert (found.computed, found.read_back) == (1, 3)
    told = [entry["rekeyed"] for path in tmp_path.rglob("*.json") if "rekeyed" in (entry := store.get(path.stem))]
    assert told == [{"since": "before", "proof": "tests/test_same_bits.py"}] * 3

    # What was re-keyed stays; without the command nothing of the kind happens.
    refactored.delenv(rekey.SINCE)
    assert sweep(unit, points, store=store).computed == 0
    kept_before(other := Store(tmp_path / "other"), points)
    assert sweep(unit, points, store=other).computed == 4


def test_other_changes_than_those_of_the_package_still_count(refactored, tmp_path):
    store, points = Store(tmp_path), grid(seed=[1])
    kept_before(store, points, code={"unit": "another body"})
    refactored.setenv(rekey.SINCE, "before")
    assert sweep(unit, points, store=store).computed == 1


def test_digests_are_those_of_the_commit():
    shown = subprocess.run(["git", "show", "HEAD:companion/seeds.py"], capture_output=True, text=True)
    if shown.returncode != 0:
        pytest.skip("git has no commit here")
    assert rekey._digest_at("HEAD", "companion.seeds") == tree_digest(shown.stdout)


def test_an_unknown_commit_is_refused():
    with pytest.raises(ValueError, match="SINCE is a commit of this repository, not 'no-such-commit'"):
        rekey.prove("tests/test_seeds.py", "no-such-commit")


def test_a_change_that_the_proof_does_not_run_is_refused(refactored, tmp_path):
    store, points = Store(tmp_path), grid(seed=[1])
    kept_before(store, points)
    refactored.setenv(rekey.SINCE, "before")
    refactored.setenv(rekey.RAN, "companion.seeds")
    with pytest.raises(
        rekey.Unproven, match=r"companion\.models\.mlp changed since before, and PROOF='tests/test_same_bits"
    ):
        sweep(unit, points, store=store)


@pytest.fixture
def own_environment(monkeypatch):
    monkeypatch.setattr(rekey, "_digest_at", lambda commit, module: "known")
    monkeypatch.setattr(rekey.os, "environ", dict(rekey.os.environ))


@pytest.mark.parametrize(("test", "why"), [("", ""), ("tests/test_packaging.py::no_such_test", ".*no_such_test.*;")])
def test_nothing_is_rekeyed_without_a_proof(own_environment, test, why):
    with pytest.raises(
        ValueError, match=f"PROOF names the test '{test}', which did not pass;{why} nothing was re-keyed"
    ):
        rekey.prove(test, "HEAD")


def test_the_proof_tells_what_it_ran(own_environment, tmp_path):
    proof = tmp_path / "test_proof.py"
    proof.write_text(
        f"import os, pathlib\ndef test(): pathlib.Path(os.environ['{rekey.RAN}']).write_text('companion.a')"
    )
    rekey.prove(str(proof), "HEAD")
    rekey.check_proven(["companion.a"])
    with pytest.raises(rekey.Unproven, match=r"companion\.b, companion\.c changed since HEAD"):
        rekey.check_proven(["companion.c", "companion.a", "companion.b"])
