"""Every executed cell with its outputs, one JSON document a line: what the notebook is made from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from team.sandbox import CellResult


class CellJournal:
    """Appends cells to `cells.jsonl`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._next = sum(1 for _ in read_cells(path))

    def add(self, call: str, role: str, stage: str, tool: str, code: str, cell: CellResult) -> int:
        """Append one cell and return its position, from 0."""
        number = self._next
        document = {
            "cell": number,
            "call": call,
            "role": role,
            "stage": stage,
            "tool": tool,
            "code": code,
            "status": cell.status,
            "seconds": cell.seconds,
            "outputs": cell.outputs,
        }
        with self._path.open("a", encoding="utf-8") as journal:
            journal.write(json.dumps(document, ensure_ascii=False) + "\n")
        self._next += 1
        return number


def read_cells(path: Path) -> Iterator[dict[str, Any]]:
    """Cells in the order they ran; what follows the last newline is passed over."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    for line in text.split("\n")[:-1]:
        yield json.loads(line)
