"""What containers take of the machine, as their daemon counts it. They are no children of this process, so nothing else here knows."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from team.resources import Reading
from team.sandbox.daemon import connect

if TYPE_CHECKING:
    import docker

ReadContainer = Callable[[str], Reading | None]
"""Of a container by its id; None where nobody answers."""
_NANO = 1e9


class ContainerUse:
    """Adds up the containers of a run. Those that start and end here are told to it, from any thread.

    Args:
        read: asks for one container; None asks the daemon.
    """

    def __init__(self, read: ReadContainer | None = None) -> None:
        self._read = read or DaemonStatistics()
        self._lock = threading.Lock()
        self._seconds: dict[str, float] = {}
        self._running: set[str] = set()

    def began(self, container: str) -> None:
        with self._lock:
            self._running.add(container)

    def ends(self, container: str) -> None:
        """Look at a container for the last time; it is about to be ended, or has ended by itself."""
        self._look(container)
        with self._lock:
            self._running.discard(container)

    def __call__(self) -> Reading:
        """Processor seconds of all of them so far, and MiB that those which run hold now."""
        with self._lock:
            running = list(self._running)
        held = sum(self._look(container) for container in running)
        with self._lock:
            return Reading(sum(self._seconds.values()), held)

    def _look(self, container: str) -> float:
        found = self._read(container)
        if found is None:
            return 0.0
        with self._lock:
            self._seconds[container] = max(found.cpu_s, self._seconds.get(container, 0.0))
        return found.memory_mb


class DaemonStatistics:
    """Asks the daemon, over a connection of its own."""

    def __init__(self) -> None:
        self._client: docker.DockerClient | None = None
        self._lock = threading.Lock()

    def __call__(self, container: str) -> Reading | None:
        with self._lock, contextlib.suppress(Exception):  # whatever the client's connection raises: it is a count, no part of the work
            if self._client is None:
                self._client = connect()
            return reading_of(self._client.api.stats(container, stream=False, one_shot=True))
        return None


def reading_of(statistics: dict[str, Any]) -> Reading | None:
    """What a daemon's answer says; None for a container that does not run, of which it counts nothing.

    Memory is that of the control group without the pages of files that could be given back, as `docker stats` has it.
    """
    nanoseconds = statistics.get("cpu_stats", {}).get("cpu_usage", {}).get("total_usage", 0)
    if not nanoseconds:
        return None
    memory = statistics.get("memory_stats", {})
    details = memory.get("stats", {})
    files = details.get("inactive_file", details.get("total_inactive_file", 0))
    return Reading(nanoseconds / _NANO, max(0, memory.get("usage", 0) - files) / 2**20)
