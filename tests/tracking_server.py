"""A real MLflow server on loopback, which a test can kill and start again."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from threading import Event

from tests.released import committed

STARTS_S = 120.0
"""A server that is not up by then never will be; a machine that does nothing else takes ten seconds."""


class TrackingServer:
    """`mlflow server` with its database and its files in a folder. The port stays the same over restarts.

    Args:
        store: address of another database.
    """

    def __init__(self, folder: Path, store: str | None = None) -> None:
        self._folder, self._store = folder, store or f"sqlite:///{folder / 'server.db'}"
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it where it is not up, and come back when it answers."""
        if self._process is not None:
            return
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")},
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        }
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        command += [
            "--backend-store-uri",
            self._store,
            "--artifacts-destination",
            str(self._folder / "files"),
        ]
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(command, cwd=self._folder, env=environment, stdout=log, stderr=log, start_new_session=True)
        pause, tries = Event(), int(STARTS_S / 0.1)
        while not self.answers():
            tries -= 1
            assert tries > 0, f"no answer after {STARTS_S:g} s"
            assert self._process.poll() is None, (self._folder / "server.log").read_text()
            pause.wait(0.1)

    def answers(self) -> bool:
        with contextlib.suppress(urllib.error.URLError, OSError), urllib.request.urlopen(f"{self.address}/health", timeout=5) as answer:
            return bool(answer.status == 200)
        return False

    def rows(self) -> int:
        """How many MLflow runs its database holds, whole or not."""
        return committed(self._folder / "server.db")

    def kill(self) -> None:
        """kill -9 of the server and its workers."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
        assert not self.answers()
