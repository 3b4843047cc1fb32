"""Where the units of a sweep are computed: in this process, or over worker processes that may die."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import joblib
from joblib.externals.loky.process_executor import BrokenProcessPool

DEATHS_ALLOWED = 3
# glibc hands big blocks back after every step and faults them in again; keeping them is 1.3-1.6x (bench: allocator).
ALLOCATOR = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(2**32),
    "MALLOC_TOP_PAD_": str(2**26),
}


class WorkersDied(RuntimeError):
    """Worker processes died again and again without finishing anything."""


def jobs_allowed(jobs: int | None = None) -> int:
    """Return how many worker processes to use: `jobs`, else COMPANION_JOBS, else one per core.

    Raises
    ------
    ValueError
        If the number is not a whole number of at least 1.
    """
    given = os.environ.get("COMPANION_JOBS", "") if jobs is None else jobs
    if given == "":
        return joblib.cpu_count()
    try:
        number = int(given)
    except ValueError:
        number = 0
    if number < 1:
        raise ValueError(f"JOBS is the number of worker processes, a whole number of at least 1, not {given!r}")
    return number


def compute(work: Callable[..., Any], tasks: Sequence[tuple[Any, ...]], *, jobs: int) -> Iterator[tuple[int, Any]]:
    """Yield (index, work(*tasks[index])) as the tasks finish, in any order.

    With one job the tasks run in this process. Otherwise they run over worker processes; where one is killed, the pool
    is built anew and only what has not been yielded is done again.

    Raises
    ------
    WorkersDied
        If workers die three times in a row and nothing finishes in between.
    """
    if jobs == 1 or len(tasks) == 1:
        for index, task in enumerate(tasks):
            yield index, work(*task)
        return
    waiting = set(range(len(tasks)))
    deaths = 0
    while waiting:
        order = sorted(waiting)
        try:
            with _worker_environment(), joblib.parallel_config(backend="loky", inner_max_num_threads=1):
                # One task at a time and few ahead: tasks take seconds, and what is in flight is what a kill can lose.
                pool = joblib.Parallel(
                    n_jobs=jobs, return_as="generator_unordered", batch_size=1, pre_dispatch=2 * jobs
                )
                for index, outcome in pool(joblib.delayed(_indexed)(work, i, tasks[i]) for i in order):
                    waiting.discard(index)
                    deaths = 0
                    yield index, outcome
        except BrokenProcessPool as broken:
            deaths += 1
            if deaths == DEATHS_ALLOWED:
                raise WorkersDied(
                    f"worker processes died {deaths} times in a row with {len(waiting)} of {len(tasks)} tasks left "
                    "(out of memory?); what was finished is kept, JOBS=1 runs the rest in one process"
                ) from broken


def _indexed(work: Callable[..., Any], index: int, task: tuple[Any, ...]) -> tuple[int, Any]:
    return index, work(*task)


@contextmanager
def _worker_environment() -> Iterator[None]:
    """Set the allocator for workers that start inside; this process has read its own settings long ago."""
    before = {name: os.environ.get(name) for name in ALLOCATOR}
    os.environ.update({name: value for name, value in ALLOCATOR.items() if name not in os.environ})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
