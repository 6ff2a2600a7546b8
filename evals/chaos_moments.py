"""When to kill what: moments drawn from a seed, and the clock they are told by.

A moment must mean the same in a run that was killed and resumed before as in one that was not. So its clock is the event log: a place
is a number of events, and a time is so many seconds after the event that stood last in the log at that time of the undisturbed run.
"""

from __future__ import annotations

import bisect
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from team.events import CellExecuted, Event, KernelChanged

Victim = Literal["host", "kernel", "container"]
By = Literal["event", "time", "start", "resume"]

OF_PROCESSES = frozenset({"kernel_changed", "progress_made", "sandbox_chosen", "run_resumed", "run_forked", "resources_used", "work_timed"})
"""Events that speak of a process and not of the run: a resumed run has more of them, so they neither count nor must match."""
LATEST_S = 0.03
"""A kill by event comes up to this late, since what can tear (a checkpoint, the ledger) is written between two events."""
FIRST_SECOND = (0.02, 1.0)
"""A kill in the first seconds of a resume falls into its imports."""
FIRST_EVENTS = 8
"""A kill during the resume itself comes before it has written more events than this."""


@dataclass(frozen=True)
class Moment:
    """When to kill what."""

    victim: Victim
    by: By
    after: int
    """For `event` and `time`: counted events in the log. For `resume`: events that the resumed process itself wrote."""
    delay: float
    """Seconds after that; for `start`, after the start of the resumed process."""

    @property
    def follows(self) -> bool:
        """Whether it follows right on the kill before, or falls into the resume itself."""
        return self.by in ("start", "resume")

    def __str__(self) -> str:
        match self.by:
            case "start":
                return f"{self.victim} {self.delay:.2f} s after the resume's start"
            case "resume":
                return f"{self.victim} {self.after} events into the resume"
            case "event":
                return f"{self.victim} at event {self.after} + {1000 * self.delay:.0f} ms"
            case "time":
                return f"{self.victim} {self.delay:.2f} s after event {self.after}"


class Timeline:
    """When the counted events of an undisturbed run came, in seconds since the start of its process."""

    def __init__(self, events: Sequence[Event], started: float, ended: float) -> None:
        """Read a finished run.

        Args:
            events: its log.
            started: wall-clock time at which its process was started, seconds since the epoch.
            ended: wall-clock time at which its process had ended.
        """
        self.at = [event.at - started for event in events if event.kind not in OF_PROCESSES]
        self.seconds = ended - started
        kernels = [event.at - started for event in events if isinstance(event, KernelChanged) and event.change == "started"]
        cells = [event.at - started for event in events if isinstance(event, CellExecuted)]
        self.kernel = (kernels[0], cells[-1]) if kernels and cells else (0.0, self.seconds)
        """From the first kernel to the end of the last cell."""

    def place(self, seconds: float) -> tuple[int, float]:
        """The number of counted events at a time, and the seconds since the last of them."""
        count = bisect.bisect_right(self.at, seconds)
        return count, seconds - (self.at[count - 1] if count else 0.0)


def draw(seed: int, kind: str, chain: int, timeline: Timeline, kills: int) -> list[Moment]:
    """The moments of one chain, in the order in which they come.

    Every other chain also kills inside the sandbox. The same seed, kind, chain and number of kills give the same fractions of the
    undisturbed run, whatever its length.
    """
    random_ = random.Random(f"{seed} {kind} {chain} {kills}")
    inside = round(0.4 * kills) if chain % 2 else 0
    following = round((0.2 if chain % 2 else 0.4) * kills)
    moments = [_of_host(random_, timeline) for _ in range(kills - inside - following)]
    moments += [_inside(random_, kind, timeline) for _ in range(inside)]
    moments.sort(key=lambda moment: (moment.after, moment.delay))
    for _ in range(following):
        hosts = [place for place, moment in enumerate(moments) if moment.victim == "host"]
        moments.insert(random_.choice(hosts) + 1, _following(random_))
    return moments


def _of_host(random_: random.Random, timeline: Timeline) -> Moment:
    if random_.random() < 0.5:
        return Moment("host", "event", 1 + int(random_.random() * len(timeline.at)), random_.uniform(0.0, LATEST_S))
    return Moment("host", "time", *timeline.place(random_.uniform(0.0, timeline.seconds)))


def _inside(random_: random.Random, kind: str, timeline: Timeline) -> Moment:
    victim: Victim = "container" if random_.random() < 0.5 and kind == "docker" else "kernel"
    return Moment(victim, "time", *timeline.place(random_.uniform(*timeline.kernel)))


def _following(random_: random.Random) -> Moment:
    if random_.random() < 0.5:
        return Moment("host", "start", 0, random_.uniform(*FIRST_SECOND))
    return Moment("host", "resume", random_.randint(1, FIRST_EVENTS), random_.uniform(0.0, LATEST_S))
