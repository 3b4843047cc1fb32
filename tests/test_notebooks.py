"""Every notebook: run once at smoke in a copy of the tree; nbval then reads what that run stored."""

import ast
import json
import os
import re
import statistics
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from companion import record
from companion.claims import registry
from companion.pairs import read_source

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "notebooks").glob("*/*.py"))
NAMES = [f"{path.parent.name}/{path.stem}" for path in SOURCES]

every_notebook = pytest.mark.parametrize("source", SOURCES, ids=NAMES)


@pytest.fixture(scope="session")
def smoke_tree(tmp_path_factory, copy_of_the_tree):
    """A copy of the tree in which `make figures PROFILE=smoke` has run."""
    tree = copy_of_the_tree(tmp_path_factory.mktemp("smoke") / "tree")
    done = run_smoke(tree)
    assert done.returncode == 0, done.stdout + done.stderr
    return tree


def environment(tree):
    kept = {k: v for k, v in os.environ.items() if not k.startswith("COMPANION_") or k in DATA_VARIABLES}
    return kept | {"COMPANION_ROOT": str(tree), "PYTHONPATH": str(tree)}


DATA_VARIABLES = ("COMPANION_DATA", "COMPANION_CACHE", "COMPANION_DATA_SOURCE")


def run_smoke(tree):
    asked = [sys.executable, "-m", "companion.execution", "--profile", "smoke", "--device", "cpu"]
    return subprocess.run(asked, cwd=tree, env=environment(tree), capture_output=True, text=True)


@pytest.mark.slow
def test_the_second_run_has_nothing_to_do(smoke_tree):
    done = run_smoke(smoke_tree)
    assert f"0 notebooks to run, {len(SOURCES)} up to date" in done.stdout, done.stdout + done.stderr


@pytest.mark.slow
def test_smoke_leaves_what_is_committed_alone(smoke_tree):
    for source in SOURCES:
        pair = source.with_suffix(".ipynb").relative_to(ROOT)
        assert (smoke_tree / pair).read_bytes() == (ROOT / pair).read_bytes()


@pytest.mark.slow
@every_notebook
def test_smoke_record(smoke_tree, source):
    section = f"{source.parent.name}/{source.stem}"
    made = json.loads((smoke_tree / "figures" / "smoke" / section / record.NAME).read_text())
    record.validate(made)
    assert made["notebook"] == section and made["profile"] == "smoke" and not made["reduced"]
    own = {row.id for row in registry().values() if row.section == section}
    assert made["figures"] and bool(made["claims"]) == bool(own)  # an extension of ours has none
    assert set(made["claims"]) <= own


@pytest.mark.slow
@every_notebook
def test_nothing_warns(smoke_tree, source):
    """Standard error of a run holds progress lines only."""
    executed = nbformat.read(smoke_tree / "build" / "runs" / "smoke" / f"{source.parent.name}/{source.stem}.ipynb", 4)
    said = "".join(
        output.text for cell in executed.cells for output in cell.get("outputs", []) if output.get("name") == "stderr"
    )
    progress = re.compile(r"\w+: \d+ (of \d+ units|units computed, \d+ read back)")
    assert [line for line in said.splitlines() if not progress.fullmatch(line)] == []


@pytest.mark.slow
def test_nbval(smoke_tree):
    """Every cell runs under nbval too, which computes nothing anew, and marked outputs are those committed."""
    asked = [sys.executable, "-m", "pytest", "--nbval-lax", "--nbval-current-env", "-q", "-p", "no:cacheprovider"]
    settings = {"COMPANION_PROFILE": "smoke", "COMPANION_DEVICE": "cpu", "COMPANION_JOBS": "1"}
    before = sum(1 for _ in (smoke_tree / "build" / "store").rglob("*.json"))
    done = subprocess.run(
        [*asked, "--rootdir", str(smoke_tree), str(smoke_tree / "notebooks")],
        cwd=smoke_tree,
        env=environment(smoke_tree) | settings | {"COMPANION_HEADLESS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert sum(1 for _ in (smoke_tree / "build" / "store").rglob("*.json")) == before


@every_notebook
def test_is_written_as_notebooks_are_here(source):
    cells = read_source(source).cells
    code = [cell.source for cell in cells if cell.cell_type == "code"]
    lengths = [len(cell.splitlines()) for cell in code]
    assert max(lengths) <= 25, f"a cell has {max(lengths)} lines"
    assert statistics.median(lengths) <= 8
    prose = sum(cell.cell_type == "markdown" for cell in cells)
    assert prose >= 0.35 * len(cells)
    assert cells[0].cell_type == "markdown" and cells[0].source.startswith("# ")
    assert "run.finish()" in code[-1]
    parameters = next(cell for cell in cells if "parameters" in cell.metadata.get("tags", []))
    for node in ast.parse(parameters.source).body:
        assert isinstance(node, ast.Assign) and ast.literal_eval(node.value) is not None


@every_notebook
def test_what_is_committed_is_a_sober_laptop_run(source):
    section = f"{source.parent.name}/{source.stem}"
    made = json.loads((ROOT / "figures" / "laptop" / section / record.NAME).read_text())
    record.validate(made)
    assert made["profile"] == "laptop" and not made["reduced"]
    folder = ROOT / "figures" / "laptop" / section
    listed = {one["file"] for one in made["figures"] + made["tables"]} | set(made["results"]) | {record.NAME}
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} == listed
    assert sum((folder / name).stat().st_size for name in made["results"]) <= 2_000_000
    pair = source.with_suffix(".ipynb")
    assert pair.stat().st_size <= 400_000
    cells = nbformat.read(pair, as_version=4).cells
    assert all(cell.outputs or cell.source for cell in cells if cell.cell_type == "code")
    errors = [output for cell in cells for output in cell.get("outputs", []) if output.output_type == "error"]
    assert not errors


# Units that several notebooks share, with the settings that they read.
DIGITS = ("images", "tests", "epochs", "rate", "seeds")
CAPSULES = ("capsules_dynamic", "capsules_em")
TURNED = ("step", "other_step", "every", "chunk", "seeds")
SHARED = {
    "generalizations: confused": (
        ("confused_pairs", "significance", "information", "interpretation"),
        ("images", "scored", "epochs", "trials", "arithmetic"),
    ),
    "invariants: dynamic": (
        CAPSULES,
        (*TURNED, "maps", "types", "hidden", "batch", "steps", "epoch", "rate", "looks", "followed", "drawing_step"),
    ),
    "invariants: convolutional": (
        CAPSULES,
        (*TURNED, "width", "momentum", "cnn_batch", "cnn_steps", "cnn_rate", "cnn_decay"),
    ),
    "mosaic: network": (
        ("focus_quality", "dirichlet_focus"),
        ("mosaics", "tests", "epochs_cnn", "epochs_mini", "batch", "lr"),
    ),
    "mosaic: trained": (
        ("random_labels", "memorisation"),
        ("network", "images", "true_images", "tests", "epochs", "batch", "optimizer", "lr", "milestones", "watched"),
    ),
    "reasonable: classifier": (("reasonnet", "new_data_points"), DIGITS),
    "reasonable: pair": (("net_reasoning", "new_data_points", "lambda"), DIGITS),
    "reasonable: fold": (("new_data_points", "lambda"), ("fold_images", "fold_epochs", "fold_seeds", "fold_rates")),
}


@pytest.mark.parametrize("shared", SHARED)
def test_notebooks_on_the_same_networks_train_them_alike(shared):
    """A setting changed in one of them only would train thousands of networks anew."""
    (source, unit), (names, settings) = shared.split(": "), SHARED[shared]
    found = {}
    for name in names:
        text = (ROOT / "notebooks" / source / f"{name}.py").read_text(encoding="utf-8")
        scale = {
            keyword.arg: {setting: ast.unparse(value) for setting, value in _settings(keyword.value)}
            for call in ast.walk(ast.parse(text))
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "run.scale"
            for keyword in call.keywords
        }
        chosen = {(profile, one): scale[profile][one] for profile in scale for one in settings}
        definition = re.search(rf"^def {unit}\(.*?(?=^\S)", text, re.MULTILINE | re.DOTALL)
        found[name] = str(chosen).replace("TRIALS", "50"), definition[0].strip()
    assert len(set(found.values())) == 1


def _settings(given):
    """Yield the settings of a profile: of one dict(...), or of several joined by |."""
    if isinstance(given, ast.BinOp):
        yield from _settings(given.left)
        yield from _settings(given.right)
    else:
        yield from ((keyword.arg, keyword.value) for keyword in given.keywords)
