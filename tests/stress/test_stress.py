"""`make figures` under stress: killed, twice at once, on a full or read-only disk, with damaged results, interrupted.

Run by `make stress`; minutes on two cores. Every run here is of real notebooks at the smoke profile, through Make.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
ONLY = "reasonable/lambda mosaic/averaging_noise"
KILLS = 20
VARYING = ("compute_seconds", "seconds", "units", "commit")  # of a record: what a run took, not what it found


class Tree:
    """A copy of the project that shares the environment, and runs Make."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / ".venv").symlink_to(ROOT / ".venv")
        shutil.rmtree(root / "figures")

    def start(self, *asked: str, output: int = subprocess.PIPE) -> subprocess.Popen[str]:
        """Start `make figures` at smoke, as the leader of a group of processes."""
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("COMPANION_", "MAKE", "MFLAGS"))
        }
        data = {name: value for name, value in os.environ.items() if name in ("COMPANION_DATA", "COMPANION_CACHE")}
        settings = ["PROFILE=smoke", "DEVICE=cpu", "JOBS=2", f"ONLY={ONLY}"]
        return subprocess.Popen(
            ["make", "--no-print-directory", "figures", *settings, *asked],
            cwd=self.root,
            env=kept | data | {"PYTHONPATH": str(self.root)},
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *asked: str) -> tuple[int, str]:
        """Run `make figures` to its end; return its exit code and what it said."""
        process = self.start(*asked)
        said, _ = process.communicate()
        return process.returncode, said

    def found(self) -> dict[str, bytes]:
        """Everything below figures/smoke, records without what varies from run to run."""
        files = {}
        for path in sorted((self.root / "figures" / "smoke").rglob("*")):
            if path.is_file() and path.parent.name != "smoke":
                content = path.read_bytes()
                if path.name == "record.json":
                    made = json.loads(content)
                    content = json.dumps({name: made[name] for name in made if name not in VARYING}).encode()
                files[path.relative_to(self.root).as_posix()] = content
        return files

    def forget(self) -> None:
        """Drop the stamps, so that every notebook counts as out of date."""
        shutil.rmtree(self.root / "build" / "stamps", ignore_errors=True)


def computed(said: str) -> int:
    return sum(int(count) for count in re.findall(r"min, (\d+) units computed", said))


@pytest.fixture
def tree(tmp_path: Path, copy_of_the_tree: Callable[[Path], Path]) -> Tree:
    return Tree(copy_of_the_tree(tmp_path / "tree"))


@pytest.fixture(scope="session")
def undisturbed(
    tmp_path_factory: pytest.TempPathFactory, copy_of_the_tree: Callable[[Path], Path]
) -> tuple[dict[str, bytes], float, int]:
    """What a run finds that nothing disturbs, how long it takes, and how many units it computes."""
    tree = Tree(copy_of_the_tree(tmp_path_factory.mktemp("undisturbed") / "tree"))
    started = time.monotonic()
    code, said = tree.run()
    assert code == 0, said
    return tree.found(), time.monotonic() - started, computed(said)


def test_kills_at_random_moments_change_no_figure(tree, undisturbed):
    expected, seconds, _ = undisturbed
    moments = random.Random(0)
    killed = 0
    for _ in range(KILLS):
        process = tree.start(output=subprocess.DEVNULL)  # orphans may hold a pipe for a while
        try:
            process.wait(timeout=moments.uniform(0.2, 0.9) * seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            killed += 1
        tree.forget()
    code, said = tree.run()
    assert code == 0, said
    assert killed >= KILLS // 4  # the others had ended: less and less is left to do
    assert tree.found() == expected


def test_two_at_once_compute_everything_once(tree, undisturbed):
    expected, _, units = undisturbed
    both = [tree.start() for _ in range(2)]
    said = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert sum(map(computed, said)) == units
    assert tree.found() == expected


def test_an_interrupt_keeps_what_is_computed(tree, undisturbed):
    expected, seconds, units = undisturbed
    process = tree.start()
    time.sleep(0.6 * seconds)
    os.killpg(process.pid, signal.SIGINT)
    said, _ = process.communicate()
    assert process.returncode != 0
    assert "interrupted; every finished unit is kept, `make figures` goes on from there" in said
    assert "Traceback" not in said
    code, said = tree.run()
    assert code == 0 and computed(said) < units, said
    assert tree.found() == expected


def test_damaged_results_are_computed_again(tree, undisturbed):
    expected, _, _ = undisturbed
    assert tree.run()[0] == 0
    entries = sorted(path for path in (tree.root / "build" / "store").rglob("*") if path.is_file())
    chosen = random.Random(1).sample(entries, 8)
    for place, path in enumerate(chosen):
        content = bytearray(path.read_bytes())
        if place % 2:
            content[len(content) // 2] ^= 1  # a bit
            path.write_bytes(content)
        else:
            path.write_bytes(content[: len(content) // 2])
    tree.forget()
    code, said = tree.run()
    assert code == 0, said
    assert tree.found() == expected


def test_a_notebook_that_raises_is_named_and_mended(tree, undisturbed):
    expected, _, _ = undisturbed
    source = tree.root / "notebooks" / "mosaic" / "averaging_noise.py"
    good = source.read_text(encoding="utf-8")
    source.write_text(good.replace("run.finish()", "raise ArithmeticError('meant to fail')"), encoding="utf-8")
    code, said = tree.run()
    assert code != 0
    assert "mosaic/averaging_noise: FAILED: ArithmeticError: meant to fail" in said and "Traceback" not in said
    source.write_text(good, encoding="utf-8")
    code, said = tree.run()
    assert code == 0 and computed(said) == 0, said  # all its units were kept
    assert tree.found() == expected


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ("PROFILE=huge", "unknown profile 'huge'; the profiles are smoke, laptop, paper"),
        ("DEVICE=cuda", "no CUDA device"),
        ("SCALE=epoch=3", "epoch"),
        ("ONLY=cats", "ONLY names 'cats', which is no notebook; there are"),
    ],
)
def test_a_wrong_value_gets_a_sentence(tree, asked, sentence):
    code, said = tree.run(asked)
    assert code != 0
    assert sentence in said and "Traceback" not in said, said


@pytest.fixture
def mounted() -> Iterator[Callable[..., None]]:
    """Mount what a test asks for, and unmount it again; skips where that is not allowed."""
    targets: list[Path] = []

    def mount(target: Path, *options: str) -> None:
        target.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(["mount", *options, str(target)], capture_output=True, text=True)
        if done.returncode != 0:
            pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
        if target not in targets:
            targets.append(target)

    yield mount
    for target in reversed(targets):
        subprocess.run(["umount", "--lazy", str(target)], check=True)


def test_a_full_disk_is_told_and_nothing_is_lost(tree, undisturbed, mounted):
    expected, _, units = undisturbed
    store = tree.root / "build" / "store"
    mounted(store, "-t", "tmpfs", "-o", "size=128k", "tmpfs")
    code, said = tree.run()
    assert code != 0
    assert "No space left on device" in said and "Traceback" not in said, said
    mounted(store, "-o", "remount,size=64m")
    code, said = tree.run()
    assert code == 0 and 0 < computed(said) < units, said
    assert tree.found() == expected


def test_a_read_only_tree_is_told(tree, mounted):
    mounted(tree.root, "--bind", str(tree.root))
    mounted(tree.root, "-o", "remount,bind,ro")
    code, said = tree.run()
    assert code != 0
    assert "Read-only file system" in said and "Traceback" not in said, said
