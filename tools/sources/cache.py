"""What was downloaded, kept by its SHA-256, so that the same data comes once and is there without a network.

blobs/SHA256      contents; read-only, and runs on the same disk share them by hard links
known/KEY.json    what an address was when it was last asked: validator, sum, time
partial/KEY       the bytes that have come so far, and KEY.json beside it: of what
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tools.sources.digests import digest_of
from tools.spec import InputRefused
from tools.workspace import write_json

VARIABLE = "MLTEAM_CACHE"


def usual_cache() -> Path:
    """The user's cache folder for all that mlteam keeps."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mlteam"


def cache_folder() -> Path:
    """`data/` below the folder that MLTEAM_CACHE names, or below `~/.cache/mlteam`."""
    return Path(os.environ.get(VARIABLE) or usual_cache()).expanduser() / "data"


class Cache:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._blobs, self._known, self._partial = folder / "blobs", folder / "known", folder / "partial"

    def known(self, key: str) -> dict[str, Any] | None:
        """What is known of an address whose content is still here: `validator`, `sha256`, `at`."""
        entry = _document(self._known / f"{_name(key)}.json")
        return entry if entry and self.has(str(entry.get("sha256"))) else None

    def has(self, sha256: str) -> bool:
        return (self._blobs / sha256).is_file()

    def fits(self, sha256: str, md5: str) -> bool:
        """Whether a content has an MD5 sum."""
        return digest_of(self._blobs / sha256, "md5") == md5.lower()

    def place(self, sha256: str, target: Path) -> bool:
        """Put a content at `target`; False where there is none, or it was damaged, which ends it."""
        blob = self._blobs / sha256
        if not blob.is_file():
            return False
        if digest_of(blob) != sha256:
            blob.unlink(missing_ok=True)
            return False
        target.parent.mkdir(parents=True, exist_ok=True)
        os.utime(blob)  # when it was last of use, for whoever cleans
        try:
            os.link(blob, target)
        except OSError:  # another disk, or one without hard links
            shutil.copyfile(blob, target)
        return True

    def keep(self, part: Path, sha256: str, key: str, facts: dict[str, Any]) -> None:
        """Take a complete file over, and remember that the address `key` gave it."""
        part.chmod(0o444)
        os.replace(part, self._blobs / sha256)
        write_json(self._known / f"{_name(key)}.json", {**facts, "sha256": sha256, "key": key})
        part.with_name(f"{part.name}.json").unlink(missing_ok=True)

    @contextlib.contextmanager
    def partial(self, key: str) -> Iterator[Path]:
        """The file that gets an address's bytes, held for this process.

        Raises:
            InputRefused: when another process downloads the same, or the folder cannot be written to.
        """
        try:
            for each in (self._blobs, self._known, self._partial):
                each.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise InputRefused(
                f"downloads cannot be kept in {str(self.folder)!r}: {error.strerror}. Name a folder you may write to with {VARIABLE}=DIR."
            ) from None
        path = self._partial / _name(key)
        descriptor = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise InputRefused(f"another process is downloading {key}. Wait for it, then type the command again.") from None
        try:
            yield path
        finally:
            os.close(descriptor)

    def frees(self) -> int:
        """Bytes that `clear` gives back: what runs share with the cache stays theirs."""
        return sum(found.st_size for path in self._files() if (found := path.lstat()).st_nlink == 1)

    def clear(self) -> None:
        """Remove everything but what is being downloaded.

        Raises:
            OSError: when a file cannot be removed.
        """
        for lock in self._partial.glob(".*.lock") if self._partial.is_dir() else ():
            key = lock.name.removeprefix(".").removesuffix(".lock")
            descriptor = os.open(lock, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                for name in (key, f"{key}.json"):
                    (self._partial / name).unlink(missing_ok=True)
            except BlockingIOError:
                continue
            finally:
                os.close(descriptor)
        for path in self._files():
            if path.parent != self._partial:
                path.unlink(missing_ok=True)

    def _files(self) -> list[Path]:
        return [path for top in (self._known, self._blobs, self._partial) if top.is_dir() for path in top.iterdir() if path.is_file()]


def _name(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _document(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
