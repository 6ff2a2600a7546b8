"""What takes the time within a cell, as spans: fits, refits and trials, for the trace of whoever sent the cell.

The sender names its trace in the cell's message metadata (`traceparent`, W3C Trace Context). What was timed goes back as displays
of a MIME type of its own, which stand in no notebook. Without that name, as in a person's notebook or a plain script, nothing is
timed. Spans that end in threads are sent by the cell's own thread.
"""

from __future__ import annotations

import contextvars
import re
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, StringConstraints

SPANS_MIME = "application/vnd.mlteam.spans+json"
TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")
"""Version 00 of the header: trace, parent and flags."""
MOST_SPANS = 2_000
"""Of one cell; what comes after them is counted."""
MOST_FACTS = 16
SEND_S, SEND_SPANS = 1.0, 200
"""They are sent after so many seconds, or so many of them, and when the cell ends."""

SpanKind = Literal["fit", "refit", "pilot", "trial", "job"]
"""A fold's fit, one on all rows, a short one that tells how long others will take, a configuration that a search tries with its
fits, and what a worker does for somebody else."""
SpanId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
Fact = bool | int | FiniteFloat | Annotated[str, StringConstraints(max_length=200)]


class TimedSpan(BaseModel):
    """Something that was timed where no tracer is, such as in a sandbox."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: SpanId
    parent: SpanId
    """Another one's id, or that of the span that `traceparent` named."""
    kind: SpanKind
    start: Annotated[FiniteFloat, Field(ge=0)]
    """Seconds since the epoch."""
    end: Annotated[FiniteFloat, Field(ge=0)]
    facts: Annotated[dict[Annotated[str, StringConstraints(max_length=60)], Fact], Field(max_length=MOST_FACTS)] = {}
    error: Annotated[str, StringConstraints(max_length=100)] = ""
    """Class of the exception that ended it; empty where it went well."""


@dataclass(eq=False)
class Timing:
    """A span that goes on. Facts can be added until it ends."""

    id: str
    facts: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    """Class of the exception that it came to, where that is not raised out of it."""

    def tell(self, **facts: Any) -> None:
        """Add facts; None tells nothing."""
        self.facts |= {name: value for name, value in facts.items() if value is not None}


class _Cell:
    """What was timed in one cell and is not sent yet."""

    def __init__(self, traceparent: str) -> None:
        self.traceparent = traceparent
        self.lock = threading.Lock()
        self.waiting: list[dict[str, Any]] = []
        self.told = self.left_out = 0
        self.sent_at = time.monotonic()

    def add(self, span: dict[str, Any]) -> None:
        with self.lock:
            self.told += 1
            if self.told > MOST_SPANS:
                self.left_out += 1
            else:
                self.waiting.append(span)

    def take(self) -> dict[str, Any] | None:
        with self.lock:
            spans, left_out = self.waiting, self.left_out
            self.waiting, self.left_out, self.sent_at = [], 0, time.monotonic()
        return {"spans": spans, "left_out": left_out} if spans or left_out else None

    @property
    def is_due(self) -> bool:
        return len(self.waiting) >= SEND_SPANS or (bool(self.waiting) and time.monotonic() - self.sent_at >= SEND_S)


_parent: contextvars.ContextVar[tuple[_Cell, str] | None] = contextvars.ContextVar("mlteam_parent_span", default=None)
"""The cell and the id of the innermost span that goes on; of an earlier cell, it counts for nothing."""
_cell: _Cell | None = None
_changing = threading.Lock()


@contextmanager
def timed(kind: SpanKind, **facts: Any) -> Iterator[Timing]:
    """Time a block for the trace that the cell belongs to. Blocks within are its children, in threads too that copy their context.

    Args:
        facts: numbers and short texts; None is left out.
    """
    timing = Timing(secrets.token_hex(8))
    cell = _current_cell()
    if cell is None:
        yield timing
        return
    timing.tell(**facts)
    around = _parent.get()
    parent = around[1] if around is not None and around[0] is cell else cell.traceparent[36:52]
    token = _parent.set((cell, timing.id))
    began, tick = time.time(), time.perf_counter()
    try:
        yield timing
    except BaseException as raised:
        timing.error = type(raised).__name__
        raise
    finally:
        _parent.reset(token)
        span = {"id": timing.id, "parent": parent, "kind": kind, "start": began, "end": began + time.perf_counter() - tick}
        span["facts"] = {name: _plain(value) for name, value in list(timing.facts.items())[:MOST_FACTS]}
        cell.add(span | ({"error": timing.error[:100]} if timing.error else {}))
        send_due()


def send_due() -> None:
    """Send what waits, where it has waited for long enough."""
    if _cell is not None and _cell.is_due:
        send()


def send() -> None:
    """Send what waits, when this is the cell's own thread."""
    if _cell is None or threading.current_thread() is not threading.main_thread():
        return
    if (document := _cell.take()) is not None:
        from IPython.display import display

        display({SPANS_MIME: document}, raw=True)


def _current_cell() -> _Cell | None:
    """What the cell that runs here has timed so far; None where nobody asked."""
    global _cell
    shell = _shell()
    kernel = getattr(shell, "kernel", None)
    if kernel is None:
        return None
    asked = kernel.get_parent().get("metadata", {}).get("traceparent")
    if not isinstance(asked, str) or not TRACEPARENT.fullmatch(asked):
        return None
    with _changing:
        if _cell is None:
            shell.events.register("post_run_cell", lambda result: send())
        if _cell is None or _cell.traceparent != asked:
            _cell = _Cell(asked)
        return _cell


def _shell() -> Any:
    import sys

    # Where nobody imported IPython there is no cell.
    module = sys.modules.get("IPython.core.getipython")
    return module.get_ipython() if module else None


def _plain(value: Any) -> Any:
    if isinstance(value, (bool, int, str)):
        return value[:200] if isinstance(value, str) else value
    return float(value) if hasattr(value, "__float__") else str(value)[:200]
