"""Read files that untrusted code wrote: no link is followed, and only a regular file of sane size is read."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO


def open_regular(path: Path, limit: int, inside: Path | None = None) -> BinaryIO:
    """Open a regular file of at most `limit` bytes for reading.

    Args:
        limit: largest size in bytes.
        inside: a trusted folder; no part of the path below it may be a symbolic link. Without it only the file
            itself may be none.

    Raises:
        OSError: when it cannot be opened so; the message says what was found.
    """
    # O_NONBLOCK keeps a named pipe from blocking the open.
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
    descriptor = os.open(path, flags) if inside is None else _open_below(inside, path, flags)
    file = os.fdopen(descriptor, "rb")
    facts = os.fstat(descriptor)
    if not stat.S_ISREG(facts.st_mode):
        file.close()
        raise OSError(f"{path.name}: not a regular file")
    if facts.st_size > limit:
        file.close()
        raise OSError(f"{path.name}: {facts.st_size:,} bytes; at most {limit:,} were expected")
    return file


def read_regular(path: Path, limit: int, inside: Path | None = None) -> bytes:
    """The content of a regular file of at most `limit` bytes, as `open_regular` opens it.

    Raises:
        OSError: when it cannot be read so.
    """
    with open_regular(path, limit, inside) as file:
        content = file.read(limit + 1)
    if len(content) > limit:  # it grew since it was opened
        raise OSError(f"{path.name}: more than the {limit:,} bytes that were expected")
    return content


def _open_below(folder: Path, path: Path, flags: int) -> int:
    """Open `path` component by component from `folder`, refusing a link anywhere below it."""
    if os.open not in os.supports_dir_fd:
        return os.open(path, flags)
    try:
        parts = path.relative_to(folder).parts
    except ValueError:
        raise OSError(f"{path} does not lie in {folder}") from None
    if ".." in parts or not parts:
        raise OSError(f"{path} does not lie in {folder}")
    holder = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts[:-1]:
            below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=holder)
            os.close(holder)
            holder = below
        return os.open(parts[-1], flags, dir_fd=holder)
    finally:
        os.close(holder)
