"""Fetching: what is brought to disk, and refusals that name source, expectation and next step."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from team.parsing import read_here
from tools.sources import fetch
from tools.sources.contract import record
from tools.spec import InputRefused

TABLE = b"a,b\n1,2\n3,4\n"


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status, body = {"/table.csv": (200, TABLE), "/moved.csv": (302, b""), "/huge.csv": (200, b""), "/t.csv.gz": (200, TABLE)}.get(
            self.path, (404, b"gone")
        )
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/table.csv")
        self.send_header("Content-Length", str(2**42 if self.path == "/huge.csv" else len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()
        thread.join()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "run" / "vault"
    path.mkdir(parents=True)
    return path


def test_a_local_file_is_copied_with_its_hash(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "data.csv").write_bytes(TABLE)
    fetched = fetch(str(tmp_path / "data.csv"), folder)
    assert (folder / "source" / "data.csv").read_bytes() == TABLE
    assert (fetched.bytes, fetched.sha256) == (len(TABLE), hashlib.sha256(TABLE).hexdigest())
    assert record(folder) == fetched


def test_files_of_a_folder_and_of_a_pattern_keep_their_places(tmp_path: Path, folder: Path) -> None:
    for name in ("in/a/x.csv", "in/b/y.csv", "in/b/z.txt", "in/.hidden/h.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(TABLE)
    (tmp_path / "in/b/link.csv").symlink_to(tmp_path / "in/a/x.csv")
    assert [file.name for file in fetch(str(tmp_path / "in"), folder).files] == ["a/x.csv", "b/y.csv", "b/z.txt"]
    again = fetch(str(tmp_path / "in/**/[xy].csv"), folder)
    assert [file.name for file in again.files] == ["a/x.csv", "b/y.csv"]
    assert sorted(p.name for p in (folder / "source").rglob("*.*")) == ["x.csv", "y.csv"]
    lines = "".join(f"{hashlib.sha256(TABLE).hexdigest()}  {name}\n" for name in ("a/x.csv", "b/y.csv"))
    assert again.sha256 == hashlib.sha256(lines.encode()).hexdigest()
    assert read_here(folder).rows == 4, "tables of the same columns, under each other"
    with pytest.raises(InputRefused, match="no file fits"):
        fetch(str(tmp_path / "in/*.json"), folder)


def test_a_sum_is_held_against_the_file(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "odd#name=1.csv").write_bytes(TABLE)
    right = hashlib.md5(TABLE).hexdigest()
    assert fetch(f"{tmp_path}/odd#name=1.csv#md5={right}", folder).files[0].name == "odd#name=1.csv"
    with pytest.raises(InputRefused, match=f"its SHA256 is {hashlib.sha256(TABLE).hexdigest()}, not 0000"):
        fetch(f"{tmp_path}/odd#name=1.csv#sha256={'0' * 64}", folder)
    with pytest.raises(InputRefused, match="is no MD5 sum; expected 32"):
        fetch(f"{tmp_path}/odd#name=1.csv#md5=12", folder)
    assert not (folder / "source.json").exists()


def test_a_spelling_that_is_none_is_told_with_what_was_expected(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "t.csv").write_bytes(TABLE)
    (tmp_path / "t.sqlite").write_bytes(TABLE)
    for spelling, told in {
        " ": "SOURCE is empty; expected a file, a folder",
        f"{tmp_path}/t.csv#colour=red": r"'colour=red' is no option; expected one of #sha256=, #md5=",
        f"file://{tmp_path}/t.csv": rf"files are named by their path alone; write {tmp_path}/t.csv$",
        f"{tmp_path}/t.sqlite": r"is no SQLite or DuckDB file; is it whole\? Check the path.$",
        f"duckdb:///{tmp_path}/none.duckdb": r"names no file: there is no .*none.duckdb'. .*\(duckdb:////ABSOLUTE has four slashes\)",
        "https://": "names no host; expected one such as https://HOST/rows.csv",
    }.items():
        with pytest.raises(InputRefused, match=told):
            fetch(spelling, folder)


@pytest.mark.parametrize("path", ["table.csv", "moved.csv"])
def test_a_url_is_downloaded_and_redirects_are_followed(server: str, folder: Path, path: str) -> None:
    fetched = fetch(f"{server}/{path}", folder)
    assert (folder / "source" / fetched.files[0].name).read_bytes() == TABLE


def test_a_packed_table_keeps_its_kind(server: str, folder: Path) -> None:
    assert fetch(f"{server}/t.csv.gz", folder).files[0].name == "t.csv.gz"


def test_a_bundled_table_has_its_licence(folder: Path) -> None:
    fetched = fetch("sklearn:iris", folder)
    assert fetched.licence == "BSD-3-Clause (scikit-learn)"
    assert fetched.bytes > 0


def test_refusals_of_urls(server: str, folder: Path) -> None:
    with pytest.raises(InputRefused, match=r"none.csv answered 404 .*expected 200"):
        fetch(f"{server}/none.csv", folder)
    with pytest.raises(InputRefused, match=r"has 4,398,046,511,104 bytes, and 20,000,000,000 are downloaded at most"):
        fetch(f"{server}/huge.csv", folder)
    with pytest.raises(InputRefused, match=r"cannot fetch http://127.0.0.1:9/x.csv: .*refused.*or give a local file"):
        fetch("http://127.0.0.1:9/x.csv", folder)
    with pytest.raises(InputRefused, match=r"cannot fetch|is no URL"):
        fetch("http://", folder)
    with pytest.raises(InputRefused, match="is no URL"):
        fetch("http://[::1", folder)


def test_refusals_of_files(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "data.csv").write_bytes(TABLE)
    with pytest.raises(InputRefused, match=r"no such file: '.*dta.csv'. Near it: data.csv"):
        fetch(str(tmp_path / "dta.csv"), folder)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputRefused, match=r"is a directory without files"):
        fetch(str(tmp_path / "empty"), folder)
    with pytest.raises(InputRefused, match="cannot be read"):
        fetch("x" * 400 + ".csv", folder)
    with pytest.raises(InputRefused, match="unknown scheme"):
        fetch("s4://bucket/x.csv", folder)
    with pytest.raises(InputRefused, match=r"'sklearn:irs' is not bundled.*iris"):
        fetch("sklearn:irs", folder)
