"""A candidate that was written as code, as one cell of the notebook.

Its folds were cells in sandboxes of their own, whose folders went with them, so those cannot be executed again. One cell
stands for all of them: it holds the code, shows what was recorded, and executed again it does the same in its own kernel.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import Any

from reports.conversation import ToolCall
from team.events import ToolReturned
from tools.show import as_html, as_text

SUBMISSION_TOOL, FOLD_TOOL = "submit_candidate", "predict_fold"
"""The tool that was called, and that of its folds' cells in the journal."""


def one_cell(call: ToolCall, folds: Sequence[dict[str, Any]], returned: ToolReturned | None) -> dict[str, Any]:
    """The cells of a candidate's folds as one of the journal's cells."""
    return {
        **folds[0],
        "tool": call.tool,
        "code": _source(str(call.arguments["name"]), str(call.arguments["code"])),
        "seconds": call.seconds,
        # What failed need not fail as quickly in a kernel where nobody ends it.
        "status": "ok" if call.status == "ok" else "timeout",
        "outputs": list(_outputs(folds, returned)),
    }


def is_trial(cell: dict[str, Any]) -> bool:
    """Whether a cell of a fold tried the module on a few rows only."""
    return "predict_fold(sample=" in str(cell["code"])


def words(call: ToolCall, folds: Sequence[dict[str, Any]]) -> str:
    """How it was evaluated, in plain Markdown."""
    places = "a fresh sandbox" if len(folds) == 1 else f"{len(folds)} fresh sandboxes"
    text = (
        f"This code ran in {places}, one a fold, with the fold's training rows and, of its validation rows, the features alone."
        " What it predicted was scored outside."
    )
    again = " The cell below shows what was recorded then, and executed again it fits the folds in this kernel."
    return text + (again if call.status == "ok" else f" It ended as {call.status}, so the cell below is not executed again.")


def _source(name: str, code: str) -> str:
    imports = "from tools.show import show\nfrom tools.submission import cross_validate"
    return f"{imports}\n\ncode = {_literal(code)}\n\nshow(cross_validate({name!r}, code))"


def _outputs(folds: Sequence[dict[str, Any]], returned: ToolReturned | None) -> Iterator[dict[str, Any]]:
    """What the folds printed, then what the call gave."""
    for cell in folds:
        yield from (output for output in cell["outputs"] if output["output_type"] == "stream")
    if returned is not None and returned.result is not None:
        data = {"text/plain": as_text(returned.result), "text/html": as_html(returned.result)}
        yield {"output_type": "display_data", "data": data, "metadata": {}}
    elif returned is not None:
        yield {"output_type": "stream", "name": "stderr", "text": returned.text}


def _literal(code: str) -> str:
    """The text as people write it in a cell, where that is exact."""
    raw = f"r'''{code}'''"
    try:
        exact = ast.literal_eval(raw) == code
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        exact = False
    return raw if exact else repr(code)
