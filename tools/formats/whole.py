"""What memory files take that have to be read whole, told before they are read: where memory ends, the sandbox ends with it."""

from __future__ import annotations

import zipfile
from pathlib import Path

from tools.memory import limit_mb, room_mb
from tools.tables import TableError

AT_LEAST = {"text": 8.0, "JSON": 5.0, "Excel": 7.0, "ARFF": 6.0, "Parquet": 4.0, "ORC": 3.0, "Stata": 4.0, "SAS": 3.0, "SPSS": 3.0}
"""Bytes of memory for each byte of a file, of a workbook for each that it unpacks to: a little less than the least that was measured of
tables of numbers, of short and of long texts, and of letters of two bytes, so that nothing is refused that may fit."""
_OTHERS = 2.0
_SMALL = 16 << 20
"""Files of fewer bytes are not looked at."""


def refuse_too_large(path: Path) -> None:
    """Refuse a file, or a folder of files, that memory does not suffice for.

    Raises:
        TableError: when it takes more than the sandbox has left.
    """
    files = _tables_of(path)
    if sum(file.stat().st_size for file in files) < _SMALL:
        return
    need, room = sum(map(_memory_of, files)) / 2**20, room_mb()
    if need <= room:
        return
    what = "it has" if len(files) == 1 else f"its {len(files):,} tables have"
    wanted = round(limit_mb() - room + 2 * need)  # the estimate is of the least
    raise TableError(
        f"{path.name}: {what} to be read whole, which takes {need:,.0f} MiB of memory or more, and the sandbox has {room:,.0f} of"
        f" {limit_mb():,.0f} MiB left; raise sandbox.memory_mb, as MLTEAM_SANDBOX__MEMORY_MB={wanted} does, or give it as Parquet"
    )


def _tables_of(path: Path) -> list[Path]:
    """The files that are read of a file or a folder and held together, which pictures are not."""
    from tools.formats.folders import listed

    if not path.is_dir():
        return [path] if path.is_file() else []
    _, tables, pictures = listed(path)
    return tables if len(pictures) <= len(tables) else []


def _memory_of(file: Path) -> float:
    """Bytes that reading a file takes at least."""
    from tools.formats.detect import find

    size = file.stat().st_size
    name = find(file).name if size else ""
    if name == "Excel" and zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as book:
            size = sum(part.file_size for part in book.infolist())
    return size * AT_LEAST.get(name, _OTHERS)
