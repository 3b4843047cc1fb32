"""Compute a unit over a grid of arguments, keeping every result."""

from __future__ import annotations

import contextlib
import functools
import inspect
import itertools
import os
import platform
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pandas as pd
import platformdirs
import torch
from threadpoolctl import threadpool_limits
from tqdm.auto import tqdm

from companion import rekey, scaleout
from companion.fingerprint import Dependencies, dependencies, digest
from companion.seeds import stream
from companion.source import check_unchanged, module_digest, package_modules
from companion.store import Store, plain

Unit = Callable[..., Any]
Point = dict[str, Any]
LINE_EVERY = 10.0  # seconds between two progress lines where there is no bar


class SweepFailed(RuntimeError):
    """Some settings of a sweep failed; the results of all the others are kept."""


class OtherPackage(RuntimeError):
    """A worker process has another version of this package, of torch or of Python than the process that asked."""


@dataclass(frozen=True)
class Sweep:
    """What a sweep gave.

    Attributes
    ----------
    table : DataFrame
        One row per dict that the unit returned: first its arguments, then its results. Grid order.
    computed, read_back : int
        How many units were computed now, and how many were found in the store.
    seconds : float
        Sum of the units' own durations, also of those read back.
    digest : str
        Digest of the table.
    """

    table: pd.DataFrame
    computed: int
    read_back: int
    seconds: float
    digest: str


@dataclass(frozen=True)
class _Failure:
    summary: str
    details: str


def sweep(
    unit: Unit,
    points: Sequence[Point],
    *,
    store: Store,
    device: str = "cpu",
    jobs: int = 1,
    batch: str | None = None,
    chunk: int = 64,
    reached: Dependencies | None = None,
) -> Sweep:
    """Return the results of `unit` at every point, computing only those that the store does not have.

    Parameters
    ----------
    unit : callable
        Takes plain arguments by name, among them `seed`; returns a dict or a list of dicts. If it has a parameter
        `checkpoint` (and no `batch`), it is handed a path that lasts until its result is stored. If it takes a list
        (`batch`), it returns one dict for each item of that list.
    points : sequence of dict
        Arguments; see `grid`.
    store : Store
        Where results are kept.
    device : str
        PyTorch's default device while the unit runs; part of the key.
    jobs : int
        Worker processes; 1 computes in this process. On a cluster (COMPANION_SCHEDULER) all its workers compute.
    batch : str, optional
        The argument of which the unit takes many values at once. The store keeps one entry per value.
    chunk : int
        The most values of `batch` that are handed over at once; no part of the key.
    reached : Dependencies, optional
        What the unit depends on, if already known.

    Raises
    ------
    SweepFailed
        After everything else was computed and stored, if a unit raised; names the unit and its arguments.
    Undeclared, TypeError, ValueError
        If the unit cannot be fingerprinted, or its arguments or results are of the wrong kind.
    OtherPackage, WorkersDied, NoCluster
        If workers cannot do the work; what was finished is kept. See `companion.scaleout`.
    """
    points = list(points)
    _check_arguments(unit, points, batch)
    reached = dependencies(unit) if reached is None else reached
    keys = _keys(unit, reached, points, device)
    if (before := rekey.earlier(reached)) is not None:
        for old, key in zip(_keys(unit, before, points, device), keys, strict=True):
            if store.get(key) is None and (entry := store.get(old)) is not None:
                store.put(key, entry | {"rekeyed": rekey.note()})
    entries = {key: entry for key in dict.fromkeys(keys) if (entry := store.get(key)) is not None}
    missing = {key: point for key, point in zip(keys, points, strict=True) if key not in entries}

    if batch is not None and missing:  # no worker is idle while another has a chunk that could be shared
        chunk = min(chunk, -(-len(missing) // scaleout.at_once(jobs)))
    tasks = list(_tasks(unit, missing, store, batch, chunk))
    code = cloudpickle.dumps(unit)
    calls = [(code, call, reached.modules | _versions(), device) for _, call in tasks]
    failures: list[_Failure] = []
    with (
        _Progress(unit.__name__, total=len(entries) + len(missing), read_back=len(entries)) as progress,
        contextlib.closing(scaleout.compute(_work, calls, jobs=jobs)) as outcomes,
    ):
        for index, outcome in outcomes:
            task_keys = tasks[index][0]
            parts, seconds = (outcome, 0.0) if isinstance(outcome, _Failure) else outcome
            if not isinstance(parts, _Failure):
                parts = _one_each(unit, parts, task_keys, batch)
            if isinstance(parts, _Failure):
                failures.append(parts)
            else:
                for key, part in zip(task_keys, parts, strict=True):
                    entries[key] = {
                        "unit": unit.__name__,
                        "arguments": {name: str(value) for name, value in missing[key].items()},
                        "seconds": seconds / len(task_keys),
                        "result": part,
                    }
                    store.put(key, entries[key])
            progress.advance(len(task_keys), kept=not isinstance(parts, _Failure))
    if failures:
        raise SweepFailed(
            f"{len(failures)} of {len(tasks)} calls of {unit.__name__} failed, everything else is kept. "
            f"The first: {failures[0].summary}\n\n{failures[0].details}"
        )
    rows = [point | row for key, point in zip(keys, points, strict=True) for row in entries[key]["result"]]
    seconds = sum(entries[key]["seconds"] for key in dict.fromkeys(keys))
    return Sweep(pd.DataFrame(rows), len(missing), len(entries) - len(missing), seconds, digest(rows))


def _keys(unit: Unit, reached: Dependencies, points: list[Point], device: str) -> list[str]:
    """Return the key of every point: all that its result depends on."""
    common = digest([reached.digest(), {"device": device, "torch": _versions()["torch"]}])
    names = inspect.signature(unit).parameters  # in this order, however the sweep gives them
    return [digest([common, {name: point[name] for name in names if name in point}]) for point in points]


def grid(**arguments: Any) -> list[Point]:
    """Return every combination of the arguments' values, the last varying fastest; a single value stands for itself.

    Raises
    ------
    ValueError
        If an argument has no value at all.
    """
    values = {name: _values(value) for name, value in arguments.items()}
    for name, some in values.items():
        if not some:
            raise ValueError(f"the sweep has no value for {name!r}")
    return [dict(zip(values, combination, strict=True)) for combination in itertools.product(*values.values())]


def _values(value: Any) -> list[Any]:
    if isinstance(value, np.ndarray | pd.Series):
        return value.tolist()
    return list(value) if isinstance(value, list | tuple | range | set) else [value]


def _check_arguments(unit: Unit, points: list[Point], batch: str | None) -> None:
    known = inspect.signature(unit).parameters
    if "seed" not in known:
        raise TypeError(f"the unit {unit.__name__} takes no `seed`; every unit does, so that its randomness is told")
    needed = {name for name, parameter in known.items() if parameter.default is parameter.empty} - {"checkpoint"}
    for point in points:
        unknown, absent = set(point) - set(known), needed - set(point)
        if unknown or absent:
            raise TypeError(
                f"the unit {unit.__name__} takes {', '.join(known)}; the sweep gives {', '.join(point) or 'nothing'}"
            )
        if batch is not None and batch not in point:
            raise TypeError(f"batch={batch!r} is no argument of the sweep; it gives {', '.join(point)}")


def _tasks(
    unit: Unit, missing: Mapping[str, Point], store: Store, batch: str | None, chunk: int
) -> Iterator[tuple[list[str], Point]]:
    """Yield (keys, arguments of one call): one key a call, or up to `chunk` that differ in `batch` only."""
    if batch is None:
        resumable = "checkpoint" in inspect.signature(unit).parameters
        for key, point in missing.items():
            checkpoint = store.checkpoint_path(key)
            if resumable:  # by the folder a worker knows whether it has this disk
                checkpoint.parent.mkdir(parents=True, exist_ok=True)
            yield [key], point | ({"checkpoint": str(checkpoint)} if resumable else {})
        return
    groups: dict[str, list[str]] = {}
    for key, point in missing.items():
        rest = digest({name: value for name, value in point.items() if name != batch})
        groups.setdefault(rest, []).append(key)
    for keys in groups.values():
        for start in range(0, len(keys), chunk):
            part = keys[start : start + chunk]
            yield part, missing[part[0]] | {batch: [missing[key][batch] for key in part]}


def _one_each(
    unit: Unit, rows: list[dict[str, Any]], keys: list[str], batch: str | None
) -> list[list[dict[str, Any]]] | _Failure:
    if batch is None:
        return [rows]
    if len(rows) != len(keys):
        told = f"was handed {len(keys)} values of {batch!r} and returned {len(rows)} dicts; it returns one for each"
        return _Failure(f"the unit {unit.__name__} {told}", "")
    return [[row] for row in rows]


def _work(code: bytes, arguments: Point, needed: dict[str, str], device: str) -> Any:
    """Run one call, in whichever process: same arguments, same bits."""
    if other := [name for name in needed if _own(name) != needed[name]]:
        raise OtherPackage(
            f"this worker has another version of {', '.join(other)} than the process that asked it to compute"
        )
    if device == "cuda" and not torch.cuda.is_available():
        raise RuntimeError("this worker has no CUDA device, and the sweep asks for one; DEVICE=cpu asks for none")
    unit = cloudpickle.loads(code)
    threads = torch.get_num_threads()
    started = time.perf_counter()
    try:
        if device == "cpu":
            torch.set_num_threads(1)  # and the BLAS of NumPy and SciPy, below
        else:
            no_tf32()
        # A unit that draws from the global generator all the same depends on its own arguments only.
        with (
            torch.random.fork_rng(devices=[device] if device == "cuda" else []),
            torch.device(device),
            threadpool_limits(1 if device == "cpu" else None, user_api="blas"),
            _checkpoint_here(arguments) as usable,
        ):
            torch.manual_seed(stream(int(digest(_without_checkpoint(arguments))[:15], 16), "points"))
            rows = plain(unit(**usable))
    except Exception as error:
        given = ", ".join(f"{name}={value!r}" for name, value in _without_checkpoint(arguments).items())
        return _Failure(f"{unit.__name__}({given}): {type(error).__name__}: {error}", traceback.format_exc())
    finally:
        torch.set_num_threads(threads)
    return rows, time.perf_counter() - started


def no_tf32() -> None:
    """Let fp32 on a GPU be fp32: unless told otherwise, PyTorch rounds what a convolution multiplies to ten bits."""
    torch.backends.cudnn.conv.fp32_precision = torch.backends.cudnn.rnn.fp32_precision = "ieee"


def _versions() -> dict[str, str]:
    """Return what a worker must share besides modules: torch is part of the key, and units travel as bytecode."""
    versions = {"python": platform.python_version(), "torch": torch.__version__}
    return {name: ".".join(version.split(".")[:2]) for name, version in versions.items()}


def _own(name: str) -> str | None:
    """Return this process's version of torch or Python, or its digest of a package module; None if it has none."""
    return _as_imported(name) if name in package_modules() else _versions().get(name)


@functools.cache
def _as_imported(module: str) -> str:
    check_unchanged([module])  # a worker of a cluster may be older than an edit
    return module_digest(module)


@contextlib.contextmanager
def _checkpoint_here(arguments: Point) -> Iterator[Point]:
    """Put a checkpoint whose disk this machine does not have into the user cache, until the unit is done."""
    path = Path(arguments.get("checkpoint", ""))
    if path.parent.is_dir():
        yield arguments
        return
    own = platformdirs.user_cache_path("companion") / "checkpoints" / path.name
    own.parent.mkdir(parents=True, exist_ok=True)
    yield arguments | {"checkpoint": str(own)}
    own.unlink(missing_ok=True)


def _without_checkpoint(arguments: Point) -> Point:
    return {name: value for name, value in arguments.items() if name != "checkpoint"}


class _Progress:
    """A bar where people look on, sober lines on stderr where a program does."""

    def __init__(self, name: str, *, total: int, read_back: int) -> None:
        self.name, self.total, self.read_back, self.done, self.computed = name, total, read_back, read_back, 0
        self.headless = bool(os.environ.get("COMPANION_HEADLESS"))
        self.bar = tqdm(total=total, initial=read_back, desc=name, unit="unit", disable=self.headless, leave=False)
        self.said_at = time.monotonic()

    def __enter__(self) -> _Progress:
        return self

    def advance(self, units: int, *, kept: bool) -> None:
        self.done += units
        self.computed += units if kept else 0
        self.bar.update(units)
        if self.headless and time.monotonic() - self.said_at > LINE_EVERY and self.done < self.total:
            self._say(f"{self.done} of {self.total} units")

    def __exit__(self, *_: object) -> None:
        self.bar.close()
        self._say(f"{self.computed} units computed, {self.read_back} read back")

    def _say(self, what: str) -> None:
        self.said_at = time.monotonic()
        sys.stderr.write(f"{self.name}: {what}\n")
