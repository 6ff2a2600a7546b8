"""Large files, alone or as parts of one table in a folder, converted in a stream: in which way, and what is told of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tools.formats.contract import Choice, Format
from tools.formats.dialect import Dialect

if TYPE_CHECKING:
    from tools.formats.streaming import Streamed
    from tools.tally import Tally

STREAM_FROM = 4 * 2**20
"""Tables of so many bytes and more are streamed."""
PACKED_FROM = 2**18
"""Of files that may hold far more than their bytes: Parquet, Arrow, Feather, ORC and packed text."""


STREAMED = "bytes were read in a stream."
"""How the last note ends."""


class Converted(NamedTuple):
    format: str
    rows: int
    columns: int
    notes: list[str]
    pieces: list[tuple[str, int]]
    """Of parts under each other: path below the folder and number of rows, in the order of the table."""
    counts: dict[str, Tally]
    """Of the first columns."""
    dialect: Dialect


def stream(path: Path, output: Path, choice: Choice) -> Converted | None:
    """Convert a file, or the parts of one table in a folder, without holding it whole; None where it is small or has to be read whole.

    Raises:
        TableError: when it cannot be read, as `detect.read` does.
    """
    if path.is_dir():
        from tools.formats.folders import listed

        _, tables, pictures = listed(path)
        if len(pictures) > len(tables) or not tables:
            return None
        if len(tables) > 1:
            return _several(path, tables, output, choice)
        path = tables[0]
    size = path.stat().st_size
    if size < PACKED_FROM:
        return None
    from tools.formats.detect import find, misnamed, refuse_idle_options

    found = find(path)
    refuse_idle_options(path, found, choice)
    if size < _least(found, [path]):
        return None
    if (streamed := _by_format(found, [path], output, choice)) is None:
        return None
    notes = [*misnamed(path, found), *streamed.of_files[0], *streamed.notes, told_streamed(size)]
    return Converted(streamed.format or found.name, sum(streamed.rows), streamed.columns, notes, [], streamed.counts, streamed.dialect)


def _several(folder: Path, tables: list[Path], output: Path, choice: Choice) -> Converted | None:
    from tools.formats.detect import find
    from tools.formats.folders import are_partitions, named_tables

    size = sum(path.stat().st_size for path in tables)
    if size < PACKED_FROM or not all(path.stat().st_size for path in tables):
        return None
    if choice.table is None and are_partitions(folder, tables):
        return _partitions(folder, tables, output) if choice.gather is None else None
    if size < min(_least(find(path), [path]) for path in tables):
        return None
    by_name = named_tables(folder, tables)
    if choice.table is None and choice.gather is None and (found := _parts(folder, by_name, output, choice)) is not None:
        return found
    from tools.formats.joining import stream_related

    return stream_related(folder, by_name, output, choice)


def _partitions(folder: Path, tables: list[Path], output: Path) -> Converted | None:
    from tools.formats.batches import stream_partitions

    files = sorted(tables, key=str)
    if (streamed := stream_partitions(folder, files, output)) is None:
        return None
    told = f"{len(files):,} parquet files were read as one table."
    pieces = [(path.relative_to(folder).as_posix(), rows) for path, rows in zip(files, streamed.rows, strict=True)]
    notes = [told, told_streamed(sum(path.stat().st_size for path in files))]
    return Converted("Parquet in partitions", sum(streamed.rows), streamed.columns, notes, pieces, streamed.counts, streamed.dialect)


def _parts(folder: Path, by_name: dict[str, Path], output: Path, choice: Choice) -> Converted | None:
    """Tables of one format and of the same columns."""
    from tools.formats.detect import SUFFIXES, find
    from tools.formats.links import SEVERAL, under_each_other

    names = sorted(by_name)
    files = [by_name[name] for name in names]
    formats = {find(path).name for path in files}
    found = find(files[0])
    if len(formats) > 1 or any(SUFFIXES.get(path.suffix.lower()) is not found for path in files):
        return None
    if (streamed := _by_format(found, files, output, choice)) is None:
        return None
    of_files = [f"{name}: {note}" for name, notes in zip(names, streamed.of_files, strict=True) for note in notes]
    pieces = [(path.relative_to(folder).as_posix(), rows) for path, rows in zip(files, streamed.rows, strict=True)]
    notes = [under_each_other(names), *streamed.notes, *of_files, told_streamed(sum(path.stat().st_size for path in files))]
    return Converted(SEVERAL, sum(streamed.rows), streamed.columns, notes, pieces, streamed.counts, streamed.dialect)


def _least(found: Format, files: list[Path]) -> int:
    from tools.formats import columnar, text
    from tools.formats.packed import is_packed

    if found in (columnar.PARQUET, columnar.ARROW, columnar.ORC) or (found is text.FORMAT and any(map(is_packed, files))):
        return PACKED_FROM
    return STREAM_FROM


def _by_format(found: Format, files: list[Path], output: Path, choice: Choice) -> Streamed | None:
    from tools.formats import columnar, jsons, text

    if found is text.FORMAT:
        from tools.formats.packed import unpacked
        from tools.formats.wide import stream_wide

        with unpacked(files, output.parent) as plain:
            return stream_wide(plain, output, choice)
    if found is jsons.FORMAT:
        from tools.formats.lines import stream_json

        return stream_json(files, output, choice)
    if found in (columnar.PARQUET, columnar.ARROW, columnar.ORC):
        from tools.formats.batches import stream_batches

        return stream_batches(files, output)
    return None


def told_streamed(size: int) -> str:
    """A note of how much was read."""
    return f"{size:,} {STREAMED}"
