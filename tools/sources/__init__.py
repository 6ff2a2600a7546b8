"""Bring a source to disk, whatever its kind: `fetch` chooses the adapter by how SOURCE is spelt."""

from __future__ import annotations

import hashlib
import importlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tools.files import remove_tree
from tools.sources.contract import RECORD, Fetched, FetchedFile, Room, Source, files_folder
from tools.sources.spelling import Spelling, spelt
from tools.spec import InputRefused
from tools.workspace import write_text

ADAPTERS = {
    "frame": "tools.sources.frame:Frame",
    "http": "tools.sources.web:Web",
    "https": "tools.sources.web:Web",
    "sklearn": "tools.sources.bundled:Bundled",
}
"""Module and class by scheme; they import their libraries when they are called."""


def fetch(source: str, vault: Path, progress: Callable[..., None] = lambda **facts: None) -> Fetched:
    """Copy or download `source` below `vault`, and leave a record of where it came from beside it.

    Args:
        vault: gets `source/` with the files and `source.json` with the record, in place of what an earlier call left there.
        progress: called with facts by name while data comes; raises where nobody waits any more.

    Raises:
        InputRefused: when the source does not exist, cannot be read, is too large for the disk, or does not answer;
            the message names it, what was expected and what to do.
    """
    spelling = spelt(source)
    adapter = adapter_of(spelling)
    folder = files_folder(vault)
    (vault / RECORD).unlink(missing_ok=True)
    remove_tree(folder)
    folder.mkdir()
    found = adapter.bring(spelling, Room(folder=folder, progress=progress))
    _verify(spelling, folder)
    files = [_described(path, folder, found.known) for path in sorted(folder.rglob("*")) if path.is_file()]
    fetched = Fetched(
        source=source,
        files=sorted(files, key=lambda file: file.name),
        fetched_at=time.time(),
        licence=found.licence,
        target=found.target,
        split=found.split,
        notes=list(found.notes),
    )
    write_text(vault / RECORD, fetched.model_dump_json(indent=1))
    return fetched


def adapter_of(spelling: Spelling) -> Source:
    """The adapter of a spelling.

    Raises:
        InputRefused: for a scheme that nobody knows.
    """
    place = ADAPTERS.get(spelling.scheme)
    if place is None and "://" in spelling.address:
        raise InputRefused(f"source {spelling.text!r} has an unknown scheme; expected a file, http://, https:// or sklearn:NAME.")
    module, _, name = (place or "tools.sources.local:Local").partition(":")
    adapter: Source = getattr(importlib.import_module(module), name)()
    return adapter


def _verify(spelling: Spelling, folder: Path) -> None:
    """Hold the only file against the sums that the user gave."""
    for kind in ("sha256", "md5"):
        expected = spelling.options.get(kind, "").lower()
        paths = [path for path in folder.rglob("*") if path.is_file()] if expected else []
        if expected and len(paths) != 1:
            raise InputRefused(f"source {spelling.text!r} has {len(paths)} files; #{kind}= is the sum of a single one.")
        if expected and (got := digest_of(paths[0], kind)) != expected:
            raise InputRefused(f"{spelling.address} is not what was expected: its {kind.upper()} is {got}, not {expected}. Do not use it.")


def _described(path: Path, folder: Path, known: Any) -> FetchedFile:
    name = path.relative_to(folder).as_posix()
    return FetchedFile(name=name, bytes=path.stat().st_size, sha256=known.get(name) or digest_of(path))


def digest_of(path: Path, kind: str = "sha256") -> str:
    """The sum of a file in hexadecimal digits.

    Args:
        kind: `sha256` or `md5`.
    """
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, lambda: hashlib.new(kind, usedforsecurity=False)).hexdigest()
