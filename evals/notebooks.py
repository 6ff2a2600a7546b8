"""Make the notebooks of `docs/notebooks/` from their sources and execute them, outputs included.

    python -m evals.notebooks [NAME ...]

A source is Markdown: what stands in fences of `python` becomes a cell of code, the rest text. Each notebook is executed in a copy of the
folders that it names, so that runs leave nothing in the repository; paths that differ from machine to machine are taken out of outputs.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

REPOSITORY = Path(__file__).parents[1]
NOTEBOOKS = REPOSITORY / "docs" / "notebooks"
CELL_TIMEOUT_S = 900
_FENCE = re.compile(r"^```python\n(.*?)^```\n?", re.MULTILINE | re.DOTALL)


def sources() -> list[Path]:
    """The sources, in order."""
    return sorted((NOTEBOOKS / "sources").glob("*.md"))


def notebook_of(source: Path) -> Any:
    """A source as a notebook without outputs."""
    parts = _FENCE.split(source.read_text(encoding="utf-8"))
    cells: list[Any] = []
    for number, part in enumerate(parts):
        if text := part.strip():
            make = nbformat.v4.new_code_cell if number % 2 else nbformat.v4.new_markdown_cell
            cells.append(make(text, id=f"cell-{len(cells)}"))
    return fresh(cells)


def fresh(cells: list[Any]) -> Any:
    """A notebook of these cells that names its kernel, without which JupyterLab asks for one."""
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})


def execute(notebook: Any, place: Path) -> None:
    """Execute a notebook in `place`, a folder that is made as its folder in the repository is.

    Raises:
        CellExecutionError: when a cell fails.
    """
    here = place / "docs" / "notebooks"
    here.mkdir(parents=True)
    (place / "evals").mkdir()
    shutil.copytree(REPOSITORY / "evals" / "data", place / "evals" / "data")
    NotebookClient(notebook, timeout=CELL_TIMEOUT_S, kernel_name="python3", resources={"metadata": {"path": str(here)}}).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # when each cell was executed, which would be all that differs
        for output in cell.get("outputs", ()):
            _relocate(output, str(here))


def _relocate(output: Any, here: str) -> None:
    """Paths as they are beside the notebook."""
    holder = output.get("data", output)
    for kind in ("text", "text/plain", "text/html"):
        if isinstance(holder.get(kind), str):
            holder[kind] = holder[kind].replace(f"{here}/", "")


def main(names: list[str]) -> None:
    """Make the notebooks whose sources are named so, or all."""
    for source in sources():
        if names and source.stem not in names:
            continue
        notebook = notebook_of(source)
        with tempfile.TemporaryDirectory(prefix="mlteam-") as folder:
            execute(notebook, Path(folder))
        target = NOTEBOOKS / f"{source.stem}.ipynb"
        nbformat.write(notebook, target)
        print(f"{target.relative_to(REPOSITORY)}  {target.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main(sys.argv[1:])
