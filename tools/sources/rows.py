"""Rows of a database into Parquet files, some at a time."""

from __future__ import annotations

import decimal
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tools.sources.contract import Room
from tools.spec import InputRefused

ROWS = 50_000
"""Rows that are in memory at once."""


def write_batches(room: Room, name: str, batches: Any) -> None:
    """Write what a `pyarrow.RecordBatchReader` gives to `NAME.parquet`."""
    import pyarrow.parquet as pq

    rows = 0
    with pq.ParquetWriter(room.folder / f"{name}.parquet", batches.schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
            rows += batch.num_rows
            room.progress(table=name, rows=rows)
            room.expect(0)


def write_rows(room: Room, name: str, columns: Sequence[str], chunks: Iterable[Sequence[Sequence[Any]]]) -> None:
    """Write rows whose types only they themselves tell to `NAME.parquet`.

    Each chunk is written with the types that it shows. Once all have come they are brought to those that hold every chunk: a column of
    whole numbers and fractions has fractions, one of numbers and words has words.

    Raises:
        InputRefused: when two columns have the same name.
    """
    twice = sorted({column for column in columns if list(columns).count(column) > 1})
    if twice:
        raise InputRefused(f"the query gives two columns called {twice[0]!r}. Give one of them another name with AS.")
    parts: list[Path] = []
    rows = 0
    for chunk in chunks:
        parts.append(room.folder / f".{name}.{len(parts)}.tmp")
        _write_part(parts[-1], columns, chunk)
        rows += len(chunk)
        room.progress(table=name, rows=rows)
        room.expect(parts[-1].stat().st_size)
    _join(room.folder / f"{name}.parquet", columns, parts)
    for part in parts:
        part.unlink()


def _write_part(path: Path, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrays = [_array([row[place] for row in rows]) for place in range(len(columns))]
    pq.write_table(pa.table(arrays, names=list(columns)), path)


def _array(values: list[Any]) -> Any:
    import pyarrow as pa

    plain = [_plain(value) for value in values]
    try:
        return pa.array(plain)
    except (pa.ArrowException, OverflowError, TypeError):
        return pa.array([None if value is None else _text(value) for value in plain], pa.string())


def _plain(value: Any) -> Any:
    """A value of a type that tables have."""
    import datetime

    if isinstance(value, decimal.Decimal):
        return float(value)
    if value is None or isinstance(value, (bool, int, float, str, bytes, datetime.date, datetime.time, datetime.timedelta)):
        return value
    if isinstance(value, (dict, list)):
        import json

        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _join(path: Path, columns: Sequence[str], parts: Sequence[Path]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schemas = [pq.read_schema(part) for part in parts]
    schema = pa.schema([pa.field(column, _common([each.field(place).type for each in schemas])) for place, column in enumerate(columns)])
    with pq.ParquetWriter(path, schema) as writer:
        for table in _tables(parts):
            arrays = [_cast(table.column(place), field.type) for place, field in enumerate(schema)]
            writer.write_table(pa.table(arrays, schema=schema))


def _tables(parts: Sequence[Path]) -> Iterator[Any]:
    import pyarrow.parquet as pq

    for part in parts:
        yield pq.read_table(part)


def _common(types: Sequence[Any]) -> Any:
    """The type that holds values of all of them; text where nothing else does."""
    import pyarrow as pa

    known = list(dict.fromkeys(kind for kind in types if not pa.types.is_null(kind)))
    if len(known) < 2:
        return known[0] if known else pa.string()
    if all(pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in known):
        return pa.float64()
    return pa.string()


def _cast(column: Any, kind: Any) -> Any:
    import pyarrow as pa

    if column.type == kind:
        return column
    if pa.types.is_string(kind) and not pa.types.is_null(column.type):
        return pa.array([None if value is None else _text(value) for value in column.to_pylist()], kind)
    return column.cast(kind)
