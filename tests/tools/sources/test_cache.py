"""What cleaning takes of the cache, and what it leaves to runs and to downloads that go on."""

from __future__ import annotations

from pathlib import Path

from team.cleaning import clean, plan_cleaning
from tests.tools.sources.conftest import Fetching
from tests.tools.sources.file_server import FileServer, Served
from tools.sources.cache import Cache, cache_folder


def test_cleaning_empties_the_cache_and_leaves_runs_their_files(server: FileServer, fetching: Fetching, tmp_path: Path) -> None:
    server.files |= {"/a.csv": Served(b"a" * 10_000, '"a"'), "/b.csv": Served(b"b" * 20_000, '"b"')}
    fetching(f"{server.address}/a.csv")
    fetching(f"{server.address}/b.csv")  # takes the place of the first in the vault
    cache = Cache(cache_folder())
    with cache.partial("going on") as part:
        part.write_bytes(b"x" * 5_000)
        with cache.partial("broken off") as other:
            other.write_bytes(b"y" * 7_000)
        planned = plan_cleaning(tmp_path / "runs", 5, downloads=True)
        assert planned.downloads is not None
        assert 22_000 < planned.downloads.bytes == planned.bytes < 24_000  # the second is shared with the run
        cleaned = clean(planned)
        assert (part.exists(), other.exists()) == (True, False)
    assert cleaned.downloads is not None
    assert 17_000 < cleaned.downloads.bytes < 19_000
    assert fetching.content("b.csv") == b"b" * 20_000
    assert fetching(f"{server.address}/a.csv").bytes == 10_000


def test_without_being_asked_the_cache_stays(server: FileServer, fetching: Fetching, tmp_path: Path) -> None:
    server.files["/a.csv"] = Served(b"a,b\n1,2\n", '"a"')
    fetching(f"{server.address}/a.csv")
    assert clean(plan_cleaning(tmp_path / "runs", 5)).downloads is None
    server.files["/a.csv"].busy.append((503, None))
    assert "was not reached" in fetching(f"{server.address}/a.csv").notes[0]
