"""GitHub's and GitLab's APIs as far as a pull request needs them, on loopback: projects, rights, requests that were opened."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKENS = {"may-write": True, "may-read": False}
"""Tokens that the server knows, and whether they may write."""


class ForgeServer:
    """What was asked of it.

    Attributes:
        refuse: status with which opening a request is answered, where it is not to work.
        strike: called when a request was opened, before that is answered.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.opened: list[dict[str, Any]] = []
        self.refuse: int | None = None
        self.strike: Callable[[], None] | None = None


def addresses(number: int) -> dict[str, str]:
    """Where a request is, as either forge says it."""
    return {"html_url": f"http://forge/pull/{number}", "web_url": f"http://forge/merge/{number}"}


@contextmanager
def forge_server() -> Iterator[ForgeServer]:
    """A server of the project `ann/lab`, whose default branch is `main`."""
    known: list[ForgeServer] = []

    class Handler(BaseHTTPRequestHandler):
        timeout = 60

        def _reply(self, status: int, document: Any) -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _token(self) -> str:
            return self.headers.get("PRIVATE-TOKEN") or self.headers.get("Authorization", "").removeprefix("Bearer ")

        def do_GET(self) -> None:
            if self._token() not in TOKENS:
                return self._reply(401, {"message": "Bad credentials"})
            write = TOKENS[self._token()]
            if self.path == "/repos/ann/lab":
                return self._reply(200, {"default_branch": "main", "permissions": {"pull": True, "push": write}})
            if self.path == "/projects/ann%2Flab":
                access = {"project_access": {"access_level": 30 if write else 20}, "group_access": None}
                return self._reply(200, {"default_branch": "main", "permissions": access})
            asked = urlsplit(self.path)
            if asked.path in ("/repos/ann/lab/pulls", "/projects/ann%2Flab/merge_requests"):
                query = parse_qs(asked.query)
                wanted = query.get("source_branch", [head.removeprefix("ann:") for head in query.get("head", [])])
                opened = [one for one in known[0].opened if [one.get("head", one.get("source_branch"))] == wanted]
                return self._reply(200, [addresses(one["number"]) for one in reversed(opened)])
            return self._reply(404, {"message": "Not Found"})

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            forge = known[0]
            if forge.refuse:
                return self._reply(
                    forge.refuse, {"message": "Validation Failed", "errors": [{"message": "No commits between main and it"}]}
                )
            forge.opened.append({"path": self.path, "number": len(forge.opened) + 1, **asked})
            if forge.strike is not None:
                forge.strike()
            return self._reply(201, addresses(len(forge.opened)))

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        known.append(ForgeServer(f"http://127.0.0.1:{server.server_port}"))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield known[0]
        finally:
            server.shutdown()
