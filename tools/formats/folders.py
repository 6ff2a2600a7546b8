"""Read a folder as one table: partitions of Parquet, pictures by class, parts of one table, or tables with keys."""

from __future__ import annotations

import os
from pathlib import Path

from tools.formats import columnar
from tools.formats.contract import Choice, Reading
from tools.formats.detect import MOST_FILES, MOST_TABLES, PICKLES, SUFFIXES, find, names, read
from tools.formats.dialect import agreed
from tools.formats.images import SUFFIXES as PICTURES
from tools.formats.images import read_images
from tools.formats.related import combine
from tools.tables import TableError

_BESIDE = ("readme", "license", "licence", "citation", "changelog", "notice", "requirements", "sample_submission", "samplesubmission")
"""Files with these names describe a table."""


def read_folder(folder: Path, choice: Choice) -> Reading:
    """Read the files of a folder and of those below it; links are not followed, hidden files left out.

    Raises:
        TableError: when it holds no table, too many files, or tables that nothing relates.
    """
    files, tables, pictures = listed(folder)
    if len(pictures) > len(tables):
        reading = read_images(folder, pictures)
        reading.notes += [f"Tables beside the pictures were left out: {names(tables)}."] if tables else []
        return reading
    if not tables:
        refused = [path for path in files if path.suffix.lower() in PICKLES]
        also = f" Pickles are never opened: {names(refused)}." if refused else ""
        raise TableError(f"{folder.name}: the folder holds no table; expected files such as .csv, .xlsx, .json or .parquet.{also}")
    if len(tables) == 1:
        return read(tables[0], choice)
    if choice.table is None and are_partitions(folder, tables):
        return columnar.read_partitions(folder, tables)
    if len(tables) > MOST_TABLES:
        raise TableError(f"{folder.name}: {len(tables):,} tables; at most {MOST_TABLES} are read together")
    return _several(folder, tables, choice)


def listed(folder: Path) -> tuple[list[Path], list[Path], list[Path]]:
    """All files of a folder, those that are tables, and those that are pictures.

    Raises:
        TableError: when there are too many files.
    """
    files = _files(folder)
    tables = [path for path in files if _kind(path) in SUFFIXES and not path.stem.lower().startswith(_BESIDE)]
    return files, tables, [path for path in files if path.suffix.lower() in PICTURES]


def are_partitions(folder: Path, tables: list[Path]) -> bool:
    """Whether the tables are Parquet files of one schema, or in folders of their own."""
    if any(SUFFIXES[_kind(path)] is not columnar.PARQUET for path in tables):
        return False
    return _one_schema(tables) or any(path.parent != folder for path in tables)


def named_tables(folder: Path, tables: list[Path]) -> dict[str, Path]:
    """Tables by their paths below the folder, without endings.

    Raises:
        TableError: when two have one name.
    """
    by_name: dict[str, Path] = {}
    for path in tables:
        name = path.relative_to(folder).as_posix().partition(".")[0]
        if name in by_name:
            raise TableError(f"{folder.name}: two tables are called {name!r}: {by_name[name].name} and {path.name}; name one of the files")
        by_name[name] = path
    return by_name


def _several(folder: Path, tables: list[Path], choice: Choice) -> Reading:
    by_name = named_tables(folder, tables)
    # Tables of several formats lie side by side, and an option of one of them means nothing to the others.
    choices = {name: choice.for_format(find(path)) if path.stat().st_size else choice for name, path in by_name.items()}
    readings = {name: read(path, choices[name]) for name, path in by_name.items()}
    whole = combine(folder, {name: reading.frame for name, reading in readings.items()}, choice)
    whole.pieces = [(by_name[name].relative_to(folder).as_posix(), rows) for name, rows in whole.pieces]
    if not whole.dialect.table:
        whole.dialect = agreed([reading.dialect for reading in readings.values()])
    whole.notes += [f"{name}: {note}" for name, reading in readings.items() for note in reading.notes]
    return whole


def _files(folder: Path) -> list[Path]:
    found: list[Path] = []
    for place, below, here in os.walk(folder, followlinks=False):
        below[:] = sorted(name for name in below if not name.startswith((".", "_")) and name != "__MACOSX")
        found += [
            path
            for name in sorted(here)
            if not name.startswith((".", "_")) and (path := Path(place, name)).is_file() and not path.is_symlink()
        ]
        if len(found) > MOST_FILES:
            raise TableError(f"{folder.name}: more than {MOST_FILES:,} files; name a folder with fewer")
    return found


def _kind(path: Path) -> str:
    suffix = path.suffix.lower()
    return path.with_suffix("").suffix.lower() if suffix in (".gz", ".bz2", ".xz") else suffix


def _one_schema(paths: list[Path]) -> bool:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return len({tuple(pq.read_schema(path).names) for path in paths}) == 1
    except (pa.ArrowException, OSError):
        return True  # the reader of partitions says what is wrong
