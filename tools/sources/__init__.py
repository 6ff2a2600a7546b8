"""Bring a source to disk, whatever its kind: `fetch` chooses the adapter by how SOURCE is spelt."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tools.files import remove_tree
from tools.sources.archives import unpacked
from tools.sources.cache import Cache, cache_folder
from tools.sources.contract import RECORD, Fetched, FetchedFile, Room, Source, files_folder
from tools.sources.databases import ENDINGS, is_database
from tools.sources.digests import digest_of
from tools.sources.downloading import Downloads, Patience
from tools.sources.secrets import Secrets
from tools.sources.spelling import Spelling, spelt
from tools.spec import InputRefused
from tools.workspace import write_text

ADAPTERS = {
    "frame": "tools.sources.frame:Frame",
    "http": "tools.sources.web:Web",
    "https": "tools.sources.web:Web",
    "ftp": "tools.sources.ftp:Ftp",
    "s3": "tools.sources.cloud:Cloud",
    "gs": "tools.sources.cloud:Cloud",
    "az": "tools.sources.cloud:Cloud",
    "kaggle": "tools.sources.kaggle:Kaggle",
    "hf": "tools.sources.hugging_face:HuggingFace",
    "openml": "tools.sources.openml:OpenML",
    "uci": "tools.sources.uci:Uci",
    "sklearn": "tools.sources.bundled:Bundled",
    "sqlite": "tools.sources.databases:File",
    "duckdb": "tools.sources.databases:File",
    "postgresql": "tools.sources.sql:Sql",
    "postgres": "tools.sources.sql:Sql",
}
"""Module and class by scheme; they import their libraries when they are called."""
MAX_DOWNLOAD_BYTES = 20 * 10**9
"""What is downloaded, and unpacked, where nobody says more."""


def fetch(
    source: str,
    vault: Path,
    progress: Callable[..., None] = lambda **facts: None,
    *,
    most_bytes: int = MAX_DOWNLOAD_BYTES,
    patience: Patience | None = None,
) -> Fetched:
    """Copy or download `source` below `vault`, and leave a record of where it came from beside it.

    Args:
        vault: gets `source/` with the files and `source.json` with the record, in place of what an earlier call left there.
        progress: called with facts by name while data comes; raises where nobody waits any more.
        most_bytes: what is downloaded at most, and what archives may unpack to.
        patience: how time passes between attempts.

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
    downloads = Downloads(Cache(cache_folder()), most_bytes, progress, patience)
    room = Room(folder=folder, downloads=downloads, secrets=Secrets(), progress=progress)
    found = adapter.bring(spelling, room)
    _verify(spelling, folder)
    came = [_described(path, folder, found.known) for path in sorted(folder.rglob("*")) if path.is_file()]
    room.expect(sum(file.bytes for file in came), copies=2)
    archives = [file for file in came if unpacked(folder / file.name, folder, most_bytes, progress)]
    files = [file for file in came if file not in archives] + _beside(folder, came)
    if not files:
        raise InputRefused(f"{source} holds no file.")
    fetched = Fetched(
        source=source,
        files=sorted(files, key=lambda file: file.name),
        archives=archives,
        fetched_at=time.time(),
        licence=found.licence,
        target=found.target,
        split=found.split,
        notes=[*found.notes, *dict.fromkeys(downloads.notes)],
    )
    write_text(vault / RECORD, fetched.model_dump_json(indent=1))
    return fetched


def adapter_of(spelling: Spelling) -> Source:
    """The adapter of a spelling.

    Raises:
        InputRefused: for a scheme that nobody knows.
    """
    place = ADAPTERS.get(spelling.scheme.partition("+")[0])
    if spelling.scheme == "file":
        raise InputRefused(f"source {spelling.text!r}: files are named by their path alone; write {spelling.rest.removeprefix('//')}")
    if place is None and "://" in spelling.address:
        known = ", ".join(f"{name}:" for name in ADAPTERS if name != "frame")
        raise InputRefused(f"source {spelling.text!r} has an unknown scheme; expected a file, a folder, a pattern, or one of {known}")
    path = Path(spelling.address).expanduser()
    if place is None and (is_database(path) or (path.suffix.lower() in ENDINGS and path.is_file())):
        place = ADAPTERS["sqlite"]
    module, _, name = (place or "tools.sources.local:Local").partition(":")
    adapter: Source = getattr(importlib.import_module(module), name)()
    return adapter


def _beside(folder: Path, came: list[FetchedFile]) -> list[FetchedFile]:
    """Files that were unpacked."""
    before = {file.name for file in came}
    return [
        _described(path, folder, {}) for path in folder.rglob("*") if path.is_file() and path.relative_to(folder).as_posix() not in before
    ]


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
