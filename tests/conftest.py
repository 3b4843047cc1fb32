from __future__ import annotations

import importlib.util
import itertools
import json
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import matplotlib.pyplot as plt
import pytest
import torch

import companion
from companion.data.images import Images
from companion.store import Store

KEPT = {"COMPANION_DATA", "COMPANION_REKEY_SINCE"}  # the second is what a proof compares with
os.environ["MPLBACKEND"] = "Agg"
for name in [name for name in os.environ if name.startswith("COMPANION_") and name not in KEPT]:
    del os.environ[name]

torch.set_num_threads(1)
PACKAGE = Path(companion.__file__).parent


@pytest.fixture(autouse=True)
def headless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPANION_HEADLESS", "1")


@pytest.fixture(autouse=True)
def no_figure_left_open() -> Iterator[None]:
    yield
    plt.close("all")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture(scope="session")
def pictures() -> Images:
    """Six made-up colour pictures of each of ten classes: what mosaics are made of in tests."""
    draw = torch.Generator().manual_seed(0)
    images = torch.randint(256, (60, 3, 32, 32), generator=draw, dtype=torch.uint8)
    return Images(images, torch.arange(60) % 10)


@pytest.fixture(scope="session")
def copy_of_the_tree() -> Callable[[Path], Path]:
    """Copy what git tracks, and what it does not ignore, into a folder."""

    def copy(target: Path, root: Path = Path(__file__).parent.parent) -> Path:
        asked = ["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(asked, capture_output=True, check=True).stdout.decode()
        for name in filter(None, listed.split("\0")):
            if (root / name).is_file():
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(root / name, target / name)
        return target

    return copy


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """The machine's own Chromium without a window, driven by Playwright."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("there is no Chromium on this machine")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The root of an empty project: where a Run of this test reads and writes."""
    for variable, folder in (("ROOT", "."), ("OUTPUT", "build/figures"), ("STORE", "build/store")):
        monkeypatch.setenv(f"COMPANION_{variable}", str(tmp_path / folder))
    monkeypatch.setenv("COMPANION_JOBS", "1")
    return tmp_path


@pytest.fixture
def notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., ModuleType]:
    """Run source as a notebook's script, in this process; each call is another notebook of the same name."""
    numbers = itertools.count()

    def run(source: str, name: str = "told_notebook") -> ModuleType:
        path = tmp_path / f"{name}_{next(numbers)}.py"
        path.write_text(textwrap.dedent(source), encoding="utf-8")
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        return module

    return run


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the package, free to be edited; its folder goes to `fresh`."""
    target = tmp_path / "other" / PACKAGE.name
    shutil.copytree(PACKAGE, target, ignore=shutil.ignore_patterns("__pycache__"))
    return target


class Fresh:
    """Runs scripts, each in a process that has loaded the big libraries and nothing of this package.

    The processes are forked from one that waits for orders, which saves seconds of imports for each.
    """

    def __init__(self) -> None:
        command = [sys.executable, str(Path(__file__).with_name("fresh.py"))]
        self.server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(
        self,
        script: Path,
        *arguments: object,
        package: Path = PACKAGE,
        kill_after: float | None = None,
        marker: Path | None = None,
        **environment: str,
    ) -> subprocess.CompletedProcess:
        """Run a script and return its status and output.

        With `kill_after`, its process group is killed so many seconds after the file `marker` has appeared.
        """
        order: dict[str, Any] = {
            "script": str(script),
            "arguments": [str(one) for one in arguments],
            "path": str(package.parent),
            "environment": {"COMPANION_HEADLESS": "1", "COMPANION_JOBS": "1", **environment},
            "kill_after": kill_after,
            "marker": str(marker),
        }
        self.server.stdin.write(json.dumps(order) + "\n")
        self.server.stdin.flush()
        answer = json.loads(self.server.stdout.readline())
        return subprocess.CompletedProcess([str(script)], answer["status"], answer["out"], answer["err"])


@pytest.fixture(scope="session")
def fresh() -> Iterator[Fresh]:
    made = Fresh()
    yield made
    made.server.stdin.close()
    made.server.stdout.close()
    made.server.wait(timeout=60)
