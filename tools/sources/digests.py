"""Sums of files."""

from __future__ import annotations

import hashlib
from pathlib import Path


def digest_of(path: Path, kind: str = "sha256") -> str:
    """The sum of a file in hexadecimal digits.

    Args:
        kind: `sha256` or `md5`.
    """
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, lambda: hashlib.new(kind, usedforsecurity=False)).hexdigest()
