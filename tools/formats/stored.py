"""Several tables as Parquet files of plain columns, whatever they came as: looked at by columns, batch by batch, and never held whole.

Values are compared by their 64-bit hashes (tools/hashes.py): of numbers no two have the same, of other values two in 2^64. Keys of more
rows than `MOST_KEYS` are compared in so many parts, each of which takes the values whose hashes leave the same remainder.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tools.formats.batches import plain_as_it_is, readable
from tools.formats.contract import Choice, first_line
from tools.formats.detect import find, misnamed, read, refuse_idle_options
from tools.formats.dialect import Dialect
from tools.formats.links import LEAST_FOUND
from tools.formats.parts import STREAMED, stream
from tools.formats.whole import refuse_too_large
from tools.hashes import Hashes, as_numpy, different, hashed, may_lack
from tools.parquet import by_pieces

if TYPE_CHECKING:
    import pyarrow as pa

MOST_KEYS = 1 << 24
BATCH_ROWS, _MOST_ROWS, _MOST_BYTES = 1 << 12, 1 << 16, 1 << 24
"""Rows that are decoded at once, and what a batch of them is put together to, since a few rows of long texts are many bytes."""


class Otherwise(Exception):
    """The tables have to be held whole."""


class Stored(NamedTuple):
    """A table as a file."""

    path: Path
    schema: pa.Schema
    rows: int
    notes: list[str]
    """On how it was read."""
    dialect: Dialect

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Its rows in their order, of some columns or all."""
        import pyarrow as pa

        names = list(self.schema.names if columns is None else columns)
        held, rows, size = list[Any](), 0, 0
        with readable(self.path), by_pieces(self.path) as file:
            for read in file.iter_batches(batch_size=BATCH_ROWS, columns=names):
                held.append(read.select(names))
                rows, size = rows + read.num_rows, size + read.nbytes
                if rows >= _MOST_ROWS or size >= _MOST_BYTES:
                    yield pa.concat_batches(held)
                    held, rows, size = [], 0, 0
        if held:
            yield pa.concat_batches(held)


def stored(path: Path, choice: Choice, target: Path) -> Stored:
    """A file of any format as a table on file: itself, or what it is converted to at `target`.

    Raises:
        TableError: when it cannot be read, or has to be held whole and does not fit the memory.
        Otherwise: when what it holds cannot be kept as Parquet.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if path.stat().st_size == 0:
        read(path, choice)  # which says so
    format_found = find(path)
    refuse_idle_options(path, format_found, choice)
    if (schema := plain_as_it_is(path)) is not None:
        return Stored(path, schema, pq.read_metadata(path).num_rows, misnamed(path, format_found), Dialect())
    if (found := stream(path, target, choice)) is not None:
        notes = [note for note in found.notes if not note.endswith(STREAMED)]
        return Stored(target, pq.read_schema(target), found.rows, notes, found.dialect)
    refuse_too_large(path)
    reading = read(path, choice)
    try:
        reading.frame.to_parquet(target, index=False)
    except (pa.ArrowException, ValueError, OverflowError) as error:
        raise Otherwise(first_line(error)) from None
    return Stored(target, pq.read_schema(target), len(reading.frame), reading.notes, reading.dialect)


class Files:
    """Tables on file, by their names."""

    def __init__(self, tables: dict[str, Stored]) -> None:
        self.tables = tables
        self._keys: dict[tuple[str, str], bool] = {}

    def names(self) -> list[str]:
        return list(self.tables)

    def columns(self, name: str) -> list[str]:
        return list(self.tables[name].schema.names)

    def rows(self, name: str) -> int:
        return self.tables[name].rows

    def found(self, name: str, column: str, other: str, key: str) -> float | None:
        """
        Raises:
            Otherwise: for kinds of columns that are not compared here.
        """
        ours, theirs = self.tables[name], self.tables[other]
        if (other, key) not in self._keys:
            self._keys[other, key] = _are_keys(theirs, key)
        if not self._keys[other, key]:
            return None
        left, right = ours.schema.field(column).type, theirs.schema.field(key).type
        if not comparable(left, right):
            return None
        return _share_found(ours, column, theirs, key, as_floats=is_broken(left) or is_broken(right))


def comparable(left: pa.DataType, right: pa.DataType) -> bool:
    """Whether values of two kinds of columns can be the same.

    Raises:
        Otherwise: when that takes more than their hashes to say.
    """
    import pyarrow as pa

    one, other = _kind(left), _kind(right)
    if "truth" in (one, other) or (one != other and pa.types.is_timestamp(left) and pa.types.is_timestamp(right)):
        raise Otherwise
    return one == other != "nothing"


def is_broken(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_floating(kind))


def values_of(column: pa.Array, *, as_floats: bool) -> pa.Array:
    """Values of a column as they are compared, as many as there are."""
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if as_floats and column.type != pa.float64():
        return column.cast(pa.float64(), safe=False)
    return column.cast(pa.large_string()) if _kind(column.type) == "text" else column


def _kind(kind: pa.DataType) -> str:
    import pyarrow as pa

    types = pa.types
    if types.is_dictionary(kind):
        kind = kind.value_type
    if types.is_integer(kind) or types.is_floating(kind):
        return "number"
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return "text"
    return "truth" if types.is_boolean(kind) else "nothing" if types.is_null(kind) else str(kind)


def _hashes(column: pa.Array, *, as_floats: bool) -> Hashes:
    """Of the values that are there."""
    values = values_of(column, as_floats=as_floats).drop_null()
    if is_broken(values.type):
        numbers = as_numpy(values)
        return hashed(values)[~np.isnan(numbers)]
    return hashed(values)


def hashes_of_keys(values: pa.Array) -> Hashes:
    """Of all values, of one that is missing any."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if values.null_count and not (may_lack(values.type) or pa.types.is_timestamp(values.type)):
        values = pc.fill_null(values.cast(pa.large_string()), "")
    return hashed(values)


def _parts(table: Stored) -> int:
    return max(1, -(-table.rows // MOST_KEYS))


def places_of(hashes: Hashes, keys: Hashes) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Of each hash where it stands among others, which are in order; -1 where it does not."""
    if not len(keys):
        return np.full(len(hashes), -1)
    order = np.argsort(hashes)  # neighbours are looked for among neighbours, which a processor's cache has
    places = np.empty(len(hashes), np.int64)
    places[order] = np.searchsorted(keys, hashes[order])
    places[places == len(keys)] = 0
    return np.where(keys[places] == hashes, places, -1)


def _hashes_of(table: Stored, column: str, part: int, parts: int, *, as_floats: bool) -> Iterator[Hashes]:
    for batch in table.batches([column]):
        hashes = _hashes(batch.column(0), as_floats=as_floats)
        yield hashes if parts == 1 else hashes[hashes % np.uint64(parts) == part]


def _empty() -> Hashes:
    return np.empty(0, np.uint64)


def _are_keys(table: Stored, key: str) -> bool:
    """Whether none of a column's values is missing, broken or there twice."""
    parts = _parts(table)
    for part in range(parts):
        held: list[Hashes] = []
        for batch in table.batches([key]):
            values = batch.column(0)
            hashes = _hashes(values, as_floats=False)
            if len(hashes) < len(values):
                return False
            if is_broken(values.type) and (as_numpy(values) % 1 != 0).any():
                return False
            if not part and len(different(hashes.copy())) < len(hashes):
                return False
            held.append(hashes if parts == 1 else hashes[hashes % np.uint64(parts) == part])
        every = np.concatenate([_empty(), *held])
        if len(different(every)) < len(every):
            return False
    return True


def _share_found(ours: Stored, column: str, theirs: Stored, key: str, *, as_floats: bool) -> float | None:
    """The share of our values that are among their keys; None where it is surely too small for a link, or where we have no value."""
    parts = _parts(theirs)
    there = found = lacking = 0
    for part in range(parts):
        keys = different(np.concatenate([_empty(), *_hashes_of(theirs, key, part, parts, as_floats=as_floats)]))
        for hashes in _hashes_of(ours, column, part, parts, as_floats=as_floats):
            known = int(np.count_nonzero(places_of(hashes, keys) >= 0))
            there, found, lacking = there + len(hashes), found + known, lacking + len(hashes) - known
            if lacking > (1 - LEAST_FOUND) * ours.rows + 1:
                return None
    return found / there if there else None
