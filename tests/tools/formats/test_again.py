"""Rows are read as others of their kind were, where that fits them; which way it was is told."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from tests.tools.formats.test_adapters import workbook
from tools.columns import infer_schema
from tools.contract import Column
from tools.formats.again import Lost, read_again
from tools.formats.contract import Choice, Reading
from tools.formats.detect import read
from tools.formats.dialect import Dialect
from tools.formats.rows import Held
from tools.tables import TableError


def learnt(path: Path, **options: str) -> tuple[Dialect, list[Column]]:
    """What is on record of rows that somebody learnt from."""
    reading = read(path, Choice.of(options))
    return reading.dialect, infer_schema(reading.frame, None).columns


def again(path: Path, content: str | bytes, record: tuple[Dialect, list[Column]], **options: str) -> Reading:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return held(path, options, record)


def held(path: Path, options: dict[str, str], record: tuple[Dialect, list[Column]]) -> Reading:
    rows = read_again(path, options, *record)
    assert isinstance(rows, Held)
    return rows.reading


@pytest.fixture
def commas(tmp_path: Path) -> tuple[Dialect, list[Column]]:
    (tmp_path / "before.csv").write_bytes("a;b;c;d\n1,5;1.234;é;007\n2;5.600;ö;A7\n".encode("cp1252"))
    return learnt(tmp_path / "before.csv")


def test_numbers_that_tell_nothing_are_read_as_before(commas: tuple[Dialect, list[Column]], tmp_path: Path) -> None:
    assert commas[0] == Dialect(encoding="cp1252", delimiter=";", header="first", decimal=",", texts=["c", "d"])
    row = again(tmp_path / "row.csv", "a;b;c;d\n3;1.234;x;007\n", commas)
    assert row.frame.to_dict("records") == [{"a": 3, "b": 1234.0, "c": "x", "d": "007"}]
    assert row.notes[0] == "Read as the data that the model has learnt from: delimiter semicolon, decimal ','."


@pytest.mark.parametrize(
    ("content", "amount", "found", "told"),
    [
        ("a,b,c,d\n1.5,1234,é,007\n", 1234, "delimiter comma, decimal '.'", "delimiter=';' parts no line"),
        ("a;b;c;d\n1.25;1.234;é;007\n", 1.234, "decimal '.'", "its numbers have decimal points"),
        ("a\tb\tc\td\n1.25\t1.234\té\t007\n", 1.234, "delimiter tab, decimal '.'", "delimiter=';' parts no line"),
    ],
)
def test_what_does_not_fit_is_guessed_anew(
    commas: tuple[Dialect, list[Column]], tmp_path: Path, content: str, amount: float, found: str, told: str
) -> None:
    reading = again(tmp_path / "row.csv", content, commas)
    assert reading.notes[0].startswith("Not read as the data that the model has learnt from (delimiter semicolon, decimal ','): ")
    assert told in reading.notes[0]
    assert reading.notes[0].endswith(f"It was guessed anew: {found}.")
    assert reading.frame.loc[0, "b"] == amount
    assert reading.frame.iloc[0]["d"] == "007", "what was text stays text"


def test_an_encoding_is_taken_over_where_the_bytes_allow_it(tmp_path: Path) -> None:
    (tmp_path / "before.csv").write_bytes("a,город\n1,Казань\n".encode("koi8_r"))
    record = learnt(tmp_path / "before.csv", encoding="koi8_r")
    row = again(tmp_path / "row.csv", "a,город\n2,Уфа\n".encode("koi8_r"), record)
    assert row.frame.loc[0, "город"] == "Уфа"
    assert row.notes == ["Read as the data that the model has learnt from: encoding 'koi8-r'.", "Decoded as koi8-r."]
    plain = again(tmp_path / "row.csv", "a,город\n2,Уфа\n", record)
    assert (plain.frame.loc[0, "город"], plain.notes) == ("Уфа", []), "UTF-8 speaks for itself"


def test_a_first_line_that_was_a_row_is_one_again(tmp_path: Path) -> None:
    (tmp_path / "before.csv").write_text("5.1,3.5,x\n4.9,3.0,y\n6.2,2.5,x\n")
    record = learnt(tmp_path / "before.csv", header="none")
    assert again(tmp_path / "row.csv", "5.0,3.1,x\n", record).frame.to_dict("list") == {
        "column_1": [5.0],
        "column_2": [3.1],
        "column_3": ["x"],
    }
    named = again(tmp_path / "row.csv", "column_1,column_2,column_3\n5.0,3.1,x\n", record)
    assert named.frame["column_1"].tolist() == [5.0]
    assert "'column_1' in 'column_1' is no number then" in named.notes[0]


def test_sheets_and_keys_are_found_again(tmp_path: Path) -> None:
    rows: list[list[object]] = [["a", "b"], [1, "x"], [2, "y"]]
    workbook(tmp_path / "before.xlsx", more=[["z"]] * 9, rows=rows)
    record = learnt(tmp_path / "before.xlsx", sheet="rows")
    book = workbook(tmp_path / "next.xlsx", larger=rows * 4, rows=[["a", "b"], [7, "u"]])
    assert held(book, {}, record).frame["a"].tolist() == [7]
    other = workbook(tmp_path / "other.xlsx", sheet1=rows, about=[["text"]])
    assert held(other, {}, record).notes[0] == (
        "Not read as the data that the model has learnt from (sheet 'rows'): there is no sheet 'rows'; sheets: 'sheet1', 'about'."
        " It was guessed anew: sheet 'sheet1'."
    )
    assert held(book, {"sheet": "larger"}, record).frame.shape == (11, 2), "what is asked for holds"
    (tmp_path / "before.json").write_text(json.dumps({"items": [{"a": 1, "b": "x"}], "log": [{"t": 1}]}))
    record = learnt(tmp_path / "before.json", key="items")
    found = again(tmp_path / "next.json", json.dumps({"log": [{"t": 1}] * 5, "items": [{"a": 9, "b": "x"}]}), record)
    assert found.frame["a"].tolist() == [9]
    assert found.notes[0] == "Read as the data that the model has learnt from: key 'items'."
    bare = again(tmp_path / "bare.json", json.dumps([{"a": 9, "b": "x"}]), record)
    assert (bare.frame["a"].tolist(), "has no keys" in bare.notes[0]) == ([9], True)


def test_another_format_is_read_by_itself_and_values_that_are_lost_are_told(commas: tuple[Dialect, list[Column]], tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [1.5], "b": [1234.0], "c": ["é"], "d": ["007"]})
    frame.to_parquet(tmp_path / "rows.parquet")
    reading = held(tmp_path / "rows.parquet", {}, commas)
    pd.testing.assert_frame_equal(reading.frame, frame, check_dtype=False)
    assert reading.notes == []
    odd = again(tmp_path / "row.csv", "a;b;c;d\n3;many;x;007\n4;few;x;007\n", commas)
    lost = Lost(commas[1])
    lost.add(odd.frame)
    assert lost.notes() == ["'b' holds numbers; 2 values that are none count as missing: 'many', 'few'."]
    for _ in range(3):
        lost.add(odd.frame)
    assert lost.notes() == ["'b' holds numbers; 8 values that are none count as missing: 'many', 'few', 'many', 'few', 'many' and 3 more."]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            {"sheet": "1"},
            "row.csv: #sheet= means nothing to a file of text; it takes #header=, #encoding=, #delimiter=, #decimal=. Leave it",
        ),
        ({"delimiter": ";"}, "row.csv: delimiter=';' parts no line, and ',' would give 2 fields; leave it out"),
        ({"delimiter": "1"}, "delimiter='1' parts no fields; expected comma, semicolon, tab, bar, blanks, or one sign"),
        ({"decimal": "x"}, "decimal='x' is no decimal sign; expected decimal=comma or decimal=point"),
    ],
)
def test_options_that_cannot_be_heeded_are_refused(tmp_path: Path, options: dict[str, str], told: str) -> None:
    with pytest.raises(TableError) as refused:
        again(tmp_path / "row.csv", "a,b\n1,2\n", (Dialect(), []), **options)
    assert told in str(refused.value)
