"""Working seconds of a run and of its stage, by a clock that nobody sets; those of earlier processes are added."""

from __future__ import annotations

import time


class RunClock:
    """Counts from when it is made.

    Attributes:
        searched: seconds of search when the stage was entered.
    """

    def __init__(self, seconds: float = 0.0, stage_seconds: float = 0.0, searched: float = 0.0) -> None:
        """Go on from what stood at the end of the process before.

        Args:
            seconds: of the run.
            stage_seconds: of the stage.
        """
        now = time.perf_counter()
        self._began, self._stage_began = now - seconds, now - stage_seconds
        self.searched = searched

    @property
    def seconds(self) -> float:
        """Of the run so far."""
        return time.perf_counter() - self._began

    @property
    def stage_seconds(self) -> float:
        """Of the stage so far."""
        return time.perf_counter() - self._stage_began

    def stood(self, seconds: float) -> None:
        """Leave out a time in which the run was held."""
        self._began += seconds
        self._stage_began += seconds

    def begin_stage(self, searched: float) -> None:
        self._stage_began, self.searched = time.perf_counter(), searched
