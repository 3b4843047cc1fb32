"""How Make runs notebooks: jupytext, then papermill in a build folder, then the record; only what is out of date.

python -m companion.execution --profile laptop --only mosaic
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import os
import sys
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock
import joblib

from companion import profiles, record, rekey, report
from companion.claims.rows import SOURCES
from companion.fingerprint import digest
from companion.run import RESULTS, root
from companion.scaleout import ALLOCATOR, jobs_allowed, scheduler
from companion.source import PACKAGE, module_digest, package_modules, with_imports

# Seconds a cell may take; a paper run may take days.
CELL_TIMEOUT = {"smoke": 300, "laptop": 3600, "paper": None}
START_SECONDS = 8  # of a kernel with torch


@dataclass(frozen=True)
class Settings:
    """What a run of notebooks is asked for, checked and resolved; `at_once` is how many notebooks run side by side."""

    profile: str
    device: str
    scale: str
    results: str
    jobs: int
    at_once: int = 1

    def environment(self) -> dict[str, str]:
        """Return the variables that `companion.run.Run` reads in the kernel."""
        return {
            "COMPANION_HEADLESS": "1",
            "COMPANION_ROOT": str(root()),
            "COMPANION_OUTPUT": str(root() / "figures"),
            "COMPANION_SCALE": self.scale,
            "COMPANION_RESULTS": self.results,
            "COMPANION_JOBS": str(self.jobs),
            "PYTHONHASHSEED": "0",
            **ALLOCATOR,
        }


def notebooks(only: str = "") -> list[str]:
    """Return the sections that have a notebook, in the order of the papers.

    Parameters
    ----------
    only : str
        Sections or sources, separated by spaces or commas; all notebooks if empty.

    Raises
    ------
    ValueError
        If a part names no notebook; says what there is.
    """
    found = [path.relative_to(root() / "notebooks") for path in (root() / "notebooks").glob("*/*.py")]
    sections = sorted((path.with_suffix("").as_posix() for path in found), key=_reading_order)
    wanted = only.replace(",", " ").split()
    for part in wanted:
        if not any(part in (section, section.partition("/")[0]) for section in sections):
            there = sorted({section.partition("/")[0] for section in sections}, key=SOURCES.index) + sections
            raise ValueError(f"ONLY names {part!r}, which is no notebook; there are {', '.join(there)}")
    return [name for name in sections if not wanted or {name, name.partition("/")[0]} & set(wanted)]


def _reading_order(section: str) -> tuple[int, str]:
    source = section.partition("/")[0]
    return SOURCES.index(source) if source in SOURCES else len(SOURCES), section


def execute(
    section: str,
    settings: Settings,
    parameters: dict[str, Any] | None = None,
    variables: Mapping[str, str] | None = None,
) -> Any:
    """Run one notebook in the build folder and return it as executed.

    A copy stays there, partly executed if a cell raised.

    Parameters
    ----------
    parameters : dict, optional
        Values for the notebook's parameters, beside profile and device.
    variables : mapping, optional
        Environment variables of the kernel, over those of the settings.

    Raises
    ------
    ValueError
        If a parameter does not fit.
    papermill.PapermillExecutionError, nbclient.exceptions.CellTimeoutError, DeadKernelError
        If a cell raises, takes too long, or the kernel dies.
    """
    # Reading and running notebooks takes a second to import, which a run that finds nothing to do can spare.
    import nbformat
    import papermill

    from companion import pairs

    given = {"profile": settings.profile, "device": settings.device} | (parameters or {})
    notebook = pairs.read_source(_source(section))
    pairs.check_parameters(notebook, given)
    target = root() / "build" / "runs" / settings.profile / f"{section}.ipynb"
    target.parent.mkdir(parents=True, exist_ok=True)
    prepared = target.with_name(f"{target.stem}.prepared.ipynb")
    nbformat.write(notebook, prepared)
    with _environment(settings.environment() | dict(variables or {})):
        return papermill.execute_notebook(
            str(prepared),
            str(target),
            given,
            kernel_name="python3",
            cwd=str(_source(section).parent),
            execution_timeout=CELL_TIMEOUT[settings.profile],
            progress_bar=False,
            stderr_file=sys.stderr,
            # Of a kernel on this machine's loopback the warning that it talks over plain TCP tells a reader nothing.
            extra_arguments=["--IPKernelApp.log_level=ERROR"],
            # A kernel that is asked to end is interrupted first, and says so in many lines when Ctrl-C was pressed.
            shutdown_kernel="immediate",
        )


def inputs_digest(section: str, settings: Settings) -> str:
    """Digest of all that a notebook's outputs depend on: its source, the modules it imports, claims and settings."""
    source = _source(section).read_text(encoding="utf-8")
    modules = {name: module_digest(name) for name in sorted(_imported(source))}
    claims = package_modules()["companion.claims.rows"].with_name(f"{section.partition('/')[0]}.csv")
    asked = [settings.profile, settings.device, settings.scale, settings.results]
    return digest([source, modules, claims.read_bytes(), record.versions(), asked])


def _imported(code: str) -> set[str]:
    named = {"companion.run"}
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and node.module:
            named |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            named |= {alias.name for alias in node.names}
    known = package_modules()
    rooms = tuple(f"{name}." for name in named if name in known and name != PACKAGE)
    return with_imports({name for name in known if name in named or name.startswith(rooms)})


def _stamp(section: str, settings: Settings) -> Path:
    return root() / "build" / "stamps" / settings.profile / f"{section}.json"


def _outputs(section: str, settings: Settings) -> dict[str, str]:
    """Return the digest of every file that a run of the notebook leaves."""
    folder = root() / "figures" / settings.profile / section
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    if settings.profile == "laptop":
        files += [path for path in [_source(section).with_suffix(".ipynb")] if path.exists()]
    return {path.relative_to(root()).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def up_to_date(section: str, settings: Settings) -> bool:
    """Tell whether a run would change nothing: same inputs as the last good run here, and its files untouched."""
    try:
        stamp = json.loads(_stamp(section, settings).read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return False
    return stamp == {"inputs": inputs_digest(section, settings), "outputs": _outputs(section, settings)}


def run_one(section: str, settings: Settings) -> str:
    """Run one notebook, publish it if it is a full laptop run, and return what to tell about it."""
    lock = root() / "build" / "locks" / f"{section.replace('/', '.')}.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(lock):  # a second `make figures` waits here and then finds it done
        if up_to_date(section, settings):
            return "up to date"
        started = time.monotonic()
        inputs = inputs_digest(section, settings)
        folder = root() / "figures" / settings.profile / section
        executed = execute(section, settings)
        written = folder / record.NAME
        if not written.exists():
            raise RuntimeError(f"{section} left no record; its last code cell must be run.finish()")
        if settings.profile == "laptop" and not settings.scale and settings.results == "compute":
            from companion import pairs

            pairs.publish(_source(section), executed)
        stamp = _stamp(section, settings)
        stamp.parent.mkdir(parents=True, exist_ok=True)
        stamp.write_text(json.dumps({"inputs": inputs, "outputs": _outputs(section, settings)}), encoding="utf-8")
        return f"{(time.monotonic() - started) / 60:.1f} min, {_units(executed)}"


def _units(executed: Any) -> str:
    """Add up what the sweeps said on stderr (the record is not rewritten where nothing changed)."""
    computed = read_back = 0
    for cell in executed.cells:
        for output in cell.get("outputs", []):
            if output.get("name") == "stderr":
                for line in output.text.splitlines():
                    words = line.replace(",", "").split()
                    if words[2:4] == ["units", "computed"]:
                        computed, read_back = computed + int(words[1]), read_back + int(words[4])
    return f"{computed} units computed, {read_back} read back"


def expected_minutes(section: str, settings: Settings) -> float | None:
    """Return about how long a run from nothing takes, from the last record of this profile; None if there is none."""
    path = root() / "figures" / settings.profile / section / record.NAME
    if not path.exists():
        return None
    return (json.loads(path.read_text(encoding="utf-8"))["compute_seconds"] / settings.jobs + START_SECONDS) / 60


def run_all(sections: list[str], settings: Settings) -> int:
    """Run notebooks, as many at once as the settings say; a failing one does not stop the others.

    Returns the exit code.
    """
    waiting = [section for section in sections if not up_to_date(section, settings)]
    estimates = [expected_minutes(section, settings) for section in waiting]
    timed = [minutes for minutes in estimates if minutes is not None]
    length = f"; from nothing about {sum(timed):.0f} min" if timed else ""
    untimed = f" ({len(estimates) - len(timed)} never timed yet)" if len(timed) < len(estimates) else ""
    workers = f"{settings.jobs} jobs"
    if address := scheduler():  # how many workers it will have is not known here
        workers, length, untimed = f"the cluster at {address}", "", ""
    _say(
        f"{settings.profile} on {settings.device}, {workers}: {len(waiting)} notebooks to run, "
        f"{len(sections) - len(waiting)} up to date{length}{untimed}"
    )
    for section in waiting:
        _say(f"  {section}")
    failed: dict[str, str] = {}
    # With one at a time joblib stays in this process.
    running = joblib.Parallel(n_jobs=settings.at_once, return_as="generator")
    try:
        attempts = running(joblib.delayed(_attempt)(section, settings) for section in waiting)
        for place, (section, (told, failure)) in enumerate(zip(waiting, attempts, strict=True), start=1):
            if failure:
                failed[section] = failure
            _say(f"[{place}/{len(waiting)}] {section}: {told}")
    except KeyboardInterrupt:
        _say("interrupted; every finished unit is kept, `make figures` goes on from there")
        return 130
    try:
        report.write(settings.profile)
    except (ValueError, OSError) as error:  # a record that is out of date, or a disk that takes no more
        failed["the report"] = str(error)
        _say(f"no report: {error}")
    for section in set(failed) & set(sections):
        kept = Path("build") / "runs" / settings.profile / f"{section}.ipynb"
        _say(f"failed: {section}; the partly executed notebook is {kept}")
    return 1 if failed else 0


def _attempt(section: str, settings: Settings) -> tuple[str, str]:
    """Run one notebook; return what to tell about it and, if it failed, why."""
    try:
        return run_one(section, settings), ""
    except Exception as error:
        return f"FAILED: {_sentence(error)}", _sentence(error)


def _sentence(error: Exception) -> str:
    name, value = getattr(error, "ename", type(error).__name__), getattr(error, "evalue", str(error))
    first = str(value).strip().splitlines()
    return f"{name}: {first[0] if first else 'no message'}"


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _source(section: str) -> Path:
    return root() / "notebooks" / f"{section}.py"


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """Set variables for the kernels that are started inside."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def settings_from(profile: str, device: str, scale: str, results: str, jobs: str) -> Settings:
    """Check and resolve what was asked for.

    Raises
    ------
    ValueError
        With one sentence that names what is allowed.
    """
    if results not in RESULTS:
        raise ValueError(f"RESULTS is one of {', '.join(RESULTS)}, not {results!r}")
    profiles.parse_overrides(scale)
    scheduler()
    device = profiles.resolve_device(device or "auto")
    profile = profiles.resolve_profile(profile or "auto", device)
    allowed, at_once = jobs_allowed(jobs or None), 1
    if profile == "smoke" and not jobs:
        # The units of a smoke run are shorter than the start of a worker: the cores go to several notebooks instead.
        allowed, at_once = 1, allowed
    return Settings(profile, device, " ".join(scale.split()), results, allowed, at_once)


def _tend_pairs(sections: list[str], *, write: bool) -> int:
    """Check that the two files of each notebook are in step, or bring them there; return the exit code."""
    from companion import pairs

    if write:
        changed = [section for section in sections if pairs.bring_in_step(_source(section))]
        _say(f"{len(changed)} of {len(sections)} notebooks brought in step: {', '.join(changed) or 'none'}")
        return 0
    problems = [problem for section in sections if (problem := pairs.out_of_step(_source(section)))]
    _say("\n".join(problems) or f"{len(sections)} pairs of notebooks are in step")
    return 1 if problems else 0


def main(arguments: Iterable[str] | None = None) -> int:
    """Run what the command line asks for and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m companion.execution", description=__doc__.splitlines()[0])
    for name in ("profile", "device", "only", "scale", "jobs"):
        parser.add_argument(f"--{name}", default="")
    parser.add_argument("--results", default="compute")
    parser.add_argument("--check-pairs", action="store_true", help="only check that .py and .ipynb are in step")
    parser.add_argument("--bring-in-step", action="store_true", help="only write the .ipynb anew from the .py")
    parser.add_argument("--rekey-since", default="", help="commit whose results are kept, see companion.rekey")
    parser.add_argument("--proof", default="", help="the test that proves them to be unchanged")
    asked = parser.parse_args(None if arguments is None else list(arguments))
    try:
        sections = notebooks(asked.only)
        if asked.check_pairs or asked.bring_in_step:
            return _tend_pairs(sections, write=asked.bring_in_step)
        if asked.rekey_since:
            rekey.prove(asked.proof, asked.rekey_since)
        settings = settings_from(asked.profile, asked.device, asked.scale, asked.results or "compute", asked.jobs)
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    warnings.filterwarnings("ignore", module="papermill|nbclient|jupyter_client|traitlets")
    return run_all(sections, settings)


if __name__ == "__main__":
    sys.exit(main())
