"""Results that are kept over a refactoring."""

import dataclasses
import subprocess

import pytest

from companion import rekey
from companion.fingerprint import dependencies
from companion.models import MLP
from companion.source import tree_digest
from companion.store import Store
from companion.sweep import _keys, grid, sweep


def unit(seed):
    return dict(weights=sum(w.numel() for w in MLP((3, 4, 2), seed=seed).parameters()), seed_squared=seed**2)


@pytest.fixture
def refactored(monkeypatch):
    """The package as if its modules had another tree at the commit "before"."""
    monkeypatch.setattr(rekey, "_digest_at", lambda commit, module: f"{module} at {commit}")
    monkeypatch.setenv(rekey.PROOF, "tests/test_same_bits.py")
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


@pytest.mark.parametrize("test", ["", "tests/test_packaging.py::no_such_test"])
def test_nothing_is_rekeyed_without_a_proof(monkeypatch, test):
    monkeypatch.setattr(rekey, "_digest_at", lambda commit, module: "known")
    monkeypatch.setattr(rekey.os, "environ", dict(rekey.os.environ))
    with pytest.raises(ValueError, match=f"PROOF names the test '{test}', which did not pass"):
        rekey.prove(test, "HEAD")
