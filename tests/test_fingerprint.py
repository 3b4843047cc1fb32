"""Rule 1: a result is keyed by everything that it depends on, and by nothing else."""

from __future__ import annotations

import ast
import graphlib
import json
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import companion
from companion.fingerprint import Undeclared, dependencies, digest
from companion.source import VERIFIED
from companion.sweep import grid, sweep

ROOT = Path(companion.__file__).parent

NOTEBOOK = '''
from companion import data, models, training
from companion.fingerprint import Scale

scale = Scale(epochs=2, images=10, seeds=5)
WIDTH = 3
UNUSED = 7


def helper(x, power=2):
    """Help."""
    return WIDTH * x**power


def picture(table):
    return table.plot()


def unit(a, seed, b=1):
    """Compute."""
    if a < 0:  # never: what is named counts, not what is called
        training.fit(models.LeNet5(seed=seed), data.mnist("train"), seed=seed, epochs=scale.epochs, lr=0.1)
    return dict(value=helper(a) + b)
'''

OTHER_KEY = {
    "unit": ("helper(a) + b", "helper(a) - b"),
    "helper": ("WIDTH * x**power", "WIDTH + x**power"),
    "global": ("WIDTH = 3", "WIDTH = 4"),
    "type of a global": ("WIDTH = 3", "WIDTH = 3.0"),
    "default of the unit": ("b=1", "b=2"),
    "default of a helper": ("power=2", "power=3"),
    "scale that is read": ("epochs=2", "epochs=3"),
    "name of what the package gives": ("models.LeNet5(seed=seed)", "models.MLP((3, 3), seed=seed)"),
}
SAME_KEY = {
    "comment": ("# never: what is named counts, not what is called", "# Never."),
    "docstring of the unit": ('"""Compute."""', '"""Compute it."""'),
    "no docstring": ('    """Help."""\n', ""),
    "layout": ("dict(value=helper(a) + b)", "dict(\n        value=(helper(a) + b),\n    )"),
    "plot": ("table.plot()", "table.plot.scatter()"),
    "scale that is not read": ("images=10", "images=20"),
    "number of seeds": ("seeds=5", "seeds=20"),
    "global that is not read": ("UNUSED = 7", "UNUSED = 8"),
    "line numbers": ("WIDTH = 3", "\n\n\nWIDTH = 3"),
    "order of definitions": ("WIDTH = 3\nUNUSED = 7", "UNUSED = 7\nWIDTH = 3"),
}


def changed(source: str, old: str, new: str) -> str:
    assert source.count(old) == 1
    return source.replace(old, new)


@pytest.fixture
def key(notebook) -> Callable[[str], str]:
    return lambda source: dependencies(notebook(source).unit).digest()


@pytest.mark.parametrize("change", OTHER_KEY.values(), ids=OTHER_KEY)
def test_what_a_unit_depends_on_changes_its_key(key, change):
    assert key(NOTEBOOK) != key(changed(NOTEBOOK, *change))


@pytest.mark.parametrize("change", SAME_KEY.values(), ids=SAME_KEY)
def test_what_a_unit_does_not_depend_on_leaves_its_key(key, change):
    assert key(NOTEBOOK) == key(changed(NOTEBOOK, *change))


# --- arguments, device, torch


@pytest.fixture
def asked(store, notebook) -> Callable[..., tuple[int, int]]:
    """Sweep a unit over points and return how many were computed and read back."""
    unit = notebook("def unit(seed, a=0):\n    return dict(value=a)").unit

    def ask(points, device="cpu"):
        found = sweep(unit, points, store=store, device=device)
        return found.computed, found.read_back

    return ask


def test_arguments_are_in_the_key(asked):
    assert asked(grid(a=[1, 2], seed=[0, 1])) == (4, 0)
    assert asked(grid(a=[1, 2, 3], seed=[0, 1, 2])) == (5, 4)
    assert asked(grid(a=[1.0, True, "1", None, (1,)], seed=0)) == (5, 0)  # not the 1 of before
    assert asked([{"a": [1]}, {"seed": 0}][1:]) == (1, 0)  # left to the default


def test_order_of_the_arguments_is_not_in_the_key(asked):
    assert asked([{"a": 1, "seed": 0}]) == (1, 0)
    assert asked([{"seed": 0, "a": 1}]) == (0, 1)


def test_device_and_minor_version_of_torch_are_in_the_key(asked, monkeypatch):
    points = grid(a=1, seed=[0, 1])
    assert asked(points) == (2, 0)
    assert asked(points, device="meta") == (2, 0)
    major, minor, _ = torch.__version__.split(".", 2)
    monkeypatch.setattr(torch, "__version__", f"{major}.{minor}.99")
    assert asked(points) == (0, 2)
    monkeypatch.setattr(torch, "__version__", f"{major}.{int(minor) + 1}.0")
    assert asked(points) == (2, 0)


# --- across processes, with edited packages

SWEEP = """
import sys
from companion.store import Store
from companion.sweep import grid, sweep

found = sweep(unit, grid(a=[1, 2], seed=[0, 1]), store=Store(sys.argv[1]))
print(found.computed, found.read_back, found.digest)
"""
CODE = {
    "a model": ("models/lenet.py", "nn.Conv2d(1, 6, 5", "nn.Conv2d(1, 7, 5"),
    "a module imported in turn": ("models/pixels.py", '"[0,1]": (1, 0, 255)', '"[0,1]": (1, 0, 256)'),
    "a module imported by many": ("seeds.py", '"big"', '"little"'),
    "the training loop": ("training/one.py", "net.train()", "net.eval()"),
    "the checksum of the data": ("data/images.py", '"train_images": "7', '"train_images": "8'),
}
NO_CODE = {
    "a docstring": ("models/lenet.py", '"""LeNet-5 as', '"""LeNet-6 as'),
    "a comment": ("models/pixels.py", "# coded =", "# Coded ="),
    "the layout": ("models/lenet.py", "features = ", "features  =  "),
    "another model": ("models/cnn.py", "class CifarCNN(nn.Module):", "class CifarCNN(nn.Module):\n    more = 1\n"),
    "a plot": ("plots/lines.py", None, "def another(table):\n    return table\n"),
    "a new model": ("models/new.py", None, "WIDTH = 1\n"),
    "the way data are fetched": ("data/download.py", None, "MORE = 1\n"),
}


def edit(package: Path, file: str, old: str | None, new: str) -> None:
    path = package / file
    source = path.read_text(encoding="utf-8") if path.exists() else ""
    if old is not None:
        assert old in source
    path.write_text(source + new if old is None else source.replace(old, new), encoding="utf-8")


@pytest.fixture(scope="module")
def computed(fresh, tmp_path_factory) -> tuple[Path, Path, str]:
    """A notebook that was run once: the script, its store and the digest of its results."""
    folder = tmp_path_factory.mktemp("computed")
    script = folder / "notebook.py"
    script.write_text(NOTEBOOK + SWEEP, encoding="utf-8")
    ran = fresh(script, folder / "store")
    assert ran.returncode == 0, ran.stderr
    counted, results = ran.stdout.rsplit(maxsplit=1)
    assert counted == "4 0"
    return script, folder / "store", results


@pytest.mark.parametrize("change", CODE.values(), ids=CODE)
def test_changed_code_of_the_package_is_noticed(fresh, computed, package, change):
    edit(package, *change)
    ran = fresh(*computed[:2], package=package)
    assert ran.stdout.startswith("4 0 "), ran.stderr


@pytest.mark.parametrize("change", NO_CODE.values(), ids=NO_CODE)
def test_anything_else_in_the_package_leaves_what_exists(fresh, computed, package, change):
    edit(package, *change)
    ran = fresh(*computed[:2], package=package)
    assert ran.stdout.split() == ["0", "4", computed[2]], ran.stderr


def test_an_ordinary_process_reads_back_and_notices_changed_sources(computed, tmp_path):
    script, store, results = computed
    other = tmp_path / "elsewhere.py"
    other.write_text(changed(NOTEBOOK, "helper(a) + b", "helper(a) * b") + SWEEP, encoding="utf-8")
    outputs = []
    for path, hash_seed in ((script, "1"), (other, "2")):
        environment = {"PYTHONPATH": str(ROOT.parent), "COMPANION_HEADLESS": "1", "PYTHONHASHSEED": hash_seed}
        ran = subprocess.run(
            [sys.executable, path, store], env=environment, capture_output=True, text=True, timeout=300, check=True
        )
        outputs.append(ran.stdout.split())
    assert outputs[0] == ["0", "4", results]
    assert outputs[1][:2] == ["4", "0"]


# --- cells

CELLS = '''
import dataclasses
from torch import nn
from companion import models
from companion.fingerprint import Scale
# %%
WIDTH = 1000
HEIGHT = 1000
# %%
scale = Scale(epochs=2)
class Net(nn.Module):
    """A network."""
    width = WIDTH

    def __init__(self):
        super().__init__()
        self.inner = models.LeNet5(seed=0)

    @property
    def height(self):
        return HEIGHT
# %%
@dataclasses.dataclass(frozen=True)
class Setting:
    lr: float = 0.1

    def rate(self):
        return self.lr

SETTING = Setting()
# %%
def even(n):
    return n == 0 or odd(n - 1)
# %%
def odd(n):
    return n != 0 and even(n - 1)
# %%
square = lambda x: (  # noqa: E731
    x * x
)
def make(k):
    def scaled(x):
        return k * x
    return scaled
triple = make(3)
# %%
def unit(a, seed):
    net = Net()
    return dict(value=square(a) + even(4) + triple(a) + net.width + SETTING.rate() + scale.epochs)
'''
SHELL = """
import json, sys
from pathlib import Path
from IPython.core.interactiveshell import InteractiveShell
from companion.fingerprint import dependencies

shell = InteractiveShell.instance()
for history in json.loads(Path(sys.argv[1]).read_text()):
    for cell in history:
        shell.run_cell(cell).raise_error()
    print(dependencies(shell.user_ns["unit"]).digest())
"""


def test_functions_and_classes_of_cells(fresh, tmp_path):
    cells = CELLS.split("# %%\n")
    edits = {
        2: ("return HEIGHT", "return HEIGHT + 1"),
        3: ("return self.lr", "return -self.lr"),
        5: ("n - 1", "n - 3"),
        6: ("x * x", "x + x"),
    }
    histories = [cells]
    for number, change in edits.items():  # edit a cell and run it again with all below, then put it back
        histories += [[changed(cells[number], *change), *cells[number + 1 :]], cells[number:]]
    given = tmp_path / "cells.json"
    given.write_text(json.dumps(histories), encoding="utf-8")
    shell = tmp_path / "shell.py"
    shell.write_text(SHELL, encoding="utf-8")
    script = tmp_path / "script.py"
    script.write_text(CELLS + "from companion.fingerprint import dependencies\nprint(dependencies(unit).digest())\n")
    ran = fresh(shell, given)
    assert ran.returncode == 0, ran.stderr
    keys = ran.stdout.split()
    assert len(set(keys)) == 1 + len(edits)  # every edit is noticed
    assert set(keys[::2]) == {keys[0]}  # and forgotten
    assert fresh(script).stdout.split() == keys[:1]  # a script has the key of the same cells


# --- whatever else a unit can use

PAIRS = {
    "lambda": ("square = lambda x: x * x", "square = lambda x: x + x"),
    "lambda of several lines": ("square = (\n    lambda x: x\n    * 2\n)", "square = (\n    lambda x: x\n    * 3\n)"),
    "partial": (
        "import functools\ndef f(k, x):\n    return k * x\nsquare = functools.partial(f, 2)",
        "import functools\ndef f(k, x):\n    return k * x\nsquare = functools.partial(f, 3)",
    ),
    "function of a partial": (
        "import functools\ndef f(k, x):\n    return k * x\nsquare = functools.partial(f, 2)",
        "import functools\ndef f(k, x):\n    return k + x\nsquare = functools.partial(f, 2)",
    ),
    "closure": (
        "def make(k):\n    def f(x):\n        return x * k\n    return f\nsquare = make(2)",
        "def make(k):\n    def f(x):\n        return x * k\n    return f\nsquare = make(3)",
    ),
    "closures of one factory": (
        """
        def make(k):
            def f(x):
                return x * k
            return f
        one, two, three = make(1), make(2), make(1)
        def square(x):
            return one(two(three(x)))
        """,
        """
        def make(k):
            def f(x):
                return x * k
            return f
        one, two, three = make(1), make(2), make(2)
        def square(x):
            return one(two(three(x)))
        """,
    ),
    "recursion": (
        "def square(x):\n    return 1 if x < 1 else square(x - 1)",
        "def square(x):\n    return 1 if x < 1 else square(x - 2)",
    ),
    "mutual recursion": (
        "def square(x):\n    return x < 1 or other(x - 1)\ndef other(x):\n    return x < 1 or square(x - 1)",
        "def square(x):\n    return x < 1 or other(x - 1)\ndef other(x):\n    return x < 1 or square(x - 2)",
    ),
    "default worked out elsewhere": (
        "N = 1\ndef square(x, n=N):\n    return x * n",
        "N = 2\ndef square(x, n=N):\n    return x * n",
    ),
    "keyword default": ("def square(x, *, n=1):\n    return n", "def square(x, *, n=2):\n    return n"),
    "decorator": (
        """
        import functools
        def twice(f):
            @functools.wraps(f)
            def wrapped(x):
                return 2 * f(x)
            return wrapped
        @twice
        def square(x):
            return x
        """,
        """
        import functools
        def twice(f):
            @functools.wraps(f)
            def wrapped(x):
                return 3 * f(x)
            return wrapped
        @twice
        def square(x):
            return x
        """,
    ),
    "method": (
        "class square:\n    def __init__(self, x):\n        self.x = x",
        "class square:\n    def __init__(self, x):\n        self.x = -x",
    ),
    "base class": (
        "class B:\n    def f(self):\n        return 1\nclass square(B):\n    def __init__(self, x):\n        self.f()",
        "class B:\n    def f(self):\n        return 2\nclass square(B):\n    def __init__(self, x):\n        self.f()",
    ),
    "global in the body of a class": (
        "N = 1\nclass square:\n    n = N\n    def __init__(self, x):\n        self.x = x",
        "N = 2\nclass square:\n    n = N\n    def __init__(self, x):\n        self.x = x",
    ),
    "global in a property": (
        """
        N = 1
        class square:
            def __init__(self, x):
                self.x = x
            @property
            def n(self):
                return N
        """,
        """
        N = 2
        class square:
            def __init__(self, x):
                self.x = x
            @property
            def n(self):
                return N
        """,
    ),
    "class of a name that is used twice": (
        """
        class square:
            def __init__(self, x):
                self.x = x
        Old = square
        class square:
            def __init__(self, x):
                self.x = 2 * x
        """,
        """
        class square:
            def __init__(self, x):
                self.x = x
        Old = square
        class square:
            def __init__(self, x):
                self.x = 3 * x
        """,
    ),
    "method behind a torch decorator": (
        """
        import torch
        class square:
            @torch.no_grad()
            def __init__(self, x):
                self.x = x
        """,
        """
        import torch
        class square:
            @torch.no_grad()
            def __init__(self, x):
                self.x = 2 * x
        """,
    ),
    "array": (
        "import numpy as np\nA = np.arange(3)\ndef square(x):\n    return A[x]",
        "import numpy as np\nA = np.arange(3.0)\ndef square(x):\n    return A[x]",
    ),
    "table, by its index": (
        "import pandas as pd\nA = pd.Series([1, 2], index=['a', 'b'])\ndef square(x):\n    return A['a']",
        "import pandas as pd\nA = pd.Series([1, 2], index=['b', 'a'])\ndef square(x):\n    return A['a']",
    ),
    "method of a dataclass that a global holds": (
        """
        from dataclasses import dataclass
        @dataclass
        class Setting:
            lr: float
            def rate(self):
                return self.lr
        S = Setting(0.1)
        def square(x):
            return S.rate()
        """,
        """
        from dataclasses import dataclass
        @dataclass
        class Setting:
            lr: float
            def rate(self):
                return -self.lr
        S = Setting(0.1)
        def square(x):
            return S.rate()
        """,
    ),
    "scale handed on whole": (
        """
        from companion.fingerprint import Scale
        scale = Scale(a=1, b=1)
        def read(s):
            return s.b
        def square(x):
            return read(scale)
        """,
        """
        from companion.fingerprint import Scale
        scale = Scale(a=1, b=2)
        def read(s):
            return s.b
        def square(x):
            return read(scale)
        """,
    ),
}
CASES = """
import dataclasses
@dataclasses.dataclass(frozen=True)
class Case:
    k: int
    def value(self, x):
        return self.k {} x
@dataclasses.dataclass(frozen=True, slots=True)
class Slotted:
    k: Case
cases = {}
def square(x):
    return {}.value(x)
"""
for kind, held, taken in (
    ("dict", "{'a': Case(2)}", "cases['a']"),
    ("tuple in a list", "[(1, Case(2))]", "cases[0][1]"),
    ("field", "Case(Case(2))", "cases.k"),
    ("field without a dict", "Slotted(Case(2))", "cases.k"),
):
    PAIRS[f"method of an instance in a {kind}"] = (CASES.format("*", held, taken), CASES.format("+", held, taken))
UNIT = "\ndef unit(a, seed):\n    return dict(value=square(a))\n"


@pytest.mark.parametrize("sources", PAIRS.values(), ids=PAIRS)
def test_whatever_a_unit_uses_changes_its_key(key, sources):
    one, other = (textwrap.dedent(source) + UNIT for source in sources)
    assert key(one) == key(one)
    assert key(one) != key(other)


def test_one_object_under_two_names_is_as_two_equal_objects(notebook):
    """A script holds one object for equal constants, cells hold two."""
    source = "A = 1000\nB = {}\ndef unit(seed):\n    return dict(value=A + B)\n"
    one, other = (notebook(source.format(b)) for b in ("1000", "int('1000')"))
    assert one.A is one.B and other.A is not other.B
    assert dependencies(one.unit).digest() == dependencies(other.unit).digest()


def test_a_file_beside_the_notebook_is_followed(notebook):
    keys = set()
    for factor, model in ((1, "LeNet5"), (2, "LeNet5"), (1, "MLP")):
        helpers = f"from companion import models\nN = {factor}\ndef f(x):\n    return models.{model}, N * x\n"
        notebook(helpers, name="told_helpers")
        told = dependencies(notebook("import told_helpers\ndef unit(seed):\n    return told_helpers.f(seed)\n").unit)
        assert f"companion.models.{'lenet' if model == 'LeNet5' else 'mlp'}" in told.modules
        keys.add(told.digest())
    assert len(keys) == 3


REACHED = {
    "room.Class": ("from companion import models", "models.LeNet5(seed=0)", {"lenet", "pixels"}),
    "Class": ("from companion.models import LeNet5", "LeNet5(seed=0)", {"lenet", "pixels"}),
    "package.room.Class": ("import companion.models", "companion.models.LeNet5(seed=0)", {"lenet", "pixels"}),
    "another name": ("from companion.models import LeNet5 as Net", "Net(seed=0)", {"lenet", "pixels"}),
    "file.Class": ("from companion.models import lenet", "lenet.LeNet5(seed=0)", {"lenet", "pixels"}),
    "function": ("from companion import models", "models.flip_first_layer", {"lenet", "pixels"}),
    "constant": ("from companion import models", "models.CODINGS", {"pixels"}),
    "constant of a file": ("from companion.models import pixels", "pixels.CODINGS", {"pixels"}),
    "by a computed name": ("from companion import models", "getattr(models, 'LeNet5')", None),
    "attribute of a class": ("from companion import models", "models.MLP.forward", {"mlp"}),
}  # fmt: skip


@pytest.mark.parametrize(("line", "used", "reached"), REACHED.values(), ids=REACHED)
def test_modules_that_a_unit_reaches(notebook, line, used, reached):
    modules = dependencies(notebook(f"{line}\ndef unit(seed):\n    return dict(value={used})\n").unit).modules
    family = {name.rpartition(".")[2] for name in MODULES if name.startswith("companion.models.")}
    assert {name.rpartition(".")[2] for name in modules if name.startswith("companion.models.")} == (reached or family)
    assert reached is None or {name for name in modules if name.count(".") == 1} <= {"companion.seeds"}


def test_value_of_a_constant_imported_by_name_counts(notebook):
    source = "from companion.models import CODINGS\ndef unit(seed):\n    return CODINGS\n"
    assert dependencies(notebook(source).unit).code.keys() == {"unit", "CODINGS"}


UNTOLD = {
    "Run": ("from companion.run import Run\nthing = Run('mosaic/told', profile='smoke', device='cpu')", "Run"),
    "open file": ("thing = open(__file__)", "TextIOWrapper"),
    "generator": ("import torch\nthing = torch.Generator()", "Generator"),
    "network": ("import torch\nthing = torch.nn.Linear(1, 1)", "Linear"),
    "list of functions": ("thing = [len]", "list"),
    "method": ("class C:\n    def f(self):\n        pass\nthing = C().f", "method"),
}


@pytest.mark.parametrize(("line", "kind"), UNTOLD.values(), ids=UNTOLD)
def test_what_has_no_digest_is_named(notebook, project, line, kind):
    made = notebook(f"{line}\ndef unit(seed):\n    return thing\n")
    with pytest.raises(Undeclared, match=f"uses 'thing', a {kind}: .*plain argument, or build it inside"):
        dependencies(made.unit)
    if hasattr(made.thing, "close"):
        made.thing.close()


def test_a_second_scale_is_refused(notebook):
    source = "from companion.fingerprint import Scale\none, two = Scale(a=1), Scale(a=2)\n"
    made = notebook(source + "def unit(seed):\n    return dict(value=one.a + two.a)\n")
    with pytest.raises(Undeclared, match="the unit reads two scales; a notebook has one"):
        dependencies(made.unit)


def test_source_that_cannot_be_read_is_named():
    space: dict = {}
    exec("def unit(seed):\n    return seed", space)
    with pytest.raises(Undeclared, match="the source of 'unit' cannot be read"):
        dependencies(space["unit"])


# --- digest


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES, VALUES)
def test_equal_digests_mean_equal_values(one, other):
    assert (digest(one) == digest(other)) == (repr(one) == repr(other))


def test_digest_tells_kinds_shapes_and_contents_apart():
    different = [
        1, 1.0, True, "1", None, b"1", [1], (1,), {1}, range(1), {"a": 1}, Path("1"), torch.float32,
        np.zeros(4), np.zeros((2, 2)), np.zeros(4, dtype=np.float32), np.ones(4), np.zeros(4, dtype=int),
        pd.Series([1, 2]), pd.Series([1.0, 2.0]), pd.Series([1, 2], index=[1, 0]),
        pd.DataFrame({"a": [1, 2]}), pd.DataFrame({"b": [1, 2]}), pd.DataFrame({"a": [1, 2]}, index=[1, 0]),
    ]  # fmt: skip
    assert len({digest(value) for value in different}) == len(different)
    assert digest(torch.arange(3)) == digest(np.arange(3)) == digest(np.arange(6)[::2] // 2)
    assert digest(np.float64(0.5)) == digest(0.5)
    assert digest({"b", "a"}) == digest({"a", "b"})


# --- the house: what the following of imports relies on

LOW = ("data", "models", "training", "stats", "spinglass", "seeds")
ABOVE = {"data": {"models", "training"}, "models": {"data", "training"}, "stats": {"data", "models", "training"}}
MODULES = {
    ".".join((path.parent if path.name == "__init__.py" else path.with_suffix("")).relative_to(ROOT.parent).parts): path
    for path in ROOT.rglob("*.py")
}
ROOMS = {name for name, path in MODULES.items() if path.name == "__init__.py"}


def imports(module: str) -> set[str]:
    """The package modules that a module imports, rooms included where a name is taken from one."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import in line {node.lineno}"
            named = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= named & MODULES.keys()
            if named - MODULES.keys():
                found.add(node.module)
    return found & MODULES.keys()


@pytest.mark.parametrize("module", sorted(MODULES.keys() - ROOMS))
def test_modules_import_each_other_by_file(module):
    assert imports(module) & ROOMS <= {"companion.claims"}


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_rooms_only_hand_on(room):
    for node in ast.parse(MODULES[room].read_text(encoding="utf-8")).body:
        told = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        listed = isinstance(node, ast.Assign) and [target.id for target in node.targets] == ["__all__"]
        handed = isinstance(node, ast.ImportFrom) and node.module.startswith("companion.")
        assert told or listed or handed, f"line {node.lineno} of {room} is more than a re-export"


@pytest.mark.parametrize("module", sorted(MODULES.keys() - {"companion"}))
def test_arrows_run_downwards(module):
    own = module.split(".")[1]
    reached = {name.split(".")[1] for name in imports(module)} - {own}
    if own in LOW:
        assert reached <= set(LOW)
        assert not reached & ABOVE.get(own, set())


def test_no_module_imports_itself_in_a_circle():
    # The way data are fetched is imported when it is needed; no key holds it.
    graphlib.TopologicalSorter({name: imports(name) - VERIFIED for name in MODULES}).prepare()
