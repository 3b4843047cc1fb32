"""Where the units of a sweep are computed: in this process, over worker processes, or on the workers of a cluster."""

from __future__ import annotations

import itertools
import logging
import os
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import cloudpickle
import joblib
from joblib.externals.loky.process_executor import BrokenProcessPool

if TYPE_CHECKING:
    from distributed import Client, Future

DEATHS_ALLOWED = 3
SCHEDULER = "COMPANION_SCHEDULER"
CONNECT_SECONDS = 30
WORKER_SECONDS = 600  # to wait for a first worker: a batch system or a nanny may be bringing one
LOOK_SECONDS = 10  # between two looks at who has joined or left while nothing finishes
# glibc hands big blocks back after every step and faults them in again; keeping them is 1.3-1.6x (bench: allocator).
ALLOCATOR = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(2**32),
    "MALLOC_TOP_PAD_": str(2**26),
}


class WorkersDied(RuntimeError):
    """Worker processes died again and again without finishing anything."""


class NoCluster(RuntimeError):
    """The cluster that was asked for cannot be reached, has no worker, or its workers cannot do the work."""


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


def scheduler() -> str:
    """Return the address in COMPANION_SCHEDULER, or "" where sweeps stay on this machine.

    Raises
    ------
    ValueError
        If it is not of the form tcp://host:port.
    """
    address = os.environ.get(SCHEDULER, "")
    if address:
        try:
            parts = urlsplit(address)
            right = parts.scheme == "tcp" and parts.hostname and parts.port and address.endswith(f":{parts.port}")
        except ValueError:  # a port that is no number, or none that there is
            right = False
        if not right:
            raise ValueError(f"{SCHEDULER} is the address of a dask scheduler, tcp://host:port, not {address!r}")
    return address


def at_once(jobs: int) -> int:
    """Return how many tasks `compute` has under way at once: `jobs`, or as many as a cluster has workers."""
    if address := scheduler():
        with _client(address) as client:
            return _workers(client)
    return jobs


def compute(work: Callable[..., Any], tasks: Sequence[tuple[Any, ...]], *, jobs: int) -> Iterator[tuple[int, Any]]:
    """Yield (index, work(*tasks[index])) as the tasks finish, in any order.

    Where COMPANION_SCHEDULER names a dask scheduler, the tasks run on all the workers that it has, whatever `jobs` is.
    Otherwise, with one job they run in this process, and with more over worker processes; where one is killed, the
    pool is built anew and only what has not been yielded is done again.

    Raises
    ------
    WorkersDied
        If workers die three times in a row and nothing finishes in between; on a cluster, if three tasks in a row, or
        any at the end, killed every worker that they were given to.
    NoCluster
        If the scheduler does not answer, has no worker for ten minutes, or its workers cannot do the work.
    """
    if tasks and (address := scheduler()):
        with _client(address) as client:
            yield from _over_cluster(client, work, tasks)
        return
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


@contextmanager
def _client(address: str) -> Iterator[Client]:
    """Connect to a scheduler; that it cannot be reached, or is gone, is one sentence."""
    try:
        import distributed
    except ImportError:
        raise NoCluster(
            f"{SCHEDULER}={address} asks for a cluster, but dask is not installed here: pip install 'dask[distributed]'"
        ) from None
    logger = logging.getLogger("distributed.client")  # what it would log is said by exceptions
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    connected = False
    try:
        _listen(address)
        with distributed.Client(address, timeout=CONNECT_SECONDS, set_as_default=False) as client:
            connected = True
            yield client
    except (OSError, distributed.CancelledError):
        raise NoCluster(
            f"the scheduler at {address} is gone; what was finished is kept"
            if connected
            else f"no dask scheduler answers at {SCHEDULER}={address} within {CONNECT_SECONDS} s; "
            "the form is tcp://host:port"
        ) from None
    finally:
        logger.setLevel(level)


def _listen(address: str) -> None:
    """Raise TimeoutError where something else than a scheduler listens (its dashboard, say): dask has no time-out."""
    parts = urlsplit(address)
    with (
        suppress(ConnectionRefusedError),  # a scheduler may be starting, and dask tries again
        socket.create_connection((parts.hostname, parts.port), timeout=CONNECT_SECONDS) as line,
    ):
        line.recv(1)  # a scheduler speaks first


def _over_cluster(client: Client, work: Callable[..., Any], tasks: Sequence[tuple[Any, ...]]) -> Iterator[Any]:
    """Keep every worker at one task; dask does again what a dead worker had.

    Not by joblib's dask backend: it waits for ever on a task that dask has given up, and computes in this process
    where the cluster has one worker (joblib 1.6).
    """
    carry_out = _courier()
    waiting = iter(enumerate(tasks))
    flying: dict[Future, int] = {}
    killed: list[int] = []
    in_a_row = 0
    while in_a_row < DEATHS_ALLOWED:
        for index, task in itertools.islice(waiting, max(0, _workers(client) - len(flying))):
            flying[client.submit(carry_out, cloudpickle.dumps((work, task)), pure=False)] = index
        if not flying:
            break
        for future, outcome in _finished(client, list(flying)):
            index = flying.pop(future)
            if isinstance(outcome, WorkersDied):
                killed.append(index)
                in_a_row += 1
            elif isinstance(outcome, Exception):
                raise outcome if isinstance(outcome, RuntimeError) else _foreign(outcome)
            else:
                in_a_row = 0
                yield index, outcome
    if killed:
        raise WorkersDied(
            f"{len(killed)} of {len(tasks)} tasks killed every worker that they were given to, as often as the "
            "scheduler allows (out of memory?); what was finished is kept"
        )


def _workers(client: Client) -> int:
    """Return how many workers the cluster has, waiting for a first one."""
    if count := len(client.nthreads()):
        return count
    cluster = f"the cluster at {client.scheduler.address}"
    sys.stderr.write(f"{cluster} has no worker; waiting up to {WORKER_SECONDS} s for one\n")
    try:
        client.wait_for_workers(1, timeout=WORKER_SECONDS)
    except TimeoutError:
        raise NoCluster(f"{cluster} had no worker for {WORKER_SECONDS} s; what was finished is kept") from None
    return len(client.nthreads())


def _finished(client: Client, futures: list[Future]) -> list[tuple[Future, Any]]:
    """Return what has finished with its outcome, which may be an exception; nothing if nothing has for a while."""
    import distributed

    try:
        with client.as_current():
            done = distributed.wait(futures, timeout=LOOK_SECONDS, return_when="FIRST_COMPLETED").done
        return [(one, _outcome(one)) for one in done]
    except TimeoutError:  # also where a worker has gone with a result, which is computed again
        return []


def _outcome(future: Future) -> Any:
    import distributed

    if future.status != "error":
        return future.result(timeout=LOOK_SECONDS)
    error = future.exception()
    return WorkersDied(str(error)) if isinstance(error, distributed.KilledWorker) else _foreign(error)


def _courier() -> Callable[[bytes], Any]:
    """Return what a worker is sent: a local function, which travels by value, as a worker may lack this very module."""

    def carry_out(call: bytes) -> Any:
        """Return what the task returns, or the exception that kept it from being done."""
        import cloudpickle
        import distributed

        try:
            if (threads := distributed.get_worker().state.nthreads) > 1:
                raise RuntimeError(
                    f"a worker of the cluster runs {threads} tasks at once, which would share PyTorch's generator and "
                    "thread count; start workers with --nthreads 1"
                )
            work, task = cloudpickle.loads(call)
            return work(*task)
        except Exception as error:
            return error

    return carry_out


def _foreign(error: BaseException) -> NoCluster:
    return NoCluster(
        "the cluster cannot run this package; its workers need the same source and libraries as this process "
        f"({type(error).__name__}: {error})"
    )
