"""The processes of a run under test: start one, follow its log, find what it runs inside, kill it, find what outlives it.

This process makes itself a subreaper: whatever a killed process leaves behind becomes its child, however well it detached itself. Only
containers have another parent, the daemon; they carry a label that says whose they are.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from evals.chaos_moments import OF_PROCESSES, Victim
from team.sandbox.container import LABEL

if TYPE_CHECKING:
    import docker

_PR_SET_CHILD_SUBREAPER = 36
_KERNEL_PROGRAM = "start.py"
GONE_S = 15.0
"""How long what belonged to a process may outlive it."""


def adopt_orphans() -> None:
    """Become the parent of every process that a descendant leaves behind."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


class Follower:
    """A run's log as it grows: how far the run is, and what is going on."""

    def __init__(self, out: Path) -> None:
        """Follow the one run below `out`, which may not be there yet."""
        self._out = out
        self._read = 0
        self.path: Path | None = None
        self.lines = self.counted = self.resumes = 0
        self.stage: str | None = None
        self.calls: dict[str, str] = {}
        """Tools whose calls have not returned, by call."""
        self.ended = False

    def look(self) -> None:
        """Take in the lines that are complete by now."""
        if self.path is None:
            found = sorted(path.parent for path in self._out.glob("*/events.jsonl") if path.stat().st_size)
            if not found:
                return
            self.path = found[0]
        log = self.path / "events.jsonl"
        if log.stat().st_size < self._read:  # mended: what was torn off at its end is gone
            self._again()
        if log.stat().st_size == self._read:
            return
        with log.open("rb") as file:
            file.seek(self._read)
            complete, _, _ = file.read().rpartition(b"\n")
        if complete:
            self._read += len(complete) + 1
            for line in complete.split(b"\n"):
                self._take(line)

    def going_on(self) -> str:
        """What the run was doing when the log was last looked at."""
        if self.ended:
            return "documents"
        if self.stage is None:
            return "start"
        return f"{self.stage}: {next(reversed(self.calls.values()), 'between calls')}"

    def _again(self) -> None:
        path = self.path
        self.__init__(self._out)  # type: ignore[misc]  # everything that was counted is counted anew
        self.path = path

    def _take(self, line: bytes) -> None:
        self.lines += 1
        try:
            event: dict[str, Any] = json.loads(line)
        except ValueError:
            return
        kind = event["kind"]
        self.counted += kind not in OF_PROCESSES
        match kind:
            case "run_resumed":
                self.resumes += 1
                self.ended = False
            case "stage_entered":
                self.stage = event["stage"]
            case "tool_called":
                self.calls[event["call"]] = event["tool"]
            case "tool_returned":
                self.calls.pop(event["call"], None)
            case "run_ended":
                self.ended = True


class Host:
    """One process of a run: `mlteam run` or `mlteam resume`."""

    def __init__(self, arguments: Sequence[str], folder: Path, name: str, env: Mapping[str, str], docker: bool) -> None:
        """Start it.

        Args:
            arguments: what follows `mlteam`.
            folder: gets what it prints, in files called `name`.
            env: the whole environment.
            docker: whether its kernel runs in a container.
        """
        self._docker = docker
        self._stdout, self._stderr = folder / f"{name}.out", folder / f"{name}.err"
        self.started = time.time()
        with self._stdout.open("wb") as out, self._stderr.open("wb") as err:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "team.cli", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=dict(env),
                start_new_session=True,
            )
        self.pid = self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    @property
    def code(self) -> int | None:
        return self._process.poll()

    @property
    def seconds(self) -> float:
        """Since its start."""
        return time.time() - self.started

    def kill(self) -> bool:
        """Kill this one process as the system does when memory runs out; what it started is left to itself.

        Returns:
            Whether this ended it; it may have ended by itself just before.
        """
        self._process.send_signal(signal.SIGKILL)
        return self._process.wait() == -signal.SIGKILL

    def document(self) -> dict[str, Any]:
        """The JSON document that it printed; empty when it printed none."""
        try:
            document: dict[str, Any] = json.loads(self._stdout.read_text(encoding="utf-8"))
        except ValueError:
            return {}
        return document

    def last_words(self) -> str:
        """The end of what it wrote to standard error."""
        return "\n".join(self._stderr.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-12:])

    def strike(self, victim: Victim) -> bool:
        """Kill the host, or what it works with inside, which is older than the spare that waits. Returns whether it was there."""
        if victim == "host":
            return self.kill()
        if victim == "container":
            return any(_kill_container(client, one) for client in _daemon() for one in _containers(client, {self.pid})[:1])
        return any(_kill(kernel.pid) for kernel in self._kernels()[:1])

    def _kernels(self) -> list[psutil.Process]:
        """Kernels of this host, the oldest first."""
        tops = [self.pid]
        for client in _daemon() if self._docker else ():
            tops += [client.api.inspect_container(one)["State"]["Pid"] for one in _containers(client, {self.pid})]
        found = {process for top in tops if top for process in _below(top) if _is_kernel(process)}
        return sorted(found, key=lambda process: process.create_time())


def _below(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []


def _is_kernel(process: psutil.Process) -> bool:
    """Whether it is the Python that runs the kernel, and not bwrap or the guard, which name the program too."""
    try:
        command = process.cmdline()
    except psutil.Error:
        return False
    return len(command) > 2 and "python" in os.path.basename(command[0]) and any(part.endswith(_KERNEL_PROGRAM) for part in command[1:3])


def _kill(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def _daemon() -> Iterator[docker.DockerClient]:
    """A client of the Docker daemon, or none where there is no daemon."""
    from team.sandbox.daemon import DaemonUnavailable, connect

    try:
        client = connect()
    except DaemonUnavailable:
        return
    try:
        yield client
    finally:
        client.close()


def _containers(client: docker.DockerClient, owners: set[int]) -> list[str]:
    """Ids of the containers that belong to processes of these numbers, the oldest first; for the label see `private.owner`."""
    found = []
    for one in client.api.containers(all=True, filters={"label": LABEL}):
        parts = one["Labels"].get(LABEL, "").split("/")
        if len(parts) == 3 and parts[1].isdigit() and int(parts[1]) in owners:
            found.append((one["Created"], str(one["Id"])))
    return [name for _, name in sorted(found)]


def _kill_container(client: docker.DockerClient, container: str) -> bool:
    import docker.errors

    try:
        client.api.kill(container)
    except docker.errors.APIError:  # it has ended by itself just now
        return False
    return True


def wait_for_orphans(docker: bool, owners: set[int], within_s: float = GONE_S) -> tuple[list[str], float]:
    """Wait until every descendant of this process and every container of `owners` is gone; end what is not.

    Args:
        docker: whether to ask the daemon.
        owners: process numbers of hosts that have ended.
        within_s: seconds to wait.

    Returns:
        What outlived that time, in words, and the seconds that it took.
    """
    begun, gone = time.monotonic(), 0
    while True:
        _reap()
        left = _described(docker, owners)
        seconds = time.monotonic() - begun
        # A process that forks and ends while the list is made is in none of it, and neither is its child.
        gone = 0 if left else gone + 1
        if gone == 2 or seconds > within_s:
            break
        time.sleep(0.05)
    if left:
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                process.kill()
        for client in _daemon() if docker else ():
            for one in _containers(client, owners):
                client.api.remove_container(one, force=True)
        _reap()
    return left, seconds


def _described(docker: bool, owners: set[int]) -> list[str]:
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE:
                found.append(f"process {process.pid}: {' '.join(process.cmdline())[:200]}")
    for client in _daemon() if docker else ():
        found += [f"container {one[:12]}" for one in _containers(client, owners)]
    return found


def _reap() -> None:
    """Collect orphans that have ended."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
