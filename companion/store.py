"""Results of units on disk: addressed by what they depend on, written atomically, checked when read."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

SHORT_STRING = 2000


class Store:
    """A folder of entries, one file per key.

    Parameters
    ----------
    folder : path
        Created when the first entry is written.

    Notes
    -----
    An entry is a JSON file whose first line is the SHA-256 sum of the second. It appears by rename, so two writers of
    the same key cannot disturb each other, and a reader sees a whole entry or none.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def path(self, key: str) -> Path:
        """Return where the entry of `key` is kept."""
        return self.folder / key[:2] / f"{key}.json"

    def checkpoint_path(self, key: str) -> Path:
        """Return where the unit of `key` may keep its checkpoint while it runs."""
        return self.folder / "checkpoints" / f"{key}.pt"

    def get(self, key: str) -> dict[str, Any] | None:
        """Return the entry of `key`, or None. A damaged entry is set aside with a warning and counts as missing."""
        path = self.path(key)
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except UnicodeDecodeError:
            text = ""
        checksum, _, body = text.partition("\n")
        if hashlib.sha256(body.encode()).hexdigest() != checksum:
            warnings.warn(f"store entry {path.name} is damaged and will be computed again", stacklevel=2)
            with contextlib.suppress(FileNotFoundError):
                path.replace(path.with_suffix(".damaged"))
            return None
        return json.loads(body, object_hook=_decode)

    def put(self, key: str, entry: dict[str, Any]) -> None:
        """Write the entry of `key`; its result must pass `plain`."""
        body = json.dumps(_encode(entry))
        path = self.path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.{os.getpid()}.part")
        try:
            partial.write_text(f"{hashlib.sha256(body.encode()).hexdigest()}\n{body}", encoding="utf-8")
            partial.replace(path)
        except OSError:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
            raise
        with contextlib.suppress(OSError):
            self.checkpoint_path(key).unlink(missing_ok=True)


def plain(result: Any) -> list[dict[str, Any]]:
    """Return what a unit handed back as a list of dicts of plain numbers, short strings and numpy arrays.

    Raises
    ------
    TypeError
        If it is something else; says what and where.
    """
    rows = result if isinstance(result, list) else [result]
    return [{_name(name): _plain(name, value) for name, value in _row(row).items()} for row in rows]


def _row(row: Any) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise TypeError(f"a unit returns a dict or a list of dicts, not a {type(row).__name__}")
    return row


def _name(name: Any) -> str:
    if not isinstance(name, str):
        raise TypeError(f"a result is named by a string, not by {name!r}")
    return name


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().numpy()
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0):
        value = value.item()
    if isinstance(value, list | tuple):
        value = np.asarray(value)
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return value
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str) and len(value) <= SHORT_STRING:
        return value
    raise TypeError(
        f"the result {name!r} is a {type(value).__name__}; allowed are numbers, strings of at most {SHORT_STRING} "
        "characters and numeric arrays"
    )


def _encode(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _encode(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_encode(item) for item in value]
    if isinstance(value, np.ndarray):
        content = base64.b64encode(np.ascontiguousarray(value).tobytes()).decode()
        return {"__array__": content, "dtype": value.dtype.str, "shape": list(value.shape)}
    return value


def _decode(value: dict[str, Any]) -> Any:
    if value.keys() == {"__array__", "dtype", "shape"}:
        content = np.frombuffer(base64.b64decode(value["__array__"]), dtype=value["dtype"])
        return content.reshape(value["shape"]).copy()
    return value
