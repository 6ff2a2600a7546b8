"""The example notebooks execute from top to bottom, and what is kept of them is what their sources say."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

from evals.notebooks import NOTEBOOKS, execute, notebook_of, sources

MOST_BYTES = 300_000


@pytest.mark.notebook
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("source", sources(), ids=lambda path: path.stem)
def test_it_executes(source: Path, tmp_path: Path) -> None:
    notebook = notebook_of(source)
    execute(notebook, tmp_path)
    shown = "".join(output.get("data", {}).get("text/html", "") for cell in notebook.cells for output in cell.get("outputs", ()))
    assert 'class="state done"' in shown
    assert "Traceback" not in shown


@pytest.mark.parametrize("source", sources(), ids=lambda path: path.stem)
def test_what_is_kept_was_executed_from_its_source_and_is_small(source: Path) -> None:
    path = NOTEBOOKS / f"{source.stem}.ipynb"
    kept, made = nbformat.read(path, as_version=4), notebook_of(source)
    nbformat.validate(kept)
    assert [(cell.cell_type, cell.source) for cell in kept.cells] == [(cell.cell_type, cell.source) for cell in made.cells], (
        "its source has changed: python -m evals.notebooks"
    )
    code = [cell for cell in kept.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert path.stat().st_size < MOST_BYTES
    assert "/tmp/" not in path.read_text(encoding="utf-8")
