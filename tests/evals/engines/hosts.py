"""Hosts of a network of their own on this machine: network namespaces on one bridge, none of which reaches anything else."""

from __future__ import annotations

import functools
import os
import shutil
import signal
import subprocess
from types import TracebackType

LONGEST_S = 60.0


@functools.cache
def obstacle() -> str | None:
    """Why there can be no such hosts here; None where they can."""
    if shutil.which("ip") is None:
        return "no `ip` here: apt-get install iproute2"
    if os.geteuid() != 0:
        return "network namespaces take root"
    try:
        with Network() as network:
            network.host("probe")
    except subprocess.CalledProcessError as error:
        return f"no network namespaces here: {error.stderr.strip()}"
    return None


class Network:
    """A bridge and the hosts on it, 10.77.0.1 and up; gone, with every process of theirs, when the block is left."""

    def __init__(self) -> None:
        self._name = f"mlteam{os.getpid()}"
        self._spaces: list[str] = []

    def __enter__(self) -> Network:
        try:
            self._space("switch")
            _ip("-n", self._spaces[0], "link", "add", "bridge", "type", "bridge")
            _ip("-n", self._spaces[0], "link", "set", "bridge", "up")
        except subprocess.CalledProcessError:
            self._remove()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._remove()

    def host(self, name: str) -> str:
        """Plug a host in, and give its address."""
        switch, space, number = self._spaces[0], self._space(name), len(self._spaces) - 1
        _ip("-n", switch, "link", "add", f"port{number}", "type", "veth", "peer", "name", "eth0", "netns", space)
        _ip("-n", switch, "link", "set", f"port{number}", "master", "bridge", "up")
        _ip("-n", space, "address", "add", f"10.77.0.{number}/24", "dev", "eth0")
        _ip("-n", space, "link", "set", "lo", "up")
        _ip("-n", space, "link", "set", "eth0", "up")
        return f"10.77.0.{number}"

    def on(self, name: str) -> list[str]:
        """The words before a command that is to run on a host."""
        return ["ip", "netns", "exec", f"{self._name}-{name}"]

    def plug(self, name: str, state: str) -> None:
        """Put a host's cable in (`up`) or pull it (`down`)."""
        _ip("-n", f"{self._name}-{name}", "link", "set", "eth0", state)

    def kill(self, name: str) -> None:
        """SIGKILL to all that runs on a host."""
        for pid in _ip("netns", "pids", f"{self._name}-{name}").split():
            os.kill(int(pid), signal.SIGKILL)

    def _space(self, name: str) -> str:
        space = f"{self._name}-{name}"
        _ip("netns", "add", space)
        self._spaces.append(space)
        return space

    def _remove(self) -> None:
        for space in reversed(self._spaces):
            self.kill(space.removeprefix(f"{self._name}-"))
            _ip("netns", "delete", space)
        self._spaces.clear()


def _ip(*words: str) -> str:
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True, timeout=LONGEST_S).stdout
