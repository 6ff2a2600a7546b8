"""What containers take of the machine. They are no children of this process, so its own count does not know of them.

On Linux their control groups are read, which takes no time and misses nothing. Where those lie in another machine, as under macOS and
Windows, the daemon is asked in the background: its answer takes a second, and is a second old.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from team.resources import Reading
from team.sandbox.daemon import connect

if TYPE_CHECKING:
    import docker

ReadContainer = Callable[[str], Reading | None]
"""Of a container by its id; None where nobody answers."""
_GROUPS, _PROCESSES = Path("/sys/fs/cgroup"), Path("/proc")
_NANO, _MICRO, _MIB = 1e9, 1e6, 2**20


@dataclass(frozen=True)
class ControlGroup:
    """The folders of a container's control group, which are one in version 2.

    Its memory is counted without the pages of files that could be given back, as `docker stats` has it.
    """

    cpu: Path
    memory: Path
    version: int

    def read(self) -> Reading | None:
        """Processor seconds so far, and MiB held now; None when it is gone."""
        try:
            files = _values(self.memory / "memory.stat")
            if self.version == 2:
                seconds = _values(self.cpu / "cpu.stat")["usage_usec"] / _MICRO
                held = _number(self.memory / "memory.current") - files.get("inactive_file", 0)
            else:
                seconds = _number(self.cpu / "cpuacct.usage") / _NANO
                held = _number(self.memory / "memory.usage_in_bytes") - files.get("total_inactive_file", 0)
        except (OSError, ValueError, KeyError):
            return None
        return Reading(seconds, max(0, held) / _MIB)


def group_of(pid: int, groups: Path = _GROUPS, processes: Path = _PROCESSES) -> ControlGroup | None:
    """The control group that a process is in, of either version; None where it cannot be read here.

    Args:
        groups, processes: where the system shows them.
    """
    try:
        lines = (processes / str(pid) / "cgroup").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    parts = [line.split(":", 2) for line in lines if line.count(":") >= 2]
    places = {name: path.lstrip("/") for _, names, path in parts for name in names.split(",")}
    if "cpuacct" in places and "memory" in places:
        found = ControlGroup(groups / "cpuacct" / places["cpuacct"], groups / "memory" / places["memory"], 1)
    elif places.get(""):
        found = ControlGroup(groups / places[""], groups / places[""], 2)
    else:
        return None
    return found if found.read() else None


class ContainerUse:
    """Adds up the containers of a run. Those that start and end here are told to it, from any thread.

    Args:
        ask: asks for a container whose control group cannot be read; None asks the daemon, without waiting for its answer.
    """

    def __init__(self, ask: ReadContainer | None = None) -> None:
        self._ask = ask or DaemonStatistics()
        self._lock = threading.Lock()
        self._seconds: dict[str, float] = {}
        self._running: dict[str, ControlGroup | None] = {}

    def began(self, container: str, pid: int | None) -> None:
        """A container has started; `pid` is that of its process 1, where the daemon told one."""
        group = group_of(pid) if pid else None
        with self._lock:
            self._running[container] = group

    def ends(self, container: str) -> None:
        """Look at a container for the last time; it is about to be ended, or has ended by itself."""
        self._look(container)
        with self._lock:
            self._running.pop(container, None)

    def __call__(self) -> Reading:
        """Processor seconds of all of them so far, and MiB that those which run hold now."""
        with self._lock:
            running = list(self._running)
        held = sum(self._look(container) for container in running)
        with self._lock:
            return Reading(sum(self._seconds.values()), held)

    def _look(self, container: str) -> float:
        with self._lock:
            group = self._running.get(container)
        found = group.read() if group else self._ask(container)
        if found is None:
            return 0.0
        with self._lock:
            self._seconds[container] = max(found.cpu_s, self._seconds.get(container, 0.0))
        return found.memory_mb


class DaemonStatistics:
    """Asks the daemon in a thread, one question at a time, and gives its last answer meanwhile."""

    def __init__(self) -> None:
        self._client: docker.DockerClient | None = None
        self._lock = threading.Lock()
        self._answers: dict[str, Reading] = {}
        self._asking: set[str] = set()

    def __call__(self, container: str) -> Reading | None:
        with self._lock:
            if container not in self._asking:
                self._asking.add(container)
                threading.Thread(target=self._refresh, args=(container,), name="container statistics", daemon=True).start()
            return self._answers.get(container)

    def _refresh(self, container: str) -> None:
        found = None
        with contextlib.suppress(Exception):  # whatever the client's connection raises: it is a count, no part of the work
            if self._client is None:
                self._client = connect()
            found = reading_of(self._client.api.stats(container, stream=False, one_shot=True))
        with self._lock:
            self._asking.discard(container)
            if found is not None:
                self._answers[container] = found


def reading_of(statistics: dict[str, Any]) -> Reading | None:
    """What a daemon's answer says; None for a container that does not run, of which it counts nothing."""
    nanoseconds = statistics.get("cpu_stats", {}).get("cpu_usage", {}).get("total_usage", 0)
    if not nanoseconds:
        return None
    memory = statistics.get("memory_stats", {})
    details = memory.get("stats", {})
    files = details.get("inactive_file", details.get("total_inactive_file", 0))
    return Reading(nanoseconds / _NANO, max(0, memory.get("usage", 0) - files) / _MIB)


def _number(path: Path) -> int:
    return int(path.read_text(encoding="ascii"))


def _values(path: Path) -> dict[str, int]:
    """Lines `name number`."""
    return {name: int(value) for name, value in (line.split() for line in path.read_text(encoding="ascii").splitlines())}
