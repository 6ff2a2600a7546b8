"""Archives: what they hold comes out, and what would lie elsewhere, link, or fill the disk does not."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tools.sources.conftest import Fetching
from tools.sources import archives
from tools.spec import InputRefused

TABLE = b"a,b\n1,2\n"


def a_tar(*members: tarfile.TarInfo | str, mode: str = "w") -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=mode) as archive:  # type: ignore[call-overload]  # one of several modes
        for member in members:
            info = tarfile.TarInfo(member) if isinstance(member, str) else member
            info.size = len(TABLE) if info.isreg() else 0
            archive.addfile(info, io.BytesIO(TABLE) if info.isreg() else None)
    return packed.getvalue()


def a_zip(*names: str | zipfile.ZipInfo, body: bytes = TABLE) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, body)
    return packed.getvalue()


def a_seven(*names: str, body: bytes = TABLE) -> bytes:
    py7zr = pytest.importorskip("py7zr", reason="py7zr is not installed: pip install 'mlteam[archives]'")
    packed = io.BytesIO()
    with pytest.MonkeyPatch.context() as careless, py7zr.SevenZipFile(packed, "w") as archive:
        careless.setattr(py7zr.py7zr, "check_archive_path", lambda name: True)  # which others' programs do not do
        for name in names:
            archive.writef(io.BytesIO(body), name)
    return packed.getvalue()


def zstandard_of(body: bytes) -> bytes:
    return bytes(pytest.importorskip("zstandard", reason="zstandard is not installed").compress(body))


@pytest.mark.parametrize(
    ("name", "make", "files"),
    [
        ("t.zip", lambda: a_zip("a.csv", "in/b.csv"), ["t/a.csv", "t/in/b.csv"]),
        ("t.tar", lambda: a_tar("a.csv", "./in/b.csv"), ["t/a.csv", "t/in/b.csv"]),
        ("t.tar.gz", lambda: a_tar("a.csv", mode="w:gz"), ["t/a.csv"]),
        ("t.tgz", lambda: a_tar("a.csv", mode="w:gz"), ["t/a.csv"]),
        ("t.tar.zst", lambda: zstandard_of(a_tar("a.csv")), ["t/a.csv"]),
        ("t.csv.gz", lambda: gzip.compress(TABLE), ["t.csv"]),
        ("t.csv.bz2", lambda: bz2.compress(TABLE), ["t.csv"]),
        ("t.csv.xz", lambda: lzma.compress(TABLE), ["t.csv"]),
        ("t.csv.zst", lambda: zstandard_of(TABLE), ["t.csv"]),
        ("t.7z", lambda: a_seven("a.csv", "in/b.csv"), ["t/a.csv", "t/in/b.csv"]),
        ("misnamed.csv", lambda: a_zip("a.csv"), ["misnamed.csv_/a.csv"]),
    ],
)
def test_what_is_packed_comes_out(fetching: Fetching, tmp_path: Path, name: str, make: Callable[[], bytes], files: list[str]) -> None:
    (tmp_path / name).write_bytes(make())
    fetched = fetching(str(tmp_path / name))
    assert [file.name for file in fetched.files] == files
    assert [file.name for file in fetched.archives] == [name]
    assert {fetching.content(file) for file in files} == {TABLE}


def test_a_workbook_stays_what_it_is(fetching: Fetching, tmp_path: Path) -> None:
    (tmp_path / "t.xlsx").write_bytes(a_zip("[Content_Types].xml", "xl/workbook.xml"))
    assert [file.name for file in fetching(str(tmp_path / "t.xlsx")).files] == ["t.xlsx"]


def of_type(kind: bytes, name: str = "x.csv", target: str = "/etc/passwd") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def a_zipped_link() -> bytes:
    info = zipfile.ZipInfo("x.csv")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return a_zip(info, body=b"/etc/passwd")


@pytest.mark.parametrize(
    ("make", "wrong"),
    [
        (lambda: a_zip("../evil.csv"), "leads out of its folder"),
        (lambda: a_zip("in/../../evil.csv"), "leads out of its folder"),
        (lambda: a_zip("/tmp/evil.csv"), "has a place of its own"),
        (lambda: a_zip("C:/evil.csv"), "has a place of its own"),
        (lambda: a_zip("a\\..\\..\\evil.csv"), "has a place of its own|leads out"),
        (lambda: a_zip("x" * 300), "too long"),
        (lambda: a_zip("/".join("d" * 40)), "too long"),
        (lambda: a_zip("a\x1b[31m.csv"), "signs that nobody sees"),
        (a_zipped_link, "is a link or a device"),
        (lambda: a_tar("../evil.csv"), "leads out of its folder"),
        (lambda: a_tar("/tmp/evil.csv"), "has a place of its own"),
        (lambda: a_tar(of_type(tarfile.SYMTYPE)), "is a link or a device"),
        (lambda: a_tar(of_type(tarfile.LNKTYPE)), "is a link or a device"),
        (lambda: a_tar(of_type(tarfile.CHRTYPE)), "is a link or a device"),
        (lambda: a_tar(of_type(tarfile.FIFOTYPE)), "is a link or a device"),
        (lambda: a_tar("a.csv", "a.csv"), "cannot be unpacked"),
        (lambda: a_seven("in/../../evil.csv"), "leads out of its folder|cannot be unpacked"),
        (lambda: a_zip("a.csv")[:-30], "cannot be unpacked"),
        (lambda: gzip.compress(TABLE * 1000)[:-20], "cannot be unpacked"),
    ],
)
def test_what_leads_elsewhere_is_refused(fetching: Fetching, tmp_path: Path, make: Callable[[], bytes], wrong: str) -> None:
    (tmp_path / "t.bin").write_bytes(make())
    with pytest.raises(InputRefused, match=wrong) as refused:
        fetching(str(tmp_path / "t.bin"))
    assert str(refused.value).isprintable()
    assert [path.name for path in tmp_path.rglob("*evil*")] == []
    assert not (fetching.vault / "source.json").exists()


@pytest.mark.parametrize(
    "make",
    [lambda: a_zip("z", body=bytes(3_000_000)), lambda: gzip.compress(bytes(3_000_000)), lambda: a_seven("z", body=bytes(3_000_000))],
)
def test_bombs(fetching: Fetching, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[], bytes]) -> None:
    monkeypatch.setattr(archives, "FREE_BYTES", 100_000)
    monkeypatch.setattr(archives, "CHUNK_BYTES", 100_000)
    (tmp_path / "t.bin").write_bytes(make())
    with pytest.raises(InputRefused, match=r"comes to more than 250 times its [\d,]+ bytes, as bombs do"):
        fetching(str(tmp_path / "t.bin"))
    monkeypatch.setattr(archives, "FREE_BYTES", 10**9)
    with pytest.raises(InputRefused, match=r"comes to more than the 2,000,000 bytes that are allowed \(--max-download\)"):
        fetching(str(tmp_path / "t.bin"), most_bytes=2_000_000)
    assert sum(path.stat().st_size for path in (fetching.vault / "source").rglob("*")) < 1_000_000


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_bomb_in_what_is_said_of_a_member(fetching: Fetching, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: bytes) -> None:
    monkeypatch.setattr(archives, "FREE_BYTES", 100_000)
    said = tarfile.TarInfo("said")
    said.type, said.size = kind, 3_000_000
    (tmp_path / "t.tar.gz").write_bytes(gzip.compress(said.tobuf() + bytes(3_000_000) + a_tar("a.csv")))
    with pytest.raises(InputRefused, match="takes more than 100,000 bytes to say what is in it, as bombs do"):
        fetching(str(tmp_path / "t.tar.gz"))


def test_an_archive_of_too_many_files(fetching: Fetching, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MOST_MEMBERS", 3)
    (tmp_path / "t.zip").write_bytes(a_zip("a", "b", "c", "d"))
    with pytest.raises(InputRefused, match="is one of more than 3"):
        fetching(str(tmp_path / "t.zip"))
