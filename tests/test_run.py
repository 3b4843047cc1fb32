from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from companion import profiles, published, record
from companion.run import Run, root

SECTION = "understanding/told"
SCALES = dict(
    smoke=dict(epochs=1, seeds=2, layers=(0, 1)),
    laptop=dict(epochs=2, seeds=3, layers=(0, 1)),
    paper=dict(epochs=3, seeds=5, layers=(0, 1, 2)),
)
ALL = {profile: dict(tests=None if profile == "paper" else 10) for profile in SCALES}  # None: no limit
DRAW = "understanding.lenet.orig.orig"  # 98.94 percent, rule draw, needs the paper profile
SETUP = "understanding.ref.side"  # 10, rule equal, any profile will do

NOTEBOOK = """
import matplotlib.pyplot as plt
import numpy as np
from companion.run import Run


def story(profile, offset=0.0, scales=None, caption="What is seen."):
    run = Run("understanding/told", profile=profile, device="cpu")
    scale = run.scale(**scales)

    def unit(layer, pair, seed):
        draw = np.random.default_rng([seed, layer])
        curve = draw.random((2, scale.epochs)).astype(np.float32)
        return dict(accuracy=0.98 + 0.01 * draw.random() + offset, curve=curve, kind=str(layer), rank=seed)

    table = run.sweep(unit, layer=scale.layers, pair=[(0, 1), (0, 2)], seed=run.seeds(scale.seeds))
    run.table("means", table.groupby(["layer", "pair"]).accuracy.mean().reset_index(), caption="Means.")
    figure, ax = plt.subplots(figsize=(4, 3))
    ax.plot(np.stack(table.curve).mean(0).T)
    run.figure("curves", figure, caption=caption)
    accuracies = table[table.pair == (0, 1)].groupby("seed").accuracy.mean().to_numpy()
    run.claim("understanding.lenet.orig.orig", accuracies)
    run.claim("understanding.lenet.orig.orig", accuracies - 0.5, variant="corrected", reason="Told so.")
    run.claim("understanding.ref.side", 10)
    return run, table
"""


@pytest.fixture
def story(project: Path, notebook) -> Callable[..., tuple[Run, pd.DataFrame]]:
    """The cells of a small notebook, as a function; run it with `finish` for its files."""
    told = notebook(NOTEBOOK).story
    return lambda profile="laptop", scales=SCALES, **changes: told(profile, scales=scales, **changes)


def files(folder: Path) -> dict[str, tuple[int, bytes]]:
    found = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): (path.stat().st_mtime_ns, path.read_bytes()) for path in found}


def contents(folder: Path) -> dict[str, bytes]:
    return {name: content for name, (_, content) in files(folder).items()}


# --- what a run leaves


def test_a_run_leaves_figures_tables_results_and_a_valid_record(project, story):
    run, table = story()
    assert not run.folder.exists()  # a notebook that fails halfway leaves the last good figures
    shown = run.finish()
    assert run.folder == project / "build/figures/laptop" / SECTION
    assert sorted(files(run.folder)) == ["curves.png", "means.csv", "record.json", "results/unit.parquet"]

    told = json.loads((run.folder / "record.json").read_text(encoding="utf-8"))
    record.validate(told)
    assert told["notebook"] == SECTION and told["profile"] == "laptop" and told["device"] == "cpu"
    assert told["scale"] == {"epochs": 2, "seeds": 3, "layers": [0, 1]} and told["reduced"] is False
    assert told["seeds"] == 3 and told["arithmetic"] == "fp32" and told["digest"] == run.digest
    assert told["units"] == {"computed": 12, "read_back": 0}
    assert told["figures"] == [{"file": "curves.png", "caption": "What is seen.", "n": 3}]
    assert told["tables"] == [{"file": "means.csv", "caption": "Means."}]
    assert told["results"] == ["results/unit.parquet"]
    assert list(told["claims"]) == sorted([DRAW, SETUP])

    means = pd.read_csv(run.folder / "means.csv")
    np.testing.assert_allclose(means.accuracy, table.groupby(["layer", "pair"]).accuracy.mean(), rtol=1e-5)
    for word in (DRAW, SETUP, "98.94 %", "faithful (headline)", "corrected", "Told so.", "agrees", "inconclusive"):
        assert word in shown.data


def test_a_run_without_claims_says_so(project):
    assert Run(SECTION, profile="laptop").finish().data == "<p>No claim is judged here.</p>"


def test_a_figure_knows_where_it_came_from(story):
    run, _ = story()
    run.finish()
    with Image.open(run.folder / "curves.png") as picture:
        told = picture.text
    assert told["Title"] == f"{SECTION}: curves" and told["Description"] == "What is seen."
    assert told["Source"] == f"{SECTION} · laptop · n = 3 · fp32 on cpu · {run.digest[:10]}"
    assert json.loads(told["Comment"]) == {"digest": run.digest, "scale": {"epochs": 2, "seeds": 3, "layers": [0, 1]}}


def test_the_stamp_stands_in_the_margin(project, monkeypatch):
    for profile, words in (("laptop", "laptop · n = 7"), ("smoke", "SMOKE RUN: proves only that it runs")):
        run = Run(SECTION, profile=profile, device="cpu")
        figure, _ = plt.subplots()
        run.figure("a", figure, caption="A.", n=np.int64(7))
        assert words in " ".join(figure.texts[0].get_text().split())
        record.validate(run.record())


def test_a_second_run_writes_nothing(story):
    first, _ = story()
    first.finish()
    before = files(first.folder)
    again, _ = story()
    again.finish()
    assert again.record()["units"] == {"computed": 0, "read_back": 12}
    assert files(first.folder) == before


def test_changed_results_are_written_and_leftovers_dropped(story):
    run, _ = story()
    run.finish()
    before = files(run.folder)
    for name in ("old.png", "old.csv", "results/old.parquet"):
        (run.folder / name).write_bytes(b"")
    (run.folder / "notes.txt").write_text("mine", encoding="utf-8")
    changed, _ = story(offset=-0.2)
    changed.finish()
    after = files(run.folder)
    assert after.pop("notes.txt")[1] == b"mine"
    assert after.keys() == before.keys()
    assert all(after[name][1] != before[name][1] for name in before)


def test_a_changed_caption_alone_is_written(story):
    story()[0].finish()
    run, _ = story(caption="Something else.")
    run.finish()
    assert (
        json.loads((run.folder / "record.json").read_text(encoding="utf-8"))["figures"][0]["caption"]
        == "Something else."
    )


def test_a_csv_has_six_digits_and_an_index_where_there_is_one(project):
    run = Run(SECTION, profile="smoke", device="cpu")
    run.table("plain", pd.DataFrame({"a": [1 / 3], "b": ["x"]}))
    run.table("indexed", pd.DataFrame({"a": [1.5]}, index=pd.Index(["x"], name="kind")))
    run.finish()
    assert (run.folder / "plain.csv").read_text(encoding="utf-8") == "a,b\n0.333333,x\n"
    assert (run.folder / "indexed.csv").read_text(encoding="utf-8") == "kind,a\nx,1.5\n"


# --- claims


def test_claims_keep_every_variant_and_the_row_names_the_headline(story):
    run, _ = story(profile="paper")
    entry = run.record()["claims"][DRAW]
    assert entry["variant"] == "faithful" and entry["rule"] == "draw" and entry["reported"] == 98.94
    assert entry["variants"].keys() == {"faithful", "corrected"}
    assert entry["verdict"] == entry["variants"]["faithful"]["verdict"]
    assert entry["variants"]["corrected"]["reason"] == "Told so."
    assert entry["variants"]["faithful"]["n"] == 5
    low, mean, high = (entry["variants"]["faithful"][name] for name in ("low", "mean", "high"))
    assert 0.98 < low < mean < high < 0.99


def test_a_claim_without_its_headline_variant_is_not_attempted(project):
    run = Run(SECTION, profile="paper", device="cpu")
    run.claim(DRAW, [0.5, 0.51, 0.52, 0.5, 0.49], variant="corrected")
    assert run.record()["claims"][DRAW]["verdict"] == "not attempted"


def test_a_smaller_run_leaves_the_verdict_open_and_says_why(story):
    run, _ = story(profile="laptop")
    entry = run.record()["claims"]
    assert entry[SETUP]["verdict"] == "agrees"
    assert entry[DRAW]["verdict"] == "inconclusive"
    assert entry[DRAW]["variants"]["faithful"]["reason"] == "a draw needs 5 values, 3 given"
    assert entry[DRAW]["variants"]["corrected"]["reason"] == "a draw needs 5 values, 3 given. Told so."


def test_a_claim_takes_a_statistic_of_the_whole_study(project):
    run = Run(SECTION, profile="paper", device="cpu")
    assert run.claim(DRAW, estimate=0.5, low=0.495, high=0.505, n=20) == "differs"
    (variant,) = run.record()["claims"][DRAW]["variants"].values()
    assert (variant["mean"], variant["n"]) == (0.5, 20)


def test_an_unknown_claim_is_told_with_what_is_close(project):
    run = Run(SECTION, profile="smoke", device="cpu")
    with pytest.raises(
        KeyError, match=r"there is no claim 'understanding.lenet.orig.origin' .* close .*lenet.orig.orig"
    ):
        run.claim("understanding.lenet.orig.origin", [0.5])


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([0.98, np.nan], "the value nan is given"),
        ([0.98, np.inf], "the value inf is given"),
        ([98.94, 98.9], r"98.94 is given; allowed is a share in \[0, 1\]; percent are given as shares"),
        ([-0.1], "the value -0.1 is given"),
        ([], "values of shape"),
    ],
)
def test_values_that_cannot_be_are_refused(project, values, said):
    run = Run(SECTION, profile="smoke", device="cpu")
    with pytest.raises(ValueError, match=said):
        run.claim(DRAW, values)
    assert run.record()["claims"] == {}


# --- RESULTS=published


def publish(run: Run, project: Path) -> None:
    shutil.copytree(run.folder, project / "figures" / run.profile / run.section)
    shutil.rmtree(project / "build")


@pytest.mark.parametrize("overrides", ["", "epochs=5 layers=(1,)"])
def test_published_results_give_the_same_files_without_a_store(project, story, monkeypatch, overrides):
    monkeypatch.setenv("COMPANION_SCALE", overrides)
    run, table = story()
    run.finish()
    before, told = contents(run.folder), run.record()
    publish(run, project)
    monkeypatch.delenv("COMPANION_SCALE")
    monkeypatch.setenv("COMPANION_RESULTS", "published")
    again, read = story()
    again.finish()
    pd.testing.assert_frame_equal(read.drop(columns="curve"), table.drop(columns="curve"))
    for one, other in zip(read.curve, table.curve, strict=True):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype
    after = contents(again.folder)
    assert after.pop("record.json") and before.pop("record.json")
    assert after == before
    assert not (project / "build/store").exists()
    for name in record.VOLATILE[:1]:
        told.pop(name)
    assert {name: value for name, value in again.record().items() if name in told} == told


def test_without_published_results_it_is_said(project, story, monkeypatch):
    monkeypatch.setenv("COMPANION_RESULTS", "published")
    with pytest.raises(FileNotFoundError, match=r"no published results at .*RESULTS=compute computes them"):
        story()
    with pytest.raises(FileNotFoundError, match=r"no published results at .*RESULTS=compute computes them"):
        published.read_table(project / "none.parquet")


def test_published_tables_come_back_as_they_were(tmp_path):
    table = pd.DataFrame(
        {
            "whole": [1, 2], "real": [0.1, np.nan], "yes": [True, False], "text": ["a", "é"], "pair": [(0, 1), (0, 2)],
            "bytes": [np.arange(4, dtype=np.uint8).reshape(2, 2)] * 2, "mask": [np.array([True])] * 2,
            "single": [np.full((1, 2, 3), np.nan, dtype=np.float32)] * 2,
        }
    )  # fmt: skip
    path = tmp_path / "results" / "a.parquet"
    assert published.write_table(path, table, "1")
    assert not published.write_table(path, table, "1")
    read, digest = published.read_table(path)
    assert digest == "1" and list(read) == list(table)
    plain = ["whole", "real", "yes", "text", "pair"]
    pd.testing.assert_frame_equal(read[plain], table[plain])
    assert [type(cell) for cell in read.pair] == [tuple, tuple]
    for name in ("bytes", "mask", "single"):
        for one, other in zip(read[name], table[name], strict=True):
            assert one.dtype == other.dtype and one.shape == other.shape and one.flags.writeable
            np.testing.assert_array_equal(one, other)
    assert published.write_table(path, table, "2")


def test_published_arrays_of_a_column_have_one_shape(tmp_path):
    table = pd.DataFrame({"curve": [np.zeros(2), np.zeros(3)]})
    with pytest.raises(TypeError, match=re.escape("the arrays of 'curve' have the shapes [(2,), (3,)]")):
        published.write_table(tmp_path / "a.parquet", table, "1")


# --- profile, device, scale


def test_profile_and_device_come_from_the_call_then_the_environment_then_the_machine(monkeypatch):
    assert profiles.resolve_profile("auto", "cuda") == "paper" and profiles.resolve_profile("auto", "cpu") == "laptop"
    for nothing in ("", "auto"):
        monkeypatch.setenv("COMPANION_PROFILE", nothing)
        monkeypatch.setenv("COMPANION_DEVICE", nothing)
        assert profiles.resolve_profile("auto", "cpu") == "laptop"
        assert profiles.resolve_device("auto") in ("cpu", "cuda")
    monkeypatch.setenv("COMPANION_PROFILE", "smoke")
    monkeypatch.setenv("COMPANION_DEVICE", "cpu")
    assert profiles.resolve_profile("auto", "cuda") == "smoke" and profiles.resolve_device("auto") == "cpu"
    assert profiles.resolve_profile("paper") == "paper"


def test_unknown_settings_are_told_with_those_that_are_known(project, monkeypatch):
    with pytest.raises(ValueError, match="unknown profile 'big'; the profiles are smoke, laptop, paper"):
        Run(SECTION, profile="big", device="cpu")
    with pytest.raises(ValueError, match="unknown device 'tpu'; the devices are auto, cpu, cuda"):
        Run(SECTION, profile="smoke", device="tpu")
    for section in ("told", "nowhere/told", "mosaic/"):
        with pytest.raises(ValueError, match=f"a section is written source/name .* not '{section}'"):
            Run(section, profile="smoke", device="cpu")
    monkeypatch.setenv("COMPANION_RESULTS", "guess")
    with pytest.raises(ValueError, match="RESULTS is one of compute, published, not 'guess'"):
        Run(SECTION, profile="smoke", device="cpu")


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ("epoch=1", "SCALE sets 'epoch', which is no setting here; the settings are epochs, layers, seeds"),
        ("epochs=0.5", "SCALE sets epochs=0.5, a float; it must be a int like 1"),
        ("epochs=many", "SCALE sets epochs='many', a str; it must be a int like 1"),
        ("layers=1", r"SCALE sets layers=1, a int; it must be a tuple like \(0, 1\)"),
        ("epochs", "SCALE has the part 'epochs'; it takes parts like seeds=1"),
        ("epochs=", "SCALE has the part 'epochs='"),
    ],
)
def test_overrides_that_do_not_fit_are_told(project, monkeypatch, overrides, said):
    monkeypatch.setenv("COMPANION_SCALE", overrides)
    with pytest.raises(ValueError, match=said):
        Run(SECTION, profile="smoke", device="cpu").scale(**SCALES)


def test_a_setting_without_a_limit_can_be_given_one(project, monkeypatch):
    monkeypatch.setenv("COMPANION_SCALE", "tests=5")
    assert Run(SECTION, profile="paper", device="cpu").scale(**ALL).tests == 5
    monkeypatch.setenv("COMPANION_SCALE", "tests=None")
    assert Run(SECTION, profile="laptop", device="cpu").scale(**ALL).tests is None
    monkeypatch.setenv("COMPANION_SCALE", "tests=few")
    with pytest.raises(ValueError, match="SCALE sets tests='few', a str; it must be None or a int like 10"):
        Run(SECTION, profile="paper", device="cpu").scale(**ALL)


def test_a_renamed_sweep_does_not_count_twice(project, monkeypatch):
    def finished(name):
        run = Run(SECTION, profile="smoke", device="cpu")
        run.sweep(unit, seed=run.seeds(1), name=name)
        run.finish()
        return run.folder / "results"

    def unit(seed):
        return dict(noise=np.random.default_rng(seed).random(1000))

    whole = sum(path.stat().st_size for path in finished("first").iterdir())
    monkeypatch.setattr(published, "LIMIT_BYTES", int(1.5 * whole))
    assert [path.name for path in finished("second").iterdir()] == ["second.parquet"]


def test_points_and_arguments_are_not_given_together(project):
    def unit(seed, epochs=10):
        return dict(value=epochs)

    with pytest.raises(TypeError, match="the sweep is given points and epochs; it takes one or the other"):
        Run(SECTION, profile="smoke", device="cpu").sweep(unit, [dict(seed=0)], epochs=5)


def test_every_profile_has_the_same_settings(project):
    run = Run(SECTION, profile="smoke", device="cpu")
    with pytest.raises(ValueError, match="a scale is given for smoke, laptop, paper, not for smoke"):
        run.scale(smoke=dict(a=1))
    with pytest.raises(ValueError, match="every profile needs the same settings; b stands in some profiles only"):
        run.scale(smoke=dict(a=1), laptop=dict(a=1, b=2), paper=dict(a=1, b=2))


def test_an_override_makes_a_reduced_run_everywhere(project, story, monkeypatch):
    monkeypatch.setenv("COMPANION_SCALE", "epochs=1")
    run, _ = story(profile="paper")
    run.finish()
    told = run.record()
    assert told["reduced"] is True and told["scale"]["epochs"] == 1
    with Image.open(run.folder / "curves.png") as picture:
        assert "reduced: epochs=1 seeds=5 layers=(0, 1, 2)" in picture.text["Source"]
    corrected = told["claims"][DRAW]["variants"]["corrected"]
    assert corrected["verdict"] == "inconclusive"
    monkeypatch.delenv("COMPANION_SCALE")
    values = corrected["mean"] + np.arange(-2, 3) / 1000
    plain = Run(SECTION, profile="paper", device="cpu").claim(DRAW, values, variant="corrected")
    assert plain == "differs"  # the same on the full scale


def test_an_override_with_the_profiles_own_value_changes_nothing(project, monkeypatch):
    monkeypatch.setenv("COMPANION_SCALE", "epochs=1 seeds=2")
    run = Run(SECTION, profile="smoke", device="cpu")
    assert vars(run.scale(**SCALES)) == SCALES["smoke"] and not run.reduced


def test_seeds_begin_with_the_runs_own(project):
    run = Run(SECTION, profile="smoke", device="cpu", seed=10)
    assert run.seeds(3) == [10, 11, 12] and run.seeds(1) == [10]
    assert run.record()["seeds"] == 3


# --- sweeps of one notebook

TWICE = """
from companion.run import Run
def unit(seed):
    return dict(value=seed)
"""


def test_two_sweeps_of_one_name_are_refused_unless_a_cell_is_run_again(project, notebook, monkeypatch):
    unit = notebook(TWICE).unit
    run = Run(SECTION, profile="smoke", device="cpu")
    run.sweep(unit, seed=[0])
    run.sweep(unit, seed=[1], name="more")
    with pytest.raises(ValueError, match="two sweeps called 'unit'; give one of them name="):
        run.sweep(unit, seed=[1])
    monkeypatch.delenv("COMPANION_HEADLESS")
    assert run.sweep(unit, seed=[1]).value.to_list() == [1]
    assert run.record()["results"] == ["results/more.parquet", "results/unit.parquet"]


def test_a_table_handed_out_is_the_readers_own(project, notebook):
    run = Run(SECTION, profile="smoke", device="cpu")
    table = run.sweep(notebook(TWICE).unit, seed=[0, 1])
    table["value"] = 7
    run.finish()
    read, _ = published.read_table(run.folder / "results" / "unit.parquet")
    assert read.value.to_list() == [0, 1]


@pytest.mark.parametrize(("used", "sets"), [("data.mnist", ["mnist"]), ("data.cifar10", ["cifar10"]), ("None", [])])
def test_the_record_holds_the_checksums_of_the_data_that_are_named(project, notebook, used, sets):
    source = f"from companion import data\ndef unit(seed):\n    return dict(value=1 if {used} else 0)\n"
    run = Run(SECTION, profile="smoke", device="cpu")
    run.sweep(notebook(source).unit, seed=[0])
    told = run.record()["data"]
    assert sorted(told) == sets
    for sums in told.values():
        assert all(re.fullmatch("[0-9a-f]{64}", one) for one in sums.values()) and len(sums) == 4


def test_outputs_of_a_run_by_hand_stay_in_the_build_folder(project, monkeypatch):
    monkeypatch.delenv("COMPANION_OUTPUT")
    assert root() == project
    assert Run(SECTION, profile="smoke", device="cpu").folder == project / "build/lab/smoke" / SECTION
