"""Unpack archives that nobody has looked into: zip, tar, gz, bz2, xz, zst and 7z, known by their first bytes.

Every byte that comes out is written by this module, to a file that it opened itself below a folder that it made itself. What would lie
elsewhere, is a link or a device, or unpacks to more than was agreed is refused, and ends the whole.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from tools.files import remove_tree
from tools.spec import InputRefused

MOST_MEMBERS = 100_000
MEMBER_BYTES = 1 << 13
"""What a member may take beside its content: a header, a long name, what fills a block."""
MOST_RATIO = 250
"""Bytes out for each byte in, beyond the first `FREE_BYTES`; tables of text come to 50 and less."""
FREE_BYTES = 64 << 20
MOST_NAME_BYTES, MOST_DEPTH = 255, 32
SPARE_BYTES = 64 << 20
CHUNK_BYTES = 1 << 20
_WORKBOOK = ("[Content_Types].xml", "mimetype", "META-INF/MANIFEST.MF")
"""A zip archive that is a document of its own kind has one of these, and stays as it is."""
_STREAMS = {b"\x1f\x8b": "gz", b"BZh": "bz2", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "zst"}


def unpacked(path: Path, top: Path, most_bytes: int, progress: Callable[..., None]) -> bool:
    """Unpack `path` where it lies and remove it; False where it is no archive, and nothing happens.

    An archive's files come to lie in a folder with its name, without the ending; a single packed file loses its ending.

    Raises:
        InputRefused: naming the archive, the member, and what is wrong.
    """
    kind = _kind(path)
    if kind is None:
        return False
    out = _Out(path, most_bytes, progress)
    target = _free(path, single=kind in _STREAMS.values())
    try:
        if kind in _STREAMS.values():
            with _stream(path, kind) as stream:
                out.write(stream, target)
        else:
            target.mkdir()
            {"zip": _zip, "tar": _tar, "7z": _seven}[kind](path, target, out)
    except InputRefused:
        remove_tree(target) if target.is_dir() else target.unlink(missing_ok=True)
        raise
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, tarfile.TarError, RuntimeError) as error:
        remove_tree(target) if target.is_dir() else target.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in (28, 122):  # the disk is full, or one's share of it
            raise
        raise InputRefused(f"{path.name} cannot be unpacked: {str(error)[:200] or type(error).__name__}. Is it complete?") from None
    path.unlink()
    return True


class _Out:
    """What one archive has brought so far."""

    def __init__(self, archive: Path, most_bytes: int, progress: Callable[..., None]) -> None:
        self.name, self._most, self._progress = archive.name, most_bytes, progress
        self._packed = archive.stat().st_size
        self._room = shutil.disk_usage(archive.parent).free - SPARE_BYTES
        self._bytes = self._members = self._passed = 0
        self.wrong: str | None = None

    def member(self, name: str, folder: Path) -> Path:
        """Where a member belongs, its folder made.

        Raises:
            InputRefused: when its name leads elsewhere, or cannot be one.
        """
        self._members += 1
        parts = name.split("/")
        if parts and parts[-1] == "":
            parts.pop()
        parts = [part for part in parts if part != "."]
        wrong = None
        if self._members > MOST_MEMBERS:
            wrong = f"is one of more than {MOST_MEMBERS:,}"
        elif not parts or name.startswith("/") or ":" in parts[0][:2] or "\\" in name:
            wrong = "has a place of its own on the disk"
        elif ".." in parts or "" in parts:
            wrong = "leads out of its folder"
        elif len(parts) > MOST_DEPTH or any(len(part.encode("utf-8", "replace")) > MOST_NAME_BYTES for part in parts):
            wrong = "has a name that is too long"
        elif not name.isprintable():
            wrong = "has a name with signs that nobody sees"
        if wrong:
            self.refuse(name, wrong)
        path = folder.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def refuse(self, name: str, wrong: str) -> None:
        raise InputRefused(
            f"{self.name} is not unpacked: {f'its member {name[:80]!r}' if name else 'it'} {wrong}. Do not use it, or unpack it by hand."
        )

    def count(self, size: int) -> None:
        """Take note of bytes that are about to be written."""
        self._bytes += size
        wrong = None
        if self._bytes > self._most:
            wrong = f"more than the {self._most:,} bytes that are allowed (--max-download)"
        elif self._bytes > FREE_BYTES + MOST_RATIO * self._packed:
            wrong = f"more than {MOST_RATIO} times its {self._packed:,} bytes, as bombs do"
        elif self._bytes > self._room:
            wrong = "more than the disk has room for"
        if wrong:
            self.wrong = (
                f"{self.name} is not unpacked: it comes to {wrong}. If it is what you expect, unpack it by hand and name the folder."
            )
            raise InputRefused(self.wrong)

    def passed(self, size: int) -> None:
        """Take note of bytes of the archive that were unpacked, of which some are no member's: names and the like, which a reader holds
        in memory."""
        self._passed += size
        if self._passed - self._bytes > FREE_BYTES + MEMBER_BYTES * self._members:
            self.refuse("", f"takes more than {FREE_BYTES:,} bytes to say what is in it, as bombs do")

    def write(self, stream: IO[bytes] | Any, path: Path) -> None:
        with path.open("xb") as file:
            while chunk := stream.read(CHUNK_BYTES):
                self.count(len(chunk))
                file.write(chunk)
                self._progress(unpacking=self.name, mb=round(self._bytes / 1e6, 1))


def _kind(path: Path) -> str | None:
    with path.open("rb") as file:
        head = file.read(512)
    if head.startswith(b"PK\x03\x04"):
        try:
            with zipfile.ZipFile(path) as archive:
                return None if any(name in archive.NameToInfo for name in _WORKBOOK) else "zip"
        except (zipfile.BadZipFile, OSError, ValueError):
            return "zip"
    if head.startswith(b"7z\xbc\xaf\x27\x1c"):
        return "7z"
    packed = next((kind for magic, kind in _STREAMS.items() if head.startswith(magic)), None)
    name = path.name.lower()
    tarred = ".tar" in Path(name).suffixes[-2:] or name.endswith((".tgz", ".tbz", ".tbz2", ".txz", ".tzst"))
    return "tar" if head[257:262] == b"ustar" or (packed and tarred) else packed


def _free(path: Path, *, single: bool) -> Path:
    """A name for what comes out that is not taken."""
    base = path.name
    for ending in (".tgz", ".tbz2", ".tbz", ".txz", ".tzst", ".gz", ".bz2", ".xz", ".zst", ".zip", ".7z", ".tar"):
        if base.lower().endswith(ending) and len(base) > len(ending):
            base = base[: -len(ending)]
            if ending in (".zip", ".7z", ".tar") or single:
                break
    while (path.with_name(base)).exists():
        base += "_"
    return path.with_name(base)


def _stream(path: Path, kind: str) -> IO[bytes] | Any:
    if kind == "zst":
        try:
            import zstandard
        except ImportError:
            raise InputRefused(f"{path.name} is packed with zstandard. Type: pip install 'mlteam[archives]'") from None
        return zstandard.open(path, "rb")
    return gzip.open(path, "rb") if kind == "gz" else bz2.open(path, "rb") if kind == "bz2" else lzma.open(path, "rb")


def _zip(path: Path, target: Path, out: _Out) -> None:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            place = out.member(info.filename, target)
            mode = info.external_attr >> 16
            if mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
                out.refuse(info.filename, "is a link or a device")
            if info.is_dir():
                place.mkdir(exist_ok=True)
                continue
            if info.flag_bits & 1:
                out.refuse(info.filename, "needs a password")
            with archive.open(info) as member:
                out.write(member, place)


class _Watched:
    """A stream of which what is read is counted."""

    def __init__(self, stream: IO[bytes] | Any, out: _Out) -> None:
        self._stream, self._out = stream, out

    def read(self, size: int) -> bytes:
        data: bytes = self._stream.read(size)
        self._out.passed(len(data))
        return data


def _tar(path: Path, target: Path, out: _Out) -> None:
    with path.open("rb") as file:
        head = file.read(6)
    kind = next((kind for magic, kind in _STREAMS.items() if head.startswith(magic)), None)
    with _stream(path, kind) if kind else path.open("rb") as stream:
        watched: Any = _Watched(stream, out)  # of a file, tarfile asks no more
        with tarfile.open(fileobj=watched, mode="r|") as archive:
            _tar_members(archive, target, out)


def _tar_members(archive: tarfile.TarFile, target: Path, out: _Out) -> None:
    for info in archive:
        place = out.member(info.name, target)
        if info.isdir():
            place.mkdir(exist_ok=True)
        elif not info.isreg():
            out.refuse(info.name, "is a link or a device")
        else:
            out.write(archive.extractfile(info), place)


def _seven(path: Path, target: Path, out: _Out) -> None:
    try:
        import py7zr
        from py7zr.io import Py7zIO, WriterFactory
    except ImportError:
        raise InputRefused(f"{path.name} is a 7-Zip archive. Type: pip install 'mlteam[archives]'") from None

    class Member(Py7zIO):
        def __init__(self, place: Path) -> None:
            self._file = place.open("xb")
            self._size = 0

        def write(self, data: bytes | bytearray) -> int:
            out.count(len(data))
            self._size += len(data)
            return self._file.write(data)

        def read(self, size: int | None = None) -> bytes:
            return b""

        def seek(self, offset: int, whence: int = 0) -> int:
            return 0

        def flush(self) -> None:
            self._file.flush()

        def size(self) -> int:
            return self._size

        def end(self) -> None:
            self._file.close()

    made: list[Member] = []
    home = target.resolve()

    class Members(WriterFactory):
        def create(self, filename: str) -> Member:
            place = Path(filename)
            place.relative_to(home)
            place.parent.mkdir(parents=True, exist_ok=True)
            made.append(Member(place))
            return made[-1]

    try:
        with py7zr.SevenZipFile(path, "r") as archive:
            if archive.needs_password():
                out.refuse("", "needs a password")
            for info in archive.files:
                place = out.member(info.filename, target)
                if info.is_symlink or info.is_junction or info.is_socket:
                    out.refuse(info.filename, "is a link or a device")
                if info.is_directory:
                    place.mkdir(exist_ok=True)
            archive.extractall(path=home, factory=Members())
    except py7zr.exceptions.ArchiveError as error:
        raise ValueError(str(error)) from None
    finally:
        for member in made:
            member.end()
    if out.wrong:  # it was found in a thread of the library's
        raise InputRefused(out.wrong)
