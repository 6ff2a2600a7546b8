"""A Parquet file written group by group: a group is written beside while the next is read, and two of them are all that memory holds.

The columns are counted (tally.py) as their rows pass: reading a large table once more for that took longer than all the rest.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from tools.tally import Tallies, Tally

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

GROUP_ROWS = 200_000
MOST_COUNTED = 200
"""Columns whose values are counted."""
_GROUP_BYTES = 64 << 20
"""A group of a wide table ends at so many bytes."""


class Groups:
    """Takes batches of one schema."""

    def __init__(self, writer: pq.ParquetWriter, schema: pa.Schema, beside: ThreadPoolExecutor) -> None:
        self._writer, self._schema, self._beside = writer, schema, beside
        self._waiting: list[pa.RecordBatch] = []
        self._held = self._bytes = 0
        self._writing: Future[None] | None = None
        self._tallies = Tallies(schema.names[:MOST_COUNTED])

    def add(self, batch: pa.RecordBatch) -> None:
        """Take a batch; waits while the group before the last is still being written."""
        self._waiting.append(batch)
        self._held += batch.num_rows
        self._bytes += batch.nbytes
        if self._held >= GROUP_ROWS or self._bytes >= _GROUP_BYTES:
            self._write()

    def close(self) -> None:
        """Write what is left, and wait for it."""
        if self._waiting:
            self._write()
        if self._writing is not None:
            self._writing.result()

    def counts(self) -> dict[str, Tally]:
        """Of the first columns, by name, what was taken so far."""
        return self._tallies.found()

    def _write(self) -> None:
        import pyarrow as pa

        if self._writing is not None:
            self._writing.result()
        self._writing = self._beside.submit(self._writer.write_table, pa.Table.from_batches(self._waiting, self._schema))
        for batch in self._waiting:  # while the group is written, before the next takes memory
            self._tallies.add(batch)
        self._waiting, self._held, self._bytes = [], 0, 0


@contextlib.contextmanager
def row_groups(output: Path, schema: pa.Schema) -> Iterator[Groups]:
    """A file of that schema, whole when the context ends without an exception."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    # Numbers seldom repeat, so a dictionary of them is work for nothing.
    texts = [field.name for field in schema if not (pa.types.is_floating(field.type) or pa.types.is_integer(field.type))]
    texts = [name for name in texts if not pa.types.is_boolean(schema.field(name).type)]
    # Nobody asks for the first and the last of texts; how many values are missing, the last column is asked for.
    told = [name for name in schema.names if name not in texts or name == schema.names[-1]]
    with (
        pq.ParquetWriter(output, schema, compression="snappy", use_dictionary=texts or False, write_statistics=told) as writer,
        ThreadPoolExecutor(1) as beside,
    ):
        groups = Groups(writer, schema, beside)
        yield groups
        groups.close()
