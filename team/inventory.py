"""The runs of a folder: in which state each is, what it scored, and how much room it takes.

A run counts as released when its model is packaged (`model/package.json`): that is the last fact of the last stage, and
what `mlteam predict` takes.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from reports.chronicle import run_status
from team.errors import MlteamError
from team.events import Event, HoldoutScored, RunStarted
from team.log import read_events
from team.rundir import RunDir
from tools.contract import Contract

State = Literal["done", "failed", "interrupted", "stopped_by_budget", "running", "stopped", "damaged", "link"]
"""`running`: a process holds it. `stopped`: cut off without an end, so it can be resumed. `damaged`: it cannot be read.
`link`: a symbolic link in the folder, which is not followed."""
_RUN_NAME = re.compile(r"\d{8}-\d{6}-")
_BLOCK = 512
"""Bytes of `st_blocks`, whatever the file system."""


class Score(BaseModel):
    """The final score of a run."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    score: float
    low: float
    high: float
    level: float
    n: int
    looks: int


class Entry(BaseModel):
    """A run in a listing."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    run: str
    """The run directory."""
    state: State
    reason: str
    started_at: float | None
    """Seconds since the epoch."""
    seconds: float | None
    """From the first event to the last."""
    source: str | None
    target: str | None
    metric: str | None
    holdout: Score | None
    model: str | None
    """The candidate that was scored on the holdout."""
    bytes: int
    """Room on disk, links not followed."""
    released: bool


def list_entries(out: Path) -> list[Entry]:
    """Every run below `out`, the newest first; what cannot be read is listed as damaged."""
    if not out.is_dir():
        return []
    found = [read_entry(path) for path in out.absolute().iterdir() if is_run(path)]
    return sorted(found, key=lambda entry: (entry.started_at or _stamp(Path(entry.run)), entry.name), reverse=True)


def read_entry(path: Path, *, held: bool = False) -> Entry:
    """What a listing says of the run directory `path`. Raises nothing.

    Args:
        held: whether the caller holds the run's lock, so that it is not taken for running.
    """
    if path.is_symlink():
        return _entry(path, "link", f"a link to {os.readlink(path)}", size=0)
    run, size = RunDir(path), disk_usage(path)
    try:
        events = list(read_events(run.events))
        if not run.events.is_file():
            return _entry(path, "damaged", "it has no event log", size)
        contract = run.read_contract()
    except (MlteamError, OSError, ValidationError, UnicodeDecodeError) as error:
        return _entry(path, "damaged", str(error).splitlines()[0], size)
    status, reason = run_status(events)
    state: State = "running" if not held and run.in_use else "stopped" if status == "unfinished" else status
    return _entry(path, state, reason, size, events, contract)


def disk_usage(path: Path) -> int:
    """Bytes that a file or a folder takes on disk; links count as themselves, what cannot be read as nothing."""
    total, waiting = 0, [path]  # no recursion: what a kernel wrote may be nested deeply
    while waiting:
        path = waiting.pop()
        try:
            found = os.lstat(path)
            total += found.st_blocks * _BLOCK
            if stat.S_ISDIR(found.st_mode):
                waiting += path.iterdir()
        except OSError:
            continue
    return total


def _entry(path: Path, state: State, reason: str, size: int, events: Sequence[Event] = (), contract: Contract | None = None) -> Entry:
    settings = next((e.settings for e in events if isinstance(e, RunStarted)), {})
    scored = next((e for e in reversed(events) if isinstance(e, HoldoutScored)), None)
    return Entry(
        name=path.name,
        run=str(path),
        state=state,
        reason=reason,
        started_at=events[0].at if events else None,
        seconds=events[-1].at - events[0].at if events else None,
        source=settings.get("source"),
        target=contract.target if contract else settings.get("target"),
        metric=contract.metric if contract else settings.get("metric"),
        holdout=Score(**scored.model_dump(include=set(Score.model_fields))) if scored else None,
        model=scored.candidate if scored else None,
        bytes=size,
        released=state != "link" and (path / "model" / "package.json").is_file(),
    )


def is_run(path: Path) -> bool:
    """A folder, or a link to one, that has an event log or is named as runs are."""
    return not path.name.startswith(".") and path.is_dir() and (_RUN_NAME.match(path.name) is not None or (path / "events.jsonl").exists())


def _stamp(path: Path) -> float:
    try:
        return os.lstat(path).st_mtime
    except OSError:
        return 0.0
