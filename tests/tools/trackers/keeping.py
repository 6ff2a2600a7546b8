"""A tracker that keeps what it is given, for tests of what gives it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from tools.trackers.contract import Attachments, NotSent, Patience, Tracker, Written
from tools.trackers.run_record import RunRecord


class Keeping(Tracker):
    """Keeps records, while it is up and free."""

    def __init__(self) -> None:
        self.up, self.free = True, threading.Event()
        self.free.set()
        self.records: list[RunRecord] = []
        self.tries = 0
        self.changed = threading.Condition()

    def write(self, record: RunRecord, attachments: Attachments, patience: Patience) -> Written:
        self.free.wait(60)
        with self.changed:
            self.tries += 1
            if self.up:
                self.records.append(record)
            self.changed.notify_all()
        if not self.up:
            raise NotSent("it is down", answered=False)
        return Written("r", 0)

    def until(self, fact: Callable[[], bool]) -> None:
        """Wait until something is so."""
        with self.changed:
            assert self.changed.wait_for(fact, timeout=60)
