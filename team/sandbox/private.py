"""Private folders of sandboxes, and whose they are.

A folder says which process made it, so that what is left of a process that was killed can be told from what is in use: boot of the
machine, process id and start of the process, which together are never used again. Containers carry the same mark. Who is killed before
the mark is written, or after it was removed, leaves an empty folder, whose name has the process id.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

import psutil

from tools.files import remove_tree

_PREFIX = "mlteam-"
_MARK = "owner"
_LONGEST_SOCKET_PATH = 100
"""Bytes; the system allows 107 for the name of a Unix socket."""


def make_folder() -> Path:
    """A new folder, readable by us alone, whose sockets have names that the system accepts."""
    prefix = f"{_PREFIX}{os.getpid()}-"
    longest = len(f"/{prefix}xxxxxxxx/connection/k-1")
    base = next((base for base in (tempfile.gettempdir(), "/tmp") if len(os.fsencode(base)) + longest <= _LONGEST_SOCKET_PATH), "/tmp")
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=base))
    (folder / _MARK).write_text(owner(), encoding="utf-8")
    return folder


def remove_folder(folder: Path) -> None:
    """Remove a folder that `make_folder` made, its mark last: who is killed meanwhile leaves one that can still be told and swept.

    Raises:
        OSError: when a part cannot be removed.
    """
    for part in sorted(folder.iterdir()) if folder.is_dir() else ():
        if part.name == _MARK:
            continue
        if part.is_dir() and not part.is_symlink():
            remove_tree(part)
        else:
            part.unlink(missing_ok=True)
    remove_tree(folder)


def sweep_folders() -> list[Path]:
    """Remove what processes left that are gone. Returns the folders that were removed."""
    removed = []
    for folder in {found for base in (tempfile.gettempdir(), "/tmp") for found in Path(base).glob(f"{_PREFIX}*")}:
        with contextlib.suppress(OSError):  # somebody else's, or removed by somebody else just now
            if not folder.is_symlink() and folder.stat().st_uid == os.getuid() and _is_left(folder):
                remove_folder(folder)
                removed.append(folder)
    return removed


def _is_left(folder: Path) -> bool:
    """Whether the process that made a folder is gone.

    Raises:
        OSError: when nothing says whose it is.
    """
    mark, made_by = folder / _MARK, folder.name.removeprefix(_PREFIX).partition("-")[0]
    if made_by.isdigit() and not mark.exists() and not any(folder.iterdir()):
        return not psutil.pid_exists(int(made_by))
    return is_gone(mark.read_text(encoding="utf-8"))


def owner() -> str:
    """This process, told apart from every other."""
    return f"{_boot()}/{os.getpid()}/{_birth(os.getpid())}"


def is_gone(who: str) -> bool:
    """Whether `who`, as `owner` spelled it, is a process of this machine that has ended. False when that cannot be known."""
    boot, _, process = who.partition("/")
    pid, _, birth = process.partition("/")
    if not (pid.isdigit() and birth):
        return False
    if boot != _boot():
        return boot.partition(":")[0] == _boot().partition(":")[0]  # an earlier boot of the same machine
    return _birth(int(pid)) != birth


def _birth(pid: int) -> str:
    """When a process started, in a spelling that no change of the clock alters; empty when there is none."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[19]
    except FileNotFoundError:
        if os.path.exists("/proc/self/stat"):
            return ""
    try:
        return f"{psutil.Process(pid).create_time():.0f}"
    except psutil.Error:
        return ""


def _boot() -> str:
    """The machine and its boot; without Linux's files, a constant."""
    parts = []
    for path in ("/etc/machine-id", "/proc/sys/kernel/random/boot_id"):
        try:
            parts.append(Path(path).read_text(encoding="utf-8").strip())
        except OSError:
            parts.append("unknown")
    return ":".join(parts)
