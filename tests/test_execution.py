"""How Make runs notebooks: a small project with notebooks of its own, run through real kernels."""

import json
import os
import shutil
from pathlib import Path

import nbformat
import pytest

from companion import execution, pairs, record

HEAD = """\
# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% tags=["parameters"]
profile = "auto"
device = "auto"
seed = 0
"""

GOOD = (
    HEAD
    + """
# %%
import warnings

import matplotlib.pyplot as plt
from companion.run import Run

run = Run("mosaic/good", profile=profile, device=device, seed=seed)
scale = run.scale(smoke=dict(seeds=2), laptop=dict(seeds=3), paper=dict(seeds=5))

# %%
def unit(seed):
    return dict(square=seed**2)

table = run.sweep(unit, seed=run.seeds(scale.seeds))
figure, ax = plt.subplots(figsize=(2, 1))
line = ax.plot(table.seed, table.square, color="black")
run.figure("squares", figure, caption="Squares of seeds.")

# %%
run.claim("mosaic.s9.n_mosaics", 1000)
run.finish()
"""
)
BAD = HEAD + "\n# %%\nbefore = 6 * 7\nbefore\n\n# %%\nraise ArithmeticError('meant to fail')\n"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with one good notebook, run in its own root."""
    for name in [name for name in os.environ if name.startswith("COMPANION_")]:
        if name not in ("COMPANION_CACHE", "COMPANION_DATA"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("COMPANION_ROOT", str(tmp_path))
    (tmp_path / "notebooks" / "mosaic").mkdir(parents=True)
    (tmp_path / "notebooks" / "mosaic" / "good.py").write_text(GOOD)
    return tmp_path


def run(*arguments):
    return execution.main(["--profile", "laptop", "--device", "cpu", "--jobs", "1", *arguments])


def files(folder: Path) -> dict[str, tuple[bytes, int]]:
    kept = [path for path in folder.rglob("*") if path.is_file() and "build" not in path.parts]
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in kept}


@pytest.mark.slow
def test_one_notebook_from_nothing_to_up_to_date(project, capsys):
    assert run() == 0
    assert "mosaic/good" in (told := capsys.readouterr().out) and "3 units computed, 0 read back" in told
    folder = project / "figures" / "laptop" / "mosaic" / "good"
    made = json.loads((folder / record.NAME).read_text())
    record.validate(made)
    assert made["units"] == {"computed": 3, "read_back": 0} and made["profile"] == "laptop"
    assert made["claims"]["mosaic.s9.n_mosaics"]["verdict"] == "agrees"
    assert {path.name for path in folder.rglob("*.*")} == {record.NAME, "squares.png", "unit.parquet"}
    published = project / "notebooks" / "mosaic" / "good.ipynb"
    assert pairs.out_of_step(published.with_suffix(".py")) == ""
    cells = nbformat.read(published, as_version=4).cells
    assert not any("injected-parameters" in cell.metadata.get("tags", []) for cell in cells)
    assert not any(output.get("name") == "stderr" for cell in cells for output in cell.get("outputs", []))
    assert "papermill" not in published.read_text()

    before = files(project)
    assert run() == 0
    assert "0 notebooks to run, 1 up to date" in capsys.readouterr().out
    assert files(project) == before

    # A plot call changes: that notebook runs again, on the results that are there, and only its picture changes.
    source = project / "notebooks" / "mosaic" / "good.py"
    source.write_text(GOOD.replace('color="black"', 'color="green"'))
    assert run() == 0
    assert "0 units computed, 3 read back" in capsys.readouterr().out
    after = files(project)
    changed = {Path(name).name for name in after if after[name] != before.get(name)}
    assert changed == {"good.py", "good.ipynb", "squares.png", "REPORT.md", "report.html"} - {
        name for name in ("REPORT.md", "report.html") if after_same(before, after, name)
    }

    # A lost figure is noticed.
    (folder / "squares.png").unlink()
    assert run() == 0 and (folder / "squares.png").exists()


def after_same(before, after, name):
    return all(before.get(path) == content for path, content in after.items() if Path(path).name == name)


@pytest.mark.slow
def test_a_failing_notebook_does_not_stop_the_others(project, capsys):
    (project / "notebooks" / "mosaic" / "bad.py").write_text(BAD)
    assert execution.main(["--profile", "smoke", "--device", "cpu"]) == 1
    told = capsys.readouterr().out
    assert "mosaic/bad: FAILED: ArithmeticError: meant to fail" in told
    assert "[2/2] mosaic/good: " in told and "2 units computed" in told
    assert told.rstrip().endswith("the partly executed notebook is build/runs/smoke/mosaic/bad.ipynb")
    kept = nbformat.read(project / "build" / "runs" / "smoke" / "mosaic" / "bad.ipynb", as_version=4)
    assert any("42" in str(cell.get("outputs")) for cell in kept.cells)
    assert not (project / "figures" / "smoke" / "mosaic" / "bad").exists()
    # Smoke never touches what is committed.
    assert not list((project / "notebooks").rglob("*.ipynb"))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--profile", "huge"], "unknown profile 'huge'; the profiles are smoke, laptop, paper (or auto)"),
        (["--device", "tpu"], "unknown device 'tpu'; the devices are auto, cpu, cuda"),
        (["--results", "guess"], "RESULTS is one of compute, published, not 'guess'"),
        (["--jobs", "many"], "JOBS is the number of worker processes, a whole number of at least 1, not 'many'"),
        (["--jobs", "0"], "JOBS is the number of worker processes, a whole number of at least 1, not '0'"),
        (["--only", "cats"], "ONLY names 'cats', which is no notebook; there are mosaic, mosaic/good"),
        (["--scale", "seeds"], "SCALE has the part 'seeds'; it takes parts like seeds=1, separated by spaces"),
    ],
)
def test_a_wrong_value_gets_one_sentence(project, capsys, arguments, sentence):
    assert execution.main(arguments) == 2
    assert capsys.readouterr().err == f"{sentence}\n"


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"sede": 3}, "the notebook has no parameter 'sede'; its parameters are profile, device, seed"),
        ({"seed": "3"}, "the parameter seed is a int like 0, not '3'"),
        ({"seed": True}, "the parameter seed is a int like 0, not True"),
    ],
)
def test_parameters_are_checked(project, parameters, sentence):
    settings = execution.settings_from("smoke", "cpu", "", "compute", "1")
    with pytest.raises(ValueError, match="^" + sentence.replace("(", r"\(") + "$"):
        execution.execute("mosaic/good", settings, parameters)


def test_inputs_digest_follows_what_a_notebook_uses(project, monkeypatch):
    settings = execution.settings_from("smoke", "cpu", "", "compute", "1")
    first = execution.inputs_digest("mosaic/good", settings)
    assert execution.inputs_digest("mosaic/good", settings) == first
    other = execution.settings_from("laptop", "cpu", "", "compute", "1")
    assert execution.inputs_digest("mosaic/good", other) != first
    assert "companion.plots.lines" not in execution._imported("from companion.run import Run")
    assert "companion.plots.lines" in execution._imported("from companion import plots")
    assert "companion.models.lenet" in execution._imported("from companion import models")
    source = project / "notebooks" / "mosaic" / "good.py"
    source.write_text(GOOD + "\n# %%\n1 + 1\n")
    assert execution.inputs_digest("mosaic/good", settings) != first


def test_pairs_tell_where_they_differ(project):
    source = project / "notebooks" / "mosaic" / "good.py"
    assert "there is no .ipynb" in pairs.out_of_step(source)
    assert pairs.bring_in_step(source)
    assert pairs.out_of_step(source) == ""
    assert not pairs.bring_in_step(source)
    # Modification times say nothing: an older .ipynb with the same cells is in step.
    os.utime(source.with_suffix(".ipynb"), (0, 0))
    assert pairs.out_of_step(source) == ""
    source.write_text(GOOD.replace("seed**2", "seed**3"))
    assert pairs.out_of_step(source) == "mosaic/good: cell 3 of the .ipynb is not that of the .py"
    source.write_text(GOOD + "\n# %%\n1 + 1\n")
    assert "cells" in pairs.out_of_step(source)


def test_bring_in_step_keeps_the_outputs_of_unchanged_cells(project):
    source = project / "notebooks" / "mosaic" / "good.py"
    pairs.bring_in_step(source)
    path = source.with_suffix(".ipynb")
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text="kept")]
    notebook.metadata["language_info"] = {"name": "python", "version": "3.11.7"}  # as a kernel leaves it
    nbformat.write(notebook, path)
    source.write_text(GOOD.replace("seed**2", "seed**3"))
    assert execution.main(["--bring-in-step"]) == 0
    outputs = [len(cell.outputs) for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert outputs == [1, 1, 0, 1]
    assert nbformat.read(path, as_version=4).metadata["language_info"]["version"] == "3.11.7"
    shutil.copy(path, path.with_name("copy.ipynb"))
    assert execution.main(["--check-pairs"]) == 0
