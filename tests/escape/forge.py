"""Parquet files that no library would write. Standard library alone: hostile cells get this file as text."""

from __future__ import annotations

import struct
from typing import Any

I32, I64, BINARY, LIST, STRUCT = 5, 6, 8, 9, 12
INT64, DOUBLE = 2, 5
PLAIN, RLE_DICTIONARY = 0, 8
NONE, ZSTD = 0, 6


def varint(number: int) -> bytes:
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def encode(kind: int, value: Any) -> bytes:
    """A value in Thrift's compact protocol. A structure is {field: (kind, value)}, a list (kind of its elements, elements)."""
    if kind in (I32, I64):
        return varint((value << 1) ^ (value >> 63))
    if kind == BINARY:
        return varint(len(value)) + value
    if kind == LIST:
        of, elements = value
        head = bytes([len(elements) << 4 | of]) if len(elements) < 15 else bytes([0xF0 | of]) + varint(len(elements))
        return head + b"".join(encode(of, element) for element in elements)
    out, last = b"", 0
    for field, (inner, content) in value.items():
        out += bytes([(field - last) << 4 | inner]) + encode(inner, content)
        last = field
    return out + b"\0"


def page(kind: int, body: bytes, packed: bytes, values: int, encoding: int) -> bytes:
    """A data page (kind 0) or a dictionary page (2). `body` is what `packed` unpacks to."""
    facts = {1: (I32, values), 2: (I32, encoding)}
    if kind == 0:
        facts |= {3: (I32, 3), 4: (I32, 3)}
    head = {1: (I32, kind), 2: (I32, len(body)), 3: (I32, len(packed)), (5 if kind == 0 else 7): (STRUCT, facts)}
    return encode(STRUCT, head) + packed


def column(name: str, kind: int, at: int, pages: list[bytes], rows: int, codec: int, claims: int) -> dict[int, Any]:
    """The chunk of a column whose pages begin at byte `at`; `claims` is the size that it is said to unpack to."""
    meta: dict[int, Any] = {
        1: (I32, kind),
        2: (LIST, (I32, [PLAIN, RLE_DICTIONARY])),
        3: (LIST, (BINARY, [name.encode()])),
        4: (I32, codec),
    }
    meta |= {5: (I64, rows), 6: (I64, claims), 7: (I64, sum(map(len, pages)))}
    meta |= {9: (I64, at + sum(map(len, pages[:-1])))} | ({11: (I64, at)} if len(pages) > 1 else {})
    return {2: (I64, at), 3: (STRUCT, meta)}


def write(path: str, body: bytes, schema: list[dict[int, Any]], chunks: list[dict[int, Any]], rows: int, group_rows: int) -> None:
    group = {1: (LIST, (STRUCT, chunks)), 2: (I64, 100), 3: (I64, group_rows)}
    file = {1: (I32, 1), 2: (LIST, (STRUCT, schema)), 3: (I64, rows), 4: (LIST, (STRUCT, [group] if chunks else []))}
    footer = encode(STRUCT, file)
    with open(path, "wb") as out:
        out.write(b"PAR1" + body + footer + struct.pack("<I", len(footer)) + b"PAR1")


def flat(names: dict[str, int]) -> list[dict[int, Any]]:
    """The schema of plain columns of these kinds."""
    leaves: list[dict[int, Any]] = [{1: (I32, kind), 3: (I32, 0), 4: (BINARY, name.encode())} for name, kind in names.items()]
    return [{4: (BINARY, b"schema"), 5: (I32, len(names))}, *leaves]


def deep(path: str, levels: int) -> None:
    """A file whose one column lies in groups inside of groups."""
    groups: list[dict[int, Any]] = [{3: (I32, 0), 4: (BINARY, b"g"), 5: (I32, 1)} for _ in range(levels)]
    leaf: dict[int, Any] = {1: (I32, DOUBLE), 3: (I32, 0), 4: (BINARY, b"x")}
    write(path, b"", [{4: (BINARY, b"schema"), 5: (I32, 1)}, *groups, leaf], [], 0, 0)


def bomb(path: str, rows: int, unpacked: bytes, packed: bytes, index: bytes, packed_index: bytes, group_rows: int) -> None:
    """Predictions of 0 for `rows` rows, by a dictionary of zeros that is packed with zstd and said to be small.

    `index` is the page that picks the first entry of the dictionary for every row.
    """
    ids = struct.pack(f"<{rows}q", *range(rows))
    row_page = page(0, ids, ids, rows, PLAIN)
    dictionary = page(2, unpacked, packed, len(unpacked) // 8, PLAIN)
    data = page(0, index, packed_index, rows, RLE_DICTIONARY)
    chunks = [
        column("row", INT64, 4, [row_page], rows, NONE, len(ids)),
        column("prediction", DOUBLE, 4 + len(row_page), [dictionary, data], rows, ZSTD, 1000),
    ]
    write(path, row_page + dictionary + data, flat({"row": INT64, "prediction": DOUBLE}), chunks, rows, group_rows)
