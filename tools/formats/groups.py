"""A Parquet file written group by group: a group is written beside while the next is read, and two of them are all that memory holds.

The columns are counted (tally.py) beside too: reading a large table once more for that took longer than all the rest.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tools.hashes import different, hashed
from tools.tally import Tallies, Tally

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

GROUP_ROWS = 200_000
MOST_COUNTED = 200
"""Columns whose values are counted."""
_SAMPLE_BYTES, _WORTH_PACKING = 1 << 16, 0.8
"""Numbers of which this much does not pack to that share are written as they are: packing them took a third of the time for writing."""
_DICTIONARY_BYTES, _SAMPLE_ROWS, _SELDOM = 1 << 20, 20_000, 0.9
"""Arrow gives up a dictionary of so many bytes; texts of which that share of a sample is different are counted to know it before."""
_GROUP_BYTES = 64 << 20
"""A group of a wide table ends at so many bytes."""


class Groups:
    """Takes batches of one schema."""

    def __init__(self, output: Path, schema: pa.Schema, writing: ThreadPoolExecutor, counting: ThreadPoolExecutor) -> None:
        self._output, self._schema = output, schema
        self._by_writing, self._by_counting = writing, counting
        self._writer: pq.ParquetWriter | None = None
        self._waiting: list[pa.RecordBatch] = []
        self._held = self._bytes = 0
        self._going_on: list[Future[None]] = []
        """What is done with the group before."""
        self._counted: list[Future[None]] = []
        """The counting of those that wait."""
        self._tallies = Tallies(schema.names[:MOST_COUNTED])

    def add(self, batch: pa.RecordBatch) -> None:
        """Take a batch; waits while the group before the last is still being written."""
        self._waiting.append(batch)
        self._counted.append(self._by_counting.submit(self._tallies.add, batch))  # at once, as long as a processor's cache has it
        self._held += batch.num_rows
        self._bytes += batch.nbytes
        if self._held >= GROUP_ROWS or self._bytes >= _GROUP_BYTES:
            self._write()

    def close(self) -> None:
        """Write what is left, and wait for it."""
        if self._waiting or self._writer is None:
            self._write()
        self._wait()

    def end(self) -> None:
        """Close the file, whatever is in it, when nothing is written to it any more."""
        wait(self._going_on)
        if self._writer is not None:
            self._writer.close()

    def counts(self) -> dict[str, Tally]:
        """Of the first columns, by name, what they hold, once all is written."""
        return self._tallies.found()

    def _wait(self) -> None:
        for one in self._going_on:
            one.result()
        self._going_on = []

    def _write(self) -> None:
        import pyarrow as pa

        self._wait()
        table = pa.Table.from_batches(self._waiting, self._schema)
        if self._writer is None:
            self._writer = _writer(self._output, table)
        self._going_on = [self._by_writing.submit(self._writer.write_table, table), *self._counted]
        self._waiting, self._counted, self._held, self._bytes = [], [], 0, 0


@contextlib.contextmanager
def row_groups(output: Path, schema: pa.Schema) -> Iterator[Groups]:
    """A file of that schema, whole when the context ends without an exception."""
    with ThreadPoolExecutor(1) as writing, ThreadPoolExecutor(1) as counting:
        groups = Groups(output, schema, writing, counting)
        try:
            yield groups
            groups.close()
        finally:
            groups.end()


def _writer(output: Path, first: pa.Table) -> pq.ParquetWriter:
    """A writer for tables such as this, which is the first of them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    numbers = [field.name for field in first.schema if pa.types.is_floating(field.type) or pa.types.is_integer(field.type)]
    truths = [field.name for field in first.schema if pa.types.is_boolean(field.type)]
    plain = {*numbers, *truths}
    # Numbers seldom repeat, so a dictionary of them is work for nothing.
    texts = [name for name in first.schema.names if name not in plain and not _outgrows_dictionary(first[name])]
    # Nobody asks for the first and the last of texts; how many values are missing, the last column is asked for.
    told = [name for name in first.schema.names if name in plain or name == first.schema.names[-1]]
    wide = {*numbers}
    packed = {name: "none" if name in wide and not _is_worth_packing(first[name]) else "snappy" for name in first.schema.names}
    return pq.ParquetWriter(output, first.schema, compression=packed, use_dictionary=texts or False, write_statistics=told)


def _is_worth_packing(numbers: pa.ChunkedArray) -> bool:
    import pyarrow as pa

    for chunk in (numbers.chunk(0), numbers.chunk(numbers.num_chunks - 1)) if numbers.num_chunks else ():
        width = chunk.type.bit_width // 8
        sample = chunk.buffers()[1].slice(chunk.offset * width, min(_SAMPLE_BYTES, len(chunk) * width))
        if len(sample) == 0 or len(pa.Codec("snappy").compress(sample)) < _WORTH_PACKING * len(sample):
            return True
    return False


def _outgrows_dictionary(texts: pa.ChunkedArray) -> bool:
    """Whether the different ones are so many that Arrow would begin a dictionary of them, give it up midway and write the rest without."""
    import pyarrow as pa

    if not pa.types.is_string(texts.type) or not texts.num_chunks:
        return False
    sample = hashed(texts.chunk(0)[:_SAMPLE_ROWS])
    if len(different(sample)) < _SELDOM * len(sample):
        return False
    hashes = different(np.concatenate([hashed(chunk) for chunk in texts.chunks]))
    # Both keep four bytes beside each text.
    return len(hashes) * texts.nbytes >= _DICTIONARY_BYTES * max(1, len(texts))
