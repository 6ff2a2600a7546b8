"""Several tables of a folder as one in a stream: rows of one pass by, and what other tables hold for each, found by key, is in memory.

It gives what related.py gives of tables in memory. Tables that are joined are held as they lie in a file of columns, each row once; what
the rows of others come to (gathering.py) is made of frames of those alone.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tools.formats.batches import cast, together
from tools.formats.contract import Choice
from tools.formats.detect import MOST_TABLES, find
from tools.formats.dialect import Dialect, agreed
from tools.formats.groups import row_groups
from tools.formats.links import (
    SEVERAL,
    are_one_table,
    asked_for,
    joins_of,
    links_of,
    main_of,
    notes_of,
    refuse_unknown,
    under_each_other,
)
from tools.formats.parts import Converted, told_streamed
from tools.formats.stored import Files, Otherwise, Stored, hashes_of_keys, is_broken, places_of, stored, values_of
from tools.memory import room_mb

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

HELD_SHARE, GATHERED_SHARE, MOST_HELD = 1 / 3, 1 / 8, 2 << 30
"""Of the memory that is left: what all tables beside the rows may take together, and those that are gathered, of which there are copies;
and bytes that they take at most."""


def stream_related(folder: Path, by_name: dict[str, Path], output: Path, choice: Choice) -> Converted | None:
    """Convert tables with keys, or tables of the same columns in whatever formats; None where they have to be held whole.

    Raises:
        TableError: as `folders.read_folder` does.
    """
    if len(by_name) > MOST_TABLES:
        return None
    with tempfile.TemporaryDirectory(prefix=".tables-", dir=output.parent) as place:
        try:
            tables = {
                name: stored(path, choice.for_format(find(path)) if path.stat().st_size else choice, Path(place) / f"{i}.parquet")
                for i, (name, path) in enumerate(by_name.items())
            }
            found = _appended(tables, output) if are_one_table(Files(tables), choice) else _related(folder, Files(tables), output, choice)
        except Otherwise:
            return None
    pieces = [(by_name[name].relative_to(folder).as_posix(), rows) for name, rows in found.pieces]
    notes = [*found.notes, *(f"{name}: {note}" for name, table in tables.items() for note in table.notes)]
    return found._replace(pieces=pieces, notes=[*notes, told_streamed(sum(path.stat().st_size for path in by_name.values()))])


def _appended(tables: dict[str, Stored], output: Path) -> Converted:
    names = sorted(tables)
    schema = together([tables[name].schema for name in names])
    if schema is None:
        raise Otherwise
    with row_groups(output, schema) as groups:
        for name in names:
            for batch in tables[name].batches():
                groups.add(cast(batch, schema))
    pieces = [(name, tables[name].rows) for name in names]
    dialect = agreed([table.dialect for table in tables.values()])
    rows = sum(rows for _, rows in pieces)
    return Converted(SEVERAL, rows, len(schema.names), [under_each_other(names)], pieces, groups.counts(), dialect)


def _related(folder: Path, files: Files, output: Path, choice: Choice) -> Converted:
    names = sorted(files.names())
    refuse_unknown(folder, names, choice)
    links = links_of(files)
    main = choice.table or main_of(folder, files, links)
    joins = joins_of(main, files, links)
    room = min(room_mb() * 2**20 * HELD_SHARE, MOST_HELD)
    sides: list[Side] = []
    for join in joins:
        sides.append(Side(_held(files.tables[join.other], room), join.key, join.column, f"{join.other}."))
        room -= sides[-1].bytes
    keys = {join.other: join.column for join in joins}
    used, notes = {main, *keys}, list[str]()
    frames = _Frames(files.tables)
    for name in asked_for(choice.gather, files.tables):
        from tools.formats.related import gather

        found = gather(main, frames, links, name, keys)
        sides.append(_side_of(found.made, found.column, f"{name}.rows"))
        notes, used = [*notes, found.told], used | {name, *found.taken}
    del frames
    schema, rows = _schema(files.tables[main].schema, sides), 0
    with row_groups(output, schema) as groups:
        for batch in files.tables[main].batches():
            groups.add(_joined(batch, sides, schema))
            rows += batch.num_rows
    notes = notes_of(main, names, links, joins, notes, used)
    dialect = Dialect(table=main, gather=choice.gather)
    return Converted(SEVERAL, rows, len(schema.names), notes, [], groups.counts(), dialect)


class Side:
    """A table in memory, whose rows are found by a key that each has alone."""

    def __init__(self, table: pa.Table, key: str, column: str, prefix: str, zero: str | None = None) -> None:
        """
        Args:
            column: of the rows that it is joined to, where its keys stand.
            prefix: of its columns among theirs.
            zero: a column that is 0 where there is no row.
        """
        import pyarrow as pa

        self.bytes = table.nbytes
        self.column, self._zero = column, zero
        self._keys = table.column(key).combine_chunks()
        self.of_categories = pa.types.is_dictionary(self._keys.type)
        self._table = _as_pandas_has_it(table.drop_columns([key]))
        self.schema = self._table.schema
        self.names = [f"{prefix}{name}" for name in self._table.schema.names]
        self._found: dict[bool, _Found] = {}

    def taken(self, values: pa.Array) -> Iterator[pa.Array]:
        """Its columns for rows whose keys are these."""
        import pyarrow.compute as pc

        as_floats = is_broken(values.type) or is_broken(self._keys.type)
        if as_floats not in self._found:
            self._found[as_floats] = _Found.among(values_of(self._keys, as_floats=as_floats))
        at = self._found[as_floats].places(values_of(values, as_floats=as_floats))
        for name, column in zip(self.names, self._table.columns, strict=True):
            array = (column.chunk(0) if column.num_chunks else column.combine_chunks()).take(at)
            yield pc.fill_null(array, 0) if name == self._zero else array


class _Found(NamedTuple):
    """Keys in the order of their hashes."""

    keys: pa.Array
    hashes: np.ndarray[Any, np.dtype[np.uint64]]
    order: np.ndarray[Any, np.dtype[np.int64]]

    @classmethod
    def among(cls, keys: pa.Array) -> _Found:
        hashes = hashes_of_keys(keys)
        order = np.argsort(hashes)
        return cls(keys, hashes[order], order)

    def places(self, values: pa.Array) -> pa.Array:
        """The row of each value's key, missing where there is none."""
        import pyarrow as pa
        import pyarrow.compute as pc

        at = places_of(hashes_of_keys(values), self.hashes)
        rows = np.where(at >= 0, self.order[at] if len(self.order) else 0, 0)
        lacks = at < 0
        if len(self.order):
            # Two values of one hash are not the same value.
            same = pc.fill_null(pc.equal(self.keys.take(pa.array(rows)), values), False)
            lacks |= ~np.asarray(same)
        return pa.array(rows, mask=lacks)


def _joined(batch: pa.RecordBatch, sides: Sequence[Side], schema: pa.Schema) -> pa.RecordBatch:
    import pyarrow as pa

    columns = dict(zip(batch.schema.names, batch.columns, strict=True))
    for side in sides:
        columns |= dict(zip(side.names, side.taken(columns[side.column]), strict=True))
    arrays = [columns[field.name] if columns[field.name].type == field.type else columns[field.name].cast(field.type) for field in schema]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _schema(main: pa.Schema, sides: Sequence[Side]) -> pa.Schema:
    """The columns of the joined rows. Categories that were compared with text are text then, as pandas has it.

    Raises:
        Otherwise: when two have one name, or categories were compared with categories, which may be others.
    """
    import pyarrow as pa

    fields = [(field.name, field.type) for field in main]
    fields += [(name, field.type) for side in sides for name, field in zip(side.names, side.schema, strict=True)]
    kinds = dict(fields)
    categories = {side.column for side in sides if pa.types.is_dictionary(kinds[side.column])}
    if len(kinds) < len(fields) or any(side.of_categories and side.column in categories for side in sides):
        raise Otherwise
    fields = [(name, kind.value_type if name in categories else kind) for name, kind in fields]
    told = [_told_to_pandas(main, main.names), *(_told_to_pandas(side.schema, side.names) for side in sides)]
    columns = [column for one in told for column in one if column["name"] not in categories]
    metadata = {b"pandas": json.dumps({"index_columns": [], "column_indexes": [], "columns": columns}).encode()} if columns else None
    return pa.schema(fields, metadata=metadata)


def _told_to_pandas(schema: pa.Schema, names: Sequence[str]) -> list[dict[str, Any]]:
    """What pandas wrote of its own kinds of columns, by the names that those have now."""
    now = dict(zip(schema.names, names, strict=True))
    columns = json.loads((schema.metadata or {}).get(b"pandas", b"{}")).get("columns", [])
    return [{**one, "name": now[one["name"]], "field_name": now[one["name"]]} for one in columns if one["name"] in now]


def _held(table: Stored, most: float) -> pa.Table:
    """A table in memory, a chunk a column.

    Raises:
        Otherwise: when it takes more bytes than that.
    """
    import pyarrow as pa

    batches, size = list[Any](), 0
    for batch in table.batches():
        size += batch.nbytes
        if size > most:
            raise Otherwise
        batches.append(batch)
    return pa.Table.from_batches(batches, table.schema).combine_chunks()


def _as_pandas_has_it(table: pa.Table) -> pa.Table:
    """A table whose whole numbers are broken ones where some are missing, unless pandas wrote them as whole ones that may be missing."""
    import pyarrow as pa

    told = {one["name"]: one["numpy_type"] for one in _told_to_pandas(table.schema, table.schema.names)}
    for i, field in enumerate(table.schema):
        if pa.types.is_integer(field.type) and table.column(i).null_count and not str(told.get(field.name)).startswith(("Int", "UInt")):
            table = table.set_column(i, pa.field(field.name, pa.float64()), table.column(i).cast(pa.float64(), safe=False))
    return table


def _side_of(made: pd.DataFrame, column: str, zero: str) -> Side:
    import pyarrow as pa

    table = pa.Table.from_pandas(made.rename_axis("").reset_index(), preserve_index=False).combine_chunks()
    return Side(table, table.schema.names[0], column, "", zero)


class _Frames(Mapping[str, "pd.DataFrame"]):
    """Tables as frames, each read when it is first asked for."""

    def __init__(self, tables: dict[str, Stored]) -> None:
        self._tables, self._read = tables, dict[str, Any]()
        self._left = min(room_mb() * 2**20 * GATHERED_SHARE, MOST_HELD)

    def __getitem__(self, name: str) -> pd.DataFrame:
        if name not in self._read:
            table = _held(self._tables[name], self._left)
            self._left -= table.nbytes
            self._read[name] = table.to_pandas()
        frame: pd.DataFrame = self._read[name]
        return frame

    def __iter__(self) -> Iterator[str]:
        return iter(self._tables)

    def __len__(self) -> int:
        return len(self._tables)
