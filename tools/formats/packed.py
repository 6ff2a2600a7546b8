"""Packed text as plain text on disk, so that it is read in a stream as any other, and as often as that takes."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from tools.tables import TableError

MOST_RATIO, FREE_BYTES = 250, 64 << 20
"""Bytes out for each byte in, beyond the first ones: those of an archive (sources/archives.py)."""
_OPENERS: dict[bytes, tuple[str, Callable[..., IO[Any]]]] = {
    b"\x1f\x8b": ("gzip", gzip.open),
    b"BZh": ("bzip2", bz2.open),
    b"\xfd7zXZ": ("xz", lzma.open),
}
_CHUNK = 1 << 20


def is_packed(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(8).startswith((*_OPENERS,))


@contextlib.contextmanager
def unpacked(files: Sequence[Path], beside: Path) -> Iterator[list[Path]]:
    """The files as plain ones: those that are packed lie unpacked, by their own names, in a folder that goes when the context ends.

    Args:
        beside: where that folder is made.

    Raises:
        TableError: for one that is broken, empty, or larger than its size lets expect.
    """
    if not any(map(is_packed, files)):
        yield list(files)
        return
    with tempfile.TemporaryDirectory(prefix=".unpacked-", dir=beside) as folder:
        yield [_unpacked(path, Path(folder) / str(i)) if is_packed(path) else path for i, path in enumerate(files)]


def _unpacked(path: Path, folder: Path) -> Path:
    folder.mkdir()
    target = folder / path.name
    most = path.stat().st_size * MOST_RATIO + FREE_BYTES
    with path.open("rb") as file:
        head = file.read(8)
    kind, opened = next(found for magic, found in _OPENERS.items() if head.startswith(magic))
    written = 0
    try:
        with opened(path, "rb") as source, target.open("wb") as copy:
            while written <= most and (chunk := source.read(_CHUNK)):
                written += copy.write(chunk)
    except (OSError, EOFError, zlib.error, lzma.LZMAError, ValueError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # the disk's own, not the packer's
            raise TableError(f"{path.name}: cannot be unpacked ({error.strerror}); unpack it and name the result") from None
        raise TableError(f"{path.name}: not readable {kind} data ({error})") from None
    if written > most:
        raise TableError(f"{path.name}: unpacks to more than {MOST_RATIO} times its size; if that is right, unpack it and name the result")
    if not written:
        raise TableError(f"{path.name}: the packed file is empty; expected a header line and rows")
    return target
