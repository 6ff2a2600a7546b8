"""Text is read as pandas reads it, and what differs is told."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tools.formats.contract import Choice
from tools.formats.detect import read
from tools.formats.text import lacks_header
from tools.tables import TableError

SHIPPED = sorted(Path("evals/data").glob("*.csv"))
CELLS = st.one_of(
    st.integers(-(10**12), 10**12).map(str),
    st.floats(-1e6, 1e6, allow_nan=False).map(repr),
    st.sampled_from(["", "NA", "true", "False", "x y", "2024-02-03", "007", "1e5", "déjà", 'say "so"', "a;b", "null", "-0"]),
)


def as_pandas(text: str, delimiter: str = ",") -> pd.DataFrame:
    return pd.read_csv(io.StringIO(text), sep=delimiter, index_col=False, low_memory=False, skipinitialspace=True)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_tables_come_as_pandas_reads_them(path: Path) -> None:
    reading = read(path)
    pd.testing.assert_frame_equal(reading.frame, as_pandas(path.read_text(encoding="utf-8")))
    assert reading.notes == []


@given(
    rows=st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=12),
    delimiter=st.sampled_from([",", "\t", "|"]),
)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_table_comes_as_pandas_reads_it(tmp_path: Path, rows: list[tuple[str, str, str]], delimiter: str) -> None:
    pd.DataFrame(rows, columns=["first", "second", "third"]).to_csv(tmp_path / "t.csv", sep=delimiter, index=False)
    reading = read(tmp_path / "t.csv")
    pd.testing.assert_frame_equal(reading.frame, as_pandas((tmp_path / "t.csv").read_text(encoding="utf-8"), delimiter))


def written(tmp_path: Path, content: str | bytes, name: str = "t.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_packed_text_is_known_by_its_content(tmp_path: Path, pack: object) -> None:
    assert callable(pack)
    assert read(written(tmp_path, pack(b"a,b\n1,2\n"))).frame.to_dict("list") == {"a": [1], "b": [2]}


def test_comment_lines_above_a_header_are_left_out(tmp_path: Path) -> None:
    reading = read(written(tmp_path, "# made by a device\n# units: mm\na,b\n1,2\n# break\n3,4\n"))
    assert reading.frame.to_dict("list") == {"a": [1, 3], "b": [2, 4]}
    assert reading.notes == ["3 comment lines that begin with # were left out."]
    assert list(read(written(tmp_path, "#id,a\n1,2\n")).frame.columns) == ["#id", "a"]


def test_comment_lines_among_rows_are_left_out_where_they_can_be_none(tmp_path: Path) -> None:
    reading = read(written(tmp_path, "a,b,c\n1,2,3\n# part two, again\n4,5,6\n"))
    assert reading.frame.to_dict("list") == {"a": [1, 4], "b": [2, 5], "c": [3, 6]}
    assert reading.notes == ["1 comment lines that begin with # were left out."]
    assert read(written(tmp_path, "a,b\n#x,2\n4,5\n")).frame["a"].tolist() == ["#x", "4"]
    assert read(written(tmp_path, 'a,b\n1,"x\n#y"\n')).frame["b"].tolist() == ["x\n#y"]


def test_quotes_behind_backslashes_are_those_of_a_field(tmp_path: Path) -> None:
    reading = read(written(tmp_path, 'a,b\n"he said \\"yes, so\\" and left",1\n"plain",2\n'))
    assert reading.frame["a"].tolist() == ['he said "yes, so" and left', "plain"]
    assert reading.notes == ['Quotes inside fields are written as \\".']
    paths = read(written(tmp_path, 'a,b\n"C:\\data\\",1\n"say ""so""",2\n'))
    assert paths.frame["a"].tolist() == ["C:\\data\\", 'say "so"'], "a backslash that ends a field is one"
    assert paths.notes == []


def test_fields_may_be_parted_by_blanks(tmp_path: Path) -> None:
    reading = read(written(tmp_path, " 0.00632  18.00   2.310  a\n 0.02731   0.00   7.070  b\n 0.5   1.00\t7.070  b \n", "housing.data"))
    assert reading.frame.shape == (3, 4)
    assert reading.frame["column_2"].tolist() == [18.0, 0.0, 1.0]
    assert reading.notes[0] == "Its fields are parted by blanks."
    assert list(read(written(tmp_path, "first second\n1 a\n2 b\n")).frame.columns) == ["first", "second"]
    for text in ("name\nAnn Lee\nBob Ray\n", "text\nan odd film\nnot so good\n"):
        assert read(written(tmp_path, text)).frame.shape == (2, 1)


def test_blanks_around_names_of_columns_are_none_of_them(tmp_path: Path) -> None:
    assert list(read(written(tmp_path, "a ; b ;c\n1;2,5;3.445\n1;2,5;13.445\n")).frame.columns) == ["a", "b", "c"]
    with pytest.raises(TableError, match="named twice: 'a'"):
        read(written(tmp_path, "a ,a\n1,2\n"))


def test_ragged_lines_are_told_by_number(tmp_path: Path) -> None:
    reading = read(written(tmp_path, 'a,b,c\n1,"two\nlines",3\n4,5\n6,7,8\n9\n'))
    assert reading.frame["c"].isna().tolist() == [False, True, False, True]
    assert reading.notes == ["2 lines have fewer fields than the header, and the missing ones are empty: line 4, 6."]
    with pytest.raises(TableError, match=r"line 3 has 3 fields, the header 2; line 5 has 4 fields"):
        read(written(tmp_path, "a,b\n1,2\n1,2,3\n1,2\n1,2,3,4\n"))


def test_no_field_is_cut_off_silently(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"first line has 1 fields \('% of a device'\), most lines below it 3"):
        read(written(tmp_path, "% of a device\na,b,c\n1,2,3\n4,5,6\n"))
    with pytest.raises(TableError, match=r"line 2 has 4 fields, the header 2"):
        read(written(tmp_path, "a,b\n1,2,3,4\n1,2\n1,2\n"))


def test_the_delimiter_that_excel_writes_above_a_header_is_taken(tmp_path: Path) -> None:
    reading = read(written(tmp_path, "sep=;\r\na;b\r\n1,5;x,y\r\n2,5\r\n"))
    assert reading.frame["a"].tolist() == [1.5, 2.5]
    assert "line 4." in reading.notes[0]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_wide_encodings_are_known_with_and_without_their_mark(tmp_path: Path, encoding: str) -> None:
    reading = read(written(tmp_path, "größe,b\n1,schön\n2,x\n".encode(encoding)))
    assert reading.frame.to_dict("list") == {"größe": [1, 2], "b": ["schön", "x"]}
    assert reading.notes == [f"Decoded as {encoding[:6]}."]


def test_numbers_are_read_as_people_write_them(tmp_path: Path) -> None:
    commas = read(written(tmp_path, "a;b\n1.234,5;x\n2,25;y\n"))
    assert commas.frame["a"].tolist() == [1234.5, 2.25]
    assert commas.notes == ["Numbers with decimal commas: 'a'."]
    grouped = read(written(tmp_path, 'a,b\n"1,234",x\n"12,000,000.5",y\n7,z\n'))
    assert grouped.frame["a"].tolist() == [1234, 12_000_000.5, 7]
    huge = read(written(tmp_path, "a,b\n12345678901234567890123,x\n7,y\n"))
    assert huge.frame["a"].tolist() == ["12345678901234567890123", "7"]
    assert huge.notes == ["Whole numbers that are too long for 64 bits were kept as text: 'a'."]
    assert read(written(tmp_path, "a\tb\n1,5\tx\n2,25\ty\n")).frame["a"].tolist() == [1.5, 2.25]
    assert read(written(tmp_path, "a\tb\n1,234\tx\n2,345\ty\n")).frame["a"].tolist() == ["1,234", "2,345"], "may be either"


def test_one_column_tells_how_numbers_are_written_in_all(tmp_path: Path) -> None:
    german = read(written(tmp_path, "price;people;share;version\n1.234,5;3.445;0.125;1.2\n2,25;12.000;0.5;1.345\n7;;0.25;1.4\n"))
    assert german.frame["people"].tolist()[:2] == [3445, 12000]
    assert german.frame["share"].tolist() == [0.125, 0.5, 0.25], "dots are decimal signs where they part no thousands"
    assert german.frame["version"].tolist() == [1.2, 1.345, 1.4]
    assert german.notes == ["Numbers with decimal commas: 'price'.", "Numbers with dots between thousands: 'people'."]
    millions = read(written(tmp_path, "price;people\n1,5;3.445.000\n2,25;12.000\n"))
    assert millions.frame["people"].tolist() == [3_445_000, 12_000]
    alone = read(written(tmp_path, "people;share\n3.445;0,125x\n12.000;0,5x\n"))
    assert alone.frame["people"].tolist() == [3.445, 12.0], "nothing says that these dots part thousands"
    for delimiter in ";\t|":
        english = read(written(tmp_path, f"price{delimiter}people\n42,221.09{delimiter}3,445\n7{delimiter}12,001\n"))
        assert english.frame["people"].tolist() == [3445, 12001]
        assert english.notes == ["Numbers with commas between thousands: 'price', 'people'."]


@pytest.mark.parametrize("between", [" ", "\u00a0", "\u202f", "'", "\u2019"])
def test_blanks_and_apostrophes_between_thousands_are_read(tmp_path: Path, between: str) -> None:
    reading = read(written(tmp_path, f"price;text\n42{between}221,09;a 1\n7;b{between}123\n-1{between}234{between}567;c\n"))
    assert reading.frame["price"].tolist() == [42221.09, 7, -1234567]
    assert reading.frame["text"].tolist() == ["a 1", f"b{between}123", "c"]
    assert reading.notes == ["Numbers with blanks or apostrophes between thousands: 'price'."]


def test_a_first_line_of_measurements_is_a_row(tmp_path: Path) -> None:
    path = written(tmp_path, "5.1,3.5,1.4,setosa\n4.9,3.0,1.4,setosa\n", "iris.data")
    reading = read(path)
    assert list(reading.frame.columns) == ["column_1", "column_2", "column_3", "column_4"]
    assert reading.frame["column_1"].tolist() == [5.1, 4.9]
    assert "is a row, not a header" in reading.notes[0]
    assert len(read(path, Choice(header="first")).frame) == 1
    assert len(read(written(tmp_path, "1,2\n3,4\n"), Choice(header="none")).frame) == 2
    assert len(read(written(tmp_path, "1,10,1\n3,4,0\n5,10,1\n")).frame) == 3, "no header names a column twice"
    assert not lacks_header([["1", "2", "3"], ["4", "5", "6"]])
    with pytest.raises(TableError, match=r"named twice: 'a'; .*#header=none"):
        read(written(tmp_path, "a,a,yes\nb,a,no\n"))
    assert not lacks_header([["y", *(str(400 + i / 2) for i in range(9))], ["1", *["0.1"] * 9]]), "a spectrum's columns"


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1252", "größe,farbe\n1,schön grün gefärbt\n2,weiß wie Käse\n"),
        ("cp1252", "prénom,n\né,1\nñandú,3\nçava,4\n"),
        ("cp1252", "preço,ação\nSão Paulo,1\nGoiás,2\nCeará – “x” €,1\n"),
        ("cp1251", "имя,n\nМосква,1\nКазань,2\nУфа,3\nПривет мир,3\n"),
        ("cp1253", "Αθήνα,Θεσσαλονίκη\nΠάτρα,1\n"),
        ("cp932", "名前,n\n東京都,1\n大阪府,1\n"),
        ("gb18030", "名字,城市\n北京,上海\n"),
    ],
)
def test_an_encoding_other_than_utf8_is_guessed_and_told(tmp_path: Path, encoding: str, text: str) -> None:
    reading = read(written(tmp_path, text.encode(encoding)))
    assert list(reading.frame.columns) == text.splitlines()[0].split(",")
    assert reading.notes == [f"Decoded as {encoding}, which is a guess: `#encoding=` behind the source decides it."]


def test_the_user_decides_the_encoding(tmp_path: Path) -> None:
    path = written(tmp_path, "město,a\nPříbram,1\nPlzeň,2\n".encode("cp1250"))
    assert read(path, Choice(encoding="windows-1250")).frame["město"].tolist() == ["Příbram", "Plzeň"]
    for name in ("klingon", "base64"):
        with pytest.raises(TableError, match=f"encoding='{name}' is unknown; expected one such as utf-8"):
            Choice(encoding=name)


def test_a_broken_sign_does_not_change_the_encoding(tmp_path: Path) -> None:
    reading = read(written(tmp_path, "größe\n".encode() + "schön grün gefärbt weiß\n".encode() * 9 + b"caf\xe9\n"))
    assert reading.frame.iloc[-1, 0] == "caf\ufffd"
    assert reading.notes[0].startswith("Bytes that are none of utf-8 were replaced")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "the file is empty"),
        (b"\n \n", "only white space"),
        (b"<!DOCTYPE html>\n<html><body>Not found</body></html>", "a web page .* download the file itself"),
        (b"a,b,a\n1,2,3\n", "columns named twice: 'a'"),
        (",".join(f"c{i}" for i in range(100_000)).encode() + b"\n1\n", "100,000 columns; at most 20,000 are read"),
        (b"\x80\x04\x95\x10\x00", r"pickle.*never opened"),
        (b"a,b\n1,\x00\n", "NUL bytes|unknown kind"),
        (b"%PDF-1.7", "a PDF document"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, content: bytes, expected: str) -> None:
    with pytest.raises(TableError, match=expected):
        read(written(tmp_path, content))
