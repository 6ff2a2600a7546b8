"""What the machine gives a run: processor time, busy graphics processors and memory over time, of this process and of its sandboxes.

Processor time is the operating system's own count, so that nothing is lost between two looks: that of this process, of its children that
have ended, and of all that still run below it. Where other work goes on in the same process, as in a notebook, or two runs at once, it is
in the count too. Memory is looked at once a second. What was counted since the last event stands in a file meanwhile, so that a run
which is killed loses ten seconds of it at most.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
from pydantic import BaseModel, ValidationError

from team.events import Event, ResourcesUsed
from team.rundir import write_atomic

TICK_S = 1.0
KEPT_S = 10.0
"""Between two times that the count is written to its file."""


@dataclass(frozen=True)
class Reading:
    """Processor seconds so far, and MiB held now."""

    cpu_s: float = 0.0
    memory_mb: float = 0.0


Containers = Callable[[], Reading]
"""What sandboxes that are no children of this process have taken so far, those that have ended included, and hold now."""
Busy = Callable[[], float | None]
"""How many graphics processors are busy now, as a sum of shares; None where that cannot be known."""


def no_containers() -> Reading:
    return Reading()


def no_graphics() -> float | None:
    """Of a run that uses none."""
    return 0.0


class Counted(BaseModel):
    """What was counted since an event."""

    after: int = -1
    """Number of the last event of its kind in the log."""
    turn: int = 0
    role: str = ""
    stage: str = ""
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    gpu_seconds: float | None = 0.0
    memory_gb_seconds: float = 0.0

    @property
    def event(self) -> ResourcesUsed:
        return ResourcesUsed(**self.model_dump(exclude={"after"}))


@dataclass
class _Last:
    at: float
    cpu_s: float
    memory_mb: float


class ResourceMeter:
    """Counts from `start` to `stop`, in a thread of its own. The other methods belong to the run's thread.

    Args:
        file: keeps what no event tells yet.
        containers: of sandboxes that are no children of this process.
        busy: of graphics processors.
    """

    def __init__(self, file: Path, containers: Containers = no_containers, busy: Busy = no_graphics) -> None:
        self._file, self._containers, self._busy = file, containers, busy
        self._lock = threading.Lock()
        self._counted = Counted()
        self._last = _Last(0.0, 0.0, 0.0)
        self._kept_at = 0.0
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, events: Iterable[Event] = (), busy: Busy | None = None) -> ResourcesUsed | None:
        """Begin to count.

        Args:
            events: of the run so far.
            busy: of graphics processors, where that is known only now.

        Returns:
            What a process that is gone had counted and could not tell.
        """
        after = max((one.seq for one in events if isinstance(one, ResourcesUsed)), default=-1)
        left = _kept(self._file, after)
        self._busy = busy or self._busy
        now = self._read()
        self._last = _Last(time.perf_counter(), now.cpu_s, now.memory_mb)
        self._counted = Counted(after=after)
        self._kept_at = time.perf_counter()
        self._thread = threading.Thread(target=self._watch, name="resource meter", daemon=True)
        self._thread.start()
        return left.event if left else None

    def turn(self, turn: int, role: str, stage: str) -> None:
        """From here on it counts for this turn."""
        with self._lock:
            self._counted = self._counted.model_copy(update={"turn": turn, "role": role, "stage": stage})

    def tell(self, append: Callable[[Event], Event], *, idle: bool = False) -> None:
        """Append what was counted since the last time, and begin anew.

        Args:
            idle: whether the run stood meanwhile, so that it is nobody's.
        """
        if self._thread is None:
            return
        self._look()
        with self._lock:
            counted = self._counted
            self._counted = Counted(**counted.model_dump(include={"after", "turn", "role", "stage"}))
        told = append(counted.event if not idle else counted.event.model_copy(update={"role": "", "stage": ""}))
        with self._lock:
            self._counted.after = told.seq

    def stop(self) -> None:
        """End the thread. May be called again."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
            self._file.unlink(missing_ok=True)

    def _watch(self) -> None:
        while not self._over.wait(TICK_S):
            self._look()

    def _look(self) -> None:
        now, busy = self._read(), self._busy()
        with self._lock:
            at, last, counted = time.perf_counter(), self._last, self._counted
            seconds = at - last.at
            # The count of a process that has just ended may for a moment stand nowhere.
            cpu = max(now.cpu_s, last.cpu_s)
            counted.seconds += seconds
            counted.cpu_seconds += cpu - last.cpu_s
            counted.memory_gb_seconds += seconds * (last.memory_mb + now.memory_mb) / 2 / 1024
            counted.gpu_seconds = None if busy is None or counted.gpu_seconds is None else counted.gpu_seconds + seconds * busy
            self._last = _Last(at, cpu, now.memory_mb)
            if at - self._kept_at >= KEPT_S:
                self._keep()

    def _read(self) -> Reading:
        here, there = read_processes(), self._containers()
        return Reading(here.cpu_s + there.cpu_s, here.memory_mb + there.memory_mb)

    def _keep(self) -> None:
        self._kept_at = time.perf_counter()
        with contextlib.suppress(OSError):  # a full disk is told by whoever writes what the run needs
            write_atomic(self._file, self._counted.model_dump_json())


def read_processes() -> Reading:
    """Of this process, of its children that have ended, and of all that run below it now."""
    times, me = os.times(), psutil.Process()
    seconds = times.user + times.system + times.children_user + times.children_system
    held = _held(me)
    for each in _below(me):
        with contextlib.suppress(psutil.Error):
            spent = each.cpu_times()
            seconds += spent.user + spent.system + getattr(spent, "children_user", 0.0) + getattr(spent, "children_system", 0.0)
            held += _held(each)
    return Reading(seconds, held)


def _below(me: psutil.Process) -> list[psutil.Process]:
    try:
        return me.children(recursive=True)
    except psutil.Error:
        return []


def _held(process: psutil.Process) -> float:
    memory = process.memory_info()
    # Pages of files are shared with whoever else has them open.
    return (memory.rss - getattr(memory, "shared", 0)) / 2**20


def _kept(file: Path, after: int) -> Counted | None:
    """What the file tells that no event does; None where there is nothing, or it was told."""
    try:
        found = Counted.model_validate_json(file.read_bytes())
    except (OSError, ValidationError):
        return None
    return found if found.after == after and found.seconds > 0 else None


@dataclass(frozen=True)
class MachineHours:
    """What a run, or a part of one, took of the machine, in hours; memory in GB of 2**30 bytes times hours."""

    cpu: float = 0.0
    gpu: float | None = 0.0
    memory_gb: float = 0.0
    wall: float = 0.0
    measured: bool = False
    """Whether anything was counted: runs of earlier versions were not."""

    def __add__(self, event: ResourcesUsed) -> MachineHours:
        gpu = None if self.gpu is None or event.gpu_seconds is None else self.gpu + event.gpu_seconds / 3600
        return replace(
            self,
            cpu=self.cpu + event.cpu_seconds / 3600,
            gpu=gpu,
            memory_gb=self.memory_gb + event.memory_gb_seconds / 3600,
            wall=self.wall + event.seconds / 3600,
            measured=True,
        )


def hours_of(events: Iterable[Event]) -> MachineHours:
    """What the log of a run tells."""
    found = MachineHours()
    for event in events:
        if isinstance(event, ResourcesUsed):
            found += event
    return found
