from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tools.tables import TableError, coerce, infer_schema, label_text, read_table


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
    for name, told in (("none.csv", "no such file"), ("t.xlsx", "unknown kind"), ("t.parquet", "not a readable parquet")):
        with pytest.raises(TableError, match=told):
            read_table(tmp_path / name)


def test_a_header_alone_is_a_table_where_rows_are_predicted(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n")
    assert read_table(tmp_path / "t.csv", header_only=True).shape == (0, 2)


def kinds(frame: pd.DataFrame) -> dict[str, str]:
    return {column.name: column.kind for column in infer_schema(frame, "y").columns}


def test_kinds_are_inferred() -> None:
    n = 30
    frame = pd.DataFrame(
        {
            "number": range(n),
            "flag": [True, False, None] * 10,
            "iso": ["2024-01-31 10:00"] * n,
            "german": ["31.01.2024"] * n,
            "version": ["1.2.3"] * n,
            "comma": ["12,5"] * n,
            "colour": ["red", "green", "blue"] * 10,
            "review": [f"this is what I think of item {i}" for i in range(n)],
            "code": [f"A{i:07d}X" for i in range(n)],
            "nothing": [None] * n,
            "y": 1,
        }
    )
    assert kinds(frame) == {
        "number": "numeric",
        "flag": "boolean",
        "iso": "datetime",
        "german": "datetime",
        "version": "categorical",
        "comma": "categorical",
        "colour": "categorical",
        "review": "text",
        "code": "categorical",
        "nothing": "numeric",
    }


def test_coerce_gives_the_schema_whatever_comes() -> None:
    train = pd.DataFrame({"n": [1.0, 2.0], "c": ["1", "2"], "d": pd.to_datetime(["2024-01-01", "2024-01-02"]), "b": [True, False]})
    schema = infer_schema(train, None)
    other = pd.DataFrame({"extra": [0, 0], "b": ["true", "no"], "d": ["2024-03-01", "never"], "c": [1.0, np.nan], "n": ["3", "three"]})
    found = coerce(other, schema)
    assert list(found.columns) == ["n", "c", "d", "b"]
    assert found["n"].tolist()[0] == 3.0
    assert np.isnan(found["n"][1])
    assert found["c"].tolist() == ["1", None]
    assert found["d"].dtype == "datetime64[ns]"
    assert found["d"].isna().tolist() == [False, True]
    assert found["b"].isna().tolist() == [False, True]
    pd.testing.assert_frame_equal(coerce(found, schema), found)
    with pytest.raises(TableError, match=r"'n' \(the table has 'N'\)|'n'"):
        coerce(other.rename(columns={"n": "N"}), schema)


def test_coerce_survives_a_parquet_file(tmp_path: Path) -> None:
    frame = pd.DataFrame({"c": ["a", None, " b "], "i": pd.array([1, None, 3], dtype="Int64"), "d": ["9999-01-01", "2024-01-01", None]})
    schema = infer_schema(frame, None)
    frame.to_parquet(tmp_path / "t.parquet")
    pd.testing.assert_frame_equal(coerce(read_table(tmp_path / "t.parquet"), schema), coerce(frame, schema))


def test_labels_are_canonical_text() -> None:
    assert label_text(pd.Series([1.0, 2.0, None])).tolist() == ["1", "2", None]
    assert label_text(pd.Series([1, 2])).tolist() == ["1", "2"]
    assert label_text(pd.Series([True, False])).tolist() == ["True", "False"]
    assert label_text(pd.Series([" yes", "no ", " "])).tolist() == ["yes", "no", None]
    assert label_text(pd.Series([1.5, 2])).tolist() == ["1.5", "2"]


def test_an_empty_line_of_a_one_column_table_is_a_row(tmp_path: Path) -> None:
    path = tmp_path / "one.csv"
    path.write_text("x\n1\n\n3\n")
    assert read_table(path)["x"].isna().tolist() == [False, True, False]
