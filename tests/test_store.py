from __future__ import annotations

import math
import resource
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from companion.store import SHORT_STRING, Store, plain

KEY = "ab" + "0" * 62
DTYPES = st.sampled_from(["f2", "f4", "f8", ">f8", "i1", "i8", "<i4", ">i2", "u1", "u8", "?"])
ARRAYS = DTYPES.flatmap(lambda dtype: npst.arrays(dtype, npst.array_shapes(min_dims=0, min_side=0, max_side=4)))
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=50)
ROWS = st.lists(st.dictionaries(st.text(max_size=10), SCALARS | ARRAYS, max_size=4), max_size=4)


def same(one: object, other: object) -> bool:
    """Equal in type and in every bit; NaN is NaN."""
    if isinstance(one, np.ndarray):
        alike = isinstance(other, np.ndarray) and (one.dtype, one.shape) == (other.dtype, other.shape)
        return alike and one.tobytes() == other.tobytes()
    if isinstance(one, list):
        return isinstance(other, list) and len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return isinstance(other, dict) and list(one) == list(other) and all(map(same, one.values(), other.values()))
    return type(one) is type(other) and repr(one) == repr(other)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(ROWS)
def test_what_is_put_comes_back(store, rows):
    entry = {"unit": "told", "seconds": 0.1, "result": plain(rows)}
    store.put(KEY, entry)
    assert same(store.get(KEY), entry)


def test_values_that_files_like_to_spoil(store):
    row = dict(nan=math.nan, inf=-math.inf, zero=-0.0, big=2**80, true=True, none=None, text='é "\n\\ 数 😀')
    row |= dict(
        tiny=5e-324, third=1 / 3, empty=np.empty((0, 3)), fortran=np.asfortranarray(np.arange(6.0).reshape(2, 3))
    )
    store.put(KEY, {"result": [row]})
    back = store.get(KEY)["result"][0]
    assert same(back, row)
    back["fortran"][0, 0] = 1  # an array of the reader's own


def test_plain_makes_numbers_of_numbers_and_arrays_of_lists():
    told = dict(
        a=np.float32(0.5), b=torch.tensor(3), c=[1, 2], d=(0.5, 1), e=torch.ones(2, requires_grad=True), f=np.True_
    )
    (row,) = plain(told)
    assert same(
        row,
        dict(a=0.5, b=3, c=np.array([1, 2]), d=np.array([0.5, 1.0]), e=np.ones(2, dtype=np.float32), f=True),
    )
    assert plain([]) == []


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (None, "a dict or a list of dicts, not a NoneType"),
        ([1], "a dict or a list of dicts, not a int"),
        ({1: 2}, "named by a string, not by 1"),
        ({"net": torch.nn.Linear(1, 1)}, "the result 'net' is a Linear"),
        ({"word": "x" * (SHORT_STRING + 1)}, f"strings of at most {SHORT_STRING} characters"),
        ({"words": ["a", "b"]}, "the result 'words' is a ndarray; allowed are numbers"),
        ({"z": 1j}, "the result 'z' is a complex"),
    ],
)
def test_other_results_are_refused(result, said):
    with pytest.raises(TypeError, match=said):
        plain(result)


def test_missing_is_none(store):
    assert store.get(KEY) is None
    assert not store.folder.exists()


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:-1],
        lambda data: data[: len(data) // 2],
        lambda data: data[:20],
        lambda data: data.replace(b"1.5", b"2.5"),
        lambda data: data + b" ",
        lambda data: b"\xff" + data[1:],
        lambda data: bytes(len(data)),
    ],
    ids=["empty", "one byte short", "half", "no body", "altered", "longer", "no text", "zeros"],
)
def test_a_damaged_entry_is_set_aside_and_computed_again(store, damage):
    entry = {"result": [{"a": 1.5}]}
    store.put(KEY, entry)
    path = store.path(KEY)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.warns(UserWarning, match=rf"{path.name} is damaged and will be computed again"):
        assert store.get(KEY) is None
    assert store.get(KEY) is None  # once is enough
    store.put(KEY, entry)
    assert store.get(KEY) == entry
    assert [one.suffix for one in sorted(path.parent.iterdir())] == [".damaged", ".json"]


def test_a_full_disk_leaves_the_old_entry_and_nothing_else(store):
    store.put(KEY, {"result": [{"a": 1}]})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))  # as a full disk: the write itself fails, half done
    try:
        with pytest.raises(OSError):
            store.put(KEY, {"result": [{"a": np.zeros(1000)}]})
        with pytest.raises(OSError):
            store.put("cd" + KEY[2:], {"result": [{"a": np.zeros(1000)}]})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert store.get(KEY) == {"result": [{"a": 1}]}
    assert [path for path in store.folder.rglob("*") if path.is_file()] == [store.path(KEY)]


def test_an_entry_ends_its_checkpoint(store):
    path = store.checkpoint_path(KEY)
    path.parent.mkdir(parents=True)
    path.touch()
    store.put(KEY, {"result": []})
    assert not path.exists()


WRITERS = """
import os, sys
import numpy as np
from companion.store import Store

store, key = Store(sys.argv[1]), "ab" + "0" * 62
writers = []
for number in range(4):
    writers.append(os.fork())
    if writers[-1] == 0:
        for turn in range(100):
            store.put(key, {"result": [{"a": np.full(500 * (number + 1), turn)}]})
        os._exit(0)
store.put(key, {"result": [{"a": np.zeros(500)}]})
read = 0
while writers:
    entry = store.get(key)
    assert len(set(entry["result"][0]["a"])) == 1
    read += 1
    if os.waitpid(writers[-1], os.WNOHANG) != (0, 0):
        writers.pop()
print(read)
"""


def test_writers_of_one_key_do_not_disturb_each_other(fresh, tmp_path):
    script = tmp_path / "writers.py"
    script.write_text(WRITERS, encoding="utf-8")
    ran = fresh(script, tmp_path / "store")
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""  # nobody saw a damaged entry
    assert int(ran.stdout) > 10
    (left,) = (path for path in Path(tmp_path / "store").rglob("*") if path.is_file())
    assert left == Store(tmp_path / "store").path(KEY)
