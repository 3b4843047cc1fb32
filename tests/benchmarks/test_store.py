"""How long the store takes per entry; run by `make bench` only."""

from __future__ import annotations

import time

import numpy as np
import pytest

from companion.store import Store

ENTRIES = 1000


@pytest.mark.parametrize("numbers", [1, 100, 10_000])
def test_milliseconds_per_entry(tmp_path, capsys, numbers):
    store = Store(tmp_path)
    keys = [f"{key:064x}"[::-1] for key in range(ENTRIES)]
    entry = {
        "unit": "unit",
        "arguments": {"seed": "0"},
        "seconds": 0.1,
        "result": [{"a": np.random.default_rng(0).random(numbers)}],
    }
    taken = {}
    started = time.perf_counter()
    for key in keys:
        store.put(key, entry)
    taken["put"] = time.perf_counter() - started
    started = time.perf_counter()
    for key in keys:
        assert store.get(key) is not None
    taken["get"] = time.perf_counter() - started
    with capsys.disabled():
        told = ", ".join(f"{what} {1000 * seconds / ENTRIES:.3f} ms" for what, seconds in taken.items())
        print(f"\nstore, {numbers} numbers an entry: {told}")
