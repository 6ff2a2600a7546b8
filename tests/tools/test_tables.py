from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from tools.tables import TableError, read_table


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters_are_found(tmp_path: Path, delimiter: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(
        "\n".join(delimiter.join(row) for row in (["a", "b", "c"], ["1", "x, y" if delimiter != "," else "xy", "2.5"], ["2", "z", ""]))
    )
    frame = read_table(path)
    assert list(frame.columns) == ["a", "b", "c"]
    assert frame["a"].tolist() == [1, 2]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_encodings_are_found(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes("größe,farbe\n1,schön grün gefärbt\n2,für Gärten\n".encode(encoding))
    assert list(read_table(path).columns) == ["größe", "farbe"]
    assert read_table(path)["farbe"][0] == "schön grün gefärbt"


def test_packed_and_parquet_tables(tmp_path: Path) -> None:
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"a,b\n1,2\n"))
    read_table(tmp_path / "t.csv.gz").to_parquet(tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet").to_dict("list") == {"a": [1], "b": [2]}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is empty"),
        (b"  \n \n", "white space"),
        (b"a,b\n", "a header but no rows"),
        (b"a,b,a\n1,2,3\n", "'a'"),
        (b"a,b\n1,\x00\n", "NUL"),
        (b"PK\x03\x04rest", "zip archive"),
        (b"\x89PNG\r\n", "PNG"),
        (b"\x1f\x8brest", "gzip"),
        (b"PAR1....", "parquet"),
        (b"a,b\n1,2\n1,2,3,4\n", "does not fit the header"),
        (b"a,b\nr1,1,2\nr2,3,4\n", "row names"),
    ],
)
def test_refusals_say_what_was_found(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(TableError, match=told):
        read_table(tmp_path / "t.csv")


def test_other_refusals(tmp_path: Path) -> None:
    (tmp_path / "t.xlsx").write_bytes(b"x")
    (tmp_path / "t.parquet").write_bytes(b"x")
    for name, told in (
        ("none.csv", "no such file"),
        ("t.xlsx", "not a readable Excel file: its content is something else"),
        ("t.parquet", "not a readable parquet"),
    ):
        with pytest.raises(TableError, match=told):
            read_table(tmp_path / name)


def test_a_header_alone_is_a_table_where_rows_are_predicted(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n")
    assert read_table(tmp_path / "t.csv", header_only=True).shape == (0, 2)


def test_an_empty_line_of_a_one_column_table_is_a_row(tmp_path: Path) -> None:
    path = tmp_path / "one.csv"
    path.write_text("x\n1\n\n3\n")
    assert read_table(path)["x"].isna().tolist() == [False, True, False]
