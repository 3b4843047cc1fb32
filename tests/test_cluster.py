"""The same sweep on a dask cluster: a real scheduler and real worker processes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cloudpickle
import dask.config
import distributed
import pytest
import torch

from companion import execution, profiles, scaleout, sweep
from companion.fingerprint import dependencies

PACKAGE = Path(scaleout.__file__).parent
ALLOWED_FAILURES = 1  # workers that a task may kill before dask blames it, less one


class Cluster:
    """A scheduler and its workers, each a process of its own without a nanny: who is killed stays away."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "scheduler.json"
        self.processes: list[subprocess.Popen] = []
        self.scheduler = self.start("dask_scheduler", PACKAGE, "--port", "0")
        while not self.file.exists() or not (told := self.file.read_text(encoding="utf-8")):
            assert self.scheduler.poll() is None, self.log()
            time.sleep(0.02)
        self.address = json.loads(told)["address"]

    def start(self, program: str, package: Path, *options: str) -> subprocess.Popen:
        usual = ["--scheduler-file", str(self.file), "--no-dashboard"]
        told = {
            "PYTHONPATH": str(package.parent),
            "PYTHONDONTWRITEBYTECODE": "1",
            "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": str(ALLOWED_FAILURES),
            "DASK_CONFIG": str(PACKAGE / "dask.yaml"),
            "TOLD_FOLDER": str(self.folder),
        }
        with (self.folder / "log").open("a") as log:
            started = subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.{program}", *usual, *options],
                cwd=self.folder,
                env=os.environ | told,
                stdout=log,
                stderr=log,
            )
        self.processes.append(started)
        return started

    def workers(self, number: int, package: Path = PACKAGE, *, threads: int = 1) -> None:
        """Start so many workers and wait for them."""
        options = ["--nthreads", str(threads), "--no-nanny", "--memory-limit", "0"]
        for _ in range(number):
            self.start("dask_worker", package, *options, "--local-directory", str(self.folder))
        with distributed.Client(self.address, set_as_default=False) as client:
            while len(client.nthreads()) < number:
                assert all(one.poll() is None for one in self.processes), self.log()
                time.sleep(0.02)

    def log(self) -> str:
        return (self.folder / "log").read_text(encoding="utf-8")

    def end(self) -> None:
        for one in self.processes:
            one.kill()
            one.wait()


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    folder = tmp_path / "cluster"
    folder.mkdir()
    made = Cluster(folder)
    monkeypatch.setenv("COMPANION_SCHEDULER", made.address)
    yield made
    made.end()


# --- a sweep

SWEEP = """
import json, os, signal, sys, time
from pathlib import Path
import torch
from companion import models
from companion.store import Store
from companion.sweep import SweepFailed, grid, sweep


def unit(a, seed, checkpoint):
    folder = Path(os.environ.get("TOLD_FOLDER", os.devnull))
    if folder.is_dir():
        with (folder / "calls").open("a") as file:
            file.write(f"{os.getpid()} {a} {seed}\\n")
        if (a, seed) == (1, 3) and not (folder / "death").exists():
            (folder / "death").touch()
            os.kill(os.getpid(), signal.SIGKILL)
    assert Path(checkpoint).parent.is_dir()
    if a == 3:
        raise ValueError("no luck")
    drawn = a * models.LeNet5(seed=seed)(torch.rand(2, 1, 32, 32))
    return dict(drawn=drawn.detach(), threads=torch.get_num_threads())


points = grid(a=json.loads(sys.argv[2]), seed=range(6))
try:
    found = sweep(unit, points, store=Store(sys.argv[1]))
except SweepFailed as failed:
    sys.stderr.write(f"failed: {failed}")
    sys.exit(1)
drawn = b"".join(cell.tobytes() for cell in found.table.drawn).hex()
print(json.dumps([found.computed, found.read_back, found.digest, drawn, sorted(set(found.table.threads))]))
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "sweeping.py"
    path.write_text(SWEEP, encoding="utf-8")
    return path


@pytest.mark.slow
def test_two_workers_of_which_one_is_killed_give_the_table_of_one_process(fresh, script, cluster, tmp_path):
    alone = fresh(script, tmp_path / "alone", [1, 2])
    assert alone.returncode == 0, alone.stderr
    cluster.workers(2)
    together = fresh(script, tmp_path / "together", [1, 2], COMPANION_SCHEDULER=cluster.address)
    assert together.returncode == 0, together.stderr + cluster.log()
    assert json.loads(together.stdout) == json.loads(alone.stdout)
    assert json.loads(together.stdout)[:2] == [12, 0]
    assert [one.poll() for one in cluster.processes].count(-signal.SIGKILL) == 1
    calls = [line.split() for line in (cluster.folder / "calls").read_text(encoding="utf-8").splitlines()]
    assert len({process for process, *_ in calls}) == 2
    assert [call for _, *call in calls].count(["1", "3"]) == 2

    # One setting more: what there is is read back, failures keep their siblings, and all of it is the client's store.
    failed = fresh(script, tmp_path / "together", [2, 3, 4], COMPANION_SCHEDULER=cluster.address)
    assert failed.stderr.startswith("unit: 6 units computed, 6 read back\nfailed: 6 of 12 calls of unit failed")
    assert "unit(a=3, seed=0): ValueError: no luck" in failed.stderr
    resumed = fresh(script, tmp_path / "together", [1, 2, 4])
    assert json.loads(resumed.stdout)[:2] == [0, 18]


@pytest.mark.slow
def test_a_worker_with_another_package_refuses(fresh, script, package, cluster, tmp_path):
    seeds = package / "seeds.py"
    seeds.write_text(seeds.read_text(encoding="utf-8") + "\nOTHER = 1\n", encoding="utf-8")
    (package / "models" / "lenet.py").unlink()
    (package / "models" / "__init__.py").write_text("", encoding="utf-8")
    cluster.workers(1, package)
    refused = fresh(script, tmp_path / "store", [1], COMPANION_SCHEDULER=cluster.address)
    said = "OtherPackage: this worker has another version of companion.models.lenet, companion.seeds than the process"
    assert said in refused.stderr, refused.stderr + cluster.log()
    assert not (cluster.folder / "calls").exists()


# --- what a cluster may lack


def compute(work: Callable, number: int) -> tuple[list, str]:
    """Return what came and what was said in the end; work that is defined inside a test travels by value."""
    came = []
    try:
        for one in scaleout.compute(work, [(i,) for i in range(number)], jobs=1):
            came.append(one)
    except RuntimeError as error:
        return sorted(came), f"{type(error).__name__}: {error}"
    return sorted(came), ""


def test_a_task_that_kills_every_worker_is_given_up_and_the_others_are_kept(cluster):
    def work(number):
        if number == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return 10 * number

    cluster.workers(ALLOWED_FAILURES + 2)
    came, said = compute(work, 3)
    assert came == [(0, 0), (2, 20)], cluster.log()
    assert said.startswith("WorkersDied: 1 of 3 tasks killed every worker that they were given to")
    assert [one.poll() for one in cluster.processes].count(-signal.SIGKILL) == ALLOWED_FAILURES + 1


def test_a_cluster_that_loses_all_its_workers_is_given_up(cluster, monkeypatch, capsys):
    def work(number):
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(scaleout, "WORKER_SECONDS", 1)
    monkeypatch.setattr(scaleout, "LOOK_SECONDS", 1)
    cluster.workers(1)
    _, said = compute(work, 4)
    assert said == f"NoCluster: the cluster at {cluster.address} had no worker for 1 s; what was finished is kept"
    assert f"the cluster at {cluster.address} has no worker; waiting up to 1 s for one\n" in capsys.readouterr().err


def test_a_scheduler_that_goes_is_told(cluster):
    scheduler = cluster.scheduler.pid

    def work(number):
        if number == 2:
            os.kill(scheduler, signal.SIGKILL)
            time.sleep(60)
        return number

    cluster.workers(1)
    came, said = compute(work, 4)
    assert came == [(0, 0), (1, 1)]
    assert said == f"NoCluster: the scheduler at {cluster.address} is gone; what was finished is kept"


def test_workers_of_several_threads_are_refused(cluster):
    cluster.workers(1, threads=2)
    came, said = compute(lambda number: number, 1)
    assert came == []
    assert "a worker of the cluster runs 2 tasks at once" in said and said.endswith("start workers with --nthreads 1")


def test_a_worker_that_cannot_read_a_task_says_why(cluster):
    class Foreign:
        def __reduce__(self):
            return __import__, ("no_such_library",)

    cluster.workers(1)
    came, said = compute(Foreign(), 1)
    assert came == []
    assert said.startswith("NoCluster: the cluster cannot run this package; its workers need the same source and")
    assert said.endswith("(ModuleNotFoundError: No module named 'no_such_library')")


# --- addresses


@pytest.mark.parametrize("address", ["host:8786", "http://host:8786", "tcp://host", "tcp://host:99999", "tcp://:8786"])
def test_an_address_of_another_form_is_refused(address, monkeypatch, capsys):
    monkeypatch.setenv("COMPANION_SCHEDULER", address)
    said = f"COMPANION_SCHEDULER is the address of a dask scheduler, tcp://host:port, not '{address}'"
    with pytest.raises(ValueError, match=f"^{said}$"):
        scaleout.scheduler()
    assert execution.main(["--profile", "smoke", "--device", "cpu"]) == 2  # before any notebook is run
    assert capsys.readouterr().err == f"{said}\n"


@pytest.mark.parametrize("listens", [True, False])
def test_a_scheduler_that_does_not_answer_is_named(listens, monkeypatch):
    with socket.socket() as line:
        line.bind(("127.0.0.1", 0))
        if listens:
            line.listen()
        address = f"tcp://127.0.0.1:{line.getsockname()[1]}"
        monkeypatch.setenv("COMPANION_SCHEDULER", address)
        monkeypatch.setattr(scaleout, "CONNECT_SECONDS", 0.2)
        assert compute(abs, 1) == (
            [],
            f"NoCluster: no dask scheduler answers at COMPANION_SCHEDULER={address} within 0.2 s; "
            "the form is tcp://host:port",
        )


def test_without_dask_the_sentence_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.setenv("COMPANION_SCHEDULER", "tcp://host:8786")
    assert compute(abs, 0) == ([], "")  # nothing to compute, nothing to ask a cluster for
    assert compute(abs, 1)[1].endswith("but dask is not installed here: pip install 'dask[distributed]'")


# --- what a worker does by itself


def test_workers_of_a_cluster_get_the_allocator_of_those_of_this_machine():
    settings = dask.config.collect(paths=[str(PACKAGE / "dask.yaml")], env={})["distributed"]
    environment = {name: str(value) for name, value in settings["nanny"]["pre-spawn-environ"].items()}
    assert environment == scaleout.ALLOCATOR
    assert settings["worker"]["profile"]["enabled"] is False


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_gpu_may_be_on_the_workers_only(monkeypatch):
    with pytest.raises(ValueError, match="no CUDA device here"):
        profiles.resolve_device("cuda")
    monkeypatch.setenv("COMPANION_SCHEDULER", "tcp://host:8786")
    assert (profiles.resolve_device("cuda"), profiles.resolve_device("auto")) == ("cuda", "cpu")
    with pytest.raises(RuntimeError, match="this worker has no CUDA device, and the sweep asks for one"):
        sweep._work(b"", {"seed": 0}, {}, "cuda")


@pytest.mark.parametrize("name", ["torch", "python", "companion.no_such_room"])
def test_a_worker_of_another_torch_or_python_or_without_a_module_refuses(name):
    with pytest.raises(sweep.OtherPackage, match=f"another version of {name} than"):
        sweep._work(b"", {"seed": 0}, sweep._versions() | {name: "1.0"}, "cpu")


def test_a_checkpoint_goes_to_the_cache_where_the_store_is_not(notebook, tmp_path, monkeypatch):
    source = """
    from pathlib import Path

    def unit(seed, checkpoint):
        path = Path(checkpoint)
        half = path.exists()
        path.write_text("half done")
        if seed == 1 and not half:
            raise RuntimeError("killed")
        return dict(half=half, path=checkpoint)
    """
    unit = notebook(source).unit
    code, needed = cloudpickle.dumps(unit), dependencies(unit).modules | sweep._versions()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    checkpoints = tmp_path / "companion" / "checkpoints"

    def work(seed, folder):
        return sweep._work(code, {"seed": seed, "checkpoint": f"{folder}/key.pt"}, needed, "cpu")

    (row,), _ = work(0, "/no/such/disk")
    assert row == {"half": False, "path": str(checkpoints / "key.pt")}
    assert not list(checkpoints.iterdir())
    assert work(1, "/no/such/disk").summary == "unit(seed=1): RuntimeError: killed"
    (row,), _ = work(1, "/no/such/disk")  # the next attempt goes on
    assert row["half"] and not list(checkpoints.iterdir())
    (row,), _ = work(0, tmp_path)  # a disk that is there is used, and its file left to the store
    assert row["path"] == str(tmp_path / "key.pt") and (tmp_path / "key.pt").exists()
