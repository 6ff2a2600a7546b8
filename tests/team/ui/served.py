"""`mlteam ui` as a process of its own over a folder of runs."""

from __future__ import annotations

import os
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.team.commands import command

START_S = 120.0


@contextmanager
def served(out: Path, *words: str, **environment: str) -> Iterator[httpx.Client]:
    """A client of the page, which is ended, and has ended well, when the block is left."""
    env = {**os.environ, **environment}
    process = subprocess.Popen(command("ui", "--out", str(out), "--port", "0", *words), stderr=subprocess.PIPE, text=True, env=env)
    watchdog = threading.Timer(START_S, process.kill)
    watchdog.start()
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        found = re.search(r"http://\S+?:(\d+)/", line)
        assert found, line + process.stderr.read()
        watchdog.cancel()
        with httpx.Client(base_url=f"http://127.0.0.1:{found[1]}", timeout=60) as client:
            yield client
        process.terminate()
        assert process.wait(timeout=60) == 0, process.stderr.read()
    finally:
        watchdog.cancel()
        process.kill()
        process.communicate(timeout=60)
