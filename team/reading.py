"""What a cell of a tool call gave back: a result of the tool's shape, or how the call failed and what was lost with it."""

from __future__ import annotations

import json
from typing import Any

from pydantic import ValidationError

from team.losses import Loss
from team.outcome import Outcome
from team.sandbox import CellResult
from tools.show import RESULT_MIME
from tools.spec import ToolSpec

MOST_BITS = 63
"""Of a whole number in a result or in progress. Larger ones are none of ours, and printing them can fail."""


def read_cell(spec: ToolSpec, cell: CellResult) -> Outcome:
    """Validate what a cell gave back. A call that was interrupted but still showed a good result is good."""
    if spec.result is None:
        return Outcome(status=cell.status, text=_lost(cell) + cell.text if cell.status == "ok" else _failure(cell))
    if cell.result is not None:
        try:
            facts = json.loads(spec.result.model_validate(cell.result).model_dump_json())
        except ValidationError as error:
            return Outcome(status="error", text=f"{spec.name} gave a result of the wrong shape: {error.errors()[0]['msg']}")
        if not printable(facts):
            return Outcome(status="error", text=f"{spec.name} gave a number of more than {MOST_BITS} bits")
        return Outcome(status="ok", text=json.dumps(facts, ensure_ascii=False), result=facts)
    if cell.ename == "ToolRefused":
        return Outcome(status="refused", text=cell.evalue or "refused")
    if cell.ename == "ToolFailed":
        return Outcome(status="error", text=cell.evalue or "failed")
    return Outcome(
        status="error" if cell.status == "ok" else cell.status, text=_failure(cell) if cell.status != "ok" else "no result was shown"
    )


def recorded_cell(document: dict[str, Any]) -> CellResult:
    """The result of a cell that stands in the journal."""
    result: dict[str, Any] | None = None
    error: dict[str, Any] = {}
    text: list[str] = []
    for output in document["outputs"]:
        data = output.get("data", {})
        result = data.get(RESULT_MIME, result)
        text.append(output.get("text", "") if output["output_type"] == "stream" else data.get("text/plain", ""))
        error = output if output["output_type"] == "error" else error
    return CellResult(
        status=document["status"],
        text="\n".join(part for part in text if part),
        outputs=document["outputs"],
        seconds=document["seconds"],
        ename=error.get("ename"),
        evalue=error.get("evalue"),
        traceback="\n".join(error["traceback"]) if error else None,
        result=result,
        cause=document.get("cause"),
        lost=document.get("lost", False),
    )


def loss_of(cell: CellResult) -> Loss | None:
    """How a call lost its kernel; None when it still has it."""
    if not cell.lost or cell.status not in ("died", "timeout"):
        return None
    cause = cell.cause or "it said nothing"
    if cell.status == "timeout" or (cell.traceback or "").startswith("Timeout ("):
        return Loss("hang", cause, cell.seconds)
    # Whoever kills again and again what stays below its own limit is a machine that has no memory left.
    return Loss("memory" if cause.startswith("out of memory") or from_outside(cause) else "crash", cause, cell.seconds)


def from_outside(cause: str | None) -> bool:
    """Whether somebody on the machine ended the kernel, rather than a limit or the code in it."""
    return cause is not None and any(words in cause for words in ("signal 9 (SIGKILL)", "from outside", "connection to the Docker daemon"))


def printable(value: Any) -> bool:
    """Whether all whole numbers in a document are of a sane size."""
    if isinstance(value, int):
        return value.bit_length() <= MOST_BITS
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return all(map(printable, inner))


def _failure(cell: CellResult) -> str:
    how = f"the cell ended as {cell.status}" + (f" ({cell.cause})" if cell.cause else "")
    return "\n".join([how, _lost(cell) + cell.text, cell.traceback or ""]).strip()


def _lost(cell: CellResult) -> str:
    return f"variables lost with the kernel: {', '.join(cell.lost_variables[:20])}\n" if cell.lost_variables else ""
