"""A sandbox in a container: the host's end of the connection with the guard that is its process 1.

The host is attached to the container's standard streams. When it is gone, even by `kill -9`, the daemon closes the guard's
standard input, the guard ends everything, and the daemon removes the container.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from team.sandbox.contract import Death
from team.sandbox.order import KILL, TERMINATE, read_report
from team.sandbox.private import is_gone

if TYPE_CHECKING:
    import docker

    from team.sandbox.tunnel import Tunnels
    from team.sandbox.use import ContainerUse

LABEL = "mlteam.sandbox"
"""Label of every container of ours; its value says whose it is."""
STDOUT = 1
_HEADER = 8
"""Bytes before each piece of a stream: its number, three zeros, and the length of the piece."""
_MOST_WORDS = 1 << 16
"""Bytes kept of what the guard writes: a report is a fraction of it."""
_CLOSE_SECONDS = 10
_REMOVED_SECONDS = 30
_ASK_AGAIN_SECONDS = 3
_left: set[str] = set()
"""Containers of this process that no daemon was there to remove."""


class ContainerProcess:
    """A container that runs; see `contract.Process` for the promises."""

    def __init__(
        self,
        client: docker.DockerClient,
        container: str,
        streams: Any,
        pid: int,
        tunnels: Tunnels | None,
        use: ContainerUse | None = None,
    ) -> None:
        """Take over a started container.

        Args:
            client: closed with this object.
            container: its id.
            streams: what `attach_socket` gave.
            pid: of process 1, as the daemon's machine counts.
            tunnels: closed with this object.
            use: told of its beginning and its end.
        """
        self.pid = pid
        self._use = use
        if use:
            use.began(container, pid)
        self.container = container
        self.tunnels: Mapping[int, int] = tunnels.ports if tunnels else {}
        self._client, self._streams, self._tunnels = client, streams, tunnels
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[Death] = self._loop.create_future()
        self._closed = False
        # A thread of its own: waiting in one of the loop's shared threads would use them up.
        self._reader = threading.Thread(target=self._read, name=f"container {container[:12]}", daemon=True)
        self._reader.start()

    def poll(self) -> Death | None:
        return self._ended.result() if self._ended.done() else None

    async def wait(self) -> Death:
        return await asyncio.shield(self._ended)

    def terminate(self) -> None:
        self._tell(TERMINATE)

    def kill(self) -> None:
        self._tell(KILL)

    async def aclose(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._use:
            self._use.ends(self.container)
        self.kill()
        await asyncio.wait({self._ended}, timeout=_CLOSE_SECONDS)
        await asyncio.to_thread(self._remove)
        await self._ended
        self._reader.join()

    def _tell(self, command: bytes) -> None:
        if not self._ended.done():
            with contextlib.suppress(OSError):  # it has ended, which the reader is about to find
                raw_socket(self._streams).sendall(command)

    def _read(self) -> None:
        words = bytearray()
        with contextlib.suppress(OSError):
            for _, piece in pieces(raw_socket(self._streams)):
                words += piece
                del words[:-_MOST_WORDS]
        report = bytes(words)
        death = read_report(report, "") if report else None
        if death is None or not death.cause:
            death = read_report(report, self._cause_outside())
        with contextlib.suppress(RuntimeError):  # the loop is gone, and with it whoever wants to know
            self._loop.call_soon_threadsafe(self._ended.set_result, death)

    def _cause_outside(self) -> str:
        """Why a container ended whose guard could not say it."""
        import docker.errors

        try:
            code = self._client.api.wait(self.container, timeout=_CLOSE_SECONDS)["StatusCode"]
        except docker.errors.APIError:
            return "its container was removed from outside"
        except Exception:  # the client raises what its connection raises: of requests, urllib3 or the system
            return "the connection to the Docker daemon was lost"
        return f"its container ended with exit code {code}" + (" (killed from outside, or out of memory)" if code == 137 else "")

    def _remove(self) -> None:
        """Wait until the container is gone, with force where the guard did not end it."""
        if self._tunnels:
            self._tunnels.close()
        remove(self._client, self.container)
        close_streams(self._streams)
        self._client.close()


def remove(client: docker.DockerClient, container: str) -> None:
    """Remove a container, running or not, and wait until it is gone. One that is gone already is no error.

    Where the daemon is gone, the container may run on until the daemon is back: `sweep_containers` removes it then.
    """
    deadline = time.monotonic() + _REMOVED_SECONDS
    try:
        while not _removed(client, container):
            if time.monotonic() > deadline:
                raise TimeoutError
    except Exception:  # the client raises what its connection raises: of requests, urllib3 or the system
        _left.add(container)
    else:
        _left.discard(container)


def _removed(client: docker.DockerClient, container: str) -> bool:
    """Ask once for the removal. A daemon that has just come back refuses while what the last one left is still being ended."""
    import docker.errors
    import requests

    try:
        client.api.remove_container(container, v=True, force=True)
    except docker.errors.NotFound:
        return True
    except docker.errors.APIError:  # its removal is under way, or has failed
        pass
    try:
        client.api.wait(container, condition="removed", timeout=_ASK_AGAIN_SECONDS)
    except docker.errors.NotFound:
        return True
    except (docker.errors.APIError, requests.RequestException):  # not yet, or the daemon is gone: the next request tells
        return False
    return True


def sweep_containers(client: docker.DockerClient) -> list[str]:
    """Remove the containers of processes that are gone, and of this one when the daemon was gone as they should be removed.

    Returns:
        Their ids.
    """
    listed = client.api.containers(all=True, filters={"label": LABEL})
    found = [one["Id"] for one in listed if one["Id"] in _left or is_gone(one["Labels"].get(LABEL, ""))]
    _left.intersection_update(one["Id"] for one in listed)
    for container in found:
        remove(client, container)
    return found


def raw_socket(streams: Any) -> Any:
    """The socket below what `attach_socket` and `exec_start` give, which depends on the kind of connection."""
    return getattr(streams, "_sock", streams)


def close_streams(streams: Any) -> None:
    """Close what `attach_socket` and `exec_start` give; a thread that reads from it wakes up."""
    with contextlib.suppress(OSError):
        raw_socket(streams).shutdown(socket.SHUT_RDWR)
    with contextlib.suppress(OSError):
        raw_socket(streams).close()
    streams.close()


def pieces(source: Any) -> Iterator[tuple[int, bytes]]:
    """Take the daemon's combined streams apart: the number of the stream (1 stdout, 2 stderr) and what was written."""
    while header := _exactly(source, _HEADER):
        size = int.from_bytes(header[4:])
        while size and (piece := source.recv(min(size, 1 << 16))):
            size -= len(piece)
            yield header[0], piece


def _exactly(source: Any, size: int) -> bytes:
    """`size` bytes, or none at the end."""
    read = b""
    while len(read) < size:
        piece = source.recv(size - len(read))
        if not piece:
            return b""
        read += piece
    return read
