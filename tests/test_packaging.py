"""Set-up files agree with one another."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONDA_NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base", "playwright": "playwright-python"}
CONDA_ONLY = {"python", "nodejs", "make", "pip"}


def named(requirement: str) -> tuple[str, str]:
    name, bounds = re.fullmatch(r"([A-Za-z0-9_.-]+)\s*(?:\[[^]]*\])?\s*(.*)", requirement).groups()
    return name.lower(), bounds.replace(" ", "")


def required(*extras: str) -> dict[str, str]:
    lists = [PROJECT["dependencies"], *(PROJECT["optional-dependencies"][extra] for extra in extras)]
    return dict(named(one) for some in lists for one in some)


def locked() -> dict[str, str]:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    return {line.split("==")[0].lower().replace("_", "-"): line.split("==")[1].split(" ;")[0] for line in lines}


def test_the_lock_pins_everything_that_is_required_within_its_range():
    from packaging.specifiers import SpecifierSet

    pins = locked()
    for name, bounds in required("lab", "cluster", "site", "test").items():
        assert pins[name] in SpecifierSet(bounds), f"{name} {pins[name]} is not {bounds}"


def test_the_lock_holds_versions_only():
    for line in (ROOT / "requirements.lock").read_text().splitlines():
        assert re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9_.+!-]+( ; sys_platform == \"linux\")?", line), line


def test_environment_yml_asks_for_the_same():
    text = (ROOT / "environment.yml").read_text()
    listed = dict(named(line) for line in re.findall(r"^  - ([a-z][^:\n]*)$", text, re.MULTILINE))
    wanted = {
        CONDA_NAMES.get(name, name): bounds for name, bounds in required("lab", "cluster", "site", "test").items()
    }
    assert {name: bounds for name, bounds in listed.items() if name not in CONDA_ONLY} == wanted
    assert listed["python"] == PROJECT["requires-python"]


def test_make_lists_every_target():
    text = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)[1].split()
    told = subprocess.run(["make", "-C", ROOT, "help"], capture_output=True, text=True, check=True).stdout
    for target in phony:
        assert f"make {target} " in told


@pytest.mark.parametrize("variable", ["PROFILE=huge", "DEVICE=tpu", "RESULTS=guess", "ONLY=cats", "JOBS=none"])
def test_make_refuses_a_wrong_value_in_one_sentence(variable):
    done = subprocess.run(["make", "-C", ROOT, "-s", "figures", variable], capture_output=True, text=True)
    sentences = [line for line in done.stderr.splitlines() if not line.startswith("make")]
    assert done.returncode != 0 and len(sentences) == 1 and variable.partition("=")[2] in sentences[0]
