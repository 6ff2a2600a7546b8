"""What may be read through the page: runs and evals of one folder, and of them the files that people read.

A name or a path comes from whoever asks. Nothing is opened through a symbolic link, and nothing above the folder is reached.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import quote

from team.rundir import RunDir
from tools.files import list_names, read_regular

MOST_BYTES = 256 * 2**20
"""Of a file that is handed out."""
MOST_LINKED = 20_000
"""Entries of a run's own folders that are looked at."""
OWN_FOLDERS = ("vault", "data", "reports", "model", "checkpoints", "notebooks", "outbox")
"""Of a run: what its host writes. The sandbox's `work` is read by functions that follow no link."""
FILES = ("notebook.ipynb", "contract.json", "leaderboard.json", "plan.json", "manifest.json", "events.jsonl", "cells.jsonl", "traces.jsonl")
FOLDERS = ("reports", "notebooks")
EVAL_FILES = ("summary.md", "standings.json", "attempts.jsonl")
EVAL_FOLDERS = ("site", "reports")
ATTEMPTS, SITE = "attempts.jsonl", "site/index.html"


class NotThere(Exception):
    """There is nothing of that name here, or nothing that is shown."""


class Document(NamedTuple):
    """A document of a run that people open."""

    title: str
    path: str


class Folder:
    """A folder of runs."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()

    def run(self, name: str) -> RunDir:
        """The run of that name.

        Raises:
            NotThere: when there is none, or links lie in it.
        """
        path = self._child(name)
        if not _is_file(path / "events.jsonl"):
            raise NotThere(f"no run {name!r} here")
        if (link := first_link(path)) is not None:
            raise NotThere(f"run {name!r} holds a symbolic link, {link!r}, and is not shown")
        return RunDir(path)

    def eval(self, name: str) -> Path:
        """The folder of the eval of that name.

        Raises:
            NotThere: when there is none.
        """
        path = self._child(name)
        if not is_eval(path):
            raise NotThere(f"no eval {name!r} here")
        return path

    def file(self, folder: Path, path: str) -> bytes:
        """The content of a file of a run or an eval that may be handed out.

        Raises:
            NotThere: when there is none, or none that is handed out.
        """
        files, folders = (EVAL_FILES, EVAL_FOLDERS) if is_eval(folder) else (FILES, FOLDERS)
        asked = PurePosixPath(path)
        if "\0" in path or asked.is_absolute() or any(part.startswith(".") for part in asked.parts) or not asked.parts:
            raise NotThere(f"no file {path!r} here")
        if path not in files and not (len(asked.parts) > 1 and asked.parts[0] in folders):
            raise NotThere(f"no file {path!r} here")
        try:
            return read_regular(folder / asked, MOST_BYTES, self.root)
        except (OSError, ValueError):
            raise NotThere(f"no file {path!r} here") from None

    def documents(self, run: RunDir) -> list[Document]:
        """What a run has written for people so far."""
        named = [
            Document("Report", "reports/report.html"),
            Document("Paper", "reports/white_paper.pdf"),
            Document("Model card", "reports/model_card.md"),
            Document("Summary", "reports/summary.md"),
            Document("Data", "reports/data.html"),
            Document("Notebook", "notebook.ipynb"),
        ]
        known = {document.path for document in named}
        for folder in FOLDERS:
            try:
                names = list_names(run.path / folder, self.root, 200)
            except OSError:
                continue
            named += [Document(name, f"{folder}/{name}") for name in names if not name.startswith(".") and f"{folder}/{name}" not in known]
        return [document for document in named if _is_file(run.path / document.path)]

    def _child(self, name: str) -> Path:
        if not name or name.startswith(".") or "/" in name or "\0" in name:
            raise NotThere(f"nothing of the name {name!r} here")
        path = self.root / name
        try:
            found = os.lstat(path)
        except (OSError, ValueError):
            raise NotThere(f"nothing of the name {name!r} here") from None
        if not stat.S_ISDIR(found.st_mode):
            raise NotThere(f"nothing of the name {name!r} here")
        return path


def is_eval(path: Path) -> bool:
    """Whether a folder is one that `mlteam eval` wrote."""
    return not _is_file(path / "events.jsonl") and (_is_file(path / ATTEMPTS) or _is_file(path / SITE))


def first_link(run: Path) -> str | None:
    """A symbolic link among the files that a run's host writes, as a path below the run; None where there is none."""
    seen = 0
    for folder in (run, *(run / name for name in OWN_FOLDERS)):
        try:
            entries = os.scandir(folder)
        except OSError:
            continue
        with entries:
            for entry in entries:
                seen += 1
                if entry.is_symlink() or seen > MOST_LINKED:
                    return str(Path(entry.path).relative_to(run))
    return None


def address(name: str) -> str | None:
    """A name as part of an address; None for bytes that are no text, which no address brings back."""
    try:
        return quote(name, safe="")
    except UnicodeEncodeError:
        return None


def _is_file(path: Path) -> bool:
    """A regular file below folders that are none of them links, as far as the last two go."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode) and not path.parent.is_symlink()
    except (OSError, ValueError):
        return False
