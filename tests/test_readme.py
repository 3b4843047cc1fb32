"""What the README shows runs as it stands."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()

EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)

HEAD = """
from companion import data, models, plots, training
from companion.run import Run

profile, device, seed = "smoke", "cpu", 0
"""


def test_the_example_of_a_notebook_runs(tmp_path):
    example, _ = EXAMPLES
    script = tmp_path / "example.py"
    script.write_text(HEAD + example)
    settings = {"COMPANION_ROOT": str(tmp_path), "COMPANION_JOBS": "1", "PYTHONPATH": str(ROOT), "MPLBACKEND": "agg"}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COMPANION_")}
    done = subprocess.run([sys.executable, script], env=kept | settings, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "build" / "lab" / "smoke" / "mosaic" / "my_idea" / "loss.png").exists()


def test_the_example_of_many_networks_runs(tmp_path):
    _, example = EXAMPLES
    assert "range(500)" in example and "10_000" in example
    script = tmp_path / "example.py"
    script.write_text(example.replace("range(500)", "range(20)").replace("10_000", "2_000"))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COMPANION_")}
    settings = kept | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, script], env=settings, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert float(re.search(r"20 networks: ([\d.]+)% on average", done.stdout)[1]) > 50


def test_targets_variables_and_links_exist():
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"`?make ([a-z]+)", README):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for variable in re.findall(r"\b([A-Z]+)=", README):
        assert re.search(rf"^{variable} \?=", makefile, re.MULTILINE), variable
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / link).exists(), link
