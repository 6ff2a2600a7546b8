"""A server, a vault and a cache for tests of fetching, and time that costs none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.tools.sources.file_server import FileServer, serving
from tools.sources import fetch
from tools.sources.contract import Fetched
from tools.sources.downloading import Patience


class Fetching:
    """A vault, what was waited for, and what was told."""

    def __init__(self, folder: Path) -> None:
        self.vault, self.cache = folder / "run" / "vault", folder / "cache"
        self.vault.mkdir(parents=True)
        self.waits: list[float] = []
        self.told: list[dict[str, Any]] = []

    def __call__(self, source: str, most_bytes: int = 10**9, progress: Callable[..., None] | None = None) -> Fetched:
        patience = Patience(sleep=self.waits.append, draw=lambda: 1.0)
        tell = progress or (lambda **facts: self.told.append(facts))
        return fetch(source, self.vault, tell, most_bytes=most_bytes, patience=patience)

    def content(self, name: str) -> bytes:
        return (self.vault / "source" / name).read_bytes()

    def left(self) -> bytes:
        """Everything that lies in the run and in the cache, names too."""
        paths = [path for top in (self.vault, self.cache) for path in sorted(top.rglob("*"))]
        return b"\n".join(str(path).encode() + b"\n" + (path.read_bytes() if path.is_file() else b"") for path in paths)


@pytest.fixture
def fetching(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fetching:
    monkeypatch.setenv("MLTEAM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    return Fetching(tmp_path)


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving() as running:
        yield running
