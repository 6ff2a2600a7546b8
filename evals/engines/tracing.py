"""The trace across an engine: each job is told which span it is part of, and brings back what it timed.

Jobs of LocalEngine and DaskEngine that are asked for within `receiving` carry a `traceparent` (W3C Trace Context). What they time,
and what sandboxes that they open say that they timed, comes back with their result, and joins the trace of whoever asked.
"""

from __future__ import annotations

import contextvars
import os
import platform
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol

from evals.engines import Job, Result
from tools.spans import TimedSpan

_TIMED = "mlteam_timed"
"""Attribute of an exception that brings spans back."""


class Receiver(Protocol):
    """Who wants to know what takes the time of jobs."""

    @property
    def traceparent(self) -> str: ...
    def take(self, spans: Sequence[TimedSpan], asked_at: float) -> None: ...


_receiver: contextvars.ContextVar[Receiver | None] = contextvars.ContextVar("mlteam_receiver", default=None)
_doing: contextvars.ContextVar[Doing | None] = contextvars.ContextVar("mlteam_doing", default=None)


@dataclass
class Doing:
    """The job that a worker's process is doing for a trace."""

    traceparent: str
    """The job's own span."""
    spans: list[TimedSpan] = field(default_factory=list)


def doing() -> Doing | None:
    """The job that is done here; None where nobody traces it."""
    return _doing.get()


@dataclass(frozen=True)
class Answered(Generic[Result]):
    """A result with what it took."""

    result: Result
    spans: list[TimedSpan]
    asked_at: float


@dataclass(frozen=True)
class TracedCall(Generic[Job, Result]):
    """A job's function, which times the job where it is done."""

    function: Callable[[Job], Result]
    traceparent: str
    asked_at: float

    def __call__(self, job: Job) -> Answered[Result]:
        own = secrets.token_hex(8)
        here = Doing(f"{self.traceparent[:36]}{own}{self.traceparent[52:]}")
        token = _doing.set(here)
        began, tick = time.time(), time.perf_counter()

        def spans(error: str = "") -> list[TimedSpan]:
            facts = {"function": self.function.__name__[:100], "host": platform.node()[:100], "pid": os.getpid()}
            end = began + time.perf_counter() - tick
            above = self.traceparent[36:52]
            return [*here.spans, TimedSpan(id=own, parent=above, kind="job", start=began, end=end, facts=facts, error=error[:100])]

        try:
            result = self.function(job)
        except Exception as error:
            setattr(error, _TIMED, (spans(type(error).__name__), self.asked_at))
            raise
        finally:
            _doing.reset(token)
        return Answered(result, spans(), self.asked_at)


def traced(function: Callable[[Job], Result]) -> Callable[[Job], Any]:
    """What an engine has done in place of a function, so that the trace of its caller goes on there; the function where there is none."""
    receiver = _receiver.get()
    return function if receiver is None else TracedCall(function, receiver.traceparent, time.time())


def untraced(found: Any) -> Any:
    """A job's own result, or its exception, once the caller has what was timed."""
    receiver = _receiver.get()
    if isinstance(found, Answered):
        if receiver is not None:
            receiver.take(found.spans, found.asked_at)
        return found.result
    if isinstance(found, Exception) and (told := found.__dict__.pop(_TIMED, None)) and receiver is not None:
        receiver.take(*told)
    return found


@contextmanager
def receiving(receiver: Receiver) -> Iterator[None]:
    """Engines that are asked in this block tell their jobs of the receiver's trace."""
    token = _receiver.set(receiver)
    try:
        yield
    finally:
        _receiver.reset(token)
