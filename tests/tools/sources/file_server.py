"""An HTTP server on loopback that serves files as a script says: breaks connections, changes them meanwhile, is busy, redirects."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Served:
    """A file, and what happens to requests for it, one after the other."""

    body: bytes
    etag: str | None = None
    breaks: list[int] = field(default_factory=list)
    """Each of the next answers ends after so many of its bytes."""
    busy: list[tuple[int, str | None]] = field(default_factory=list)
    """Each of the next requests is answered by a status, with a Retry-After."""
    then: list[Served] = field(default_factory=list)
    """What lies there after the next break."""
    length: bool = True
    """Whether the server says how long the file is."""
    encoding: str | None = None
    """How it says that the body is packed."""


@dataclass
class FileServer:
    """Files and redirects by path, without the query; and every request that came."""

    files: dict[str, Served] = field(default_factory=dict)
    moved: dict[str, str] = field(default_factory=dict)
    seen: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    """Path and headers, whose names are in small letters."""
    address: str = ""

    def headers(self, path: str) -> list[dict[str, str]]:
        return [headers for seen, headers in self.seen if seen.partition("?")[0] == path]


@contextmanager
def serving() -> Iterator[FileServer]:
    server = FileServer()

    class Handler(BaseHTTPRequestHandler):
        timeout = 30

        def do_GET(self) -> None:
            server.seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
            path = self.path.partition("?")[0]
            if path in server.moved:
                self._head(302, Location=server.moved[path], Content_Length="0")
                return
            served = server.files.get(path)
            if served is None:
                self._head(404, Content_Length="0")
                return
            if served.busy:
                status, after = served.busy.pop(0)
                self._head(status, Content_Length="0", **({"Retry_After": after} if after else {}))
                return
            self._send(path, served)

        def _send(self, path: str, served: Served) -> None:
            body, status, more = served.body, 200, {"ETag": served.etag} if served.etag else {}
            if served.etag and self.headers.get("If-None-Match") == served.etag:
                self._head(304, **more)
                return
            asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            if asked and self.headers.get("If-Range") == served.etag:
                start = int(asked[1])
                body, status = body[start:], 206
                more["Content_Range"] = f"bytes {start}-{len(served.body) - 1}/{len(served.body)}"
            if served.encoding:
                more["Content_Encoding"] = served.encoding
            if served.length:
                more["Content_Length"] = str(len(body))
            self._head(status, **more)
            if served.breaks:
                self.wfile.write(body[: served.breaks.pop(0)])
                if served.then:
                    server.files[path] = served.then.pop(0)
                self.close_connection = True
                return
            self.wfile.write(body)

        def _head(self, status: int, **headers: str) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        server.address = f"http://127.0.0.1:{httpd.server_port}"
        try:
            yield server
        finally:
            httpd.shutdown()
            thread.join(60)
