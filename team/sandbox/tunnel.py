"""Reach the sockets of a kernel in a container by TCP on loopback, where the folder that holds them is not shared.

Docker on macOS and Windows runs containers in a virtual machine, and a Unix socket does not cross it. The container keeps its
`network_mode="none"` all the same: each connection to a port here is carried by a program started in the container
(`inside/relay.py`), over the streams that the daemon gives. A port takes one connection and is closed then. Who on this machine
is quicker than we are can keep us from connecting, but cannot run code: the kernel takes only messages signed with the run's key.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from team.sandbox.container import STDOUT, close_streams, pieces, raw_socket

if TYPE_CHECKING:
    import docker


class Tunnels:
    """TCP ports that lead to numbered sockets in a container.

    Attributes:
        ports: socket number to port.
    """

    def __init__(self, client: docker.DockerClient, container: str, command: Sequence[str], numbers: Sequence[int]) -> None:
        """Open one port for each socket.

        Args:
            command: carries a socket, whose number is appended, over its standard streams.
        """
        self._client, self._container, self._command = client, container, list(command)
        self._sockets: list[Any] = []
        self._lock = threading.Lock()
        self._closed = False
        ports = {}
        for number in numbers:
            listener = socket.create_server(("127.0.0.1", 0), backlog=1)
            self._sockets.append(listener)
            ports[number] = listener.getsockname()[1]
            threading.Thread(target=self._serve, args=(listener, number), name=f"tunnel {number}", daemon=True).start()
        self.ports: Mapping[int, int] = ports

    def close(self) -> None:
        """Close all connections. May be called again."""
        with self._lock:
            self._closed = True
            opened, self._sockets = self._sockets, []
        for one in opened:
            close_streams(one)

    def _serve(self, listener: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError):
            here, _ = listener.accept()
            listener.close()
            there = self._relay(number)
            if not (self._keep(here) and self._keep(there)):
                return
            threading.Thread(target=self._send, args=(here, there), name=f"tunnel {number} in", daemon=True).start()
            try:
                for stream, piece in pieces(there):
                    if stream == STDOUT:
                        here.sendall(piece)
            finally:
                here.close()

    def _relay(self, number: int) -> Any:
        api = self._client.api
        started = api.exec_create(self._container, [*self._command, str(number)], stdin=True, stdout=True, stderr=True)
        streams = api.exec_start(started["Id"], socket=True)
        there = raw_socket(streams)
        there.settimeout(None)
        self._keep(streams)  # closing it would close the socket
        return there

    def _keep(self, opened: Any) -> bool:
        """Remember what `close` has to close; closes it at once when that was called already."""
        with self._lock:
            if not self._closed:
                self._sockets.append(opened)
                return True
        opened.close()
        return False

    def _send(self, here: socket.socket, there: Any) -> None:
        with contextlib.suppress(OSError):
            while piece := here.recv(1 << 16):
                there.sendall(piece)
            there.shutdown(socket.SHUT_WR)
