from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from companion import scaleout
from companion.store import Store
from companion.sweep import SweepFailed, grid, no_tf32, sweep

# --- grid


def test_grid_varies_the_last_argument_fastest():
    assert grid(a=[1, 2], b="x", seed=range(2)) == [
        {"a": 1, "b": "x", "seed": 0},
        {"a": 1, "b": "x", "seed": 1},
        {"a": 2, "b": "x", "seed": 0},
        {"a": 2, "b": "x", "seed": 1},
    ]
    assert grid() == [{}]


def test_grid_takes_plain_values_out_of_arrays_and_columns():
    for values in (np.array([1, 2]), pd.Series([1, 2]), (1, 2), {1, 2}):
        points = grid(a=values)
        assert points == [{"a": 1}, {"a": 2}]
        assert {type(point["a"]) for point in points} == {int}
    assert grid(pair=[(0, 1), (0, 2)])[1] == {"pair": (0, 2)}


def test_grid_refuses_an_argument_without_values():
    with pytest.raises(ValueError, match="no value for 'layer'"):
        grid(layer=[], seed=0)


# --- what is computed

REPORTING = """
import os
from pathlib import Path

def report(*told):
    with Path(os.environ["TOLD_CALLS"]).open("a") as file:
        file.write(" ".join(map(str, told)) + "\\n")

def forbidden():
    return os.environ.get("TOLD_FORBIDDEN", "")
"""


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """Return what units have reported since the last call."""
    path = tmp_path / "calls"
    monkeypatch.setenv("TOLD_CALLS", str(path))

    def taken() -> list[str]:
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return lines

    return taken


def test_table_has_arguments_then_results_in_grid_order(store, notebook):
    unit = notebook(
        "def unit(layer, seed):\n    return [dict(epoch=e, loss=layer + seed / 10 + e / 100) for e in range(2)]"
    ).unit
    points = grid(layer=[3, 1], seed=[1, 0])
    cold = sweep(unit, points, store=store)
    assert list(cold.table) == ["layer", "seed", "epoch", "loss"]
    assert cold.table.layer.to_list() == [3] * 4 + [1] * 4
    assert cold.table.seed.to_list() == [1, 1, 0, 0] * 2
    np.testing.assert_allclose(cold.table.loss, cold.table.layer + cold.table.seed / 10 + cold.table.epoch / 100)
    warm = sweep(unit, points, store=store)
    pd.testing.assert_frame_equal(warm.table, cold.table)
    assert (cold.computed, cold.read_back, warm.computed, warm.read_back) == (4, 0, 0, 4)
    assert warm.digest == cold.digest
    assert warm.seconds == cold.seconds > 0
    assert sweep(unit, points[:3], store=store).digest != cold.digest


def test_the_same_point_twice_is_computed_once(store, notebook, calls):
    unit = notebook(REPORTING + "def unit(seed):\n    report(seed)\n    return dict(value=seed)").unit
    found = sweep(unit, [{"seed": 1}, {"seed": 2}, {"seed": 1}], store=store)
    assert found.table.value.to_list() == [1, 2, 1]
    assert calls() == ["1", "2"]


BATCH = """
def unit(pair, seed):
    report(pair, *seed)
    return [dict(value=10 * pair + one) for one in seed]
"""


def test_batch_keeps_an_entry_for_each_value(store, notebook, calls):
    unit = notebook(REPORTING + BATCH).unit
    found = sweep(unit, grid(pair=[1, 2], seed=range(5)), store=store, batch="seed", chunk=3)
    assert found.table.value.to_list() == [10 * pair + seed for pair in (1, 2) for seed in range(5)]
    assert calls() == ["1 0 1 2", "1 3 4", "2 0 1 2", "2 3 4"]
    assert (found.computed, found.read_back) == (10, 0)


def test_more_seeds_compute_only_the_new_ones_however_chunked(store, notebook, calls):
    unit = notebook(REPORTING + BATCH).unit
    sweep(unit, grid(pair=1, seed=range(1, 5, 2)), store=store, batch="seed", chunk=1)
    assert calls() == ["1 1", "1 3"]
    found = sweep(unit, grid(pair=1, seed=range(6)), store=store, batch="seed", chunk=64)
    assert calls() == ["1 0 2 4 5"]
    assert (found.computed, found.read_back) == (4, 2)
    assert found.table.value.to_list() == [10, 11, 12, 13, 14, 15]
    assert sweep(unit, grid(pair=1, seed=range(6)), store=store, batch="seed", chunk=2).digest == found.digest
    assert calls() == []


def test_batch_without_one_dict_for_each_value_is_refused(store, notebook):
    unit = notebook("def unit(a, seed):\n    return [dict(value=one) for one in seed][a:]").unit
    told = "1 of 2 calls of unit failed.*unit was handed 2 values of 'seed' and returned 1 dicts; it returns one for"
    with pytest.raises(SweepFailed, match=told):
        sweep(unit, grid(a=[0, 1], seed=[0, 1]), store=store, batch="seed")
    assert sweep(unit, grid(a=0, seed=[0, 1]), store=store, batch="seed").read_back == 2  # the others are kept


def test_chunks_leave_no_worker_idle(store, notebook, calls, monkeypatch):
    here = scaleout.compute  # a worker process could not import this test's notebook
    monkeypatch.setattr(scaleout, "compute", lambda work, tasks, jobs: here(work, tasks, jobs=1))
    unit = notebook(REPORTING + BATCH).unit
    sweep(unit, grid(pair=1, seed=range(6)), store=store, batch="seed", jobs=2)
    assert sorted(calls()) == ["1 0 1 2", "1 3 4 5"]


CHECKPOINT = """
def unit(seed, checkpoint=None):
    path = Path(checkpoint)
    report(path.exists())
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("half done")
    if str(seed) in forbidden():
        raise RuntimeError("killed")
    return dict(value=seed)
"""


def test_checkpoint_lasts_until_the_result_is_kept(store, notebook, calls, monkeypatch):
    unit = notebook(REPORTING + CHECKPOINT).unit
    monkeypatch.setenv("TOLD_FORBIDDEN", "1")
    with pytest.raises(SweepFailed):
        sweep(unit, grid(seed=[0, 1]), store=store)
    assert calls() == ["False", "False"]
    (left,) = (store.folder / "checkpoints").iterdir()
    monkeypatch.delenv("TOLD_FORBIDDEN")
    assert sweep(unit, grid(seed=[0, 1]), store=store).computed == 1
    assert calls() == ["True"]
    assert not left.exists()


@pytest.mark.parametrize(
    ("source", "points", "batch", "said"),
    [
        ("def unit(a):", [{"a": 1}], None, "the unit unit takes no `seed`; every unit does"),
        ("def unit(a, seed):", [{"seed": 1}], None, "takes a, seed; the sweep gives seed"),
        ("def unit(a, seed):", [{}], None, "takes a, seed; the sweep gives nothing"),
        ("def unit(seed):", [{"seed": 1, "b": 1}], None, "takes seed; the sweep gives seed, b"),
        ("def unit(seed):", [{"seed": 1}], "pair", "batch='pair' is no argument of the sweep; it gives seed"),
    ],
)
def test_wrong_arguments_are_told_before_anything_is_computed(store, notebook, source, points, batch, said):
    unit = notebook(f"{source}\n    raise SystemExit").unit
    with pytest.raises(TypeError, match=said):
        sweep(unit, points, store=store, batch=batch)


def test_fp32_on_a_gpu_is_not_tf32():
    kinds = torch.backends.cudnn.conv, torch.backends.cudnn.rnn
    before = [kind.fp32_precision for kind in kinds]
    no_tf32()
    assert [kind.fp32_precision for kind in kinds] == ["ieee", "ieee"]
    for kind, precision in zip(kinds, before, strict=True):
        kind.fp32_precision = precision


def test_batched_work_is_shared_among_all_that_compute(store, notebook, monkeypatch):
    unit = notebook("def unit(a, seed):\n    return [dict(value=one) for one in seed]").unit
    handed = []
    here = scaleout.compute

    def noted(work, tasks, *, jobs):
        handed.append(len(tasks))
        return here(work, tasks, jobs=1)

    monkeypatch.setattr(scaleout, "compute", noted)
    for workers, calls in ((2, 2), (40, 12)):  # of a cluster, say
        monkeypatch.setattr(scaleout, "at_once", lambda jobs, workers=workers: workers)
        sweep(unit, grid(a=workers, seed=range(12)), store=store, batch="seed")
        assert handed.pop() == calls


def test_a_unit_that_raises_keeps_its_siblings(store, notebook, calls, monkeypatch):
    source = (
        "def unit(a, seed):\n    report(seed)\n    if str(seed) in forbidden():\n        raise ValueError('no luck')\n"
    )
    unit = notebook(REPORTING + source + "    return dict(value=a)").unit
    monkeypatch.setenv("TOLD_FORBIDDEN", "1 3")
    with pytest.raises(SweepFailed) as failed:
        sweep(unit, grid(a="x", seed=range(5)), store=store)
    assert calls() == ["0", "1", "2", "3", "4"]  # it goes on to the end
    assert "2 of 5 calls of unit failed, everything else is kept" in str(failed.value)
    assert "unit(a='x', seed=1): ValueError: no luck" in str(failed.value)
    assert "in unit\n    raise ValueError" in str(failed.value)  # where
    monkeypatch.delenv("TOLD_FORBIDDEN")
    found = sweep(unit, grid(a="x", seed=range(5)), store=store)
    assert calls() == ["1", "3"]
    assert (found.computed, found.read_back) == (2, 3)


def test_a_result_of_the_wrong_kind_is_a_failure_that_names_it(store, notebook):
    unit = notebook("def unit(seed):\n    return dict(net=object())").unit
    with pytest.raises(SweepFailed, match=re.escape("unit(seed=0): TypeError: the result 'net' is a object")):
        sweep(unit, grid(seed=0), store=store)


DRAWING = """
import torch

def unit(seed):
    return dict(drawn=torch.rand(3), threads=torch.get_num_threads())
"""


def test_the_global_generator_depends_on_the_arguments_only(tmp_path, notebook):
    unit = notebook(DRAWING).unit
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    one = sweep(unit, grid(seed=[0, 1]), store=Store(tmp_path / "one"))
    assert torch.equal(torch.get_rng_state(), before) and torch.get_num_threads() == threads
    torch.manual_seed(5)
    other = sweep(unit, grid(seed=[1, 0]), store=Store(tmp_path / "other"))
    np.testing.assert_array_equal(np.stack(one.table.drawn), np.stack(other.table.drawn[::-1]))
    assert set(one.table.threads) == {1}


@pytest.mark.parametrize("jobs", ["0", "-1", "two", "1.5"])
def test_jobs_is_a_whole_number(jobs, monkeypatch):
    monkeypatch.setenv("COMPANION_JOBS", jobs)
    with pytest.raises(ValueError, match=rf"a whole number of at least 1, not '{jobs}'"):
        scaleout.jobs_allowed()


def test_jobs_come_from_the_call_then_the_environment_then_the_machine(monkeypatch):
    monkeypatch.setenv("COMPANION_JOBS", "3")
    assert (scaleout.jobs_allowed(5), scaleout.jobs_allowed()) == (5, 3)
    monkeypatch.setenv("COMPANION_JOBS", "")
    assert scaleout.jobs_allowed() >= 1


# --- processes that die

SLOW = """
import json, os, signal, sys, time
from pathlib import Path
import torch
from companion.seeds import generator
from companion.store import Store
from companion.sweep import grid, sweep
from companion.training import Checkpoint


def unit(a, seed, checkpoint):
    keeper, draw = Checkpoint(checkpoint, every=0), generator(seed, "points")
    state = keeper.load() or dict(drawn=[], draw=draw.get_state())
    draw.set_state(state["draw"])
    drawn = state["drawn"]
    while len(drawn) < 4:
        time.sleep(0.02)
        marker = Path(os.environ.get("TOLD_DEATH", os.devnull))
        if not marker.exists() and seed == 3 and len(drawn) == 2:
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        drawn.append((a * torch.randn(3, generator=draw)).tolist())
        keeper.save(dict(drawn=drawn, draw=draw.get_state()))
    return dict(drawn=drawn, last=drawn[-1][0])


Path(sys.argv[3]).touch()
found = sweep(unit, grid(a=[1, 2], seed=range(12)), store=Store(sys.argv[1]), jobs=int(sys.argv[2]))
table = found.table.assign(drawn=[cell.tobytes().hex() for cell in found.table.drawn])
print(json.dumps([found.computed, found.read_back, found.digest, table.to_json(double_precision=15)]))
"""


@pytest.fixture(scope="module")
def slow(fresh, tmp_path_factory) -> tuple[Path, list]:
    """A script and what it gives undisturbed, in one process."""
    folder = tmp_path_factory.mktemp("slow")
    script = folder / "slow.py"
    script.write_text(SLOW, encoding="utf-8")
    ran = fresh(script, folder / "store", 1, folder / "started")
    assert ran.returncode == 0, ran.stderr
    computed, read_back, *told = json.loads(ran.stdout)
    assert (computed, read_back) == (24, 0)
    return script, told


def test_ten_kills_leave_the_table_of_an_undisturbed_run(fresh, slow, tmp_path):
    script, undisturbed = slow
    moments, marker = random.Random(0), tmp_path / "started"
    for _ in range(10):
        marker.unlink(missing_ok=True)
        killed = fresh(script, tmp_path / "store", 1, marker, kill_after=moments.uniform(0.01, 0.25), marker=marker)
        assert killed.returncode == -9, "the run ended before it could be killed"
    ran = fresh(script, tmp_path / "store", 1, marker)
    computed, read_back, *told = json.loads(ran.stdout)
    assert told == undisturbed
    assert computed + read_back == 24 and computed > 0 and read_back > 0
    assert not list((tmp_path / "store" / "checkpoints").glob("*.pt"))


def test_workers_give_the_same_table_and_one_may_be_killed(fresh, slow, tmp_path):
    script, undisturbed = slow
    ran = fresh(script, tmp_path / "store", 2, tmp_path / "started", TOLD_DEATH=str(tmp_path / "death"))
    assert ran.returncode == 0, ran.stderr
    computed, read_back, *told = json.loads(ran.stdout)
    assert (tmp_path / "death").exists()
    assert (computed, read_back, told) == (24, 0, undisturbed)


FATAL = """
import os, signal
from companion.scaleout import WorkersDied, compute

def work(number):
    os.kill(os.getpid(), signal.SIGKILL)

try:
    list(compute(work, [(1,), (2,)], jobs=2))
except WorkersDied as died:
    print(died)
"""


def test_workers_that_always_die_are_given_up(fresh, tmp_path):
    script = tmp_path / "fatal.py"
    script.write_text(FATAL, encoding="utf-8")
    ran = fresh(script)
    assert "worker processes died 3 times in a row with 2 of 2 tasks left" in ran.stdout, ran.stderr


WORKER = """
import json, sys
from pathlib import Path
import cloudpickle
from companion import models
from companion.fingerprint import dependencies
from companion.sweep import OtherPackage, _work

marker = Path(sys.argv[2])

def unit(seed):
    Path(sys.argv[2]).touch()
    return dict(value=models.LeNet5(seed=seed).conv1.weight.sum())

if not marker.with_suffix(".asked").exists():
    marker.with_suffix(".asked").write_bytes(cloudpickle.dumps((cloudpickle.dumps(unit), dependencies(unit).modules)))
    sys.exit()
code, modules = cloudpickle.loads(marker.with_suffix(".asked").read_bytes())
try:
    print(_work(code, {"seed": 0}, modules, "cpu")[0])
except OtherPackage as refused:
    print("refused:", refused)
"""


def test_a_worker_with_another_package_refuses(fresh, package, tmp_path):
    script, marker = tmp_path / "worker.py", tmp_path / "ran"
    script.write_text(WORKER, encoding="utf-8")
    asked = fresh(script, "-", marker, package=package)
    assert asked.returncode == 0, asked.stderr
    same = fresh(script, "-", marker, package=package)
    assert marker.exists() and "value" in same.stdout, same.stderr
    marker.unlink()
    lenet = package / "models" / "lenet.py"
    lenet.write_text(lenet.read_text(encoding="utf-8").replace("(1, 6, 5", "(1, 7, 5"), encoding="utf-8")
    other = fresh(script, "-", marker, package=package)
    said = "refused: this worker has another version of companion.models.lenet than"
    assert other.stdout.startswith(said), other.stderr
    assert not marker.exists()
