"""Data as DVC knows them: a `.dvc` file with hash and size for each table, written by the program `dvc` where that is installed.

In a repository that DVC was set up in, the tables go into its cache too, from where `dvc push` and `dvc checkout` take them. Anywhere else
the `.dvc` file alone is written; the tables stay where they are. No table is ever committed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

WAIT_S = 600.0
"""Of one call: a large table is hashed, and copied."""
LAST_CHARS = 300


class DvcFailed(Exception):
    """The program did not do what was asked; the message is what it said."""


def pointers(tables: Sequence[Path], repository: Path | None) -> dict[str, bytes]:
    """The `.dvc` file of each table by its name, and the `.gitignore` that keeps the tables themselves out; nothing without the program.

    Args:
        repository: that gets them; None for one without a worktree, which DVC cannot be set up in.

    Raises:
        DvcFailed: when the program is there and does not work.
    """
    program = shutil.which("dvc")
    if program is None or not tables:
        return {}
    cache = _dvc(program, repository, "cache", "dir") if repository and (repository / ".dvc" / "config").is_file() else None
    with tempfile.TemporaryDirectory(prefix="mlteam-dvc-") as folder:
        place = Path(folder)
        _dvc(program, place, "init", "--no-scm", "--quiet")
        if cache:
            _dvc(program, place, "config", "cache.dir", cache)
        for table in tables:
            # A copy: what DVC keeps it makes read-only, links and all.
            shutil.copyfile(table, place / table.name)
        _dvc(program, place, "add", "--quiet", *([] if cache else ["--no-commit"]), *(table.name for table in tables))
        found = {f"{table.name}.dvc": (place / f"{table.name}.dvc").read_bytes() for table in tables}
    return {**found, ".gitignore": "".join(f"/{table.name}\n" for table in tables).encode()}


def _dvc(program: str, folder: Path, *words: str) -> str:
    # It tells its makers of its use, and asks for newer versions, unless it is told not to.
    env = {**os.environ, "DVC_NO_ANALYTICS": "1", "DVC_CHECK_UPDATE": "0", "DVC_STUDIO_OFFLINE": "1"}
    try:
        done = subprocess.run(
            [program, *words],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=WAIT_S,
            env=env,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        raise DvcFailed(f"dvc {words[0]} took longer than {WAIT_S:g} s") from None
    except OSError as error:
        raise DvcFailed(f"dvc cannot be started: {error.strerror or error}") from None
    if done.returncode:
        said = (done.stderr or done.stdout).strip()
        raise DvcFailed(f"dvc {words[0]} failed: {said[-LAST_CHARS:] or f'exit code {done.returncode}'}")
    return done.stdout.strip()
