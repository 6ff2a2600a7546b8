"""What a request must pass before it is read: its size, its key, its share of the rate. Plain ASGI, so that nothing is buffered twice."""

from __future__ import annotations

import hmac
import json
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

KEY_HEADER = "x-api-key"
MOST_CLIENTS = 10_000
"""Whose rate is remembered."""
DRAINED = 128 * 2**20
"""Bytes of a body that is too large that are read and thrown away, so that the client hears why; then the line is cut."""


@dataclass
class Bounds:
    """What one client may ask."""

    body_bytes: int = 10 * 2**20
    rows: int = 10_000
    """Of one request."""
    per_second: float = 100.0
    """Requests of one client; 0 for no limit."""
    burst: int = 200
    """Requests that a client may make at once after a pause."""


class Rate:
    """A token bucket a client."""

    def __init__(self, bounds: Bounds, clock: Callable[[], float] = time.monotonic) -> None:
        self._bounds, self._clock = bounds, clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, client: str) -> float:
        """Take one token; seconds until there is one where there is none."""
        if self._bounds.per_second <= 0:
            return 0.0
        now = self._clock()
        left, at = self._left.pop(client, (float(self._bounds.burst), now))
        left = min(float(self._bounds.burst), left + (now - at) * self._bounds.per_second)
        short = max(0.0, 1 - left)
        self._left[client] = (left if short else left - 1, now)
        while len(self._left) > MOST_CLIENTS:
            self._left.popitem(last=False)
        return short / self._bounds.per_second


class Gate:
    """Answers 401, 413, 415 and 429 itself; what passes goes on to `app` with a body of known size.

    Args:
        guarded: paths that ask for all of this; others pass.
        key: what `X-API-Key` must hold; None for none.
    """

    def __init__(self, app: App, *, guarded: frozenset[str], key: str | None, bounds: Bounds, rate: Rate | None = None) -> None:
        self._app, self._guarded, self._key, self._bounds = app, guarded, key, bounds
        self._rate = rate or Rate(bounds)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] not in self._guarded:
            return await self._app(scope, receive, send)
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        given = headers.get(KEY_HEADER, "")
        if self._key is not None and not hmac.compare_digest(given.encode(), self._key.encode()):
            told = "the key in X-API-Key is not the right one" if given else "a key is needed in the header X-API-Key"
            return await _refuse(send, 401, told, {"www-authenticate": "ApiKey"})
        client = (scope.get("client") or ("", 0))[0]
        if wait := self._rate.wait(client):
            return await _refuse(send, 429, f"more than {self._bounds.per_second:g} requests a second", {"retry-after": str(int(wait) + 1)})
        if scope["method"] != "POST":
            return await self._app(scope, receive, send)
        kind = headers.get("content-type", "").split(";")[0].strip().lower()
        if kind != "application/json":
            return await _refuse(send, 415, f"content type {kind[:80]!r}; expected application/json")
        body = await self._read(receive, headers)
        if body is None:
            most = self._bounds.body_bytes
            return await _refuse(
                send, 413, f"the body is larger than {most:,} bytes; send the rows in several requests", {"connection": "close"}
            )
        await self._app(scope, _replay(body, receive), send)

    async def _read(self, receive: Receive, headers: dict[str, str]) -> bytes | None:
        """The body; None for one that is too large, which is heard out and thrown away."""
        length = headers.get("content-length", "")
        most = self._bounds.body_bytes
        parts: list[bytes] = []
        size, over = 0, length.isdigit() and int(length) > most
        if over and int(length) > DRAINED:
            return None
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return b"".join(parts)  # the client went away; nobody hears what is answered
            size += len(message.get("body", b""))
            over = over or size > most
            if over:
                parts.clear()
            else:
                parts.append(message.get("body", b""))
            if not message.get("more_body") or size > DRAINED:
                return None if over else b"".join(parts)


def _replay(body: bytes, receive: Receive) -> Receive:
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return waiting.pop() if waiting else await receive()

    return again


async def _refuse(send: Send, status: int, why: str, headers: dict[str, str] | None = None) -> None:
    body = json.dumps({"error": why, "problems": [], "more": 0}).encode()
    given = {"content-type": "application/json", "content-length": str(len(body)), **(headers or {})}
    await send({"type": "http.response.start", "status": status, "headers": [(k.encode(), v.encode()) for k, v in given.items()]})
    await send({"type": "http.response.body", "body": body})
