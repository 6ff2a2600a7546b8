"""The one way out of a jail: an HTTP proxy that leads to the addresses of a system's language model and nowhere else.

It listens on a Unix socket that the jail shows, so that the jail itself has no network but its own loopback; `forwarding.py` stands at the
other end. Both ways of asking a proxy are served: CONNECT, through which TLS goes as it is, and whole addresses for plain HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from team.casting import PLAYBOOK, split_specs
from team.models.endpoint import parts_of, url_of

SOCKET = "door"
MOST_HEAD_BYTES = 1 << 16
PIECE_BYTES = 1 << 16
CONNECT_S = 30.0
PORTS = {"http": 80, "https": 443}
OWN = (b"connection:", b"proxy-connection:", b"proxy-authorization:", b"keep-alive:")
"""Headers that end at a proxy."""

Address = tuple[str, int]


def addresses(model: str) -> frozenset[Address]:
    """Host and port of each endpoint that a spec of `--model` names, those of a list with commas too.

    Raises:
        UsageError: when it is no such spec.
    """
    asked = [spec for spec in split_specs(model) if spec != PLAYBOOK and not spec.startswith("replay:")]
    return frozenset(_address(url_of(provider, given)) for provider, _, given in map(parts_of, asked))


def _address(url: str) -> Address:
    parts = urlsplit(url)
    return (parts.hostname or "").lower(), parts.port or PORTS.get(parts.scheme, 0)


@contextmanager
def door(allowed: Iterable[Address]) -> Iterator[Path]:
    """A folder with the socket of a proxy that leads to `allowed` alone, for as long as the block lasts."""
    with tempfile.TemporaryDirectory(prefix="mlteam-door-") as name:  # short, as paths of sockets have to be
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(str(Path(name) / SOCKET))
        listening.listen()
        loop, over = asyncio.new_event_loop(), asyncio.Event()
        serving = _Door(frozenset(allowed)).serve(listening, over)
        thread = threading.Thread(target=loop.run_until_complete, args=(serving,), name="door", daemon=True)
        thread.start()
        try:
            yield Path(name)
        finally:
            loop.call_soon_threadsafe(over.set)
            thread.join()
            loop.close()


class _Door:
    def __init__(self, allowed: frozenset[Address]) -> None:
        self._allowed = allowed
        self._guests: set[asyncio.Task[None]] = set()

    async def serve(self, listening: socket.socket, over: asyncio.Event) -> None:
        server = await asyncio.start_unix_server(self._welcome, sock=listening, limit=MOST_HEAD_BYTES)
        await over.wait()
        server.close()
        for guest in self._guests:
            guest.cancel()
        await asyncio.gather(*self._guests, return_exceptions=True)

    async def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._guests.add(task)
        task.add_done_callback(self._guests.discard)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError):
            await self._lead(reader, writer)
        writer.close()

    async def _lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        line, _, rest = head.partition(b"\r\n")
        method, _, target = line.decode("latin-1").partition(" ")
        target = target.rpartition(" ")[0]
        try:
            address = _address(f"//{target}" if method == "CONNECT" else target)
        except ValueError:  # no port, or no address at all
            address = ("", 0)
        if address not in self._allowed:
            named = ", ".join(f"{host}:{port}" for host, port in sorted(self._allowed))
            await _refused(reader, writer, 403, f"this system may ask {named} and nobody else")
            return
        try:
            there, onward = await asyncio.wait_for(asyncio.open_connection(*address), CONNECT_S)
        except OSError as error:  # a timeout is one
            await _refused(reader, writer, 502, f"{address[0]}:{address[1]} cannot be reached: {error or type(error).__name__}")
            return
        try:
            if method == "CONNECT":
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                onward.write(_to_origin(method, target, rest))
            sending = asyncio.create_task(_pipe(reader, onward))
            await _pipe(there, writer)
            sending.cancel()
        finally:
            onward.close()


def _to_origin(method: str, target: str, rest: bytes) -> bytes:
    """A request to a proxy as one to the server itself, which ends the connection behind its answer."""
    parts = urlsplit(target)
    path = parts._replace(scheme="", netloc="").geturl() or "/"
    headers = [line for line in rest.split(b"\r\n") if line and not line.lower().startswith(OWN)]
    return b"\r\n".join([f"{method} {path} HTTP/1.1".encode("latin-1"), *headers, b"Connection: close", b"", b""])


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(PIECE_BYTES):
        writer.write(piece)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


async def _refused(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, status: int, why: str) -> None:
    body = f"{why}\n".encode()
    head = f"HTTP/1.1 {status} X\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    writer.write(head.encode() + body)
    await writer.drain()
    writer.write_eof()
    with contextlib.suppress(TimeoutError):  # who is still sending would else lose the answer with the connection
        async with asyncio.timeout(CONNECT_S):
            while await reader.read(PIECE_BYTES):
                pass
