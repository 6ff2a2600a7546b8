"""The command line in a process of its own, which a test follows, strikes, and never waits for without end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

LONGEST_S = 240.0
"""A moment that has not come by then never will; a machine that does nothing else takes a tenth of it."""
ONE_CORE = {"MLTEAM_SANDBOX__CPUS": "1"}
"""Two workers whose runs take all cores each slow each other down several times over."""


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "team.cli", *words]


@contextmanager
def running(words: list[str], **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A process that is killed when the block is left before it has ended."""
    env = {**os.environ, **ONE_CORE, **environment}
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=60)


def lines(run: Path) -> list[dict[str, Any]]:
    found = (run / "events.jsonl").read_bytes().split(b"\n")[:-1] if (run / "events.jsonl").exists() else []
    return [json.loads(line) for line in found]


def log_size(run: Path) -> int:
    log = run / "events.jsonl"
    return log.stat().st_size if log.exists() else -1


def follow(process: subprocess.Popen[str], out: Path, moment: Callable[[dict[str, Any]], bool]) -> Path:
    """Wait until a moment stands in the log of the only run in `out`."""
    return _wait(process, out, moment, {})


def follow_on(process: subprocess.Popen[str], run: Path, before: int, moment: Callable[[dict[str, Any]], bool]) -> Path:
    """Wait until a resumed run has written something, and a moment stands in its log.

    Args:
        before: bytes of the log before the process began. A run that was stopped may have come to the next moment
            while it ended; a signal to a process that has written nothing would strike it before it can answer.
    """
    return _wait(process, run.parent, moment, {run.name: before})


def _wait(process: subprocess.Popen[str], out: Path, moment: Callable[[dict[str, Any]], bool], stale: dict[str, int]) -> Path:
    until, seen = time.monotonic() + LONGEST_S, -1
    while True:
        for run in out.glob("*/"):
            size = log_size(run)
            if size in (seen, stale.get(run.name)):
                continue
            seen = size
            if any(moment(event) for event in lines(run)):
                return run
        assert process.poll() is None, process.communicate(timeout=60)
        assert time.monotonic() < until, f"the moment has not come within {LONGEST_S:g} s"
        try:
            process.wait(0.02)
        except subprocess.TimeoutExpired:
            continue
