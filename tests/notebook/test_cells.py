"""A run in a real kernel: interrupted it pauses and goes on, its display is one, and a loop that runs already is no obstacle."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from evals.notebooks import REPOSITORY, fresh

pytestmark = [pytest.mark.notebook, pytest.mark.timeout(900)]

CELLS = (
    "import pandas as pd\nfrom team import arun, run",
    "penguins = pd.read_csv('penguins.csv').set_index('Individual ID')",
    "given = dict(target='Sex', time='300s', trials=0, families='linear,tree', sandbox='unsafe-local')",
    "r = run(penguins, **given, name='penguins')",
    "(r.status, r.score)",
    "r.resume()\n(r.status, r.score > 0.5)",
    "r.predict(penguins.head(2), sandbox='unsafe-local')",
    "q = await arun(penguins, **given)\n(q.status, q.score == r.score)",
)
INTERRUPTED = 3
WITHIN_S = 600


async def test_an_interrupted_cell_pauses_its_run_and_resume_ends_it_as_if_nothing_had_been(tmp_path: Path) -> None:
    shutil.copy(REPOSITORY / "evals" / "data" / "penguins.csv", tmp_path)
    notebook = fresh([nbformat.v4.new_code_cell(code) for code in CELLS])
    client = NotebookClient(notebook, timeout=WITHIN_S, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}})
    async with client.async_setup_kernel():
        for number, cell in enumerate(notebook.cells):
            job = asyncio.ensure_future(client.async_execute_cell(cell, number))
            if number == INTERRUPTED:
                await _until_it_shows(cell, "analyse")
                assert client.km is not None
                await client.km.interrupt_kernel()
            await asyncio.wait_for(job, WITHIN_S)
    shown = [[output for output in cell.outputs if output.output_type != "stream"] for cell in notebook.cells]
    assert len(shown[INTERRUPTED]) == 1, "one display"
    assert "interrupted" in shown[INTERRUPTED][0].data["text/plain"]
    assert _value(shown[INTERRUPTED + 1]) == "('interrupted', None)"
    assert _value(shown[INTERRUPTED + 2]) == "('done', True)"
    assert "Individual ID" in _value(shown[INTERRUPTED + 3]), "predictions have the index of the rows"
    assert _value(shown[INTERRUPTED + 4]) == "('done', True)", "pausing changed nothing in the result"


def _value(outputs: list[Any]) -> str:
    return str(outputs[-1].data["text/plain"])


async def _until_it_shows(cell: Any, word: str) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not any(word in output.get("data", {}).get("text/plain", "") for output in cell.outputs):
            await asyncio.sleep(0.1)
