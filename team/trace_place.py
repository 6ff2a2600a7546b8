"""Which span of a run's trace an event stands in, so that what is logged of it can be found there.

The ids are those that `telemetry.py` gives its spans; both derive them from the keys of `trace_ids.py`, so neither asks the other.
"""

from __future__ import annotations

from team.events import (
    CellExecuted,
    Event,
    ModelCalled,
    RunEnded,
    RunForked,
    RunResumed,
    RunStarted,
    StageEnded,
    StageEntered,
    ToolCalled,
    ToolReturned,
    TurnEnded,
    TurnStarted,
)
from team.trace_ids import RUN, Key, TraceIds, call_key, chat_key, stage_key, turn_key

_LEVELS = ("turn", "stage", "run")


class TracePlace:
    """A fold over all events of a run, those of an earlier process and of a fork's parent among them.

    Args:
        run: name of the run directory.
    """

    def __init__(self, run: str) -> None:
        self._run = run
        self._ids: TraceIds | None = None
        self._stage: StageEntered | None = None
        self._open: dict[str, int] = {}
        self._gone: set[int] = set()
        self._resumes = 0

    def __call__(self, event: Event) -> tuple[str, str]:
        """The ids of the trace (32 hexadecimal digits) and of the span (16) that an event stands in."""
        if self._ids is None:
            self._ids = TraceIds.of(self._run, event.at)
        self._enter(event, self._ids)
        span = self._span(event, self._ids)
        self._leave(event)
        return f"{self._ids.trace:032x}", f"{span:016x}"

    def here(self) -> tuple[str, str] | None:
        """The ids of the trace and of the innermost span that goes on; None before the first event."""
        if self._ids is None:
            return None
        return f"{self._ids.trace:032x}", f"{self._innermost(self._ids):016x}"

    def _enter(self, event: Event, ids: TraceIds) -> None:
        match event:
            case RunStarted():
                self._begin(ids, "run", RUN)
            case RunForked():
                self._open, self._gone = {}, set()
                self._begin(ids, "run", RUN)
                self._begin_stage(ids)
            case RunResumed():
                self._resumes = event.times
                if "run" not in self._open:
                    self._begin(ids, "run", RUN)
                if "stage" not in self._open:
                    self._begin_stage(ids)
            case StageEntered():
                self._stage = event
                self._begin_stage(ids)
            case TurnStarted():
                self._begin(ids, "turn", turn_key(event.seq))
            case ToolCalled():
                self._begin(ids, f"call {event.call}", call_key(event.call))
            case _:
                pass

    def _begin_stage(self, ids: TraceIds) -> None:
        if self._stage is not None:
            self._begin(ids, "stage", stage_key(self._stage.seq))

    def _begin(self, ids: TraceIds, level: str, of: Key) -> None:
        span = ids.span(*of)
        self._open[level] = ids.again(of, self._resumes) if span in self._gone else span

    def _span(self, event: Event, ids: TraceIds) -> int:
        match event:
            case RunStarted() | RunForked() | RunResumed() | RunEnded():
                return self._open.get("run", ids.run)
            case StageEntered() | StageEnded():
                return self._open.get("stage", ids.run)
            case ModelCalled():
                return ids.span(*chat_key(event.seq))
            case CellExecuted():
                return ids.cell(event.call, event.cell)
            case _:
                call = self._open.get(f"call {getattr(event, 'call', '')}")
                return self._innermost(ids) if call is None else call

    def _innermost(self, ids: TraceIds) -> int:
        return next((self._open[level] for level in _LEVELS if level in self._open), ids.run)

    def _leave(self, event: Event) -> None:
        match event:
            case ToolReturned():
                self._open.pop(f"call {event.call}", None)
            case TurnEnded():
                self._open.pop("turn", None)
            case StageEnded():
                self._open.pop("stage", None)
            case RunEnded():
                self._gone |= set(self._open.values())
                self._open = {}
            case _:
                pass
