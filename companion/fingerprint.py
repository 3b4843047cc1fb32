"""What the result of a unit depends on, found by reading the unit.

A unit's dependencies are its syntax tree, the notebook functions and plain values that it names, the attributes of
`scale` that it reads, and the syntax trees of the package modules that its names come from together with those that
these import. Docstrings, comments and layout are no part of a syntax tree here; neither is anything the unit does not
reach, so a new model file or a changed plot leaves finished results valid.
"""

from __future__ import annotations

import ast
import dataclasses
import dis
import functools
import hashlib
import importlib.util
import inspect
import itertools
import json
import linecache
import sys
import textwrap
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from companion.source import PACKAGE, check_unchanged, handed_on, module_digest, package_modules, spelled, with_imports

INSTALLED = {"site-packages", "dist-packages"}


class Undeclared(TypeError):
    """A unit uses something whose influence on the result cannot be told."""


class Scale(types.SimpleNamespace):
    """The settings of a profile, read as attributes: `scale.epochs`."""


@dataclasses.dataclass(frozen=True)
class Dependencies:
    """Everything but the arguments that a unit's result depends on.

    Attributes
    ----------
    code : dict
        Digest of the syntax tree, or of the value, of every notebook name used, by name.
    modules : dict
        Digest of every package module reached, by module name.
    scale : dict
        The attributes of `scale` that are read, with their values.
    names : frozenset of str
        The package's functions and classes that are named directly, as "module.name".
    """

    code: dict[str, str]
    modules: dict[str, str]
    scale: dict[str, Any]
    names: frozenset[str]

    def digest(self) -> str:
        """Return one digest of all of it."""
        return digest([self.code, self.modules, self.scale])


def digest(value: Any) -> str:
    """Return the SHA-256 digest of a plain value (numbers, strings, arrays, and lists, tuples, dicts, sets of them)."""
    return hashlib.sha256(_canonical(value).encode()).hexdigest()


def dependencies(unit: Callable[..., Any]) -> Dependencies:
    """Read `unit` and all that it reaches.

    Raises
    ------
    Undeclared
        If the unit uses a value that has no digest, such as a Run or an open file; says which.
    StaleSession
        If a module it reaches was edited after this session imported it.
    """
    reader = _Reader()
    reader.function(unit.__name__, unit)
    scale = {name: getattr(reader.scale, name) for name in sorted(reader.scale_attributes)}
    modules = {name: module_digest(name) for name in sorted(with_imports(reader.modules))}
    check_unchanged(modules)
    return Dependencies(dict(sorted(reader.code.items())), modules, scale, frozenset(reader.names))


def _canonical(value: Any) -> str:
    """Spell a plain value so that equal spelling means equal value and type."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return f"{type(value).__name__}:{json.dumps(value)}"
    if isinstance(value, Path | torch.dtype | torch.device):
        return f"{type(value).__name__}:{value}"
    if isinstance(value, bytes):
        return f"bytes:{hashlib.sha256(value).hexdigest()}"
    if isinstance(value, list | tuple):
        return f"{type(value).__name__}[{','.join(map(_canonical, value))}]"
    if isinstance(value, set | frozenset):
        return f"set[{','.join(sorted(map(_canonical, value)))}]"
    if isinstance(value, range):
        return f"range:{value.start},{value.stop},{value.step}"
    if isinstance(value, dict):
        return "dict[" + ",".join(f"{_canonical(key)}={_canonical(item)}" for key, item in value.items()) + "]"
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().numpy()
    if isinstance(value, np.ndarray) and value.dtype != object:
        return f"array:{value.dtype},{value.shape},{hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()}"
    if isinstance(value, pd.DataFrame):
        return f"table:{_canonical([[name, column] for name, column in value.items()])}"
    if isinstance(value, pd.Series):
        return f"series:{_canonical([str(value.dtype), value.index.to_list(), value.to_list()])}"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return f"{type(value).__name__}:{_canonical(dataclasses.asdict(value))}"
    raise Undeclared(f"a {type(value).__name__} has no digest; plain numbers, strings, arrays and collections have")


class _Reader:
    """Collects what functions reach; every function, class and value is read once."""

    def __init__(self) -> None:
        self.code: dict[str, str] = {}
        self.modules: set[str] = set()
        self.names: set[str] = set()
        self.scale: Scale = Scale()
        self.scale_attributes: set[str] = set()
        self._seen: dict[int, Any] = {}  # the objects themselves, so that no id is used twice

    def function(self, name: str, function: Any) -> None:
        """Read a function or class of a notebook: its own tree, then everything that it names."""
        function = inspect.unwrap(function)
        if id(function) in self._seen:
            return
        self._seen[id(function)] = function
        tree = _tree_of(function)
        chains = _chains(tree)
        outside = list(_outside_names(name, function, tree))
        self._enter(name, hashlib.sha256(spelled(tree).encode()).hexdigest())
        for written, label, value in outside:
            self.value(label, value, chains.get(written, {()}))

    def value(self, name: str, value: Any, chains: set[tuple[str, ...]]) -> None:
        """Read what stands behind a name; `chains` are the attributes taken of it (`models.LeNet5` gives LeNet5)."""
        if isinstance(value, Scale):
            if vars(self.scale) and self.scale is not value:
                raise Undeclared("the unit reads two scales; a notebook has one")
            self.scale = value
            taken = {chain[0] for chain in chains if chain}
            self.scale_attributes |= taken if all(chains) else set(vars(value))
        elif isinstance(value, types.ModuleType):
            self._module(name, value, chains)
        elif isinstance(value, functools.partial):
            self.value(f"{name}.func", value.func, {()})
            self._plain(name, [list(value.args), value.keywords])
        elif isinstance(value, type | types.FunctionType | types.BuiltinFunctionType):
            self._defined(name, value)
        else:
            self._plain(name, value)
            for one in _instances(value):
                for cls in type(one).__mro__:  # the methods of a dataclass or named tuple
                    if not _is_library(cls.__module__) and any(_methods(cls)):
                        self._defined(cls.__name__, cls)

    def _plain(self, name: str, value: Any) -> None:
        try:
            self._enter(name, digest(value))
        except Undeclared:
            raise Undeclared(
                f"the unit uses {name!r}, a {type(value).__name__}: its influence on the result cannot be told; "
                "hand it over as a plain argument, or build it inside the unit"
            ) from None

    def _enter(self, name: str, value: str) -> None:
        while name in self.code and self.code[name] != value:  # the same name in two scopes
            name += "'"
        self.code[name] = value

    def _defined(self, name: str, value: Any) -> None:
        """Read a function or class: a package's by its module, a notebook's by its tree, a library's by its name."""
        module = getattr(value, "__module__", None) or "builtins"
        if module.partition(".")[0] == PACKAGE:
            self.modules.add(module)
            self.names.add(f"{module}.{value.__name__}")
        elif _is_library(module):
            self._enter(name, f"{module}.{value.__qualname__}")
        else:
            self.function(name, value)

    def _module(self, name: str, module: types.ModuleType, chains: set[tuple[str, ...]]) -> None:
        if module.__name__.partition(".")[0] == PACKAGE:
            for chain in chains:
                self._package_name(module, chain)
        elif not _is_library(module.__name__):
            self._file(name, module, chains)

    def _file(self, name: str, module: types.ModuleType, chains: set[tuple[str, ...]]) -> None:
        """Follow `helpers.f` into a file beside the notebook."""
        if not all(chains):  # handed on whole
            if id(module) in self._seen:
                return
            self._seen[id(module)] = module
            chains = {(attribute,) for attribute in vars(module) if not attribute.startswith("__")}
        for attribute in sorted({chain[0] for chain in chains}):
            further = {chain[1:] for chain in chains if chain[0] == attribute}
            self.value(f"{name}.{attribute}", getattr(module, attribute), further)

    def _package_name(self, module: types.ModuleType, chain: tuple[str, ...]) -> None:
        """Follow `module.a.b` to the module in which what it means is defined."""
        for position, attribute in enumerate(chain):
            target = getattr(module, attribute)
            if isinstance(target, types.ModuleType):
                module = target
            elif isinstance(target, type | types.FunctionType):
                return self._defined(chain[position], target)
            else:  # a constant does not know its home, but the room that hands it on does
                return self.modules.add(handed_on(module.__name__).get(attribute, module.__name__))
        inside = f"{module.__name__}."  # handed on whole: everything in it may matter
        self.modules |= {name for name in package_modules() if name == module.__name__ or name.startswith(inside)}


def _is_library(module: str) -> bool:
    """Tell installed modules from notebooks and scripts, whose functions can change under our hands."""
    top = module.partition(".")[0]
    if top == PACKAGE:
        return False
    if top in sys.stdlib_module_names or top in sys.builtin_module_names:
        return top != "__main__"
    spec = None if top == "__main__" else importlib.util.find_spec(top)
    return spec is not None and (spec.origin is None or bool(INSTALLED & set(Path(spec.origin).parts)))


def _outside_names(label: str, function: Any, tree: ast.AST | None = None) -> Iterator[tuple[str, str, Any]]:
    """Yield what a function or class uses from outside: the name in its code, a name for the key, the value."""
    if isinstance(function, type):
        for base in function.__bases__:
            yield base.__name__, base.__name__, base
        for method in _methods(function):
            yield from _outside_names(f"{label}.{method.__name__}", method)
        # What the body names itself: decorators, defaults, attributes such as `width = WIDTH`.
        names = _global_names(compile(ast.Module([tree], []), label, "exec"))
        around = getattr(sys.modules.get(function.__module__), "__dict__", {})
    else:
        # Closures made by one factory share names, not values.
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            if name != "__class__":
                yield name, f"{label} around {name}", cell.cell_contents
        names, around = _global_names(function.__code__) | _decorators(tree), function.__globals__
        # A default is worked out where the function is defined; the tree shows only how.
        for key, default in [*enumerate(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).items()]:
            yield f"{label} default {key}", f"{label} default {key}", default
    for name in sorted(names & around.keys()):
        yield name, name, around[name]


def _instances(value: Any) -> Iterator[Any]:
    """Yield a plain value and, where it holds others, all of them."""
    yield value
    inside: Iterable[Any] = ()
    if isinstance(value, Mapping):
        inside = itertools.chain(value.keys(), value.values())
    elif isinstance(value, list | tuple | set | frozenset):
        inside = value
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        inside = (getattr(value, field.name) for field in dataclasses.fields(value))
    for one in inside:
        yield from _instances(one)


def _methods(cls: type) -> Iterator[types.FunctionType]:
    """Yield the functions that are written in a class, out of what is wrapped around them."""
    for member in vars(cls).values():
        inner = getattr(member, "func", getattr(member, "__func__", member))
        for function in (member.fget, member.fset, member.fdel) if isinstance(member, property) else (inner,):
            function = inspect.unwrap(function)
            written = isinstance(function, types.FunctionType) and function.__code__.co_filename != "<string>"
            if written and function.__module__ == cls.__module__:  # not made by `dataclass`, not borrowed
                yield function


def _decorators(tree: ast.AST | None) -> set[str]:
    """Return the names in the decorators of a function; its code does not hold them."""
    decorators = getattr(tree.body[0], "decorator_list", []) if isinstance(tree, ast.Module) else []
    return {node.id for decorator in decorators for node in ast.walk(decorator) if isinstance(node, ast.Name)}


def _global_names(code: types.CodeType) -> set[str]:
    names = {step.argval for step in dis.get_instructions(code) if step.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _global_names(constant)
    return names


def _tree_of(function: Any) -> ast.AST:
    try:
        if isinstance(function, type):
            return _class_tree(function)
        if function.__name__ == "<lambda>":
            return _lambda_tree(function)
        return ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        raise Undeclared(
            f"the source of {getattr(function, '__name__', function)!r} cannot be read on its own; "
            "define it with `def` or `class` in a cell or a file (a class in a cell needs a method to be found by)"
        ) from None


def _class_tree(cls: type) -> ast.AST:
    """Find a class around one of its methods: `inspect` cannot find classes of a notebook."""
    for method in _methods(cls):
        line = method.__code__.co_firstlineno
        for node in ast.walk(_file_tree(method)):
            if isinstance(node, ast.ClassDef) and node.name == cls.__name__ and node.lineno <= line <= node.end_lineno:
                return node
    return ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]


def _lambda_tree(function: types.FunctionType) -> ast.AST:
    """Find a lambda, with any others that begin in its line: `inspect` would show that one line only."""
    lambdas = [node for node in ast.walk(_file_tree(function)) if isinstance(node, ast.Lambda)]
    found = [ast.Expr(node) for node in lambdas if node.lineno == function.__code__.co_firstlineno]
    if not found:
        raise OSError("no such lambda")
    return ast.Module(found, [])


def _file_tree(function: types.FunctionType) -> ast.Module:
    return ast.parse("".join(linecache.getlines(function.__code__.co_filename)))


def _chains(tree: ast.AST) -> dict[str, set[tuple[str, ...]]]:
    """Return, per name, the chains of attributes taken of it; () where the bare name is used."""
    chains: dict[str, set[tuple[str, ...]]] = {}

    def visit(node: ast.AST, attributes: tuple[str, ...]) -> None:
        if isinstance(node, ast.Attribute):
            visit(node.value, (node.attr, *attributes))
        elif isinstance(node, ast.Name):
            chains.setdefault(node.id, set()).add(attributes)
        else:
            for child in ast.iter_child_nodes(node):
                visit(child, ())

    visit(tree, ())
    return chains
