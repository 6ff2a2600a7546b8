"""A real Arize Phoenix on loopback: it takes OTLP, answers questions about spans, and shows them in a browser. It reaches no network."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.notebook.lab import end, free_port

START_S = 150.0
"""It imports for a while, and makes its database."""
TAKEN_S = 60.0
PAGE = 1_000


def phoenix_program() -> str | None:
    return os.environ.get("PHOENIX_BIN") or shutil.which("phoenix")


class Phoenix:
    """A server that answers.

    Attributes:
        address: http://127.0.0.1:PORT, where it takes `/v1/traces` too.
    """

    def __init__(self, address: str) -> None:
        self.address = address

    def spans(self, at_least: int) -> list[dict[str, Any]]:
        """All spans of the default project, once there are so many: it writes them to its database some time after it took them."""
        until = time.monotonic() + TAKEN_S
        while len(found := self._spans()) < at_least:
            assert time.monotonic() < until, f"{len(found)} of {at_least} spans arrived"
            time.sleep(0.25)
        return found

    def project(self) -> str:
        """The id by which pages know the default project."""
        (found,) = (one for one in self._get("/v1/projects", {})["data"] if one["name"] == "default")
        return str(found["id"])

    def _spans(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            page = self._get("/v1/projects/default/spans", {"limit": PAGE} | ({"cursor": cursor} if cursor else {}))
            found += page["data"]
            cursor = page["next_cursor"]
            if not cursor:
                return found

    def _get(self, path: str, asked: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = httpx.get(f"{self.address}{path}", params=asked, timeout=30).raise_for_status().json()
        return answer


@contextmanager
def running_phoenix(folder: Path) -> Iterator[Phoenix]:
    """Start one whose data lies in `folder`, and end it."""
    program = phoenix_program()
    assert program is not None
    port, grpc = free_port(), free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PHOENIX_", "OTEL_"))} | {
        "PHOENIX_WORKING_DIR": str(folder),
        "PHOENIX_HOST": "127.0.0.1",
        "PHOENIX_PORT": str(port),
        "PHOENIX_GRPC_PORT": str(grpc),
        "PHOENIX_TELEMETRY_ENABLED": "false",
        "PHOENIX_ALLOW_EXTERNAL_RESOURCES": "false",
        "PHOENIX_AGENTS_DISABLE_BASH": "true",
    }
    with ExitStack() as stack:
        log = stack.enter_context((folder / "phoenix.log").open("w"))
        server = subprocess.Popen([program, "serve"], env=environment, stdout=log, stderr=log, cwd=folder)
        stack.callback(end, server)
        address = f"http://127.0.0.1:{port}"
        until = time.monotonic() + START_S
        while not _answers(address):
            assert server.poll() is None, (folder / "phoenix.log").read_text()[-2000:]
            assert time.monotonic() < until, (folder / "phoenix.log").read_text()[-2000:]
            time.sleep(0.2)
        yield Phoenix(address)


def _answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/healthz", timeout=5).status_code == 200
    except httpx.TransportError:
        return False
