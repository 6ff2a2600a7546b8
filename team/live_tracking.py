"""A run that goes on, as its trackers see it: a view of the event log that never makes anybody wait."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from team.events import CandidateScored, Event, HoldoutScored, ProgressMade, RoundEnded, ToolCalled, TurnEnded
from team.rundir import RunDir
from team.stages import State
from team.tracking_record import History, record_of
from tools.contract import Contract
from tools.trackers.contract import NOTHING, Patience
from tools.trackers.fanout import Fanout
from tools.trackers.run_record import RunRecord, Status

NEWS = (CandidateScored, RoundEnded, HoldoutScored, ProgressMade, TurnEnded)
AT_THE_END = Patience(2, 3.0)
"""How long a run that failed or was stopped waits until that is told."""


class LiveTracking:
    """Subscribe it to an event log. From the first candidate until the run is put on record, what is new goes to the trackers.

    Args:
        trackers: where to.
        to: those that may be told without a person's word.
        contract: what the run is held to, once its rows are sealed.
        standing: where it stands.
        before: events of the run from before it was cut off.
    """

    def __init__(
        self,
        run: RunDir,
        trackers: Fanout,
        to: tuple[str, ...],
        contract: Callable[[], Contract],
        standing: Callable[[], State],
        before: Iterable[Event] = (),
    ) -> None:
        self._run, self._trackers, self._to, self._contract, self._standing = run, trackers, to, contract, standing
        self._history = History(run.name, before)
        self._over = False

    def __call__(self, event: Event) -> None:
        self._history(event)
        if isinstance(event, ToolCalled) and event.tool == "track_run":
            self._over = True  # from here on the whole record is written
        if self._over or not isinstance(event, NEWS):
            return
        state = self._standing()
        if state.candidates and not state.tracked:
            self._trackers.offer(lambda: self._record("running"), self._to)

    def end(self, status: str) -> None:
        """The run has ended: trackers that would show it as going on for ever are told. One that is slow is not waited for."""
        self._over = True
        if still := self._trackers.streaming:
            ended: dict[str, Status] = {"done": "finished", "interrupted": "killed"}
            self._trackers.finish(self._record(ended.get(status, "failed")), NOTHING, AT_THE_END, still, AT_THE_END.total_s)

    def _record(self, status: Status) -> RunRecord:
        return record_of(self._run, self._history, self._contract(), self._standing(), status)
