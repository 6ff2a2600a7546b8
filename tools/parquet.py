"""Look at a parquet file before the library that reads it does.

Arrow walks a schema by calling itself for every level: a file of less than a megabyte, whose schema is a hundred thousand
groups inside each other, ends the process that opens it. So the description of the columns, which ends the file, is read
here first, and only a flat one is passed on.

The description is a structure in Thrift's compact protocol. Arrow's reader takes the kind of a list's elements from its own
grammar and not from the file, so that whoever believes the file may be led past what Arrow sees. Therefore the grammar
stands here too, and what departs from it is refused.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    import pyarrow.parquet as pq

_MAGIC = b"PAR1"
_MOST_BYTES = 2 << 20
"""Of the description: a thousand columns in parts of a million rows take a quarter of one."""
_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _STRUCT = 1, 2, 3, 4, 5, 6, 7, 8, 9, 12


def _fields(*shapes: Any) -> dict[int, Any]:
    """A structure whose fields have these shapes, numbered from 1; None where a number is not used."""
    return {number: shape for number, shape in enumerate(shapes, 1) if shape is not None}


# The grammar: a structure is its fields by number, a list is the shape of its elements, all else is a kind.
_EMPTY = _fields()
_UNIT = _fields(_EMPTY, _EMPTY, _EMPTY)
_PAIR = _fields(_BINARY, _BINARY)
_STATISTICS = _fields(_BINARY, _BINARY, _I64, _I64, _BINARY, _BINARY, _TRUE, _TRUE)
_SIZES = _fields(_I64, [_I64], [_I64])
_META = _fields(
    *(_I32, [_I32], [_BINARY], _I32, _I64, _I64, _I64, [_PAIR], _I64, _I64, _I64),
    *(_STATISTICS, [_fields(_I32, _I32, _I32)], _I64, _I32, _SIZES),
)
_CHUNK = _fields(_BINARY, _I64, _META, _I64, _I32, _I64, _I32)
_GROUP = _fields([_CHUNK], _I64, _I64, [_fields(_I32, _TRUE, _TRUE)], _I64, _I64, _I16)
_TIME = _fields(_TRUE, _UNIT)
_LOGICAL = _fields(
    *(_EMPTY, _EMPTY, _EMPTY, _EMPTY, _fields(_I32, _I32), _EMPTY, _TIME, _TIME, None),
    *(_fields(_BYTE, _TRUE), _EMPTY, _EMPTY, _EMPTY, _EMPTY, _EMPTY),
)
_COLUMN = _fields(_I32, _I32, _I32, _BINARY, _I32, _I32, _I32, _I32, _I32, _LOGICAL)
_FILE = _fields(_I32, [_COLUMN], _I64, [_GROUP], [_PAIR], _BINARY, [_fields(_EMPTY)])
_SCHEMA, _CHILDREN = 2, 5


class NotFlat(ValueError):
    """No parquet file of plain columns; the message says why."""


def check_flat(data: bytes, columns: int) -> None:
    """Check that a file's schema is a list of at most `columns` plain columns.

    Raises:
        NotFlat: when it is not, or cannot be read.
    """
    check_flat_file(io.BytesIO(data), columns, _MOST_BYTES)


def check_flat_file(file: BinaryIO, columns: int, most_bytes: int = 64 << 20) -> None:
    """Check the same of an open file, of which the description alone is read.

    Args:
        most_bytes: of the description.

    Raises:
        NotFlat: when it is not, or cannot be read.
    """
    length = file.seek(0, io.SEEK_END)
    file.seek(0)
    start = file.read(4)
    file.seek(max(0, length - 8))
    end = file.read(8)
    if length < 12 or start != _MAGIC or not end.endswith(_MAGIC):
        raise NotFlat("no parquet file")
    size = int.from_bytes(end[:4], "little")
    if size > min(length - 12, most_bytes):
        raise NotFlat(f"its description takes {size:,} bytes")
    file.seek(length - 8 - size)
    try:
        described = _Reader(file.read(size)).value(_FILE)
    except IndexError:
        raise NotFlat("its description breaks off") from None
    schema = described.get(_SCHEMA) or []
    if not 1 < len(schema) <= columns + 1:
        raise NotFlat(f"its schema has {max(0, len(schema) - 1):,} columns; at most {columns} were expected")
    if [column.get(_CHILDREN, 0) for column in schema] != [len(schema) - 1] + [0] * (len(schema) - 1):
        raise NotFlat("its schema has groups of columns")


class _Reader:
    """Values of the compact protocol, one after another. Running over the end is an IndexError."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def value(self, shape: Any) -> Any:
        """The value of that shape that comes next: a number, None for what is of no interest, a list, or a dict."""
        if isinstance(shape, dict):
            return self._structure(shape)
        if isinstance(shape, list):
            head = self._byte()
            count, kind = (head >> 4 if head >> 4 < 15 else self._varint()), head & 15
            if kind != _kind(shape[0]) or count > len(self._data):
                raise NotFlat("its description departs from the format")
            return [self.value(shape[0]) for _ in range(count)]
        if shape in (_I16, _I32, _I64):
            number = self._varint()
            return (number >> 1) ^ -(number & 1)
        self._pass_over(self._varint() if shape == _BINARY else {_BYTE: 1, _DOUBLE: 8}.get(shape, 0))
        return None

    def _structure(self, fields: dict[int, Any]) -> dict[int, Any]:
        found: dict[int, Any] = {}
        last = 0
        while (head := self._byte()) & 15:
            last = last + (head >> 4) if head >> 4 else self.value(_I16)
            kind = _TRUE if head & 15 == _FALSE else head & 15
            if last not in fields or last in found or kind != _kind(fields[last]):
                raise NotFlat("its description departs from the format")
            found[last] = self.value(fields[last])
        return found

    def _byte(self) -> int:
        self._pass_over(1)
        return self._data[self._at - 1]

    def _varint(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
        raise NotFlat("its description holds a number of more than 64 bits")

    def _pass_over(self, count: int) -> None:
        self._at += count
        if self._at > len(self._data):
            raise IndexError


def _kind(shape: Any) -> int:
    return _LIST if isinstance(shape, list) else _STRUCT if isinstance(shape, dict) else int(shape)


def by_pieces(path: Path) -> pq.ParquetFile:
    """A file that is read batch by batch: what Arrow reads ahead it keeps until the last batch, so here it does not."""
    import pyarrow.parquet as pq

    return pq.ParquetFile(path, pre_buffer=False)
