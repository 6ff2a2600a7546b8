"""An executed cell as lines: its code, how it ended, and the head of what it printed."""

from __future__ import annotations

from typing import Any

from team.chat.answers import link
from team.errors import UsageError
from team.rundir import RunDir

CELL_LINES = 40


def cell_lines(run: RunDir, number: str) -> list[str]:
    """A cell of a run.

    Args:
        number: as the cells are counted; empty for the last one.

    Raises:
        UsageError: there is no such cell, saying which there are.
    """
    from team.cells import read_cells

    cells = list(read_cells(run.cells))
    if not cells:
        raise UsageError("no cell has been executed yet.")
    cell = next((one for one in cells if str(one["cell"]) == number), None) if number else cells[-1]
    if cell is None:
        raise UsageError(f"/show {number}: there are cells 0 to {cells[-1]['cell']}.")
    printed = [line for output in cell["outputs"] for line in _text(output).splitlines()]
    lines = [*cell["code"].splitlines(), f"-- cell {cell['cell']}, {cell['status']}, {cell['seconds']:.1f} s", *printed]
    if len(lines) > CELL_LINES:
        lines = [*lines[:CELL_LINES], f"… {len(lines) - CELL_LINES} more lines; /open notebook has them all"]
    return [*lines, link(run.cells)]


def _text(output: dict[str, Any]) -> str:
    """What an output says in text; a picture says nothing."""
    data = output.get("data", {})
    if any(kind.startswith("image/") for kind in data):
        return ""
    return str(output.get("text") or data.get("text/plain", ""))


__all__ = ["cell_lines"]
