"""Parts that a result can do without: made while there is time and memory for them, and their loss is told."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TypeVar

from tools import memory
from tools.deadline import DeadlineReached
from tools.degradation import Degradation

T = TypeVar("T")
OVER = "the time was over"
SPARE_MB = 100.0
"""With less memory than this no plot is begun: the first one takes some tens of MiB."""


class Extras:
    """The parts of one call.

    Args:
        within_s: seconds from now after which no further part is begun.
    """

    def __init__(self, within_s: float = math.inf) -> None:
        self.left_out: list[Degradation] = []
        self._end = time.monotonic() + within_s

    def make(self, what: str, how: Callable[[], T], needs_mb: float = SPARE_MB) -> T | None:
        """The part called `what`, or None when it could not be made. Nothing that goes wrong with it is raised.

        Args:
            needs_mb: with less memory than this, in MiB, it is not begun.
        """
        try:
            reason = self._obstacle(needs_mb)
            if reason is None:
                return how()
        except DeadlineReached:
            reason = OVER
        except Exception as error:  # an extra that fails in any way is told as left out, and what counts stands
            reason = f"{type(error).__name__}: {str(error).strip()[:200]}"
        except KeyboardInterrupt:  # the call is asked to end: what it has done so far is to be told
            reason, self._end = "the call was interrupted", 0.0
        self.left_out.append(Degradation(what=what, reason=f"{what} could not be made: {reason}"))
        return None

    def _obstacle(self, needs_mb: float) -> str | None:
        if time.monotonic() > self._end:
            return OVER
        room = memory.room_mb()
        return f"{room:.0f} of {memory.limit_mb():,.0f} MiB of memory are left" if room < needs_mb else None
