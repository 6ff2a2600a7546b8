"""Wheels for the image, fetched by the host's pip, for builds that have no network.

They are for the image's Python and processor, whatever the host's are, and lie in the user's cache folder under a hash of
the lock file, so that a second build fetches nothing. The lock file's hashes are checked again when the image installs them.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from team.errors import PrerequisiteMissing
from team.sandbox.image import hash_of
from tools.sources.cache import usual_cache

_OLDEST_GLIBC = 5
"""manylinux1, the first of them, stands for glibc 2.5."""
_ALIASES = {5: "manylinux1", 12: "manylinux2010", 17: "manylinux2014"}


@dataclass(frozen=True)
class Target:
    """What wheels must fit."""

    python: tuple[int, int]
    machine: str
    """As `uname -m` says it."""
    glibc: tuple[int, int]

    def pip_options(self) -> list[str]:
        major, minor = self.python
        options = ["--only-binary=:all:", "--implementation", "cp", "--python-version", f"{major}.{minor}"]
        options += ["--abi", f"cp{major}{minor}"]
        for name in self.platforms():
            options += ["--platform", name]
        return options

    def platforms(self) -> list[str]:
        """Wheel platforms that run there, the newest first."""
        newest = self.glibc[1]
        names = []
        for minor in range(newest, _OLDEST_GLIBC - 1, -1):
            names += [f"manylinux_2_{minor}_{self.machine}", *([f"{_ALIASES[minor]}_{self.machine}"] if minor in _ALIASES else [])]
        return [*names, f"linux_{self.machine}"]


def fill(lock: Path, target: Target, progress: Callable[[str], None]) -> Path:
    """The folder with the wheels of a lock file, fetched unless it is there from an earlier build.

    Args:
        lock: complete: everything that its packages need is in it, unless none of its lines has a hash.

    Raises:
        PrerequisiteMissing: a wheel cannot be had, because there is no network or no wheel for `target`.
    """
    folder = usual_cache() / "wheelhouse"
    kind = lock.stem
    full = folder / f"{kind}-{hash_of([('lock', lock.read_bytes()), ('target', repr(target).encode())])}"
    if full.is_dir():
        progress(f"wheels of {lock.name} from {full}")
        return full
    progress(f"fetching the wheels of {lock.name} to {full}")
    part = full.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        _download(lock, target, part)
        for old in folder.glob(f"{kind}-????????????"):
            shutil.rmtree(old, ignore_errors=True)
        part.rename(full)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return full


def _download(lock: Path, target: Target, folder: Path) -> None:
    hashed = ["--no-deps", "--require-hashes"] if "--hash=" in lock.read_text(encoding="utf-8") else []
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--dest", str(folder)]
    command += [*hashed, *target.pip_options(), "--requirement", str(lock)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode == 0:
        return
    if "No module named pip" in done.stderr:
        raise PrerequisiteMissing(f"{sys.executable} has no pip to fetch wheels with. Give it one: {sys.executable} -m ensurepip")
    complaint = "\n".join(line for line in done.stderr.splitlines() if not line.startswith("WARNING"))[-2000:]
    major, minor = target.python
    raise PrerequisiteMissing(
        f"pip could not fetch the wheels of {lock.name} for Python {major}.{minor} on {target.machine}:\n{complaint}\n"
        "The first build needs a package index, as this machine's pip is set up to use; later ones need none."
    )
