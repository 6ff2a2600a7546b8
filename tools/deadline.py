"""Wall-clock deadlines for searches and fits."""

from __future__ import annotations

import faulthandler
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

RETRY_S = 0.1
"""How long a strike that met a shelter, or that was lost, waits for its next try."""
AGAIN_S = 3.0
"""How long a block has to leave after a strike before the next one, which also stands in for one that the interpreter never saw."""
_sheltered: list[bool] = []


class DeadlineReached(Exception):
    """The time for a piece of work is over; what was finished before stands."""


class TooSlow(DeadlineReached):
    """A few timed steps say that the work would not come to anything in its time, so it was not begun."""


class Deadline:
    """A moment after which work should stop.

    Args:
        seconds: from now, wall clock; None for no deadline.
    """

    def __init__(self, seconds: float | None = None) -> None:
        self._start = time.monotonic()
        self._end = math.inf if seconds is None else self._start + seconds
        self._whole: Deadline | None = None

    def remaining(self) -> float:
        """Seconds left, never below 0; infinite without a deadline."""
        left = max(0.0, self._end - time.monotonic())
        return left if self._whole is None else min(left, self._whole.remaining())

    def elapsed(self) -> float:
        """Seconds since this deadline was made."""
        return time.monotonic() - self._start

    def expired(self) -> bool:
        return time.monotonic() >= self._end or (self._whole is not None and self._whole.expired())

    def end(self) -> None:
        """Be over now, with all shares: what works by them stops at its next look. Can be called from another thread."""
        self._end = -math.inf

    @property
    def ended(self) -> bool:
        """Whether nobody waits for the work any more: it, or what it is a share of, was ended before its time."""
        return self._end == -math.inf or (self._whole is not None and self._whole.ended)

    def check(self) -> None:
        """Raise `DeadlineReached` when the time is over."""
        if self.expired():
            raise DeadlineReached("the time is over")

    def share(self, seconds: float) -> Deadline:
        """A deadline `seconds` from now that is never later than this one."""
        part = Deadline(None if math.isinf(min(self.remaining(), seconds)) else max(0.0, seconds))
        part._whole = self
        return part

    @contextmanager
    def alarm(self, grace: float = 0.0) -> Iterator[None]:
        """Raise `DeadlineReached` inside the block when it runs `grace` seconds past the deadline.

        The last guard for code that never asks. It works in the main thread of systems with POSIX signals and does
        nothing elsewhere; compiled code is interrupted only when it returns to Python. Code in the block may take the exception
        for one of its own and go on: it is raised again `AGAIN_S` seconds later, until the block is left. There is one timer in a
        process: what was set on it before, by an alarm around this one or by somebody else, waits and goes on after the block.
        """
        usable = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
        if not usable or math.isinf(self._end):
            yield
            return

        left = False

        def strike(_number: int, _frame: FrameType | None) -> None:
            if left:
                return
            if _sheltered:
                signal.setitimer(signal.ITIMER_REAL, RETRY_S, AGAIN_S)
                return
            raise DeadlineReached("the time is over")

        told = sys.unraisablehook

        def lost(what: sys.UnraisableHookArgs) -> None:
            # The strike met a finaliser or a callback of a weak reference, where the interpreter drops every exception.
            if what.exc_type is DeadlineReached:
                signal.setitimer(signal.ITIMER_REAL, RETRY_S, AGAIN_S)
            else:
                told(what)

        waiting_s, every_s = signal.setitimer(signal.ITIMER_REAL, 0)
        began = time.monotonic()
        before = signal.signal(signal.SIGALRM, strike)
        sys.unraisablehook = lost
        try:
            signal.setitimer(signal.ITIMER_REAL, max(0.001, self.remaining() + grace), AGAIN_S)
            yield
        finally:
            # First of all, and no call: a strike in here would leave an outer alarm without its timer.
            left = True
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
            sys.unraisablehook = told
            if waiting_s:
                signal.setitimer(signal.ITIMER_REAL, max(0.001, waiting_s - (time.monotonic() - began)), every_s)


@contextmanager
def sheltered() -> Iterator[None]:
    """Hold the alarm off inside the block, for compiled code that calls back into Python.

    An exception raised in such a callback cannot pass through the compiled frames: XGBoost's and CatBoost's abort the whole
    process, or go on with half of their data. The callbacks ask their deadline themselves.
    """
    _sheltered.append(True)
    try:
        yield
    finally:
        _sheltered.pop()


@contextmanager
def end_process_after(seconds: float | None) -> Iterator[None]:
    """End the whole process when the block runs longer, whatever it does: for compiled code that answers no signal.

    Meant for a kernel, whose end is told and whose place is taken by the next one. A thread that needs no interpreter keeps
    the time; it writes the traceback to standard error, beginning with "Timeout", and leaves with exit code 1.

    Args:
        seconds: wall clock; None or infinity for no end.
    """
    if seconds is None or math.isinf(seconds):
        yield
        return
    # A kernel has put a stream of its own in the place of standard error, and cannot forward anything any more.
    stderr = int(os.environ.get("MLTEAM_STDERR", "2"))
    faulthandler.dump_traceback_later(max(0.1, seconds), exit=True, file=stderr)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
