"""Rows to predict, a table in memory or one on file, of which some are in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from tools.formats.contract import Reading
from tools.formats.dialect import Dialect
from tools.formats.parts import STREAMED, Converted
from tools.parquet import by_pieces

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_DECODED = 1 << 12
"""Rows that are decoded at once."""


class Rows(Protocol):
    """A table that was read."""

    @property
    def names(self) -> list[str]:
        """Its columns."""

    @property
    def notes(self) -> list[str]: ...

    @property
    def dialect(self) -> Dialect: ...

    def frames(self, columns: Sequence[str], size: int) -> Iterator[pd.DataFrame]:
        """The rows in their order, in frames in which each column has the dtype that it has in the whole table.

        Args:
            columns: those that are needed; there may be others.
            size: so many rows have all frames but the last, where not all rows are in memory anyway.
        """


class Held:
    """A table in memory."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.names, self.notes, self.dialect = list(reading.frame.columns), reading.notes, reading.dialect

    def frames(self, columns: Sequence[str], size: int) -> Iterator[pd.DataFrame]:
        yield self.reading.frame


class OnFile:
    """A table that was converted in a stream.

    Args:
        path: where it lies as long as its rows are asked for.
    """

    def __init__(self, path: Path, found: Converted) -> None:
        self._path = path
        self.notes, self.dialect = [note for note in found.notes if not note.endswith(STREAMED)], found.dialect
        with by_pieces(path) as file:
            self._schema, facts = file.schema_arrow, file.metadata
            self.names = list(self._schema.names)
            groups = [facts.row_group(i) for i in range(facts.num_row_groups)]
            told = {name: [group.column(i).statistics for group in groups] for i, name in enumerate(self.names)}
        self._lacking = {
            name for name, each in told.items() if any(one is None or not one.has_null_count or one.null_count for one in each)
        }

    def frames(self, columns: Sequence[str], size: int) -> Iterator[pd.DataFrame]:
        import pyarrow as pa

        names, held, count = [name for name in columns if name in self.names] or self.names[:1], list[pa.RecordBatch](), 0
        schema = pa.schema([self._schema.field(name) for name in names], self._schema.metadata)
        with by_pieces(self._path) as file:
            for batch in file.iter_batches(batch_size=_DECODED, columns=names):
                held.append(batch.select(names))
                count += batch.num_rows
                while count >= size:
                    table = pa.Table.from_batches(held, schema)
                    yield self._frame(table.slice(0, size))
                    held, count = table.slice(size).to_batches(), count - size
        if count:
            yield self._frame(pa.Table.from_batches(held, schema))

    def _frame(self, table: pa.Table) -> pd.DataFrame:
        """Rows as a frame whose columns are of the kind that pandas gives them where it has all rows."""
        import pyarrow as pa

        frame = table.to_pandas()
        for field in table.schema:
            if field.name in self._lacking and not table.column(field.name).null_count:
                if pa.types.is_integer(field.type) and frame[field.name].dtype.kind in "iu" and frame[field.name].dtype.name.islower():
                    frame[field.name] = frame[field.name].astype("float64")
                elif pa.types.is_boolean(field.type) and frame[field.name].dtype == bool:
                    frame[field.name] = frame[field.name].astype(object)
        return frame
