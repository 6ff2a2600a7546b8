"""The run directory: every path as a property, creation, opening, the lock and the checkpoint."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from team.errors import UsageError
from tools.contract import Contract
from tools.files import remove_tree

PROBE_BYTES = 1 << 20
"""What a disk must still take to be good for anything."""


class RunDir:
    """One run on disk. Open formats only, so that other programs can read it."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def settings(self) -> Path:
        return self.path / "settings.yaml"

    @property
    def contract(self) -> Path:
        return self.path / "contract.json"

    @property
    def events(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def cells(self) -> Path:
        """Every executed cell with its outputs, one JSON document a line."""
        return self.path / "cells.jsonl"

    @property
    def live(self) -> Path:
        """What the cell that is running has printed so far; there is none between calls."""
        return self.path / "live.txt"

    @property
    def checkpoint(self) -> Path:
        return self.path / "checkpoint.json"

    @property
    def checkpoints(self) -> Path:
        """One checkpoint for each turn, to go back to."""
        return self.path / "checkpoints"

    @property
    def replies(self) -> Path:
        """What language models answered, one JSON document a line; the playbook's answers cost nothing and are not kept."""
        return self.path / "replies.jsonl"

    @property
    def resources(self) -> Path:
        """What the machine gave since the last event that tells of it."""
        return self.path / "resources.json"

    @property
    def plan(self) -> Path:
        return self.path / "plan.json"

    @property
    def manifest(self) -> Path:
        """Where the data came from: source, size, hash, rows and columns."""
        return self.path / "manifest.json"

    @property
    def leaderboard(self) -> Path:
        return self.path / "leaderboard.json"

    @property
    def sections(self) -> Path:
        """Prose of the writer, by slot."""
        return self.path / "sections.json"

    @property
    def data(self) -> Path:
        """Mounted read-only in the sandbox; holdout labels never enter it before the final score."""
        return self.path / "data"

    @property
    def vault(self) -> Path:
        """Never mounted: the source, the holdout's labels and the ledger of looks."""
        return self.path / "vault"

    @property
    def work(self) -> Path:
        """The kernel's folder."""
        return self.path / "work"

    @property
    def set_aside(self) -> Path:
        """What roles had made before a constraint took away what it rests on; no sandbox sees it."""
        return self.path / "set-aside"

    @property
    def notebook(self) -> Path:
        return self.path / "notebook.ipynb"

    @property
    def notebooks(self) -> Path:
        """One a candidate, where they were asked for."""
        return self.path / "notebooks"

    @property
    def model(self) -> Path:
        return self.path / "model"

    @property
    def reports(self) -> Path:
        return self.path / "reports"

    @property
    def report(self) -> Path:
        return self.reports / "report.html"

    @property
    def tracking(self) -> Path:
        """SQLite store of MLflow."""
        return self.path / "mlflow.db"

    @property
    def outbox(self) -> Path:
        """What a tracking server has not taken yet."""
        return self.path / "outbox"

    @property
    def publication(self) -> Path:
        """What was committed of the run and where to, from before anything pointed to it."""
        return self.path / "publication.json"

    @property
    def traces(self) -> Path:
        return self.path / "traces.jsonl"

    @property
    def metrics(self) -> Path:
        """What the run has come to in numbers, as Prometheus reads them."""
        return self.path / "metrics.prom"

    def read_contract(self) -> Contract | None:
        """The sealed contract; None before there is one."""
        return Contract.model_validate_json(self.contract.read_text(encoding="utf-8")) if self.contract.exists() else None

    def read_checkpoint(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.checkpoint.read_text(encoding="utf-8"))
        return document

    def write_checkpoint(self, document: dict[str, Any]) -> None:
        """Write the newest checkpoint, and keep one for its turn, in this order: each is good when the other is not."""
        text = json.dumps(document, indent=1)
        self.checkpoints.mkdir(exist_ok=True)
        write_atomic(self.checkpoints / f"{document['turns']:06}.json", text)
        write_atomic(self.checkpoint, text)

    def sweep(self) -> None:
        """Remove what a process that was killed left half written. Nobody else may be working on the run."""
        for path in (*self.path.glob(".fold-*"), *self.path.glob(".weigh-*")):
            remove_tree(path)
        for folder in (self.path, self.data, self.vault, self.reports, self.model, self.checkpoints, self.work):
            for path in folder.glob(".*.tmp") if folder.is_dir() and not folder.is_symlink() else ():
                remove_tree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the run for this process; a crash releases it with the process.

        Raises:
            UsageError: when another process has it, or a link lies in its place.
        """
        if (self.path / ".lock").is_symlink():  # a run directory may come from anybody
            raise UsageError(f"run {self.name!r} has a link in place of its lock. Remove {str(self.path / '.lock')!r} first.")
        descriptor = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UsageError(f"run {self.name!r} is in use by another process. Wait for it, or stop it.") from None
            yield
        finally:
            os.close(descriptor)

    @property
    def in_use(self) -> bool:
        """Whether a process holds the run. Asking takes a shared hold for an instant, and makes no file."""
        try:
            descriptor = os.open(self.path / ".lock", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def probe(self) -> None:
        """Write a small file and remove it again.

        Raises:
            OSError: when the disk takes no more.
        """
        probe = self.path / ".probe.tmp"
        try:
            with probe.open("wb") as file:
                file.write(bytes(PROBE_BYTES))
                os.fsync(file.fileno())
        finally:
            probe.unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove the whole directory, as far as that can be done."""
        with contextlib.suppress(OSError):
            remove_tree(self.path)


def create_run(out: Path, title: str) -> RunDir:
    """Make `out/<yyyymmdd-hhmmss>-<slug>/` with its folders.

    Raises:
        UsageError: when `out` cannot be written to, saying why; nothing is left behind.
    """
    slug = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:40] or "run"
    stamp = time.strftime("%Y%m%d-%H%M%S")
    made_out = not out.exists()
    try:
        out.mkdir(parents=True, exist_ok=True)
        path = _unused(out, f"{stamp}-{slug}")
    except OSError as error:
        if made_out and out.is_dir() and not any(out.iterdir()):
            out.rmdir()
        raise UsageError(
            f"cannot write to output folder {str(out)!r}: {error.strerror}. Name a folder you may write to with --out DIR."
        ) from None
    run = RunDir(path)
    for folder in (run.data, run.vault, run.work, run.reports):
        folder.mkdir()
    run.vault.chmod(0o700)
    return run


def _unused(out: Path, name: str) -> Path:
    for suffix in ("", *(f"-{k}" for k in range(2, 1000))):
        path = out / (name + suffix)
        try:
            path.mkdir()
        except FileExistsError:
            continue
        return path
    raise FileExistsError(17, "a thousand runs started in this second", str(out))


def list_runs(out: Path) -> list[RunDir]:
    """Runs below `out`, oldest first."""
    if not out.is_dir():
        return []
    return [RunDir(path) for path in sorted(out.iterdir()) if (path / "events.jsonl").is_file()]


def open_run(reference: str | Path, out: Path = Path("runs")) -> RunDir:
    """The run at a path, with a name (or its beginning) below `out`, or `last`.

    Raises:
        UsageError: when there is none or the beginning fits several, naming them.
    """
    path = Path(reference)
    if (path / "events.jsonl").is_file():
        return RunDir(path)
    runs = list_runs(out)
    if str(reference) == "last" and runs:
        return runs[-1]
    fitting = [run for run in runs if run.name == str(reference)] or [run for run in runs if run.name.startswith(str(reference))]
    if len(fitting) == 1:
        return fitting[0]
    there = ", ".join(run.name for run in (fitting or runs)[-5:]) or "none yet"
    what = "fits several runs" if fitting else "is no run directory"
    raise UsageError(f"{str(reference)!r} {what}. Runs in {str(out)!r}: {there}. `mlteam runs` lists them all.")


def write_atomic(path: Path, text: str) -> None:
    """Write under a temporary name, force to disk, rename: a crash leaves the old file or the new one."""
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("w", encoding="utf-8") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())
    temporary.replace(path)
