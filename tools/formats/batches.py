"""Parquet, Arrow, Feather and ORC of any size as one Parquet file, batch by batch, in one file or in parts of one table."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.formats.contract import first_line
from tools.formats.groups import row_groups
from tools.formats.streaming import Streamed
from tools.parquet import by_pieces
from tools.tables import MOST_COLUMNS, TableError

if TYPE_CHECKING:
    import pyarrow as pa

_BATCH_ROWS = 1 << 12
_MOST_DEPTH = 20


def stream_batches(files: Sequence[Path], output: Path) -> Streamed | None:
    """Convert files whose rows stand under each other; None when one has to be read whole (Feather of the first version, kinds of
    columns that nothing here makes plain), or when they have not the same columns in the same order.

    Raises:
        TableError: when a file is not readable.
    """
    schemas: list[pa.Schema] = []
    for path in files:
        with readable(path), _opened(path) as found:
            if found is None:
                return None
            schemas.append(found[0])
    schema = together(schemas)
    if schema is None:
        return None
    rows = [0] * len(files)
    with row_groups(output, schema) as groups:
        for i, path in enumerate(files):
            with readable(path), _opened(path) as found:
                assert found is not None, "it was opened before"
                for batch in found[1]:
                    groups.add(cast(batch, schema))
                    rows[i] += batch.num_rows
    return Streamed(rows, len(schema.names), [], [[] for _ in files], groups.counts())


def stream_partitions(folder: Path, files: Sequence[Path], output: Path) -> Streamed | None:
    """Convert Parquet files of a folder, whose folders named `key=value` become columns; None as above.

    Raises:
        TableError: when the files do not have one schema.
    """
    import pyarrow as pa
    import pyarrow.dataset as ds
    import pyarrow.parquet as pq

    from tools.formats.columnar import partitions

    try:
        found = partitions(folder, files)
        if (schema := _plain_schema(found.schema)) is None:
            return None
        options = ds.ParquetFragmentScanOptions(use_buffered_stream=True, buffer_size=1 << 20, pre_buffer=False)
        kept = _kept(found.schema)
        # A scanner of all of them reads ahead as long as nobody takes what it has.
        groups_of_files = (group for fragment in found.get_fragments() for group in fragment.split_by_row_group())
        with row_groups(output, schema) as groups:
            for piece in groups_of_files:
                read = piece.to_batches(schema=found.schema, columns=kept, batch_size=_BATCH_ROWS, fragment_scan_options=options)
                for batch in read:
                    groups.add(cast(_plain_batch(batch), schema))
        rows = [pq.read_metadata(path).num_rows for path in files]
    except MemoryError:
        raise
    except (pa.ArrowException, OSError, ValueError, TypeError) as error:
        raise TableError(f"{folder.name}: the folder's parquet files are no one table ({first_line(error)})") from None
    return Streamed(rows, len(schema.names), [], [[] for _ in files], groups.counts())


def plain_as_it_is(path: Path) -> pa.Schema | None:
    """The columns of a Parquet file all of which are plain already; None of any other file.

    Raises:
        TableError: when it is not readable.
    """
    with path.open("rb") as file:
        if not file.read(8).startswith(b"PAR1"):
            return None
    with readable(path), by_pieces(path) as parquet:
        schema = parquet.schema_arrow
    plain = _plain_schema(schema)
    return plain if plain is not None and plain.equals(schema) else None


@contextlib.contextmanager
def readable(path: Path) -> Iterator[None]:
    """What Arrow finds wrong with a file as a `TableError`."""
    import pyarrow as pa

    try:
        yield
    except MemoryError:
        raise  # Arrow's is one of its own exceptions too
    except (pa.ArrowException, OSError, ValueError) as error:
        raise TableError(f"{path.name}: not a readable file of columns ({first_line(error)}); is it whole?") from None


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[pa.Schema, Iterator[pa.RecordBatch]] | None]:
    """What a file's columns become, and its rows as such, a batch at a time."""
    import pyarrow as pa
    import pyarrow.orc as orc

    with path.open("rb") as file:
        head = file.read(8)
    if head.startswith(b"FEA1"):
        yield None
    elif head.startswith(b"PAR1"):
        with by_pieces(path) as parquet:
            schema = parquet.schema_arrow
            read = parquet.iter_batches(batch_size=_BATCH_ROWS, columns=_kept(schema)) if _alike(schema.names) else iter(())
            yield _as_plain(schema, read, flat=False)
    elif head.startswith(b"ORC"):
        with path.open("rb") as file:
            stripes = orc.ORCFile(file)
            yield _as_plain(stripes.schema, (stripes.read_stripe(i) for i in range(stripes.nstripes)), flat=True)
    elif head.startswith(b"ARROW1"):
        # Mapped, so that a file of a single batch is not held either, where it is not compressed.
        with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as table:
            yield _as_plain(table.schema, (table.get_batch(i) for i in range(table.num_record_batches)), flat=True)
    else:
        with pa.memory_map(str(path)) as source, pa.ipc.open_stream(source) as stream:
            yield _as_plain(stream.schema, iter(stream), flat=True)


def _as_plain(schema: pa.Schema, batches: Iterator[pa.RecordBatch], *, flat: bool) -> tuple[pa.Schema, Iterator[pa.RecordBatch]] | None:
    """
    Args:
        flat: whether structures become columns `outer.inner`, and no text.
    """
    kept = _kept(schema)
    seen = _flattened(schema.empty_table().select(kept)).schema if flat and _alike(schema.names) else schema
    plain = _plain_schema(seen)
    if plain is None:
        return None

    def made() -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for start in range(0, batch.num_rows, _BATCH_ROWS):
                piece = batch.slice(start, _BATCH_ROWS).select(kept)
                yield _plain_batch(_flattened_batch(piece) if flat else piece)

    return plain, made()


def _alike(names: Sequence[str]) -> bool:
    return len(set(names)) == len(names)


def _index(schema: pa.Schema) -> set[str]:
    """Columns that pandas wrote for the index of a frame."""
    try:
        told = json.loads((schema.metadata or {}).get(b"pandas", b"{}"))
        return {name for name in told.get("index_columns", []) if isinstance(name, str)}
    except (ValueError, AttributeError, TypeError):
        return set()


def _kept(schema: pa.Schema) -> list[str]:
    return [name for name in schema.names if name not in _index(schema)]


def _flattened(table: pa.Table) -> pa.Table:
    import pyarrow as pa

    for _ in range(_MOST_DEPTH):
        if not any(pa.types.is_struct(field.type) for field in table.schema):
            break
        table = table.flatten()
    return table


def _flattened_batch(batch: pa.RecordBatch) -> pa.RecordBatch:
    import pyarrow as pa

    if not any(pa.types.is_struct(field.type) for field in batch.schema):
        return batch
    return _flattened(pa.Table.from_batches([batch])).combine_chunks().to_batches()[0]


def _plain_schema(schema: pa.Schema) -> pa.Schema | None:
    """The columns as they are written; None where a kind of column is not made plain here, or two have one name."""
    import pyarrow as pa

    index = _index(schema)
    fields = [field for field in schema if field.name not in index]
    if not fields or len(fields) > MOST_COLUMNS or not _alike([field.name for field in fields]):
        return None
    written = [(field.name, _written_as(field.type)) for field in fields]
    if any(kind is None for _, kind in written):
        return None
    return pa.schema(written, metadata=_told_to_pandas(schema, {field.name for field, kind in zip(fields, written, strict=True)}))


def _told_to_pandas(schema: pa.Schema, names: set[str]) -> dict[bytes, bytes] | None:
    """What pandas is told of its own kinds of columns, such as whole numbers with missing ones, without the index that is left out."""
    try:
        told = json.loads((schema.metadata or {})[b"pandas"])
        columns = [one for one in told["columns"] if one["name"] in names and one["pandas_type"] not in ("object", "bytes", "empty")]
        columns = [one for one in columns if not str(one["pandas_type"]).startswith(("list", "struct", "map"))]
        return {b"pandas": json.dumps({**told, "columns": columns, "index_columns": []}).encode()}
    except (KeyError, ValueError, TypeError):
        return None


def _written_as(kind: pa.DataType) -> pa.DataType | None:
    import pyarrow as pa

    types = pa.types
    if types.is_dictionary(kind):
        return kind if types.is_string(kind.value_type) or types.is_large_string(kind.value_type) else None
    if _is_nested(kind) or _is_bytes(kind):
        return pa.string()
    if isinstance(kind, pa.BaseExtensionType) or types.is_run_end_encoded(kind) or types.is_interval(kind) or types.is_union(kind):
        return None
    return kind


def _is_nested(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_nested(kind) and not pa.types.is_union(kind) and not pa.types.is_run_end_encoded(kind))


def _is_bytes(kind: pa.DataType) -> bool:
    import pyarrow as pa

    types = pa.types
    return bool(types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind) or types.is_binary_view(kind))


def _plain_batch(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The same rows with lists and structures as JSON text, and bytes as text, as `cells.plain` gives them."""
    import pyarrow as pa

    for i, field in enumerate(batch.schema):
        if not (_is_nested(field.type) or _is_bytes(field.type)):
            continue
        from tools.formats.cells import as_json, as_text

        made: Any = as_json if _is_nested(field.type) else as_text
        values = [None if value is None else made(value) for value in batch.column(i).to_pandas()]
        batch = batch.set_column(i, field.name, pa.array(values, pa.string()))
    return batch


def together(schemas: list[pa.Schema]) -> pa.Schema | None:
    """One schema that holds what files hold which have the same columns; None where there is none."""
    import pyarrow as pa

    if any(schema.names != schemas[0].names for schema in schemas):
        return None
    if all(schema.equals(schemas[0]) for schema in schemas):
        return schemas[0]
    try:
        # Whole numbers in one part and broken or missing ones in another are one column of numbers.
        return pa.unify_schemas(schemas, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return None


def cast(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The same rows in columns of these kinds."""
    import pyarrow as pa

    if batch.schema.equals(schema):
        return batch
    columns = [
        column if column.type == field.type else column.cast(field.type) for column, field in zip(batch.columns, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)
