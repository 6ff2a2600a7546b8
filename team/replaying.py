"""The variables of a run's own kernel after a resume: the cells that made them are executed again, or what is gone is told.

Tools leave nothing in a kernel that a later cell needs: what they made lies in the work folder. Only what a role typed itself
lives in variables, so only those cells are replayed, in their order, since the kernel was last a fresh one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from team.cells import read_cells
from team.sandbox import Kernel

MOST_S = 60.0
"""Cells that took longer than this in all are not executed again: their variables are told to be gone."""
SLOWER, LEAST_S = 3.0, 10.0
"""A replayed cell may take so many times what it took, and this many seconds at least."""


def cells_to_replay(path: Path) -> list[dict[str, Any]]:
    """Cells that roles typed and that ended by themselves, since the kernel was last lost: as they stand in the journal."""
    found: list[dict[str, Any]] = []
    for document in read_cells(path):
        if document.get("fresh"):
            found.clear()
        if "names" in document and document["status"] in ("ok", "error"):
            found.append(document)
        if document.get("lost"):
            found.clear()
    return found


async def replay(kernel: Kernel, path: Path) -> dict[str, Any] | None:
    """Bring the variables of typed cells back into a kernel that has executed nothing yet.

    What cannot be brought back is told with the next cell that the kernel executes.

    Args:
        path: the journal of cells.

    Returns:
        How many cells were executed again in how many seconds, the names that are back and those that are gone; None when
        there was nothing to bring back.

    Raises:
        SandboxUnavailable: the kernel was lost and no new one could be started.
    """
    cells = cells_to_replay(path)
    names = cells[-1]["names"] if cells else []
    if not names:
        return None
    seconds, done = 0.0, 0
    if sum(document["seconds"] for document in cells) <= MOST_S:
        for document in cells:
            cell = await kernel.execute(document["code"], timeout_s=max(LEAST_S, SLOWER * document["seconds"]))
            seconds += cell.seconds
            if cell.status != document["status"]:  # what follows would run on other variables than it did
                break
            done += 1
    back = [name for name in names if name in kernel.names] if done == len(cells) else []
    if done < len(cells):
        await kernel.restart()
    gone = [name for name in names if name not in back]
    kernel.miss(gone)
    return {"cells": done, "of": len(cells), "seconds": round(seconds, 2), "back": back, "gone": gone}
