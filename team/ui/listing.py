"""The runs and evals of a folder as the first page lists them."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from team.errors import MlteamError
from team.events import ModelCalled, RunStarted
from team.inventory import Entry, is_run, read_entry
from team.log import read_events
from team.rundir import RunDir
from team.ui.places import ATTEMPTS, SITE, Folder, address, first_link, is_eval
from tools.files import read_regular

MOST_ATTEMPT_BYTES = 64 * 2**20


class RunRow(BaseModel):
    """A run in the list."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    entry: Entry
    address: str | None
    """Of its page, below `/runs/`; None for what has no page."""
    usd: float | None
    """Dollars; None where a price is not known."""
    tokens: int
    roles: str | None
    """The model that roles speak by."""

    @property
    def data(self) -> str:
        """The name of the dataset, without its folder and its hash."""
        return (self.entry.source or "").partition("#sha256=")[0].rstrip("/").rpartition("/")[2]


class EvalRow(BaseModel):
    """An eval in the list."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    address: str
    site: bool
    """Whether it has pages."""
    suites: list[str]
    systems: list[str]
    tasks: int
    attempts: int
    finished: str
    """When its last attempt ended, ISO 8601."""


class Listing:
    """Lists a folder, and reads only what has changed since it last did."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._runs: dict[str, tuple[object, RunRow]] = {}
        self._evals: dict[str, tuple[object, EvalRow]] = {}

    def runs(self) -> list[RunRow]:
        """Every run, the newest first."""
        rows = []
        for path in self._children():
            if not is_run(path) or (not path.is_symlink() and is_eval(path)):
                continue
            mark = (*_stamp(path / "events.jsonl"), *_stamp(path / "model" / "package.json"), RunDir(path).in_use)
            known = self._runs.get(path.name)
            if known is None or known[0] != mark:
                known = self._runs[path.name] = (mark, _run_row(path))
            rows.append(_going_on(known[1]))
        return sorted(rows, key=lambda row: (row.entry.started_at or 0.0, row.entry.name), reverse=True)

    def evals(self) -> list[EvalRow]:
        """Every eval by its name."""
        rows = []
        for path in self._children():
            if path.is_symlink() or not is_eval(path) or (place := address(path.name)) is None:
                continue
            mark = (*_stamp(path / ATTEMPTS), *_stamp(path / SITE))
            known = self._evals.get(path.name)
            if known is None or known[0] != mark:
                known = self._evals[path.name] = (mark, _eval_row(path, place, self._folder.root))
            rows.append(known[1])
        return sorted(rows, key=lambda row: row.name)

    def _children(self) -> list[Path]:
        try:
            return [path for path in self._folder.root.iterdir() if not path.name.startswith(".") and path.is_dir()]
        except OSError:
            return []


def _run_row(path: Path) -> RunRow:
    if not path.is_symlink() and (link := first_link(path)) is not None:
        return RunRow(entry=_refused(path, link), address=None, usd=None, tokens=0, roles=None)
    entry = read_entry(path)
    try:
        events = list(read_events(path / "events.jsonl")) if entry.state != "link" else []
    except (MlteamError, OSError):
        events = []
    calls = [event for event in events if isinstance(event, ModelCalled)]
    prices = [call.usd for call in calls]
    return RunRow(
        entry=entry,
        address=address(path.name) if events else None,
        usd=None if any(price is None for price in prices) else sum(price or 0.0 for price in prices),
        tokens=sum(call.input_tokens + call.output_tokens for call in calls),
        roles=next((str(event.settings.get("model")) for event in events if isinstance(event, RunStarted)), None),
    )


def _refused(path: Path, link: str) -> Entry:
    return Entry(
        name=path.name,
        run=str(path),
        state="damaged",
        reason=f"it holds a symbolic link, {link!r}, and is not shown",
        started_at=None,
        seconds=None,
        source=None,
        target=None,
        metric=None,
        holdout=None,
        model=None,
        bytes=0,
        released=False,
    )


def _going_on(row: RunRow) -> RunRow:
    """Of a run that goes on, the time until now."""
    if row.entry.state != "running" or row.entry.started_at is None:
        return row
    return row.model_copy(update={"entry": row.entry.model_copy(update={"seconds": max(0.0, time.time() - row.entry.started_at)})})


def _eval_row(path: Path, place: str, inside: Path) -> EvalRow:
    try:
        lines = read_regular(path / ATTEMPTS, MOST_ATTEMPT_BYTES, inside).splitlines()
    except OSError:
        lines = []
    rows: list[dict[str, Any]] = []
    for line in lines:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            rows.append(row)
    return EvalRow(
        name=path.name,
        address=place,
        site=(path / SITE).is_file(),
        suites=list(dict.fromkeys(str(row.get("suite", "")) for row in rows)),
        systems=list(dict.fromkeys(str(row.get("system", "")) for row in rows)),
        tasks=len({(str(row.get("suite")), str(row.get("task"))) for row in rows}),
        attempts=len(rows),
        finished=max((str(row.get("finished", "")) for row in rows), default=""),
    )


def _stamp(path: Path) -> tuple[int, int, int]:
    try:
        found = os.lstat(path)
    except OSError:
        return (0, 0, 0)
    return (found.st_mtime_ns, found.st_size, found.st_ino)
