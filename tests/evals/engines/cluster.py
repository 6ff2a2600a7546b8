"""A scheduler of Dask and its workers, as processes that a test may kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from tests.evals.engines.waiting import LONGEST_S, wait_for

SETTINGS = {
    "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "2",
    "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "5s",
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP": "11s",
}
"""A job is begun three times at most, and a worker that cannot be heard is given up as soon as Dask allows."""


class Cluster:
    """Processes that end with the block, and what they print in files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for name in list(self._processes):
            self.kill(name)

    def start(self, name: str, words: Sequence[str], before: Sequence[str] = ()) -> None:
        """Start a Python process with this environment, in a process group of its own.

        Args:
            before: the words of a command that runs it.
        """
        path = os.pathsep.join(str(Path(entry).absolute()) for entry in sys.path if entry)
        with (self.folder / f"{name}.log").open("wb") as log:
            self._processes[name] = subprocess.Popen(
                [*before, sys.executable, *words],
                cwd=self.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=os.environ | SETTINGS | {"PYTHONPATH": path, "PLACE": name},
            )

    def scheduler(self, host: str = "127.0.0.1", before: Sequence[str] = (), port: str = "0") -> str:
        """Start the scheduler, and give its HOST:PORT."""
        file = self.folder / "scheduler.json"
        file.unlink(missing_ok=True)
        words = ["-m", "dask", "scheduler", "--host", host, "--port", port, "--no-dashboard", "--dashboard-address", ":0"]
        self.start("scheduler", [*words, "--scheduler-file", str(file)], before)
        wait_for(file.exists, f"a scheduler: {self.said('scheduler')}")
        wait_for(lambda: file.read_text().endswith("}"), "its whole address")
        return str(json.loads(file.read_text())["address"]).removeprefix("tcp://")

    def worker(self, name: str, address: str, host: str = "127.0.0.1", before: Sequence[str] = ()) -> None:
        words = ["-m", "dask", "worker", address, "--host", host, "--name", name, "--nthreads", "1", "--nworkers", "1", "--no-nanny"]
        self.start(name, [*words, "--no-dashboard", "--memory-limit", "0", "--local-directory", str(self.folder / name)], before)

    def said(self, name: str) -> str:
        """The end of what a process printed."""
        return (self.folder / f"{name}.log").read_text(errors="replace")[-2000:]

    def kill(self, name: str) -> None:
        """SIGKILL to a process and its group."""
        process = self._processes.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(LONGEST_S)
