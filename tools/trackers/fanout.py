"""One record to several trackers, each in a thread of its own: one that is slow or down holds up neither the run nor the others."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from typing import NamedTuple

from tools.trackers.contract import LIVE, NOTHING, TOO_SLOW, Attachments, NotSent, Patience, Tracker, Written
from tools.trackers.run_record import RunRecord

EVERY_S = 3.0
"""Seconds between two records of a run that goes on; what comes meanwhile goes along with the next one."""
LONGEST_PAUSE_S = 60.0
"""Seconds at most until a tracker that was down is tried again."""
Snapshot = Callable[[], RunRecord]
"""Gives the record as it is now; called in the tracker's thread."""


class _Last(NamedTuple):
    record: RunRecord
    attachments: Attachments
    patience: Patience
    outcome: Future[Written | NotSent]


class Lane:
    """One tracker with the thread that writes to it, which is there while there is something to write."""

    def __init__(self, make: Callable[[], Tracker], every_s: float = EVERY_S) -> None:
        self._make, self._every_s = make, every_s
        self._tracker: Tracker | None = None
        self._changed = threading.Condition()
        self._snapshot: Snapshot | None = None
        self._last: list[_Last] = []
        self._working = False
        self._pause_s = 0.0
        self.streaming = False
        """Whether what it has of the run may say that the run goes on."""

    def offer(self, snapshot: Snapshot) -> None:
        """Have a record written soon; comes back at once. Of several that wait, only the newest is written."""
        with self._changed:
            self._snapshot = snapshot
            self._work()

    def finish(self, record: RunRecord, attachments: Attachments, patience: Patience) -> Future[Written | NotSent]:
        """Have a record of a run that is over written, after what is being written; comes back at once."""
        last = _Last(record, attachments, patience, Future())
        with self._changed:
            self._snapshot = None
            self._last.append(last)
            self._work()
        return last.outcome

    def _work(self) -> None:
        self._changed.notify_all()
        if not self._working:
            self._working = True
            threading.Thread(target=self._go, daemon=True, name="mlteam-tracker").start()

    def _go(self) -> None:
        while True:
            with self._changed:
                if not self._last:
                    self._changed.wait_for(lambda: bool(self._last), timeout=self._pause_s)
                last, snapshot = self._last.pop(0) if self._last else None, self._snapshot
                self._snapshot = None
                if last is None and snapshot is None:
                    self._working, self._pause_s = False, 0.0
                    return
            if last is not None:
                last.outcome.set_result(self._written(last.record, last.attachments, last.patience))
            elif snapshot is not None:
                self._stream(snapshot)

    def _stream(self, snapshot: Snapshot) -> None:
        self.streaming = True  # half a record says so too
        outcome = self._written(snapshot, NOTHING, LIVE)
        if isinstance(outcome, Written):
            self._pause_s = self._every_s
            return
        # What was not written is part of every later record; without a later one this very one is tried again.
        self._pause_s = min(LONGEST_PAUSE_S, max(self._every_s, 2 * self._pause_s))
        with self._changed:
            if not self._last:
                self._snapshot = self._snapshot or snapshot

    def _written(self, given: RunRecord | Snapshot, attachments: Attachments, patience: Patience) -> Written | NotSent:
        try:
            record = given if isinstance(given, RunRecord) else given()
            self._tracker = self._tracker or self._make()
            written = self._tracker.write(record, attachments, patience)
            self.streaming = record.running
            return written
        except NotSent as error:
            return error
        except Exception as error:  # a package's tracker may fail in any way; what it says may repeat a secret
            return NotSent(f"it failed ({type(error).__name__})", answered=True)


class Fanout:
    """Several trackers by their names.

    Args:
        makers: what makes each tracker, called in its thread when it is first needed.
        patience: of single trackers, where it is not the one of all.
    """

    def __init__(
        self, makers: Mapping[str, Callable[[], Tracker]], patience: Mapping[str, Patience] | None = None, every_s: float = EVERY_S
    ) -> None:
        self._lanes = {name: Lane(make, every_s) for name, make in makers.items()}
        self._patience = patience or {}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._lanes)

    @property
    def streaming(self) -> tuple[str, ...]:
        """Trackers that take the run for one that goes on."""
        return tuple(name for name, lane in self._lanes.items() if lane.streaming)

    def offer(self, snapshot: Snapshot, to: Iterable[str]) -> None:
        """Have trackers told soon how the run stands. Comes back at once, and nothing that fails is told."""
        for name in to:
            self._lanes[name].offer(snapshot)

    def finish(
        self,
        record: RunRecord,
        attachments: Attachments,
        patience: Patience,
        to: Iterable[str] | None = None,
        within_s: float = float("inf"),
    ) -> dict[str, Written | NotSent]:
        """Write the record of a run that is over to all trackers at once, and wait for each as long as patience has it.

        Args:
            to: only these.
            within_s: seconds after which no more is waited for any of them; what is under way goes on.
        """
        began = time.monotonic()
        waits = {}
        for name in self._lanes if to is None else to:
            own = self._patience.get(name, patience)
            # What is being written when this comes is ended first, and a request that is under way then.
            longest = own.total_s + 2 * own.request_s + LIVE.total_s
            waits[name] = (self._lanes[name].finish(record, attachments, own), min(longest, within_s))
        found: dict[str, Written | NotSent] = {}
        for name, (outcome, longest) in waits.items():
            try:
                found[name] = outcome.result(max(0.0, longest - (time.monotonic() - began)))
            except NotYet:
                found[name] = NotSent(TOO_SLOW, answered=False)
        return found
