"""The package's own source: which modules there are, what they import, and the digests of their syntax trees."""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
from collections.abc import Iterable
from pathlib import Path

PACKAGE = "companion"
# What these hand on is checked against SHA-256 sums that stand in the modules that call them.
VERIFIED = frozenset({"companion.data.download"})


class StaleSession(RuntimeError):
    """The package was edited after this session imported it."""


@functools.cache
def module_digest(module: str) -> str:
    """Return the digest of the syntax tree of a package module, docstrings left out."""
    return tree_digest(package_modules()[module].read_text(encoding="utf-8"))


def tree_digest(source: str) -> str:
    """Return the digest of the syntax tree of a source text, docstrings left out."""
    return hashlib.sha256(spelled(ast.parse(source)).encode()).hexdigest()


def spelled(tree: ast.AST) -> str:
    """Spell a syntax tree without docstrings and positions."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and (
            body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant)
        ):
            node.body = body[1:]
    return ast.dump(tree)


@functools.cache
def package_modules() -> dict[str, Path]:
    """Return the source file of every module of the package, by module name."""
    spec = importlib.util.find_spec(PACKAGE)
    root = Path(spec.origin).parent  # type: ignore[union-attr, arg-type]
    names = {}
    for path in root.rglob("*.py"):
        parts = path.relative_to(root.parent).with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return names


def _module_tree(module: str) -> ast.Module:
    return ast.parse(package_modules()[module].read_text(encoding="utf-8"))


@functools.cache
def _imports(module: str) -> frozenset[str]:
    """Return the package modules that a module imports; `from companion.data import images` names one, too."""
    named: set[str] = set()
    for node in ast.walk(_module_tree(module)):
        if isinstance(node, ast.Import):
            named |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            named |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(named & package_modules().keys())


def with_imports(modules: set[str]) -> set[str]:
    """Return the modules with all that they import, directly or not.

    Rooms (`__init__` files) only hand on names: what is used of them has been followed home already, and package
    modules import one another by file.
    """
    reached: set[str] = set()
    waiting = set(modules)
    while waiting:
        module = waiting.pop()
        if module not in reached and module not in VERIFIED and not _is_room(module):
            reached.add(module)
            waiting |= _imports(module)
    return reached


@functools.cache
def handed_on(room: str) -> dict[str, str]:
    """Return the home module of every name that an `__init__` hands on."""
    return {
        alias.asname or alias.name: node.module
        for node in _module_tree(room).body
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }


def _is_room(module: str) -> bool:
    return package_modules()[module].name == "__init__.py"


def _times(modules: Iterable[str]) -> dict[str, int | None]:
    """Return when each module was written, None where it is gone."""
    paths = {name: package_modules()[name] for name in modules}
    return {name: path.stat().st_mtime_ns if path.exists() else None for name, path in paths.items()}


def check_unchanged(modules: Iterable[str]) -> None:
    """Refuse to name results by a source that is not the one that computes them.

    Raises
    ------
    StaleSession
        If one of the modules was edited since this session began.
    """
    now = _times(modules := list(modules))
    if edited := [name for name in modules if now[name] != _AT_START[name]]:
        raise StaleSession(f"{', '.join(edited)} was edited after this session imported it; restart it")


# Taken when the package is imported, that is before anything can have been computed.
_AT_START = _times(package_modules())
