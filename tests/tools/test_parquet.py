"""Only descriptions of plain columns reach the library: whatever writes them, and however they are broken."""

from __future__ import annotations

import io
import random
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.escape import forge
from tools.parquet import NotFlat, check_flat

TABLE = pa.table({"row": range(6), "x": [0.5] * 6, "small": pa.array([1] * 6, pa.int8()), "half": pa.array([1.0] * 6, pa.float32())})


def written(table: pa.Table, **options: Any) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"version": "1.0", "compression": "zstd"},
        {"data_page_version": "2.0", "write_page_index": True},
        {"row_group_size": 1, "store_schema": False},
        {"sorting_columns": [pq.SortingColumn(0)], "write_statistics": False},
        {"use_dictionary": False, "use_byte_stream_split": ["x"]},
    ],
)
def test_plain_columns_are_passed_on_however_they_are_written(options: dict[str, Any]) -> None:
    check_flat(written(TABLE, **options), 4)


def test_every_kind_of_column_that_pandas_writes_is_known() -> None:
    frame = pd.DataFrame(
        {
            "text": list("ab"),
            "flag": [True, None],
            "when": pd.to_datetime(["2024-01-01", None]),
            "zone": pd.to_datetime(["2024-01-01", "2025-01-01"], utc=True),
            "kind": pd.Categorical(["a", "b"]),
            "whole": pd.array([1, None], dtype="Int64"),
            "bytes": [b"x", b"y"],
            "lapse": pd.to_timedelta([1, 2], unit="s"),
            "unsigned": np.array([1, 2], dtype=np.uint16),
        }
    )
    buffer = io.BytesIO()
    frame.to_parquet(buffer)
    check_flat(buffer.getvalue(), 9)


def test_more_columns_than_expected_are_refused() -> None:
    with pytest.raises(NotFlat, match="4 columns; at most 3"):
        check_flat(written(TABLE), 3)


@pytest.mark.parametrize("column", [[[1], [2]], [{"a": 1}, {"a": 2}], [{"a": {"b": [1]}}, None]])
def test_columns_of_columns_are_refused(column: list[Any]) -> None:
    with pytest.raises(NotFlat, match="groups of columns"):
        check_flat(written(pa.table({"x": column})), 9)


def test_a_schema_as_deep_as_a_well_is_refused(tmp_path: Path) -> None:
    forge.deep(str(tmp_path / "deep.parquet"), 20_000)
    with pytest.raises(NotFlat, match="20,001 columns"):
        check_flat((tmp_path / "deep.parquet").read_bytes(), 9)
    with pytest.raises(NotFlat, match="groups of columns"):
        check_flat((tmp_path / "deep.parquet").read_bytes(), 30_000)


@pytest.mark.parametrize("data", [b"", b"PAR1PAR1", b"PAR1" + bytes(8), b"PAR1\xff\xff\xff\xffPAR1", b"PARE\0\0\0\0PARE", bytes(99)])
def test_what_is_no_parquet_file_is_refused(data: bytes) -> None:
    with pytest.raises(NotFlat):
        check_flat(data, 9)


def described(data: bytes, change: dict[int, Any]) -> bytes:
    """`data` with fields of its description replaced; a description that Arrow would read."""
    schema = forge.flat({"x": forge.DOUBLE})
    facts = {1: (forge.I32, 1), 2: (forge.LIST, (forge.STRUCT, schema)), 3: (forge.I64, 0), 4: (forge.LIST, (forge.STRUCT, []))} | change
    footer = forge.encode(forge.STRUCT, dict(sorted(facts.items())))
    return b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1"


def test_what_arrow_would_read_in_another_way_is_refused() -> None:
    check_flat(described(b"", {}), 1)
    # Arrow reads row groups whatever kind the list says it has: what this calls texts may hide another schema.
    with pytest.raises(NotFlat, match="departs"):
        check_flat(described(b"", {4: (forge.LIST, (forge.BINARY, [b"hidden"]))}), 1)
    # A number of a field that wraps around to that of the schema.
    with pytest.raises(NotFlat, match="departs"):
        check_flat(described(b"", {9: (forge.I32, 1)}), 1)


def test_a_broken_description_is_refused_and_never_anything_else() -> None:
    good = written(TABLE)
    size = int.from_bytes(good[-8:-4], "little")
    dice = random.Random(5)
    ends = {"passed": 0, "refused": 0}
    for _ in range(2000):
        broken = bytearray(good)
        for _ in range(dice.randint(1, 5)):
            broken[-9 - dice.randrange(size)] = dice.randrange(256)
        try:
            check_flat(bytes(broken), 4)
            ends["passed"] += 1
        except NotFlat:
            ends["refused"] += 1
    assert min(ends.values()) > 100
