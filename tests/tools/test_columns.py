from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tools.columns import coerce, infer_schema, label_text, parse_dates, stamped
from tools.tables import TableError, read_table


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
            "quarter": ["2024-Q1", "2024-Q2", "2024-Q3"] * 10,
            "week": ["2024-W05"] * n,
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
        "quarter": "datetime",
        "week": "datetime",
        "version": "categorical",
        "comma": "categorical",
        "colour": "categorical",
        "review": "text",
        "code": "categorical",
        "nothing": "numeric",
    }


@pytest.mark.parametrize(
    ("period", "begins"),
    [
        ("2024Q2", "2024-04-01"),
        ("2024-Q4", "2024-10-01"),
        ("Q3 2024", "2024-07-01"),
        ("2024M11", "2024-11-01"),
        ("2020-W53", "2020-12-28"),
        ("2021-W53", None),  # which that year has not
        ("2024W052", "2024-01-30"),
        ("2024-01-29/2024-02-04", "2024-01-29"),
        (20240229, "2024-02-29"),
        (20240230, None),
        (202402, "2024-02-01"),
        (202413, None),
        ("202402", "2024-02-01"),
        ("202413", None),
        (45000, None),
    ],
)
def test_periods_are_the_day_that_they_begin_with(period: str | int, begins: str | None) -> None:
    assert parse_dates(pd.Series([period]), day_first=False).tolist() == [pd.Timestamp(begins) if begins else pd.NaT]


def test_numbers_are_dates_only_where_all_are_written_like_some() -> None:
    assert stamped(pd.Series([202411.0, 202412.0, 202501.0]))
    assert not stamped(pd.Series(range(202401, 202420)))
    assert not stamped(pd.Series([2023, 2024]))
    assert not stamped(pd.Series(["202401"]))


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
