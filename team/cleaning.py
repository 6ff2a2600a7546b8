"""Free room below a folder of runs: what can be rebuilt, and runs that came to nothing. Never what cannot be had again.

The newest runs are kept as they are. Of older ones that reached a model or a score, only views and caches go:

    reports/, notebook.ipynb    `mlteam report` writes them again
    notebooks/                  so it does those of candidates
    replay/                     the notebook makes it when it is executed again
    work/plots/                 the notebook's cells hold every plot
    work/studies.db             what tuning remembered; the candidates it found stay
    work/model/                 where it equals the package in model/

Older runs that failed or were interrupted before they had either go whole. Runs that are going on, that were cut off and
can be resumed, that cannot be read, and links are left alone. No link is followed, and nothing outside the folder is
touched.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import BaseModel, ConfigDict

from team.errors import UsageError
from team.inventory import Entry, disk_usage, list_entries, read_entry
from team.rundir import RunDir
from tools.sources.cache import Cache, cache_folder

VIEWS = ("reports", "notebook.ipynb", "notebooks", "replay", "work/plots")
STUDIES = tuple(f"work/studies.db{suffix}" for suffix in ("", "-journal", "-wal", "-shm"))
COPY = "work/model"
Action = Literal["keep", "trim", "remove"]


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Part(_Document):
    """A file or a folder that goes."""

    path: str
    """Below the run directory; `.` is all of it."""
    bytes: int


class RunPlan(_Document):
    """What becomes of one run."""

    name: str
    run: str
    state: str
    released: bool
    action: Action
    why: str
    parts: tuple[Part, ...] = ()
    problem: str | None = None
    """Why something could not be removed after all."""

    @property
    def bytes(self) -> int:
        return sum(part.bytes for part in self.parts)


class Cleaning(_Document):
    """What cleaning a folder frees, before or after it was done."""

    out: str
    keep: int
    done: bool
    """Whether the parts were removed; False for what would be."""
    bytes: int
    runs: tuple[RunPlan, ...]
    """The newest first."""
    downloads: Part | None = None
    """The cache of downloads, where it goes too; its bytes are those that no run shares."""


def plan_cleaning(out: Path, keep: int, *, downloads: bool = False) -> Cleaning:
    """What would go, and why, when the newest `keep` runs stay as they are. Changes nothing.

    Args:
        downloads: whether the cache of downloads goes too; runs keep what they fetched.
    """
    entries = list_entries(out)
    newest = {entry.name for entry in [e for e in entries if e.state not in ("link", "damaged")][:keep]}
    plans = [_plan(entry, newest=entry.name in newest) for entry in entries]
    planned = _cleaning(out, keep, plans, done=False)
    if not downloads:
        return planned
    part = Part(path=str(cache_folder()), bytes=Cache(cache_folder()).frees())
    return planned.model_copy(update={"downloads": part, "bytes": planned.bytes + part.bytes})


def clean(planned: Cleaning) -> Cleaning:
    """Remove what was planned, run by run, each under its lock and looked at anew.

    Returns:
        What was removed. A run that changed since, or from which something could not be removed, says so in `problem`.
    """
    out = Path(planned.out)
    cleaned = _cleaning(out, planned.keep, [_carry_out(out, plan) for plan in planned.runs], done=True)
    if planned.downloads is None:
        return cleaned
    cache = Cache(Path(planned.downloads.path))
    before = cache.frees()
    cache.clear()
    part = planned.downloads.model_copy(update={"bytes": before - cache.frees()})
    return cleaned.model_copy(update={"downloads": part, "bytes": cleaned.bytes + part.bytes})


def _cleaning(out: Path, keep: int, plans: list[RunPlan], *, done: bool) -> Cleaning:
    return Cleaning(out=str(out.absolute()), keep=keep, done=done, bytes=sum(plan.bytes for plan in plans), runs=tuple(plans))


def _plan(entry: Entry, *, newest: bool) -> RunPlan:
    action, why, parts = _decide(entry, newest)
    return RunPlan(name=entry.name, run=entry.run, state=entry.state, released=entry.released, action=action, why=why, parts=parts)


def _decide(entry: Entry, newest: bool) -> tuple[Action, str, tuple[Part, ...]]:
    run = Path(entry.run)
    match entry.state:
        case "link":
            return "keep", "a link, which is not followed", ()
        case "running":
            return "keep", "it is running", ()
        case "damaged":
            return "keep", f"damaged: {entry.reason}", ()
        case "stopped":
            return "keep", "cut off, so it can be resumed", ()
    if newest:
        return "keep", "one of the newest", ()
    if not entry.released and entry.holdout is None and entry.state != "done":
        return "remove", f"{entry.state} before it had a model", (Part(path=".", bytes=entry.bytes),)
    names = [*VIEWS, *STUDIES, *([COPY] if _is_copy(run) else [])]
    parts = tuple(Part(path=name, bytes=disk_usage(run / name)) for name in names if _plain(run, name))
    return ("trim", "can be rebuilt", parts) if parts else ("keep", "nothing in it can be rebuilt", ())


def _plain(run: Path, name: str) -> bool:
    """Whether there is a file or a folder of this name, with no link on the way to it."""
    path = run
    for part in PurePosixPath(name).parts:
        path /= part
        if path.is_symlink():
            return False
    return path.exists()


def _is_copy(run: Path) -> bool:
    """Whether all that `work/model/` holds was packaged as it is, and the package is whole."""
    try:
        files = json.loads((run / "model" / "package.json").read_text(encoding="utf-8"))["files"]
        listed = {str(file["name"]): str(file["sha256"]) for file in files}
        there = {path.name for path in (run / COPY).iterdir()}
        held = [
            *((run / "model" / name, digest) for name, digest in listed.items()),
            *((run / COPY / name, listed[name]) for name in there),
        ]
        return bool(there) and all(
            not path.is_symlink() and hashlib.sha256(path.read_bytes()).hexdigest() == digest for path, digest in held
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _carry_out(out: Path, plan: RunPlan) -> RunPlan:
    if plan.action == "keep":
        return plan
    path, unchanged = out / plan.name, plan.model_copy(update={"action": "keep", "parts": ()})
    try:
        with RunDir(path).lock():
            now = _plan(read_entry(path, held=True), newest=False)
            if now.action != plan.action:
                return unchanged.model_copy(update={"problem": f"it changed: {now.why}"})
            planned = {part.path for part in plan.parts}
            return _removed(out, now.model_copy(update={"parts": tuple(part for part in now.parts if part.path in planned)}))
    except (UsageError, OSError) as error:
        return unchanged.model_copy(update={"problem": str(error)})


def _removed(out: Path, plan: RunPlan) -> RunPlan:
    gone, problems = [], []
    for part in plan.parts:
        try:
            if part.path == ".":
                _empty(out / plan.name)
                _remove(out, plan.name)
            else:
                _remove(out, f"{plan.name}/{part.path}")
            gone.append(part)
        except (OSError, RecursionError) as error:
            problems.append(f"{part.path}: {error.strerror if isinstance(error, OSError) and error.strerror else error}")
    return plan.model_copy(update={"parts": tuple(gone), "problem": "; ".join(problems) or None})


def _empty(run: Path) -> None:
    """Remove all but the event log, so that a run that is half gone is still known for what it was."""
    for name in sorted(os.listdir(run)):
        if name not in ("events.jsonl", ".lock"):
            _remove(run.parent, f"{run.name}/{name}", links=True)


def _remove(folder: Path, name: str, *, links: bool = False) -> None:
    """Remove `name` below `folder`, opening every folder on the way so that none can be a link, now or in a moment.

    Args:
        links: whether `name` may be a link itself, which is removed and not followed.

    Raises:
        OSError: when something on the way is a link or is gone, or cannot be removed.
    """
    holder = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        *before, last = PurePosixPath(name).parts
        for part in before:
            below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=holder)
            os.close(holder)
            holder = below
        found = os.stat(last, dir_fd=holder, follow_symlinks=False)
        if stat.S_ISDIR(found.st_mode):
            shutil.rmtree(last, dir_fd=holder)  # follows no link below either
        elif links or stat.S_ISREG(found.st_mode):
            os.unlink(last, dir_fd=holder)
        else:
            raise OSError(f"{last} is neither a file nor a folder")
    finally:
        os.close(holder)
