"""Downloads over HTTP: broken, changed, busy, too large, moved, cached."""

from __future__ import annotations

import gzip
import hashlib
import random
from typing import Any

import pytest

from tests.tools.sources.conftest import Fetching
from tests.tools.sources.file_server import FileServer, Served
from tools.spec import InputRefused, ToolFailed

BODY = b"a,b\n" + random.Random(0).randbytes(3_000_000).hex().encode()


def test_a_broken_download_goes_on_where_it_broke(server: FileServer, fetching: Fetching) -> None:
    server.files["/t.csv"] = Served(BODY, '"one"', breaks=[2_000_000, 1_500_000])
    fetched = fetching(f"{server.address}/t.csv")
    assert fetching.content("t.csv") == BODY
    assert fetched.sha256 == hashlib.sha256(BODY).hexdigest()
    first, second, third = server.headers("/t.csv")
    assert ("range" in first, second["if-range"], third["if-range"]) == (False, '"one"', '"one"')
    at = [int(headers["range"][len("bytes=") : -1]) for headers in (second, third)]
    assert 0 < at[0] <= 2_000_000 < at[1] <= 3_500_000
    assert fetching.waits == [1.0, 1.0]  # bytes came in between
    assert fetching.told[-1]["mb"] == fetching.told[-1]["of_mb"] == round(len(BODY) / 1e6, 1)
    assert {"eta_s", "mb_per_s"} <= fetching.told[-1].keys()


def test_a_file_that_changed_meanwhile_is_begun_anew(server: FileServer, fetching: Fetching) -> None:
    new = BODY[::-1]
    server.files["/t.csv"] = Served(BODY, '"one"', breaks=[2_000_000], then=[Served(new, '"two"')])
    fetching(f"{server.address}/t.csv")
    assert fetching.content("t.csv") == new
    assert server.headers("/t.csv")[1]["range"].startswith("bytes=")


def test_without_a_validator_nothing_is_resumed(server: FileServer, fetching: Fetching) -> None:
    server.files["/t.csv"] = Served(BODY, None, breaks=[2_000_000])
    fetching(f"{server.address}/t.csv")
    assert fetching.content("t.csv") == BODY
    assert [headers.get("range") for headers in server.headers("/t.csv")] == [None, None]


def test_a_busy_server_is_asked_later_each_time_or_when_it_says(server: FileServer, fetching: Fetching) -> None:
    server.files["/t.csv"] = Served(b"a,b\n1,2\n", busy=[(503, None), (429, "7"), (500, None), (502, None)])
    fetching(f"{server.address}/t.csv")
    assert fetching.waits == [1.0, 7.0, 4.0, 8.0]
    assert fetching.told[1]["because"] == "it answered 429 Too Many Requests"


def test_patience_ends(server: FileServer, fetching: Fetching) -> None:
    server.files["/t.csv"] = Served(b"", busy=[(503, None)] * 9)
    with pytest.raises(InputRefused, match=r"cannot fetch http://127.*t.csv: it answered 503"):
        fetching(f"{server.address}/t.csv")
    assert fetching.waits == [1.0, 2.0, 4.0, 8.0]
    server.files["/t.csv"] = Served(b"", busy=[(429, "3600")])
    with pytest.raises(InputRefused, match="asks to come back in 3600 s"):
        fetching(f"{server.address}/t.csv")


def test_what_is_not_transient_is_asked_once(server: FileServer, fetching: Fetching) -> None:
    server.files["/t.csv"] = Served(b"", busy=[(403, None)])
    with pytest.raises(InputRefused, match=r"answered 403 .*Credentials are missing"):
        fetching(f"{server.address}/t.csv")
    with pytest.raises(InputRefused, match="answered 404"):
        fetching(f"{server.address}/none.csv")
    with pytest.raises(InputRefused, match="refused"):
        fetching("http://127.0.0.1:9/t.csv")
    assert fetching.waits == []


def test_a_call_that_is_over_ends_at_once_and_the_next_goes_on(server: FileServer, fetching: Fetching) -> None:
    server.files["/t.csv"] = Served(BODY, '"one"')

    def stop(**facts: Any) -> None:
        raise ToolFailed("over")

    with pytest.raises(ToolFailed):
        fetching(f"{server.address}/t.csv", progress=stop)
    fetching(f"{server.address}/t.csv")
    assert fetching.content("t.csv") == BODY
    assert server.headers("/t.csv")[1]["range"].startswith("bytes=")


def test_sums_are_held_against_what_came(server: FileServer, fetching: Fetching) -> None:
    server.files["/t.csv"] = Served(BODY, '"one"')
    with pytest.raises(InputRefused, match=r"its SHA256 is [0-9a-f]{64}, not 000.*Nothing of it is kept"):
        fetching(f"{server.address}/t.csv#sha256={'0' * 64}")
    assert not any((fetching.cache / "data" / "blobs").iterdir())
    fetching(f"{server.address}/t.csv#md5={hashlib.md5(BODY).hexdigest()}")
    asked = len(server.seen)
    fetching(f"{server.address}/t.csv#sha256={hashlib.sha256(BODY).hexdigest()}")
    assert len(server.seen) == asked  # known by its sum, nobody need be asked


def test_a_cached_copy_is_asked_about_and_taken_without_a_network(server: FileServer, fetching: Fetching) -> None:
    server.files["/t.csv"] = Served(BODY, '"one"')
    url = f"{server.address}/t.csv"
    assert fetching(url).notes == []
    fetching(url)
    assert server.headers("/t.csv")[1]["if-none-match"] == '"one"'
    server.files["/t.csv"] = Served(BODY, '"one"', busy=[(503, None)])
    fetched = fetching(url)
    assert fetching.content("t.csv") == BODY
    assert "was not reached (it answered 503" in fetched.notes[0]
    server.files["/t.csv"] = Served(b"new\n1\n", '"two"')
    fetching(url)
    assert fetching.content("t.csv") == b"new\n1\n"


def test_a_damaged_copy_is_not_used(server: FileServer, fetching: Fetching) -> None:
    server.files["/t.csv"] = Served(BODY, '"one"')
    fetching(f"{server.address}/t.csv")
    (blob,) = (fetching.cache / "data" / "blobs").iterdir()
    blob.chmod(0o644)
    blob.write_bytes(b"other")
    with pytest.raises(InputRefused, match="was damaged and is removed"):
        fetching(f"{server.address}/t.csv")
    fetching(f"{server.address}/t.csv")
    assert fetching.content("t.csv") == BODY


@pytest.mark.parametrize("length", [True, False])
def test_a_file_that_is_too_large_is_refused_before_the_disk_is_full(server: FileServer, fetching: Fetching, length: bool) -> None:
    server.files["/t.csv"] = Served(BODY, '"one"', length=length)
    with pytest.raises(InputRefused, match=r"bytes, and 2,000,000 are downloaded at most.*--max-download"):
        fetching(f"{server.address}/t.csv", most_bytes=2_000_000)
    assert sum(path.stat().st_size for path in (fetching.cache / "data").rglob("*")) < 4_000_000


def test_what_nobody_asked_to_be_packed(server: FileServer, fetching: Fetching) -> None:
    server.files["/t.csv"] = Served(gzip.compress(BODY), encoding="gzip")
    fetching(f"{server.address}/t.csv")
    assert fetching.content("t.csv") == BODY
    for encoding in ("zstd", "br", "gzip, gzip"):
        server.files["/u.csv"] = Served(b"packed", encoding=encoding)
        with pytest.raises(InputRefused, match=f"/u.csv sent its answer packed as '{encoding}', which nobody asked for"):
            fetching(f"{server.address}/u.csv")


def test_credentials_go_to_no_other_host_or_scheme(server: FileServer, fetching: Fetching, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTED", "s3cret-token-value")
    server.files["/t.csv"] = Served(b"a,b\n1,2\n")
    server.moved |= {"/own": "/t.csv", "/other": f"{server.address.replace('127.0.0.1', 'localhost')}/t.csv", "/file": "file:///etc/passwd"}
    fetching(f"{server.address}/own#bearer=PLANTED")
    assert server.headers("/t.csv")[-1]["authorization"] == "Bearer s3cret-token-value"
    fetching(f"{server.address}/other#bearer=PLANTED")
    assert "authorization" not in server.headers("/t.csv")[-1]
    fetching(server.address.replace("http://", "http://ann:${PLANTED}@") + "/other")
    assert server.headers("/other")[-1]["authorization"].startswith("Basic ")
    assert "authorization" not in server.headers("/t.csv")[-1]
    with pytest.raises(InputRefused, match="scheme 'file', which is not followed"):
        fetching(f"{server.address}/file")
    assert b"s3cret-token-value" not in fetching.left()


def test_an_address_from_a_server_is_filled_with_no_secret(server: FileServer, fetching: Fetching, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTED", "s3cret-token-value")
    monkeypatch.setenv("UCI_API", f"{server.address}/api")
    server.files["/api"] = Served(b'{"data": {"data_url": "%s/x.csv?t=${PLANTED}"}}' % server.address.encode())
    server.files["/x.csv"] = Served(b"a,b\n1,2\n")
    fetching("uci:1")
    assert "s3cret" not in str(server.seen)
