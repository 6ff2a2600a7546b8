"""A file, a folder, or files that fit a pattern, on this machine."""

from __future__ import annotations

import difflib
import errno
import glob
import os
import shutil
from pathlib import Path

from tools.sources.contract import Found, Room
from tools.sources.spelling import OPTIONS, Spelling
from tools.spec import InputRefused

MOST_FILES = 100_000
PATTERN = "*?["


class Local:
    """Copies what lies at a path. Links are followed where the user names one, and nowhere below."""

    def bring(self, spelling: Spelling, room: Room) -> Found:
        spelling.refuse_options("sha256", "md5")
        try:
            found = _listed(spelling.address, room.folder)
            room.expect(sum(size for _, _, size in found))
            for path, name, _ in found:
                target = room.folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                _copy(path, target)
                room.progress(copied=name)
        except OSError as error:  # a name that is too long, a folder that may not be entered
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise InputRefused(f"source {spelling.address!r} cannot be read: {error.strerror}.") from None
        return Found()


def _listed(address: str, own: Path) -> list[tuple[Path, str, int]]:
    """Path, name and bytes of each file, without those of the run itself, whose folder is `own`."""
    path = Path(address).expanduser()
    if path.is_dir():
        return _below(path, own)
    if not path.exists() and any(sign in address for sign in PATTERN):
        return _fitting(str(path))
    if not path.exists():
        before, mark, option = address.rpartition("#")
        if mark and Path(before).expanduser().exists():
            raise InputRefused(
                f"source {address!r}: {option!r} is no option; expected one of {', '.join(f'#{name}=' for name in OPTIONS)}."
            )
        near = difflib.get_close_matches(path.name, [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else [], n=3)
        hint = f" Near it: {', '.join(near)}." if near else f" The folder {str(path.parent)!r} has no such file; check the spelling."
        raise InputRefused(f"no such file: {str(path)!r}.{hint}")
    if not path.is_file():
        raise InputRefused(f"source {str(path)!r} is no regular file.")
    return [(path, path.name, path.stat().st_size)]


def _below(folder: Path, own: Path) -> list[tuple[Path, str, int]]:
    found: list[tuple[Path, str, int]] = []
    for here, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and not own.is_relative_to(Path(here, name).absolute()))
        paths = [Path(here, name) for name in sorted(names) if not name.startswith(".")]
        found += [(p, p.relative_to(folder).as_posix(), p.stat().st_size) for p in paths if p.is_file() and not p.is_symlink()]
        if len(found) > MOST_FILES:
            raise InputRefused(
                f"source {str(folder)!r} holds more than {MOST_FILES:,} files. Name a smaller folder, or pack them into one."
            )
    if not found:
        raise InputRefused(f"source {str(folder)!r} is a directory without files (hidden ones and links are passed over).")
    return found


def _fitting(pattern: str) -> list[tuple[Path, str, int]]:
    paths = [Path(name) for name in sorted(glob.glob(pattern, recursive=True)) if os.path.isfile(name)]
    if not paths:
        raise InputRefused(f"no file fits {pattern!r}. Check the spelling; * stands for any name, ** for any folders.")
    if len(paths) > MOST_FILES:
        raise InputRefused(f"{len(paths):,} files fit {pattern!r}; at most {MOST_FILES:,} are taken.")
    top = os.path.commonpath([path.parent.absolute() for path in paths])
    return [(path, os.path.relpath(path.absolute(), top), path.stat().st_size) for path in paths]


def _copy(path: Path, target: Path) -> None:
    try:
        shutil.copyfile(path, target)
    except PermissionError:
        raise InputRefused(f"source {str(path)!r} cannot be read: permission denied. Try: chmod +r {str(path)!r}") from None
