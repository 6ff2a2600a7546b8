"""One line of JSON and one count a request. No value of a row is written anywhere."""

from __future__ import annotations

import json
import re
import sys
import time
import uuid
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime
from typing import Any

from tools.serving.gate import App, Message, Receive, Send
from tools.serving.metrics import Metrics

Write = Callable[[str], None]
FACTS = "mlteam"
"""Where an endpoint leaves in the scope what its line is to say."""
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def log_line(write: Write, level: str, event: str, **facts: Any) -> None:
    """Write one line of JSON: `at` (UTC), `level`, `event`, then the facts."""
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    write(json.dumps({"at": at, "level": level, "event": event, **facts}, ensure_ascii=True, default=str))


class Observe:
    """The outermost layer of the application."""

    def __init__(self, app: App, metrics: Metrics, paths: frozenset[str], write: Write) -> None:
        self._app, self._metrics, self._paths, self._write = app, metrics, paths, write

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        given = next((value.decode("latin-1") for name, value in scope["headers"] if name.lower() == b"x-request-id"), "")
        request = given if _ID.fullmatch(given) else uuid.uuid4().hex
        facts: dict[str, Any] = {}
        scope[FACTS] = facts
        status, began = 0, time.perf_counter()

        async def told(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(message["status"])
                message["headers"] = [*message["headers"], (b"x-request-id", request.encode())]
            await send(message)

        # Any other path is one label, or whoever tries addresses would fill the memory with counters.
        path = scope["path"] if scope["path"] in self._paths else "other"
        self._metrics.going.inc()
        try:
            await self._app(scope, receive, told)
        finally:
            seconds = time.perf_counter() - began
            self._metrics.going.dec()
            self._metrics.requests.labels(path, str(status)).inc()
            self._metrics.seconds.labels(path).observe(seconds)
            log_line(
                self._write,
                "error" if status >= 500 or not status else "warning" if status >= 400 else "info",
                "request",
                request=request,
                method=scope["method"],
                path=scope["path"][:200],
                status=status,
                ms=round(1000 * seconds, 3),
                client=(scope.get("client") or ("",))[0],
                **facts,
            )
