"""Reach the Docker daemon, or one that speaks its language (Podman), and learn what matters about it.

The `docker` package is imported on first use: it takes longer than everything else in a command that needs no container.
"""

from __future__ import annotations

import os
import socket
import sys
import time
import urllib.parse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from team.errors import SandboxUnavailable

if TYPE_CHECKING:
    import docker

SOCKET = Path("/var/run/docker.sock")
_START = "Start it: systemctl start docker (without systemd: dockerd &; on macOS and Windows: Docker Desktop)."
_KNOCK_SECONDS = 5
_PAUSE_SECONDS = 0.25
"""Between two questions to a daemon that is coming back."""
_HERE = ("unix", "npipe", "http+unix")
"""Protocols of a daemon that can only be on this machine."""


class DaemonUnavailable(SandboxUnavailable):
    """No daemon can be used.

    Attributes:
        reason: why.
        fix: the next command to type.
    """

    def __init__(self, reason: str, fix: str) -> None:
        super().__init__(f"{reason}. {fix}")
        self.reason, self.fix = reason, fix


@dataclass(frozen=True)
class Daemon:
    """What a daemon says about itself."""

    address: str
    version: str
    podman: bool
    rootless: bool
    """Whether it runs under the caller, so that root in a container is the caller outside."""
    remapped: bool
    """Whether users in containers are other users outside (`userns-remap`)."""
    seccomp: bool
    """Whether it filters system calls."""

    def __str__(self) -> str:
        return f"{'Podman' if self.podman else 'Docker'} {self.version}"


def address() -> str:
    """Where the daemon is: DOCKER_HOST, else the current context of the docker command, else its standard socket."""
    if given := os.environ.get("DOCKER_HOST"):
        return given
    config = Path(os.environ.get("DOCKER_CONFIG", Path.home() / ".docker")) / "config.json"
    if config.exists():
        from docker.context import ContextAPI

        try:
            if context := ContextAPI.get_current_context():
                return str(context.Host)
        except Exception:  # a damaged context is the docker command's business; its standard socket may work all the same
            return f"unix://{SOCKET}"
    return "npipe:////./pipe/docker_engine" if sys.platform == "win32" else f"unix://{SOCKET}"


def connect(timeout_s: float = 60.0) -> docker.DockerClient:
    """A client for the daemon. Whoever asked for it closes it.

    Args:
        timeout_s: seconds that each answer may take.

    Raises:
        DaemonUnavailable: no daemon answers, it does not let the caller in, or it is on another machine.
    """
    where = address()
    _must_be_here(where)
    _knock(where)
    import docker
    import docker.errors

    try:
        # from_env also takes DOCKER_TLS_VERIFY and DOCKER_CERT_PATH into account.
        return docker.from_env(timeout=int(timeout_s), environment={**os.environ, "DOCKER_HOST": where})
    except (docker.errors.DockerException, OSError) as error:
        raise _unreachable(where, error) from None


def connect_again(patience_s: float) -> docker.DockerClient:
    """A client for a daemon that answered before, which is given some seconds to come back.

    Raises:
        DaemonUnavailable: it did not come back in time.
    """
    end = time.monotonic() + patience_s
    while True:
        try:
            client = connect()
            try:
                client.ping()
            except BaseException:
                client.close()
                raise
            return client
        except Exception as error:  # the client raises what its connection raises: of requests, urllib3 or the system
            if time.monotonic() > end:
                raise error if isinstance(error, DaemonUnavailable) else _unreachable(address(), error) from None
        time.sleep(_PAUSE_SECONDS)


def describe(client: docker.DockerClient) -> Daemon:
    """Ask the daemon about itself.

    Raises:
        DaemonUnavailable: it does not answer.
    """
    import docker.errors

    try:
        version: dict[str, Any] = client.version()
        info: dict[str, Any] = client.info()
    except (docker.errors.DockerException, OSError) as error:
        raise _unreachable(address(), error) from None
    options = [str(option) for option in info.get("SecurityOptions") or []]
    named = {option.split(",")[0].removeprefix("name=") for option in options}
    components = [str(part.get("Name")) for part in version.get("Components") or []]
    return Daemon(
        address=address(),
        version=str(version.get("Version", "of unknown version")),
        podman=any("podman" in name.lower() for name in components),
        rootless="rootless" in named,
        remapped="userns" in named,
        seccomp="seccomp" in named,
    )


def _must_be_here(where: str) -> None:
    parts = urllib.parse.urlsplit(where)
    if parts.scheme in _HERE or (parts.scheme in ("tcp", "http", "https") and parts.hostname in ("localhost", "127.0.0.1", "::1")):
        return
    raise DaemonUnavailable(
        f"the Docker daemon {where!r} is on another machine, whose containers cannot see the folders of this one",
        "Use a daemon of this machine: unset DOCKER_HOST, or docker context use default.",
    )


def _knock(where: str) -> None:
    """Try the socket: faster than the client finds out, which moreover leaves its own open when it fails."""
    parts = urllib.parse.urlsplit(where)
    try:
        if parts.hostname:
            socket.create_connection((parts.hostname, parts.port or 2375), timeout=_KNOCK_SECONDS).close()
        elif parts.scheme in ("unix", "http+unix"):
            with socket.socket(socket.AF_UNIX) as knocking:
                knocking.settimeout(_KNOCK_SECONDS)
                knocking.connect(parts.path)
    except FileNotFoundError:
        raise DaemonUnavailable(f"no Docker daemon runs: there is no socket {parts.path}", _fix_of_missing()) from None
    except OSError as error:
        raise _unreachable(where, error) from None


def _fix_of_missing() -> str:
    import shutil

    if sys.platform == "linux" and not (shutil.which("dockerd") or shutil.which("docker")):
        return "Install it: apt-get install docker.io (or dnf install docker). Then build the image: mlteam sandbox build"
    return _START


def _unreachable(where: str, error: Exception) -> DaemonUnavailable:
    text = str(error)
    if "Permission denied" in text:
        return DaemonUnavailable(
            f"the Docker daemon at {where} does not let you in (permission denied)",
            "Join its group: sudo usermod -aG docker $USER, and log in again. Whoever is in it has the rights of root.",
        )
    if "timed out" in text:
        return DaemonUnavailable(f"the Docker daemon at {where} did not answer in time", "Restart it: systemctl restart docker")
    reason = "connection refused" if "refused" in text else text.strip().splitlines()[-1][:200] if text.strip() else type(error).__name__
    return DaemonUnavailable(f"no Docker daemon answers at {where} ({reason})", _START)
