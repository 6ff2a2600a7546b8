"""Every format: what its own library writes is read, by content whatever the name, and half a file is refused."""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.orc as orc
import pyarrow.parquet as pq
import pyreadstat
import pytest

from tools.formats.contract import Choice, library
from tools.formats.detect import read
from tools.tables import TableError

OPEN = "http://schemas.openxmlformats.org"
FRAME = pd.DataFrame({"size": [1.5, 2.25, -3.0, 4.0], "count": [1, 2, 3, 4], "colour": ["red", "green", "blue", "red"]})


def workbook(path: Path, **sheets: list[list[object]]) -> Path:
    """A workbook of the least parts that the format asks for, with its text in the cells."""

    def cell(value: object) -> str:
        return f"<c><v>{value}</v></c>" if isinstance(value, (int, float)) else f'<c t="inlineStr"><is><t>{value}</t></is></c>'

    main, package = f"{OPEN}/spreadsheetml/2006/main", f"{OPEN}/package/2006/relationships"
    rels = f"{OPEN}/officeDocument/2006/relationships"
    names = list(sheets)
    listed = "".join(f'<sheet name="{name}" sheetId="{i}" r:id="r{i}"/>' for i, name in enumerate(names, 1))
    links = [f'<Relationship Id="r{i}" Type="{rels}/worksheet" Target="worksheets/sheet{i}.xml"/>' for i in range(1, len(names) + 1)]
    top = f'<Relationship Id="r1" Type="{rels}/officeDocument" Target="xl/workbook.xml"/>'
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("[Content_Types].xml", f'<Types xmlns="{OPEN}/package/2006/content-types"/>')
        archive.writestr("_rels/.rels", f'<Relationships xmlns="{package}">{top}</Relationships>')
        archive.writestr("xl/workbook.xml", f'<workbook xmlns="{main}" xmlns:r="{rels}"><sheets>{listed}</sheets></workbook>')
        archive.writestr("xl/_rels/workbook.xml.rels", f'<Relationships xmlns="{package}">{"".join(links)}</Relationships>')
        for i, name in enumerate(names, 1):
            rows = "".join(f"<row>{''.join(map(cell, row))}</row>" for row in sheets[name])
            archive.writestr(f"xl/worksheets/sheet{i}.xml", f'<worksheet xmlns="{main}"><sheetData>{rows}</sheetData></worksheet>')
    return path


def as_hdf5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        for name in FRAME:
            values = FRAME[name].to_numpy()
            file["data/" + name] = [str(value) for value in values] if name == "colour" else values


def as_arff(path: Path) -> None:
    rows = "\n".join(f"{size},{count},{colour}" for size, count, colour in FRAME.itertuples(index=False))
    head = "% made here\n@RELATION paint\n@attribute size REAL\n@attribute 'count' integer\n@attribute colour {red, green,blue}\n"
    path.write_text(f"{head}@DATA\n{rows}\n")


def as_stream(path: Path) -> None:
    table = pa.Table.from_pandas(FRAME)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)


WRITERS: dict[str, Callable[[Path], object]] = {
    "t.parquet": lambda path: FRAME.to_parquet(path),
    "t.feather": lambda path: feather.write_feather(FRAME, path),
    "t.arrow": as_stream,
    "t.orc": lambda path: orc.write_table(pa.Table.from_pandas(FRAME), path),
    "t.xlsx": lambda path: workbook(path, paint=[list(FRAME), *FRAME.values.tolist()]),
    "t.h5": as_hdf5,
    "t.arff": as_arff,
    "t.json": lambda path: FRAME.to_json(path, orient="records"),
    "t.jsonl": lambda path: FRAME.to_json(path, orient="records", lines=True),
    "t.dta": lambda path: FRAME.to_stata(path, write_index=False),
    "t.sav": lambda path: pyreadstat.write_sav(FRAME, str(path)),
    "t.xpt": lambda path: pyreadstat.write_xport(FRAME, str(path), file_format_version=5),
}


@pytest.mark.parametrize("name", WRITERS)
def test_what_the_libraries_write_is_read(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path / name)
    frame = read(tmp_path / name).frame
    pd.testing.assert_frame_equal(frame[list(FRAME)], FRAME, check_dtype=False)
    assert sorted(frame.columns) == sorted(FRAME.columns)


@pytest.mark.parametrize("name", [name for name in WRITERS if not name.endswith("jsonl")])
def test_content_counts_more_than_the_name(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path / name)
    if name == "t.dta":
        pytest.skip("a Stata file of this version begins with two bytes that others may begin with")
    (tmp_path / name).rename(tmp_path / "t.csv")
    reading = read(tmp_path / "t.csv")
    assert len(reading.frame) == len(FRAME)
    assert reading.notes[0].startswith("Named .csv, but by its content it is ")


@pytest.mark.parametrize("name", [name for name in WRITERS if name not in ("t.arff", "t.jsonl")])
def test_half_a_file_is_refused(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(TableError, match=r"^t\.\w+: ") as refused:
        read(tmp_path / name)
    assert str(tmp_path) not in str(refused.value)
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(TableError, match="the file is empty"):
        read(tmp_path / name)


def test_sheets_are_chosen_or_told(tmp_path: Path) -> None:
    path = workbook(tmp_path / "b.xlsx", notes=[["about"]], data=[["Report of 2024"], ["a", "b"], [1, "x"], [2, "y"]], more=[["c"], [5]])
    reading = read(path)
    assert reading.frame.to_dict("list") == {"a": [1, 2], "b": ["x", "y"]}
    assert reading.notes == ["Sheet 'data' was read; the workbook also has 'notes', 'more'.", "1 lines above the header were left out."]
    assert read(path, Choice(sheet="more")).frame.to_dict("list") == {"c": [5]}
    assert read(path, Choice(sheet="3")).frame.to_dict("list") == {"c": [5]}
    with pytest.raises(TableError, match=r"no sheet 'mroe'; sheets: 'notes', 'data', 'more'"):
        read(path, Choice(sheet="mroe"))


def test_parquet_with_two_columns_of_one_name_is_refused_for_that(tmp_path: Path) -> None:
    pq.write_table(pa.table([[1], [2]], names=["a", "a"]), tmp_path / "t.parquet")
    with pytest.raises(TableError, match=r"^t\.parquet: columns named twice: 'a'; rename or remove them"):
        read(tmp_path / "t.parquet")


def test_an_unknown_header_is_refused() -> None:
    with pytest.raises(TableError, match="expected header=none or header=first"):
        Choice(header="maybe")


@pytest.mark.parametrize(
    ("document", "columns"),
    [
        ([{"a": 1, "b": {"c": 2, "d": {"e": 3}}}, {"a": 4}], ["a", "b.c", "b.d.e"]),
        ({"meta": {"n": 2}, "data": [{"a": 1}, {"a": 2}]}, ["a"]),
        ({"a": [1, 2], "b": ["x", "y"]}, ["a", "b"]),
        ({"a": {"0": 1, "1": 2}, "b": {"0": "x", "1": "y"}}, ["a", "b"]),
        ([["a", "b"], [1, 2], [3, 4]], ["a", "b"]),
        ({"columns": ["a", "b"], "index": [0, 1], "data": [[1, "x"], [2, "y"]]}, ["a", "b"]),
        ([{"a": 1, "tags": ["x", "y"]}, {"a": 2, "tags": []}], ["a", "tags"]),
    ],
)
def test_shapes_of_json(tmp_path: Path, document: object, columns: list[str]) -> None:
    (tmp_path / "t.json").write_text(json.dumps(document))
    frame = read(tmp_path / "t.json").frame
    assert list(frame.columns) == columns
    assert len(frame) == 2
    frame.to_parquet(tmp_path / "t.parquet")


def test_a_line_of_json_ends_where_the_line_ends(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"a": "x\u2028y"}\n{"a": "z\x85"}\n', encoding="utf-8")
    assert read(tmp_path / "t.jsonl").frame["a"].tolist() == ["x\u2028y", "z\x85"]


def test_json_that_is_no_table(tmp_path: Path) -> None:
    for text, told in (("[" * 100_000, "nested too deeply|not readable"), ("[1, 2]", "expected an object"), ("3", "expected records")):
        (tmp_path / "t.json").write_text(text)
        with pytest.raises(TableError, match=told):
            read(tmp_path / "t.json")
    (tmp_path / "t.jsonl").write_text('{"a": 1}\n{"a": \n')
    with pytest.raises(TableError, match="line 2 is not readable JSON"):
        read(tmp_path / "t.jsonl")


def test_arff_sparse_rows_and_errors(tmp_path: Path) -> None:
    head = "@relation r\n@attribute a numeric\n@attribute 'b c' {x,'y z'}\n@attribute d string\n@data\n"
    (tmp_path / "t.arff").write_text(head + "{0 2.5, 1 'y z'}\n1,x,'it, too'\n?,?,?\n")
    frame = read(tmp_path / "t.arff").frame
    assert frame["a"].tolist()[:2] == [2.5, 1.0]
    assert frame["b c"].tolist()[:2] == ["y z", "x"]
    assert frame["d"].tolist()[1] == "it, too"
    assert frame.iloc[2].isna().all()
    for row, told in (("1,x", "line 6 has 2 values; expected 3"), ("one,x,y", "'one' is no number"), ("{9 1}", "names no attribute")):
        (tmp_path / "t.arff").write_text(head + row + "\n")
        with pytest.raises(TableError, match=told):
            read(tmp_path / "t.arff")


def test_labels_of_values_are_kept(tmp_path: Path) -> None:
    pyreadstat.write_sav(
        pd.DataFrame({"sex": [1.0, 2.0, 1.0]}), str(tmp_path / "t.sav"), variable_value_labels={"sex": {1: "female", 2: "male"}}
    )
    assert read(tmp_path / "t.sav").frame["sex"].tolist() == ["female", "male", "female"]


def test_hdf5_tables_are_chosen_and_pickles_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "t.h5", "w") as file:
        file["matrix"] = np.arange(6.0).reshape(3, 2)
        file["rows"] = np.array([(1, b"x"), (2, b"y")], dtype=[("a", "i4"), ("b", "S1")])
        frame = file.create_group("frame")
        frame.attrs["pandas_type"] = "frame"
        frame["table"] = np.zeros(3, dtype=[("index", "i8"), ("values_block_0", "f8", (2,))])
    assert list(read(tmp_path / "t.h5", Choice(key="/matrix")).frame.columns) == ["column_1", "column_2"]
    assert read(tmp_path / "t.h5", Choice(key="rows")).frame.to_dict("list") == {"a": [1, 2], "b": ["x", "y"]}
    with pytest.raises(TableError, match="as pickles, which are never opened"):
        read(tmp_path / "t.h5", Choice(key="frame"))
    with pytest.raises(TableError, match=r"no table 'other'; tables: "):
        read(tmp_path / "t.h5", Choice(key="other"))


def test_a_pickle_is_refused_whatever_it_is_called(tmp_path: Path) -> None:
    for protocol in (2, 3, 4, 5):
        (tmp_path / "t.csv").write_bytes(pickle.dumps(FRAME, protocol=protocol))
        with pytest.raises(TableError, match=r"pickle.*never opened"):
            read(tmp_path / "t.csv")
    (tmp_path / "t.pkl").write_bytes(b"a,b\n1,2\n")
    with pytest.raises(TableError, match="never opened"):
        read(tmp_path / "t.pkl")


def test_a_missing_library_is_told_with_what_brings_it() -> None:
    with pytest.raises(TableError, match="pip install not-there"):
        library("not_there_at_all", "not-there", "reading this")
