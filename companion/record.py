"""record.json: what the run of a notebook leaves, with its schema."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

NAME = "record.json"
# What may differ between two runs that found the same: such a difference alone does not rewrite a record.
VOLATILE = ("seconds", "compute_seconds", "units", "commit", "versions")

# The columns of a claim's row that its verdict rests on: a record that was judged by others is out of date.
JUDGED_BY = ("reported", "unit", "digits", "truncated", "rule", "tolerance", "needs", "variant")

_NUMBER = {"type": ["number", "null"]}
_TEXT = {"type": "string"}
_VERDICT = {"enum": ["agrees", "differs", "inconclusive", "not attempted"]}
_FILE = {
    "type": "object",
    "required": ["file", "caption"],
    "properties": {"file": _TEXT, "caption": _TEXT, "n": {"type": ["integer", "null"]}},
    "additionalProperties": False,
}
_VARIANT = {
    "type": "object",
    "required": ["verdict", "mean", "low", "high", "n", "p", "reason"],
    "properties": {
        "verdict": _VERDICT,
        "mean": {"type": ["number", "string", "null"]},
        "low": _NUMBER,
        "high": _NUMBER,
        "n": {"type": ["integer", "null"]},
        "p": _NUMBER,
        "reason": _TEXT,
    },
    "additionalProperties": False,
}
_CLAIM = {
    "type": "object",
    "required": ["verdict", "variants", *JUDGED_BY],
    "properties": {
        "verdict": _VERDICT,
        "variant": _TEXT,
        "reported": {"type": ["number", "string", "null"]},
        "unit": _TEXT,
        "digits": {"type": ["integer", "null"]},
        "truncated": {"type": "boolean"},
        "rule": _TEXT,
        "tolerance": _NUMBER,
        "needs": _TEXT,
        "variants": {"type": "object", "additionalProperties": _VARIANT, "minProperties": 1},
    },
    "additionalProperties": False,
}
SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Record of one notebook run",
    "type": "object",
    "properties": {
        "notebook": {"type": "string", "pattern": "^[a-z_]+/[a-z0-9_]+$"},
        "profile": {"enum": ["smoke", "laptop", "paper"]},
        "parameters": {"type": "object"},
        "scale": {"type": "object"},
        "reduced": {"type": "boolean"},
        "seeds": {"type": "integer", "minimum": 0},
        "device": {"enum": ["cpu", "cuda"]},
        "arithmetic": _TEXT,
        "versions": {"type": "object", "additionalProperties": _TEXT},
        "commit": _TEXT,
        "data": {"type": "object"},
        "digest": _TEXT,
        "compute_seconds": {"type": "number", "minimum": 0},
        "seconds": {"type": "number", "minimum": 0},
        "units": {
            "type": "object",
            "required": ["computed", "read_back"],
            "properties": {"computed": {"type": "integer"}, "read_back": {"type": "integer"}},
        },
        "figures": {"type": "array", "items": _FILE},
        "tables": {"type": "array", "items": _FILE},
        "results": {"type": "array", "items": _TEXT},
        "claims": {"type": "object", "additionalProperties": _CLAIM},
    },
    "additionalProperties": False,
}
SCHEMA["required"] = list(SCHEMA["properties"])


def validate(record: dict[str, Any]) -> None:
    """Check a record against the schema.

    Raises
    ------
    jsonschema.ValidationError
        If it does not fit.
    """
    import jsonschema  # a second to import, and only writing needs it

    jsonschema.validate(record, SCHEMA)


def write(folder: Path, record: dict[str, Any]) -> bool:
    """Write the record of a folder unless it says the same already; return whether it was written."""
    validate(record)
    path = folder / NAME
    if path.exists() and _lasting(json.loads(path.read_text(encoding="utf-8"))) == _lasting(record):
        return False
    partial = path.with_name(f"{NAME}.{os.getpid()}.part")
    partial.write_text(json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    partial.replace(path)
    return True


def read(folder: Path) -> dict[str, Any]:
    """Return the record of a folder.

    Raises
    ------
    FileNotFoundError
        If it has none; says how to make it.
    """
    path = folder / NAME
    if not path.exists():
        raise FileNotFoundError(f"no published results at {folder}; RESULTS=compute computes them")
    return json.loads(path.read_text(encoding="utf-8"))


def read_all(folder: Path) -> list[dict[str, Any]]:
    """Return every record below a folder of figures, in the order of their notebooks."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob(f"*/*/{NAME}"))]


def versions() -> dict[str, str]:
    """Return the versions of what results depend on most."""
    return {"python": platform.python_version()} | {name: version(name) for name in ("torch", "numpy", "companion")}


def commit(root: Path) -> str:
    """Return the commit of the working tree, with "+" if it was changed since, or "unknown"."""
    try:
        asked = ["git", "-C", str(root), "describe", "--always", "--abbrev=12", "--exclude=*", "--dirty=+"]
        return subprocess.run(asked, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def _lasting(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name not in VOLATILE}
