"""Sweep tables as files beside the figures: small, exact, and written only when their content changes."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

LIMIT_BYTES = 2_000_000  # for all the tables of one notebook
_NOTE = b"companion"


def write_table(path: Path, table: pd.DataFrame, digest: str) -> bool:
    """Write a table whose cells are plain values or numeric arrays, unless the file holds this digest already.

    Returns
    -------
    bool
        Whether the file was written.

    Raises
    ------
    TypeError
        If the arrays of a column differ in shape.
    """
    if path.exists() and _note(pq.read_schema(path)).get("digest") == digest:
        return False
    arrays = {name: _array_column(name, column) for name, column in table.items() if _holds_arrays(column)}
    flat = {name: pa.array([row.ravel() for row in block]) for name, block in arrays.items()}
    columns = {name: flat[name] if name in flat else pa.array(column) for name, column in table.items()}
    note = {
        "digest": digest,
        "shapes": {name: list(block.shape[1:]) for name, block in arrays.items()},
        "tuples": [name for name, column in table.items() if len(column) and isinstance(column.iloc[0], tuple)],
    }
    contents = pa.table(columns).replace_schema_metadata({_NOTE: json.dumps(note).encode()})
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    pq.write_table(contents, partial, compression="zstd")
    partial.replace(path)
    return True


def read_table(path: Path) -> tuple[pd.DataFrame, str]:
    """Return a table written by `write_table`, as it was, and its digest.

    Raises
    ------
    FileNotFoundError
        If it was not published; says how to compute it.
    """
    if not path.exists():
        raise FileNotFoundError(f"no published results at {path}; RESULTS=compute computes them")
    contents = pq.read_table(path)
    note = _note(contents.schema)
    table = contents.to_pandas()
    for name, shape in note["shapes"].items():
        table[name] = [np.array(cell).reshape(shape) for cell in table[name]]  # writable, as computed ones are
    for name in note["tuples"]:
        table[name] = [tuple(cell) for cell in contents[name].to_pylist()]
    return table, note["digest"]


def check_size(tables: Sequence[Path]) -> None:
    """Check that the tables of one notebook are small enough to be kept in git.

    Raises
    ------
    ValueError
        If they are not; the results themselves are in the store.
    """
    size = sum(path.stat().st_size for path in tables)
    if size > LIMIT_BYTES:
        raise ValueError(
            f"the result tables of {tables[0].parent.parent.name} take {size / 1e6:.1f} MB, and at most "
            f"{LIMIT_BYTES / 1e6:.0f} MB are published; let the unit return smaller arrays (fewer points, float32)"
        )


def _note(schema: pa.Schema) -> dict:
    return json.loads((schema.metadata or {}).get(_NOTE, b"{}"))


def _holds_arrays(column: pd.Series) -> bool:
    return column.dtype == object and len(column) > 0 and isinstance(column.iloc[0], np.ndarray)


def _array_column(name: str, column: pd.Series) -> np.ndarray:
    try:
        return np.stack(column.to_list())
    except ValueError:
        shapes = sorted({np.shape(cell) for cell in column})
        raise TypeError(f"the arrays of {name!r} have the shapes {shapes}; published arrays have one shape") from None
