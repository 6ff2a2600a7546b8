"""Calls of tools, and what goes on in kernels for them."""

from __future__ import annotations

from typing import Any, Literal

from team.events.event import BaseEvent
from tools.spans import TimedSpan


class ToolCalled(BaseEvent):
    kind: Literal["tool_called"] = "tool_called"
    call: str
    turn: int
    role: str
    tool: str
    where: Literal["kernel", "host"]
    arguments: dict[str, Any]


class ToolReturned(BaseEvent):
    kind: Literal["tool_returned"] = "tool_returned"
    call: str
    tool: str
    status: Literal["ok", "refused", "error", "timeout", "died"]
    seconds: float
    search_seconds: float = 0.0
    result: dict[str, Any] | None = None
    """The validated result; None for free-form cells and for failures."""
    text: str = ""
    """What the role was shown, head and tail."""
    facts: dict[str, Any] = {}
    """What it can go on by after a call that did not work, such as which family took the kernel along."""


class CellExecuted(BaseEvent):
    kind: Literal["cell_executed"] = "cell_executed"
    call: str
    cell: int
    """Position in `cells.jsonl`, from 0."""
    status: Literal["ok", "error", "timeout", "died"]
    seconds: float
    cause: str | None = None


class WorkTimed(BaseEvent):
    """What took the time within a cell that has ended: fits, refits and trials, by the clock of its sandbox."""

    kind: Literal["work_timed"] = "work_timed"
    call: str
    cell: int
    spans: list[TimedSpan]
    """In the order in which they ended; those without another one above them have the cell's span as their parent."""
    left_out: int = 0
    """How many there were beside, more than are kept or none that can be read."""


class KernelChanged(BaseEvent):
    kind: Literal["kernel_changed"] = "kernel_changed"
    change: str
    facts: dict[str, Any] = {}


class ProgressMade(BaseEvent):
    kind: Literal["progress_made"] = "progress_made"
    call: str
    facts: dict[str, Any]
