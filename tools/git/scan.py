"""The look at every file before it is committed: no secret, no table, nothing that is no text."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from pydantic import BaseModel

MOST_BYTES = 5 * 2**20
"""Of a file in a commit; what is larger is named by its hash."""
TABLES = frozenset(
    {
        ".csv",
        ".tsv",
        ".parquet",
        ".feather",
        ".arrow",
        ".xlsx",
        ".xls",
        ".h5",
        ".hdf5",
        ".db",
        ".sqlite",
        ".joblib",
        ".pkl",
        ".npy",
        ".npz",
        ".arff",
    }
)
PATTERNS = {
    "a private key": rb"-----BEGIN [A-Z ]*PRIVATE KEY-----",
    "a key of Amazon": rb"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "a token of GitHub": rb"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{60,})\b",
    "a token of GitLab": rb"\bglpat-[A-Za-z0-9_-]{20,}\b",
    "a key of a model provider": rb"\bsk-[A-Za-z0-9_-]{20,}\b",
    "a token of Slack": rb"\bxox[abprs]-[A-Za-z0-9-]{10,}\b",
    "a token of Hugging Face": rb"\bhf_[A-Za-z0-9]{30,}\b",
    "a key of Google": rb"\bAIza[0-9A-Za-z_-]{35}\b",
    "a web token": rb"\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\b",
    "a password in an address": rb"\b[a-z][a-z0-9+.-]*://[^/\s:@\"']+:(?!\[redacted\]|\$\{)[^/\s@\"']{3,}@",
    "a password that is set": rb"(?i)\b(?:password|passwd|secret|api_?key|access_?token)[\"']?\s*[:=]\s*[\"']?"
    rb"(?!null\b|none\b|\[redacted\]|\$\{)[A-Za-z0-9+/_.!-]{8,}",
}
SECRET_NAMES = re.compile(r"(_API_KEY|_AUTH_TOKEN|_TOKEN|_SECRET|_PASSWORD|_SECRET_ACCESS_KEY)$|^MLTEAM_SERVE_KEY$")
SHORTEST = 8
"""Characters of a variable's value that make it a secret to be looked for."""


class Finding(BaseModel):
    """Why a file must not be committed. It never holds the secret itself."""

    file: str
    line: int | None = None
    what: str

    def __str__(self) -> str:
        return f"{self.file}{f', line {self.line}' if self.line else ''}: {self.what}"


def scan(files: Mapping[str, bytes], environment: Mapping[str, str] | None = None) -> list[Finding]:
    """Everything that must not be committed.

    Args:
        environment: whose secrets are looked for by their values; the process's own where None.
    """
    known = _secrets(os.environ if environment is None else environment)
    return [finding for name, content in files.items() for finding in _look(name, content, known)]


def _secrets(environment: Mapping[str, str]) -> dict[str, bytes]:
    return {name: value.encode() for name, value in environment.items() if SECRET_NAMES.search(name) and len(value) >= SHORTEST}


def _look(name: str, content: bytes, known: Mapping[str, bytes]) -> list[Finding]:
    if PurePosixPath(name).suffix.lower() in TABLES:
        return [Finding(file=name, what="a table or a model; data are committed by their hash alone")]
    if len(content) > MOST_BYTES:
        return [Finding(file=name, what=f"{len(content):,} bytes; at most {MOST_BYTES:,} are committed")]
    if b"\0" in content:
        return [Finding(file=name, what="no text")]
    found = []
    for number, line in enumerate(content.splitlines(), start=1):
        for variable, value in known.items():
            if value in line:
                found.append(Finding(file=name, line=number, what=f"the value of {variable}"))
        for what, pattern in PATTERNS.items():
            if re.search(pattern, line):
                found.append(Finding(file=name, line=number, what=what))
    return found
