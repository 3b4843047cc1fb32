"""The two files of a notebook: the .py that people edit, and the .ipynb with the outputs of a laptop run."""

from __future__ import annotations

import ast
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbformat import NotebookNode


def read_source(source: Path) -> NotebookNode:
    """Return the notebook that the .py file tells, with cell ids that depend on nothing but place and content."""
    notebook = jupytext.read(source)
    for place, cell in enumerate(notebook.cells):
        cell["id"] = hashlib.sha256(f"{place}{cell.source}".encode()).hexdigest()[:8]
    return notebook


def check_parameters(notebook: NotebookNode, parameters: dict[str, Any]) -> None:
    """Check parameters against the cell tagged "parameters", whose values are literals.

    Raises
    ------
    ValueError
        If the notebook has no such cell, a parameter is not in it, or is of another type.
    """
    cell = next((one for one in notebook.cells if "parameters" in one.metadata.get("tags", [])), None)
    if cell is None:
        raise ValueError("the notebook has no cell tagged 'parameters'")
    known = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in ast.parse(cell.source).body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    for name, value in parameters.items():
        if name not in known:
            raise ValueError(f"the notebook has no parameter {name!r}; its parameters are {', '.join(known)}")
        if type(value) is not type(known[name]):
            raise ValueError(
                f"the parameter {name} is a {type(known[name]).__name__} like {known[name]!r}, not {value!r}"
            )


def publish(source: Path, executed: NotebookNode) -> bool:
    """Write an executed notebook beside its source, less what is not its own; return whether anything changed."""
    text = nbformat.writes(published_form(executed)) + "\n"
    path = source.with_suffix(".ipynb")
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return False
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
    return True


def published_form(executed: NotebookNode) -> NotebookNode:
    """Return a copy of an executed notebook without injected cell, timings, progress lines and widget state.

    What is left depends on the results only, so that running again changes no file.
    """
    notebook = nbformat.from_dict(json.loads(nbformat.writes(executed)))
    notebook.cells = [cell for cell in notebook.cells if "injected-parameters" not in cell.metadata.get("tags", [])]
    kept = ("kernelspec", "language_info", "jupytext")
    notebook.metadata = NotebookNode({name: notebook.metadata[name] for name in kept if name in notebook.metadata})
    count = 0
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        cell.metadata = NotebookNode({"tags": tags} if tags else {})
        if cell.cell_type != "code":
            continue
        count += 1
        cell.execution_count = count
        cell.outputs = _joined([output for output in cell.outputs if output.get("name") != "stderr"])
        for output in cell.outputs:
            output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
            if "execution_count" in output:
                output.execution_count = count
    return notebook


def _joined(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Join neighbouring pieces of a stream: where it is cut is a matter of timing."""
    joined: list[NotebookNode] = []
    for output in outputs:
        if joined and output.output_type == joined[-1].output_type == "stream" and output.name == joined[-1].name:
            joined[-1].text += output.text
        else:
            joined.append(output)
    return joined


def out_of_step(source: Path) -> str:
    """Return how the .ipynb differs from the .py in its inputs, or an empty string."""
    section = f"{source.parent.name}/{source.stem}"
    path = source.with_suffix(".ipynb")
    if not path.exists():
        return f"{section}: there is no .ipynb; `make figures ONLY={section}` makes it"
    sides = [
        [(cell.cell_type, cell.source.strip()) for cell in side.cells]
        for side in (read_source(source), nbformat.read(path, as_version=4))
    ]
    for place, (source, pair) in enumerate(zip(*sides, strict=False)):
        if source != pair:
            return f"{section}: cell {place + 1} of the .ipynb is not that of the .py"
    if len(sides[0]) != len(sides[1]):
        return f"{section}: the .py has {len(sides[0])} cells, the .ipynb {len(sides[1])}"
    return ""


def bring_in_step(source: Path) -> bool:
    """Write the .ipynb anew from the .py, with the outputs of the cells that are the same; tell whether it changed."""
    notebook = read_source(source)
    path = source.with_suffix(".ipynb")
    if path.exists():
        published = nbformat.read(path, as_version=4)
        notebook.metadata |= {key: value for key, value in published.metadata.items() if key == "language_info"}
        before = {cell.source.strip(): cell for cell in published.cells}
        for cell in notebook.cells:
            if cell.cell_type == "code" and cell.source.strip() in before:
                cell.outputs = before[cell.source.strip()].outputs
    return publish(source, notebook)
