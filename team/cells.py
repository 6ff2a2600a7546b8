"""Every executed cell with its outputs, one JSON document a line: what the notebook is made from."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from team.log import drop_torn_line
from team.rundir import write_atomic

if TYPE_CHECKING:
    from team.sandbox import CellResult


class CellJournal:
    """Appends cells to `cells.jsonl`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        drop_torn_line(path)
        self._next = sum(1 for _ in read_cells(path))

    def add(self, call: str, role: str, stage: str, tool: str, code: str, cell: CellResult, names: list[str] | None = None) -> int:
        """Append one cell and return its position, from 0.

        Args:
            names: the user's variables after it, for a cell whose variables may be wanted again.
        """
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
            "cause": cell.cause,
            **({"names": names} if names is not None else {}),
            **({"fresh": True} if cell.fresh else {}),
            **({"lost": True} if cell.lost else {}),
        }
        with self._path.open("a", encoding="utf-8") as journal:
            journal.write(json.dumps(document, ensure_ascii=False) + "\n")
        self._next += 1
        return number

    @property
    def following(self) -> int:
        """The position that the next cell gets."""
        return self._next

    def of_call(self, call: str) -> list[dict[str, Any]]:
        """The cells of a call that ended before a resume, in their order."""
        return [document for document in read_cells(self._path) if document["call"] == call]

    def keep(self, wanted: Callable[[dict[str, Any]], bool]) -> None:
        """Drop the cells that are not wanted; those that are left are numbered anew."""
        documents = [document for document in read_cells(self._path) if wanted(document)]
        lines = [json.dumps(document | {"cell": number}, ensure_ascii=False) + "\n" for number, document in enumerate(documents)]
        if self._path.exists():
            write_atomic(self._path, "".join(lines))
        self._next = len(lines)


def read_cells(path: Path) -> Iterator[dict[str, Any]]:
    """Cells in the order they ran; what follows the last newline is passed over."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    for line in text.split("\n")[:-1]:
        try:
            yield json.loads(line)
        except ValueError:  # a crash tore it off, and the next cell was written behind it
            continue
