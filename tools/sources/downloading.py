"""Download a file whatever the protocol: in chunks, with progress, resumed after a break, checked, into the cache.

What is transient is asked for again after 1, 2, 4 and 8 s, drawn between half and all of it (exponential backoff with jitter; Brooker
2015), or after as long as the server says. Bytes that came count as success: a break after some is a new first failure.
"""

from __future__ import annotations

import contextlib
import json
import random
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tools.sources.cache import Cache
from tools.sources.digests import digest_of
from tools.spec import InputRefused
from tools.workspace import write_json

CHUNK_BYTES = 1 << 20
WAITS = 4
"""How often in a row a download is asked for again."""
MOST_BREAKS = 100
"""Breaks of one download, with bytes between them."""
LONGEST_WAIT_S = 300.0
"""A server that asks for more is not waited for."""
TOLD_EVERY_S = 0.5
SPARE_BYTES = 64 << 20
LOOK_EVERY_BYTES = 64 << 20


class Transient(Exception):
    """What may well work in a moment.

    Attributes:
        retry_after_s: seconds that the server asks to wait for; None when it said nothing.
        nobody: whether there was no connection at all.
    """

    def __init__(self, message: str, *, retry_after_s: float | None = None, nobody: bool = False) -> None:
        super().__init__(message)
        self.retry_after_s, self.nobody = retry_after_s, nobody


@dataclass(frozen=True)
class Answer:
    """What a server begins to send."""

    chunks: Iterator[bytes]
    start: int = 0
    """Where in the file the chunks begin: 0, or where one asked them to."""
    total: int | None = None
    """Bytes of the whole file; None when the server does not say."""
    validator: str | None = None
    """Changes when the file does; None when the server has none, and then nothing is resumed."""
    unchanged: bool = False
    """The file is what the cache has: there are no chunks."""


class Wire(Protocol):
    """A file at a server."""

    @property
    def key(self) -> str:
        """Its address without secrets, for the cache and for messages."""

    def open(self, start: int, validator: str | None, cached: str | None) -> AbstractContextManager[Answer]:
        """Ask for the bytes from `start` on.

        Args:
            validator: what the file was when the bytes before `start` came. Where it has changed, the answer starts at 0.
            cached: validator of a copy at hand; where it still holds, the answer may be `unchanged`.

        Raises:
            Transient: for what may work in a moment, also while chunks come.
            InputRefused: for what will not.
        """


@dataclass(frozen=True)
class Patience:
    """How time passes. A test passes its own and waits for nothing."""

    first_s: float = 1.0
    sleep: Callable[[float], Any] = time.sleep
    clock: Callable[[], float] = time.monotonic
    draw: Callable[[], float] = random.random


class Downloads:
    """Downloads of one fetch.

    Args:
        most_bytes: what all of them may take together.
        progress: called with facts; raises where nobody waits any more.
    """

    def __init__(self, cache: Cache, most_bytes: int, progress: Callable[..., None], patience: Patience | None = None) -> None:
        self._cache, self._most, self._progress = cache, most_bytes, progress
        self._patience = patience or Patience()
        self._taken = 0
        self.notes: list[str] = []

    def bring(self, wire: Wire, target: Path, *, sha256: str | None = None, md5: str | None = None) -> str:
        """Put the file at `target` and return its SHA-256.

        Args:
            sha256: what it must be; with it a cached copy is taken without asking anybody.
            md5: likewise, of what was downloaded.

        Raises:
            InputRefused: when it does not come, is not what it must be, or is too large; names it and what to do.
        """
        if sha256 and self._cache.place(sha256.lower(), target):
            return sha256.lower()
        with self._cache.partial(wire.key) as part:
            digest = self._complete(wire, part, sha256, md5)
        if not self._cache.place(digest, target):
            raise InputRefused(f"the copy of {wire.key} in {str(self._cache.folder)!r} was damaged and is removed. Type the command again.")
        return digest

    def read(self, wire: Wire, most: int = 32 << 20) -> bytes:
        """A short answer, such as a description, which the cache keeps for days without network."""
        target = self._cache.folder / "partial" / f".answer-{random.getrandbits(64):016x}"
        try:
            self.bring(wire, target)
            if target.stat().st_size > most:
                raise InputRefused(f"{wire.key} sent {target.stat().st_size:,} bytes, expected a description of at most {most:,}.")
            return target.read_bytes()
        finally:
            target.unlink(missing_ok=True)

    def _complete(self, wire: Wire, part: Path, sha256: str | None, md5: str | None) -> str:
        cached = None if sha256 else self._cache.known(wire.key)
        if cached is not None and md5 and not self._cache.fits(str(cached["sha256"]), md5):
            cached = None
        failures = breaks = restarts = 0
        while True:
            before = part.stat().st_size if part.exists() else 0
            try:
                validator = self._attempt(wire, part, cached)
            except Transient as error:
                came = part.exists() and part.stat().st_size > before
                failures, breaks = (1 if came else failures + 1), breaks + 1
                if cached is not None and not came:
                    self.notes.append(f"{wire.key} was not reached ({error}); the copy of {_day(cached)} in the cache was taken")
                    return str(cached["sha256"])
                if failures > WAITS or breaks > MOST_BREAKS or (error.nobody and breaks == failures):
                    raise InputRefused(
                        f"cannot fetch {wire.key}: {error}. Check the address and the network, or give a local file."
                        + (" What has come so far is kept: the same command goes on from there." if part.exists() else "")
                    ) from None
                self._wait(wire, error, failures)
                continue
            if validator is UNCHANGED and cached is not None:
                return str(cached["sha256"])
            digest = digest_of(part)
            wrong = _mismatch(part, digest, sha256, md5)
            if wrong is None:
                self._cache.keep(part, digest, wire.key, {"validator": validator, "at": time.time()})
                return digest
            part.unlink()
            part.with_name(f"{part.name}.json").unlink(missing_ok=True)
            restarts += 1
            if not before or restarts > 1:
                raise InputRefused(f"{wire.key} is not what was expected: its {wrong}. Nothing of it is kept.")

    def _attempt(self, wire: Wire, part: Path, cached: dict[str, Any] | None) -> str | None:
        """Go on with a download to its end; gives the validator of what was written, or UNCHANGED."""
        record = part.with_name(f"{part.name}.json")
        validator = _validator(record)
        have = part.stat().st_size if part.exists() and validator else 0
        with wire.open(have, validator, str(cached["validator"]) if cached and cached.get("validator") and not have else None) as answer:
            if answer.unchanged:
                return UNCHANGED
            start = answer.start if answer.start == have else 0
            self._refuse_size(wire, answer.total or 0, start, part)
            write_json(record, {"validator": answer.validator})
            with part.open("r+b" if start else "wb") as file:
                file.truncate(start)
                file.seek(start)
                size = self._write(wire, answer, file, start, part)
        if answer.total is not None and size < answer.total:
            raise Transient(f"it ended after {size:,} of {answer.total:,} bytes")
        self._taken += size
        return answer.validator

    def _write(self, wire: Wire, answer: Answer, file: Any, start: int, part: Path) -> int:
        clock = self._patience.clock
        size, began, told, looked = start, clock(), -TOLD_EVERY_S, start
        for chunk in answer.chunks:
            size += len(chunk)
            told_too_little = answer.total is None or size > answer.total
            if told_too_little and (size - looked > LOOK_EVERY_BYTES or self._taken + size > self._most):
                self._refuse_size(wire, size, size, part)
                looked = size
            file.write(chunk)
            now = clock()
            if now - told >= TOLD_EVERY_S or size == answer.total:
                told = now
                self._progress(**_facts(wire.key, size, answer.total, (size - start) / max(now - began, 1e-3)))
        return size

    def _refuse_size(self, wire: Wire, total: int, have: int, part: Path) -> None:
        if self._taken + total > self._most:
            raise InputRefused(
                f"{wire.key} has {total:,} bytes, and {self._most:,} are downloaded at most. Allow more with --max-download, such as"
                f" --max-download {max(1, -(-(self._taken + total) // 10**9))}GB."
            )
        free = shutil.disk_usage(part.parent).free
        if total - have > free - SPARE_BYTES:
            raise InputRefused(
                f"{wire.key} needs {(total - have) / 2**20:.0f} MiB more and the disk of {str(self._cache.folder)!r} has"
                f" {free / 2**20:.0f} MiB free. Free some, or name another folder with MLTEAM_CACHE=DIR."
            )

    def _wait(self, wire: Wire, error: Transient, failures: int) -> None:
        seconds = self._patience.first_s * 2.0 ** (failures - 1) * (0.5 + self._patience.draw() / 2)
        if error.retry_after_s is not None:
            if error.retry_after_s > LONGEST_WAIT_S:
                raise InputRefused(f"{wire.key} asks to come back in {error.retry_after_s:.0f} s. Type the command again then.")
            seconds = error.retry_after_s
        self._progress(file=_last(wire.key), again_in_s=round(seconds, 1), because=str(error)[:80])
        self._patience.sleep(seconds)


UNCHANGED = "\0unchanged"


def _validator(record: Path) -> str | None:
    with contextlib.suppress(OSError, ValueError, AttributeError):
        found = json.loads(record.read_text(encoding="utf-8")).get("validator")
        return found if isinstance(found, str) else None
    return None


def _mismatch(path: Path, digest: str, sha256: str | None, md5: str | None) -> str | None:
    if sha256 and digest != sha256.lower():
        return f"SHA256 is {digest}, not {sha256.lower()}"
    if md5 and (got := digest_of(path, "md5")) != md5.lower():
        return f"MD5 is {got}, not {md5.lower()}"
    return None


def _facts(key: str, size: int, total: int | None, rate: float) -> dict[str, Any]:
    facts: dict[str, Any] = {"file": _last(key), "mb": round(size / 1e6, 1)}
    if total is not None:
        facts |= {"of_mb": round(total / 1e6, 1), "eta_s": round((total - size) / rate) if rate else None}
    return {**facts, "mb_per_s": round(rate / 1e6, 1)}


def _last(key: str) -> str:
    return key.partition("?")[0].rstrip("/").rpartition("/")[2]


def _day(cached: dict[str, Any]) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(float(cached.get("at") or 0)))
