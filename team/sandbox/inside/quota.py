"""Measure a folder that hostile code writes to, and say when it holds too much.

A file system has no limit for one folder, so the folder is walked: entry by entry in short slices, since the guard has other
things to watch. Whether a walk is due is seen from the file system as a whole, which costs nothing to ask: when it lost as
much room as the folder has left, and every half minute. A folder that cannot be walked (closed to us, or nested deeper than a
path can name) cannot be limited, which is told as the end of the sandbox too.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

MIB = 1 << 20
_SLICE_SECONDS = 0.005
_AT_THE_LATEST_SECONDS = 5.0
_REST = 5
"""A walk is followed by this many times its own duration without one."""
_GROWTH = 16 * MIB
"""What a folder that was over its limit at the start may still grow by: enough to tidy up in."""
_FEW_FILES = 1_000
"""The same for the number of its files."""


class Quota:
    """Limits on the size of a folder and on the number of files in it."""

    def __init__(self, folder: str, disk_mb: int | None, files: int | None) -> None:
        self._folder = folder
        self._room = disk_mb * MIB if disk_mb else None
        self._most = files
        self._walk: Iterator[None] | None = None
        self._used, self._count = 0, 0
        self._seen: set[int] = set()
        self._began = self._next = time.monotonic()
        self._free = self._free_files = 0
        self._first = True
        self._problem: str | None = None

    def look(self) -> str | None:
        """Go on measuring for some milliseconds; returns what is too much, in words."""
        if self._room is None and self._most is None:
            return None
        if self._walk is None and self._due():
            self._begin()
        if self._walk is None:
            return None
        until = time.monotonic() + _SLICE_SECONDS
        while self._walk is not None and time.monotonic() < until:
            if next(self._walk, self) is self:
                self._finish()
        return self._verdict()

    def _due(self) -> bool:
        now = time.monotonic()
        if now < self._next:
            return False
        if self._first or now - self._began > _AT_THE_LATEST_SECONDS:
            return True
        free, free_files = _free(self._folder)
        lost, lost_files = self._free - free, self._free_files - free_files
        return bool(self._room and self._used + lost > self._room) or bool(self._most and self._count + lost_files > self._most)

    def _begin(self) -> None:
        self._free, self._free_files = _free(self._folder)
        self._used = self._count = 0
        self._seen.clear()
        self._began = time.monotonic()
        self._walk = self._entries()

    def _finish(self) -> None:
        self._walk = None
        self._next = time.monotonic() + _REST * min(1.0, time.monotonic() - self._began)
        if self._first:
            self._first = False
            if self._room and self._used > self._room:
                self._room = self._used + _GROWTH
            if self._most and self._count > self._most:
                self._most = self._count + _FEW_FILES

    def _entries(self) -> Iterator[None]:
        """Walk the folder without following links; the sums grow as it goes."""
        waiting = [self._folder]
        while waiting:
            path = waiting.pop()
            try:
                with os.scandir(path) as entries:
                    for entry in entries:
                        self._add(entry, waiting)
                        yield
            except FileNotFoundError:
                continue  # removed meanwhile
            except OSError as error:
                if path != self._folder:
                    self._problem = f"a folder in it cannot be looked into ({error.strerror})"
            yield

    def _add(self, entry: os.DirEntry[str], waiting: list[str]) -> None:
        try:
            facts = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            return
        self._count += 1
        if facts.st_nlink > 1 and not entry.is_dir(follow_symlinks=False):
            if facts.st_ino in self._seen:
                return
            self._seen.add(facts.st_ino)
        self._used += 512 * facts.st_blocks
        if entry.is_dir(follow_symlinks=False):
            waiting.append(entry.path)

    def _verdict(self) -> str | None:
        if self._problem:
            return f"work folder cannot be measured: {self._problem}"
        if self._first:  # not known yet what it held at the start
            return None
        if self._room and self._used > self._room:
            return f"disk full: {self._used / MIB:,.0f} MiB in the work folder, {self._room / MIB:,.0f} allowed"
        if self._most and self._count > self._most:
            return f"too many files: {self._count:,} in the work folder, {self._most:,} allowed"
        return None


def too_many_in_memory(root: str, folders: list[str], most: int | None) -> str | None:
    """Say which of the folders below `root`, each a file system in memory, holds more than `most` files.

    The memory of their files has a limit of its own; the memory of their names and attributes has none.
    """
    for folder in folders if most else ():
        try:
            facts = os.statvfs(f"{root}{folder}")
        except OSError:
            continue  # the sandbox is starting or ending
        used = facts.f_files - facts.f_ffree
        if used > (most or 0):
            return f"too many files: {used:,} in {folder}, {most:,} allowed"
    return None


def _free(folder: str) -> tuple[int, int]:
    """Bytes and files that the file system of a folder has room for."""
    try:
        facts = os.statvfs(folder)
    except OSError:
        return 0, 0
    return facts.f_bavail * facts.f_frsize, facts.f_ffree
