"""The call that is going on: what puts its cells and its progress on record, from whatever sandbox they come."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from team.cells import CellJournal
from team.events import CellExecuted, FellBack, ProgressMade, WorkTimed
from team.journal import Journal
from team.reading import printable, recorded_cell
from team.sandbox import CellResult
from team.stages import Stage
from team.timings import Timings
from team.trace_ids import TraceIds

MOST_PROGRESS = 2_000
"""Progress of one call that is logged: the log is not the sandbox's to fill."""
PROGRESS_KEYS = 16
"""Of each: three of a trial, and its parameters."""


class Running(NamedTuple):
    """A call that was begun."""

    call: str
    role: str
    stage: Stage


class Ongoing:
    """One call after another, each on record while it is going on."""

    def __init__(self, cells: CellJournal, record: Journal, trace: Callable[[], TraceIds | None] = lambda: None) -> None:
        """Nothing is going on yet.

        Args:
            trace: ids of the run's trace; None where there is none.
        """
        self.cells = cells
        self.emit = record.append
        self._trace = trace
        self._running: Running | None = None
        self._told = 0

    @contextmanager
    def one(self, call: str, role: str, stage: Stage) -> Iterator[None]:
        """What is told in this block is told of this call."""
        self._running, self._told = Running(call, role, stage), 0
        try:
            yield
        finally:
            self._running = None

    @property
    def running(self) -> Running:
        assert self._running is not None, "cells, progress and losses are those of a call that is going on"
        return self._running

    def is_going_on(self, running: Running) -> bool:
        return self._running is running

    def progress(self, facts: Mapping[str, Any]) -> None:
        """Tell whoever watches how far the call has come."""
        self._told += 1
        if self._told > MOST_PROGRESS:
            return
        self.emit(ProgressMade(call=self.running.call, facts=_small(facts)))

    @property
    def metadata(self) -> dict[str, str]:
        """What the message that carries the call's next cell says beside it: which span the cell is."""
        ids = self._trace()
        return {"traceparent": ids.traceparent(ids.cell(self.running.call, self.cells.following))} if ids else {}

    def journal(self, tool: str, code: str, cell: CellResult, names: list[str] | None = None, timings: Timings | None = None) -> None:
        """Keep a cell that was executed for the call, whatever sandbox it ran in.

        Args:
            names: variables of the run's own kernel after it, where they may be wanted again.
            timings: what it says that took its time.
        """
        call, role, stage = self.running
        number = self.cells.add(call, role, stage, tool, code, cell, names)
        self.emit(CellExecuted(call=call, cell=number, status=cell.status, seconds=cell.seconds, cause=cell.cause))
        if timings is not None and (timings.spans or timings.left_out):
            self.emit(WorkTimed(call=call, cell=number, spans=timings.spans, left_out=timings.left_out))

    def recorded(self) -> list[CellResult]:
        """Cells of the call that ended before the run was cut off, without the call having returned."""
        call = self.running.call
        done = self.cells.of_call(call)
        for d in done:
            self.emit(CellExecuted(call=call, cell=d["cell"], status=d["status"], seconds=d["seconds"], cause=d["cause"]))
        return [recorded_cell(document) for document in done]

    def goes_without(self, what: str, reason: str) -> None:
        """Put on record that the run goes on with less."""
        _, role, stage = self.running
        self.emit(FellBack(stage=stage, role=role, reason=reason[:400], what=what[:80]))


def _small(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Progress as an event: short texts and sane numbers only, since the kernel can send anything."""
    kept = {}
    for key, value in list(facts.items())[:PROGRESS_KEYS]:
        if not isinstance(value, (int, float)):
            value = str(value)[:80] if printable(value) else "…"
        if isinstance(value, str) or (math.isfinite(value) if isinstance(value, float) else printable(value)):
            kept[str(key)[:40]] = value
    return kept
