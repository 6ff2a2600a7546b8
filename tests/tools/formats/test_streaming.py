"""What is streamed is what is read whole: kinds, values and missing ones."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

import tools.formats.groups
import tools.formats.kinds
import tools.formats.missing
import tools.formats.parts
import tools.formats.streaming
from tools.conversion import convert
from tools.formats.contract import Choice
from tools.formats.detect import read
from tools.formats.streaming import stream_text
from tools.tables import TableError


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks so small that a small file has many."""
    for name, size in (("_BLOCK", 1 << 12), ("_CHUNK_CELLS", 4000)):
        monkeypatch.setattr(tools.formats.streaming, name, size)
    monkeypatch.setattr(tools.formats.groups, "GROUP_ROWS", 500)
    monkeypatch.setattr(tools.formats.kinds, "_PIECE", 1 << 11)


def mixed(rows: int = 3000) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "whole": rng.integers(-5, 10**9, rows),
            "share": rng.random(rows).round(4),
            "holes": pd.Series(rng.integers(0, 9, rows)).where(rng.random(rows) > 0.2),
            "flag": rng.random(rows) > 0.5,
            "word": rng.choice(["red", "green, or so", 'a "quoted" one', "naïve", "two\nlines"], rows),
            "late": [*range(rows - 1), None],
            "code": [f"{i:05}" for i in range(rows - 1)] + ["x"],
        }
    )
    frame.loc[rows // 2, "late"] = 0.5
    return frame


def same(tmp_path: Path, text: str | bytes) -> list[str]:
    """Stream a file and hold it against the whole reading; returns the notes."""
    path = tmp_path / "t.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    streamed = stream_text([path], tmp_path / "t.parquet", Choice())
    assert streamed is not None
    read(path).frame.to_parquet(tmp_path / "whole.parquet")
    frame, whole = pd.read_parquet(tmp_path / "t.parquet"), pd.read_parquet(tmp_path / "whole.parquet")
    pd.testing.assert_frame_equal(frame, whole, rtol=1e-15)
    assert (sum(streamed.rows), streamed.columns) == whole.shape
    return [*streamed.of_files[0], *streamed.notes]


def test_mixed_columns(tmp_path: Path) -> None:
    same(tmp_path, mixed().to_csv(index=False))


def test_a_kind_that_shows_late_widens_the_column(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools.formats.kinds, "_PIECES", 1)
    same(tmp_path, mixed()[["whole", "late", "code"]].to_csv(index=False))


def test_what_arrow_reads_otherwise(tmp_path: Path) -> None:
    plain = mixed().drop(columns="word").to_csv(index=False)
    assert "Decoded as" in same(tmp_path, mixed().assign(word="größer").to_csv(index=False).encode("cp1252"))[0]
    short = plain + "1,2\n3\n"
    told = "2 lines have fewer fields than the header, and the missing ones are empty: line 3002, 3003."
    assert same(tmp_path, short)[0] == told == read(tmp_path / "t.csv").notes[0]
    same(tmp_path, plain.replace(",", ", "))
    same(tmp_path, "whole , share \n" + "1,0.5\n" * 900)
    same(tmp_path, "whole,share\n" + "1,0.5\n" * 900 + "# a break\n" + "1,0.5\n" * 900)
    same(tmp_path, "sep=;\n" + plain.replace(",", ";"))
    lines = short.splitlines(keepends=True)
    notes = same(tmp_path, "".join(["# from a device\n", *lines[:1000], "# a break\n", *lines[1000:]]))
    assert "Comment lines" in notes[0]
    assert notes[1] == told.replace("3002, 3003", "3004, 3005"), "comment lines count"
    assert notes[1] == read(tmp_path / "t.csv").notes[1]


def test_decimal_commas(tmp_path: Path) -> None:
    frame = mixed()[["share", "whole", "code"]].assign(price=[f"1.{i:03},25" for i in range(1000)] * 3)
    notes = same(tmp_path, frame.to_csv(index=False, sep=";", decimal=","))
    assert "Numbers with decimal commas: 'share', 'price'." in notes


def test_commas_between_thousands(tmp_path: Path) -> None:
    frame = mixed()[["code"]].assign(people=[f"{i * 7919:,}" for i in range(3000)], price=[f"{i * 79.25:,.2f}" for i in range(3000)])
    assert "Numbers with commas between thousands: 'people', 'price'." in same(tmp_path, frame.to_csv(index=False))
    same(tmp_path, frame.to_csv(index=False, sep="\t"))


def test_what_a_late_value_makes_of_a_column(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools.formats.kinds, "_PIECES", 1)
    rows = [str(i) for i in range(3000)]
    for late in ('"1,234"', '"1,234.5"', '"1,2"', "x", "1e3", "0.5", "12345678901234567890123", "true"):
        same(tmp_path, "a,b\n" + "".join(f"{row},{row}\n" for row in rows) + f"1,{late}\n")
    for late in ("1.234,5", "1 234", "1'234,5"):
        same(tmp_path, "a;b\n" + "".join(f"{row};{row}\n" for row in rows) + f"1;{late}\n")
    for late in ("1.234", "1.23", "1.234.567", "x"):
        same(tmp_path, "a;b\n" + "".join(f"{i % 1000};{i % 7},5\n" for i in range(3000)) + f"{late};2,25\n")


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_one_column_tells_how_numbers_are_written_in_all(tmp_path: Path, delimiter: str) -> None:
    german = {"people": [f"{i * 379:,}".replace(",", ".") for i in range(3000)], "share": [i % 17 / 100 for i in range(3000)]}
    frame = mixed()[["holes", "flag"]].assign(price=[f"{i % 7},5" for i in range(3000)], **german)
    notes = same(tmp_path, frame.to_csv(index=False, sep=delimiter))
    assert notes == ["Numbers with decimal commas: 'price'.", "Numbers with dots between thousands: 'people'."]
    english = mixed()[["flag"]].assign(
        people=[f"{i % 900 + 1},{i % 900 + 99:03}" for i in range(3000)], price=[f"{i * 79.25:,.2f}" for i in range(3000)]
    )
    assert same(tmp_path, english.to_csv(index=False, sep=delimiter)) == ["Numbers with commas between thousands: 'people', 'price'."]
    swiss = english.assign(price=[f"{i * 79.25:,.2f}".replace(",", "’") for i in range(3000)])[["flag", "price"]]
    assert same(tmp_path, swiss.to_csv(index=False, sep=delimiter)) == ["Numbers with blanks or apostrophes between thousands: 'price'."]


def test_numbers_that_arrow_takes_for_others(tmp_path: Path) -> None:
    rows = range(3000)
    same(tmp_path, "a,b,c,d\n" + "".join(f"0x{i:04x},+{i},{10**22 + i},{i:05}\n" for i in rows))


@pytest.mark.parametrize("spelling", tools.formats.missing.LIKE_NUMBERS)
def test_missing_values_spelled_as_numbers_begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spelling: str) -> None:
    monkeypatch.setattr(tools.formats.streaming, "_HEAD", 1 << 10)
    rng = np.random.default_rng(1)
    plain = pd.DataFrame(
        {
            "whole": rng.integers(-5, 9, 1000).astype(str),
            "share": rng.normal(size=1000).round(3).astype(str),
            "flag": rng.choice(["true", "false"], 1000),
            "word": rng.choice(["-nano", "-1.#INDIA", "1.#", "-", "1", "1.#IND.", "naïve", "red"], 1000),
            "price": [f"{i * 7919:,}" for i in range(1000)],
        }
    )
    plain.loc[:100, "word"] = "red"
    plain.loc[999, "word"] = ""
    for row in (2, 990):  # in the head of the file, and where it shows late
        for name in plain:
            frame = plain.copy()
            frame.loc[row, name] = spelling
            same(tmp_path, frame.to_csv(index=False))
            found = pq.read_table(tmp_path / "t.parquet")[name]
            assert not found[row].is_valid
            assert found.null_count == 1 + (name == "word")


def test_missing_is_what_pandas_takes_for_it() -> None:
    from pandas._libs.parsers import STR_NA_VALUES  # type: ignore[import-not-found]

    assert set(tools.formats.missing.MISSING) == STR_NA_VALUES


def test_a_plain_table_costs_no_start_of_pandas_and_of_all_functions_of_arrow(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    mixed().drop(columns=["late", "code", "word"]).to_csv(tmp_path / "in" / "t.csv", index=False)
    program = (
        "import sys, pathlib, tools.formats.parts as s; from tools.conversion import convert; s.STREAM_FROM = s.PACKED_FROM = 1;"
        "convert(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), {}); print({'pandas', 'pyarrow.compute'} & {*sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "in", tmp_path / "t.parquet"], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout == "set()\n"


def test_texts_that_outgrow_a_dictionary_are_written_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools.formats.groups, "GROUP_ROWS", 3000)
    rows = range(3000)  # 400 bytes each are more than the mebibyte of a dictionary, 300 bytes are less
    same(tmp_path, "long,short,word\n" + "".join(f"x{i:0399},x{i:0299},{'abc'[i % 3]}\n" for i in rows))
    group = pq.read_metadata(tmp_path / "t.parquet").row_group(0)
    by_dictionary = {group.column(i).path_in_schema: "RLE_DICTIONARY" in group.column(i).encodings for i in range(3)}
    assert by_dictionary == {"long": False, "short": True, "word": True}


def test_a_header_that_is_longer_than_what_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(f"a,{'x' * 5_000_000}\n2,3\n3,4\n")
    told = convert(tmp_path, tmp_path / "t.parquet", {})
    assert (told.rows, told.columns) == (2, 2)
    assert pd.read_parquet(tmp_path / "t.parquet")["a"].tolist() == [2, 3]


def test_long_lines_are_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(mixed()[["whole", "word"]].to_csv(index=False) + "1,2,3\n")
    with pytest.raises(TableError, match=r"a line does not fit the header \(line 36\d\d has 3 fields, the header 2\)"):
        stream_text([tmp_path / "t.csv"], tmp_path / "t.parquet", Choice())


def test_large_files_are_streamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STREAM_FROM", "PACKED_FROM"):
        monkeypatch.setattr(tools.formats.parts, name, 1000)
    (tmp_path / "in").mkdir()
    mixed().to_csv(tmp_path / "in" / "t.csv", index=False)
    told = convert(tmp_path / "in", tmp_path / "t.parquet", {})
    assert told.notes[-1].endswith("bytes were read in a stream.")
    assert told.rows == 3000
    (tmp_path / "in" / "t.csv").write_text("a,b\n" + " " * 2000 + "\n")
    with pytest.raises(TableError, match="no rows"):
        convert(tmp_path / "in", tmp_path / "t.parquet", {})
