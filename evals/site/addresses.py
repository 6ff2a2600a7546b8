"""Where pages lie: names of tasks and systems as names of files, and reports of runs as links that lead nowhere else."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from evals.attempts import Attempt

MOST_CHARS = 60


def file_name(name: str) -> str:
    """A name as a file's, of small letters, digits and dashes; with a hash of it where that is not the name itself, so that two differ."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:MOST_CHARS].strip("-")
    return (
        f"{plain}.html"
        if plain and plain == name
        else f"{plain or 'x'}-{hashlib.sha256(name.encode('utf-8', 'replace')).hexdigest()[:8]}.html"
    )


def report_link(folder: Path, attempt: Attempt) -> str | None:
    """The report of an attempt as a link from the eval's folder; None where it names none, or one that is no file in there.

    What is named comes out of a system's own words, and must not make a page point at anything else.
    """
    path = PurePosixPath(attempt.report)
    if not attempt.report or "\0" in attempt.report or path.is_absolute() or ".." in path.parts:
        return None
    try:
        found = (folder / path).resolve(strict=True)
    except (OSError, ValueError):
        return None
    inside = found.is_file() and found.is_relative_to(folder.resolve())
    return quote(str(path)) if inside else None
