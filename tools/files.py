"""Read, write and remove files where untrusted code writes too: no link is followed, and only a regular file of sane size is read."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import secrets
import shutil
import stat
from collections.abc import Mapping
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
    try:
        descriptor = os.open(path, flags) if inside is None else _open_below(inside, path, flags)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(error.errno, "a symbolic link, which is not followed", path.name) from None
        raise
    facts = os.fstat(descriptor)
    wrong = None
    if not stat.S_ISREG(facts.st_mode):
        wrong = "not a regular file"
    elif facts.st_size > limit:
        wrong = f"{facts.st_size:,} bytes; at most {limit:,} were expected"
    if wrong:
        os.close(descriptor)
        raise OSError(f"{path.name}: {wrong}")
    return os.fdopen(descriptor, "rb")


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


def write_folder(path: Path, files: Mapping[str, bytes], inside: Path) -> None:
    """Write a new folder with `files` by their names; it appears with all of them or not at all.

    Every step starts from the folder opened in the step before, so what is planted or swapped below `inside` meanwhile
    cannot lead it elsewhere. Missing folders between `inside` and `path` are made, and belong to whom `inside` belongs: a sandbox
    may run as another user than a caller who is root, and is to write beside what the caller wrote.

    Args:
        inside: a trusted folder; untrusted code may write below it.

    Raises:
        FileExistsError: when something lies at `path` already, a link included.
        OSError: when a folder between `inside` and `path` is a link or no folder, or the disk takes nothing more.
    """
    parts = _parts(inside, path)
    holder = os.open(inside, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    found = os.fstat(holder)
    owner = found.st_uid, found.st_gid
    try:
        for part in parts[:-1]:
            made = False
            with contextlib.suppress(FileExistsError):
                os.mkdir(part, dir_fd=holder)
                made = True
            holder = _step(holder, part)
            if made and os.geteuid() == 0:
                os.fchown(holder, *owner)
        with contextlib.suppress(FileNotFoundError):
            os.stat(parts[-1], dir_fd=holder, follow_symlinks=False)
            raise FileExistsError(f"{path.name}: something lies there already")
        staging = f".{path.name}.{secrets.token_hex(8)}.tmp"
        os.mkdir(staging, dir_fd=holder)
        try:
            _fill(holder, staging, files)
            os.rename(staging, parts[-1], src_dir_fd=holder, dst_dir_fd=holder)
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True, dir_fd=holder)
            raise
    finally:
        os.close(holder)


def list_names(folder: Path, inside: Path, most: int) -> list[str]:
    """Names in a folder, sorted; of more than `most`, some.

    Args:
        inside: a trusted folder; no part of the path below it, `folder` itself included, may be a symbolic link.

    Raises:
        OSError: when there is no such folder, or a link in its place.
    """
    descriptor = _open_below(inside, folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        with os.scandir(descriptor) as entries:
            return sorted(entry.name for entry in itertools.islice(entries, most))
    finally:
        os.close(descriptor)


def remove_tree(folder: Path) -> None:
    """Remove a folder that untrusted code could write to, and writes to no more; does nothing when there is none.

    Folders whose permissions were taken off are unlocked, links are removed and not followed, and no depth is too deep: a
    folder in a folder is moved up before it is emptied. `shutil.rmtree` calls itself for every level; a thousand end it.

    Raises:
        OSError: when a part cannot be removed even so, or a link lies in the folder's place.
    """
    if not folder.exists():
        return
    if folder.is_symlink():
        raise OSError(f"{folder} is a link, not a folder")
    os.chmod(folder, stat.S_IRWXU)
    top = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        moved = itertools.count()
        taken: set[str] = set()
        while waiting := [name for name in os.listdir(top) if not _unlinked(name, top)]:
            taken.update(waiting)
            for name in waiting:
                os.chmod(name, stat.S_IRWXU, dir_fd=top)
                inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=top)
                try:
                    for below in os.listdir(inner):
                        if not _unlinked(below, inner):
                            os.chmod(below, stat.S_IRWXU, dir_fd=inner)  # a folder is moved by changing its own entry ".."
                            free = next(new for new in map(str, moved) if new not in taken)
                            os.rename(below, free, src_dir_fd=inner, dst_dir_fd=top)
                finally:
                    os.close(inner)
                os.rmdir(name, dir_fd=top)
    finally:
        os.close(top)
    os.rmdir(folder)


def _unlinked(name: str, folder: int) -> bool:
    """Remove an entry of a folder unless it is a folder itself."""
    if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
        return False
    os.unlink(name, dir_fd=folder)
    return True


def _open_below(folder: Path, path: Path, flags: int) -> int:
    """Open `path` component by component from `folder`, refusing a link anywhere below it."""
    if os.open not in os.supports_dir_fd:
        return os.open(path, flags)
    parts = _parts(folder, path)
    holder = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts[:-1]:
            holder = _step(holder, part)
        return os.open(parts[-1], flags, dir_fd=holder)
    finally:
        os.close(holder)


def _parts(folder: Path, path: Path) -> tuple[str, ...]:
    try:
        parts = path.relative_to(folder).parts
    except ValueError:
        raise OSError(f"{path} does not lie in {folder}") from None
    if ".." in parts or not parts:
        raise OSError(f"{path} does not lie in {folder}")
    return parts


def _step(holder: int, part: str) -> int:
    """Open the folder `part` of the open folder `holder`, which is closed then. A link is refused."""
    below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=holder)
    os.close(holder)
    return below


def _fill(holder: int, name: str, files: Mapping[str, bytes]) -> None:
    """Write `files` into the folder `name` of the open folder `holder`."""
    folder = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=holder)
    try:
        for file, content in files.items():
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with os.fdopen(os.open(file, flags, 0o644, dir_fd=folder), "wb") as target:
                target.write(content)
    finally:
        os.close(folder)
