"""Files that know their own columns, records a line, and folders of parts: streamed, they give what they give when read whole."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.ipc as ipc
import pyarrow.orc as orc
import pyarrow.parquet as pq
import pytest

import tools.formats.arrays
import tools.formats.batches
import tools.formats.groups
import tools.formats.lines
import tools.formats.packed
import tools.formats.parts
from tools.conversion import SourceRead, convert
from tools.formats.contract import Choice
from tools.formats.detect import read
from tools.formats.parts import Converted, stream
from tools.tables import TableError

ROWS = 3000


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces so small that a small file has many."""
    for name in ("STREAM_FROM", "PACKED_FROM"):
        monkeypatch.setattr(tools.formats.parts, name, 1)
    monkeypatch.setattr(tools.formats.groups, "GROUP_ROWS", 700)
    monkeypatch.setattr(tools.formats.batches, "_BATCH_ROWS", 256)
    monkeypatch.setattr(tools.formats.lines, "_CHUNK_BYTES", 1 << 14)
    monkeypatch.setattr(tools.formats.arrays, "_PIECE", 1000)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    return folder


def streamed(path: Path, tmp_path: Path) -> Converted:
    """Stream a file or a folder and hold it against the whole reading."""
    found = stream(path, tmp_path / "streamed.parquet", Choice())
    assert found is not None
    reading = read(path)
    reading.frame.to_parquet(tmp_path / "whole.parquet", index=False)
    frame, whole = (pd.read_parquet(tmp_path / f"{name}.parquet") for name in ("streamed", "whole"))
    pd.testing.assert_frame_equal(frame, whole, rtol=1e-15)
    assert (found.rows, found.columns) == whole.shape
    assert found.format == reading.format
    assert found.pieces == reading.pieces
    assert [note for note in found.notes if not note.endswith("in a stream.")] == reading.notes
    return found


def columns(rows: int = ROWS) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {
        "whole": rng.integers(-5, 10**9, rows),
        "holes": pa.array(rng.random(rows), mask=rng.random(rows) < 0.2),
        "few": pa.array(rng.integers(0, 9, rows), mask=rng.random(rows) < 0.2),
        "flag": rng.random(rows) > 0.5,
        "word": rng.choice(["red", "green", "naïve"], rows),
        "when": np.datetime64("2024-01-01T00:00:00", "us") + rng.integers(0, 10**12, rows).astype("timedelta64[us]"),
    }


def nested(rows: int = ROWS) -> dict[str, Any]:
    parts = [{"x": i, "y": {"z": f"é{i % 7}"}} for i in range(rows)]
    return {"a": range(rows), "list": [[i, i + 1] if i % 5 else None for i in range(rows)], "inner": parts, "raw": [b"\xffabc"] * rows}


def as_arrow(table: pa.Table, path: Path) -> None:
    feather.write_feather(table, path, chunksize=1000)


def as_stream(table: pa.Table, path: Path) -> None:
    with ipc.new_stream(path, table.schema) as writer:
        writer.write_table(table, max_chunksize=1000)


def as_orc(table: pa.Table, path: Path) -> None:
    orc.write_table(table, path, stripe_size=1 << 14)


WRITERS: dict[str, Callable[[pa.Table, Path], None]] = {
    ".parquet": lambda table, path: pq.write_table(table, path, row_group_size=1000),
    ".feather": as_arrow,
    ".arrow": as_stream,
    ".orc": as_orc,
}


@pytest.mark.parametrize("suffix", WRITERS)
def test_files_of_columns(suffix: str, source: Path, tmp_path: Path) -> None:
    WRITERS[suffix](pa.table(columns()), source / f"t{suffix}")
    assert "bytes were read in a stream." in streamed(source / f"t{suffix}", tmp_path).notes[-1]
    assert pq.read_metadata(tmp_path / "streamed.parquet").num_row_groups == 4


@pytest.mark.parametrize("suffix", WRITERS)
def test_lists_and_structures_become_text_or_columns(suffix: str, source: Path, tmp_path: Path) -> None:
    WRITERS[suffix](pa.table(nested()), source / f"t{suffix}")
    found = stream(source / f"t{suffix}", tmp_path / "streamed.parquet", Choice())
    assert found is not None
    whole = read(source / f"t{suffix}").frame
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "streamed.parquet"), whole, check_dtype=False)
    assert list(whole) == (["a", "list", "inner", "raw"] if suffix == ".parquet" else ["a", "list", "inner.x", "inner.y.z", "raw"])


@pytest.mark.parametrize("suffix", WRITERS)
def test_a_broken_file_of_columns_is_told(suffix: str, source: Path, tmp_path: Path) -> None:
    path = source / f"t{suffix}"
    WRITERS[suffix](pa.table(columns()), path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(TableError, match=rf"t{suffix}: not a readable .* is it whole\?"):
        stream(path, tmp_path / "streamed.parquet", Choice())


def test_what_pandas_wrote(source: Path, tmp_path: Path) -> None:
    frame = pd.DataFrame(columns()).assign(
        few=lambda f: f["few"].astype("Int64"), kind=lambda f: f["word"].astype("category"), price=lambda f: f["holes"].astype("Float32")
    )
    frame.set_index("whole").to_parquet(source / "t.parquet")
    streamed(source / "t.parquet", tmp_path)
    frame.to_feather(source / "t.feather")
    streamed(source / "t.feather", tmp_path)


@pytest.mark.parametrize("suffix", WRITERS)
def test_parts_of_columns(suffix: str, source: Path, tmp_path: Path) -> None:
    for i in range(3):
        table = columns(1000 + i)
        # Whole numbers are broken ones in the part that lacks some.
        table["few"] = pd.Series(table["few"].to_pandas()) if i == 1 else np.arange(1000 + i)
        WRITERS[suffix](pa.table(table), source / f"part{i}{suffix}")
    found = streamed(source, tmp_path)
    assert found.rows == 3003
    assert [rows for _, rows in found.pieces] == [1000, 1001, 1002]


def test_partitions(source: Path, tmp_path: Path) -> None:
    for year in (2023, 2024):
        (source / f"year={year}" / "kind=a").mkdir(parents=True)
        pq.write_table(pa.table(columns(700)), source / f"year={year}" / "kind=a" / "part-0.parquet")
    assert streamed(source, tmp_path).columns == 8


def test_parts_of_text(source: Path, tmp_path: Path) -> None:
    frame = pa.table(columns()).to_pandas().drop(columns="when")
    for i in range(3):
        frame[i * 1000 : (i + 1) * 1000].to_csv(source / f"part-{i}.csv", index=False)
    (source / "README.txt").write_text("three parts")
    assert streamed(source, tmp_path).format == "several files"
    (source / "part-3.csv").write_text(",".join(frame.columns) + "\n")
    found = stream(source, tmp_path / "streamed.parquet", Choice())
    assert found is not None
    assert [rows for _, rows in found.pieces] == [1000, 1000, 1000, 0]


def test_a_column_is_of_one_kind_in_all_parts_of_text(source: Path, tmp_path: Path) -> None:
    for name, values in {"a": range(500), "b": ["", "0.5"] * 250, "c": [f"U{i}" for i in range(500)]}.items():
        (source / f"{name}.csv").write_text("code,n\n" + "".join(f"{value},{value if name != 'c' else 7}\n" for value in values))
    assert stream(source, tmp_path / "streamed.parquet", Choice()) is not None
    frame = pd.read_parquet(tmp_path / "streamed.parquet")
    assert frame["code"].iloc[[0, 501, 1000]].tolist() == ["0", "0.5", "U0"]
    assert frame["n"].dtype == float
    assert frame["n"].isna().sum() == 250


def records() -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    return [
        {
            "a": i,
            "inner": {"x": rng.random(), "deep": {"word": f"é{i % 5}"}},
            "b": None if i % 7 == 0 else i,
            "flag": bool(i % 2),
            "c": rng.random() if i > 2000 else i,
            "empty": {},
        }
        for i in range(ROWS)
    ]


def as_lines(rows: list[dict[str, Any]], path: Path) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_records_a_line(source: Path, tmp_path: Path) -> None:
    assert streamed(as_lines(records(), source / "t.jsonl"), tmp_path).format == "JSON lines"


def test_what_shows_late_in_records(source: Path, tmp_path: Path) -> None:
    late: dict[str, Any] = {"mixed": "x", "list": [1, {"k": "v"}], "new": 5, "flag": 1, "big": 2**70}
    rows = [{**row, "mixed": i, "list": i, "big": i} for i, row in enumerate(records())]
    found = streamed(as_lines([*rows, {**rows[0], **late}, {"a": 1}], source / "t.jsonl"), tmp_path)
    assert "Columns of numbers beside text were read as text" in found.notes[1]


def test_parts_of_records(source: Path, tmp_path: Path) -> None:
    rows = records()
    for i in range(3):
        as_lines(rows[i * 1000 : (i + 1) * 1000], source / f"part{i}.jsonl")
    assert streamed(source, tmp_path).format == "several files"
    as_lines([{"a": 1, "other": 2}] * 3, source / "part3.jsonl")
    assert "'part0' was joined by 'a' = 'a'" in streamed(source, tmp_path).notes[1], "tables of other columns are related, not parts"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
def test_documents_of_an_array(encoding: str, source: Path, tmp_path: Path) -> None:
    rows = [{**row, "naïve": "é]},{"} for row in records()]
    for document in (rows, {"of": {"a": [1]}, "few": rows[:9], "most": rows, "none": [], "mixed": [1, {}]}):
        (source / "t.json").write_text(json.dumps(document, indent=1, ensure_ascii=False), encoding=encoding)
        found = streamed(source / "t.json", tmp_path)
        assert (found.format, found.rows, found.notes[-1][-12:]) == ("JSON", ROWS, "in a stream.")
        assert found.dialect == read(source / "t.json").dialect
    asked = stream(source / "t.json", tmp_path / "streamed.parquet", Choice(key="few"))
    assert asked is not None
    assert (asked.rows, asked.dialect.key) == (9, "few")
    (source / "u.json").write_text(json.dumps(rows[:7]))
    assert streamed(source, tmp_path).rows == ROWS + 7


@pytest.mark.parametrize(
    "text",
    [
        '[{"a": 1}, {"a": 2}] 3',
        '[{"a": 1} {"a": 2}]',
        '[{"a": 1}, {"a": 2},]',
        '[{"a": 1}, {"a": 2}',
        '[{"a": 1}, [2]]',
        '[["a"], [1]]',
        '{"a": [{"b": 1}], "a": [{"b": 2}]}',
        '{"a": [1, 2], "b": [3, 4]}',
        '{"columns": ["a"], "data": [[1]], "more": [{"a": 1}]}',
        '{"a": [{"b": 1}]',
        "[]",
        "{}",
    ],
)
def test_documents_that_are_no_plain_array_are_read_whole(text: str, source: Path, tmp_path: Path) -> None:
    (source / "t.json").write_text(text)
    assert stream(source / "t.json", tmp_path / "streamed.parquet", Choice()) is None


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_text_of_wide_encodings(encoding: str, source: Path, tmp_path: Path) -> None:
    words = ["rot", "grün", "weiß"]
    text = pd.DataFrame({"n": [f"{i},5" for i in range(ROWS)], "größe": words * (ROWS // 3)}).to_csv(index=False, sep=";")
    (source / "t.csv").write_bytes(text.encode(encoding))
    found = streamed(source / "t.csv", tmp_path)
    assert found.dialect == read(source / "t.csv").dialect
    assert not [*tmp_path.glob(".utf8-*")]
    said = stream(source / "t.csv", tmp_path / "said.parquet", Choice(encoding=encoding))
    assert said is not None
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "said.parquet"), pd.read_parquet(tmp_path / "streamed.parquet"))


def test_a_line_that_is_no_record(source: Path, tmp_path: Path) -> None:
    path = as_lines(records(), source / "t.jsonl")
    path.write_text(path.read_text() + '{"a": 1\n')
    with pytest.raises(TableError, match=r"t.jsonl: line 3001 is not readable JSON"):
        stream(path, tmp_path / "streamed.parquet", Choice())
    path.write_text("{}\n{}\n[1]\n")
    with pytest.raises(TableError, match=r"line 3 is list, expected an object"):
        stream(path, tmp_path / "streamed.parquet", Choice())


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_packed_text(pack: Callable[[bytes], bytes], source: Path, tmp_path: Path) -> None:
    text = pd.DataFrame({"n": np.arange(ROWS), "word": ["red", "green", "naïve"] * (ROWS // 3)}).to_csv(index=False).encode()
    packed = pack(text)
    (source / "a.csv").write_bytes(packed)
    streamed(source / "a.csv", tmp_path)
    (source / "b.csv").write_bytes(text)
    streamed(source, tmp_path)
    (source / "b.csv").write_bytes(packed[: len(packed) // 2])
    with pytest.raises(TableError, match=r"^b\.csv: not readable (gzip|bzip2|xz) data"):
        stream(source / "b.csv", tmp_path / "streamed.parquet", Choice())
    assert not [*tmp_path.glob(".unpacked-*")], "nothing stays of what was unpacked"


def test_packed_text_that_is_far_too_large(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools.formats.packed, "FREE_BYTES", 1 << 20)
    (source / "a.csv").write_bytes(gzip.compress(b"a,b\n" + b"1,2\n" * 500_000))
    with pytest.raises(TableError, match=r"^a\.csv: unpacks to more than 250 times its size"):
        stream(source / "a.csv", tmp_path / "streamed.parquet", Choice())
    assert not [*tmp_path.glob(".unpacked-*")]


def test_what_is_read_whole(source: Path, tmp_path: Path) -> None:
    output = tmp_path / "streamed.parquet"
    (source / "a.json").write_text(json.dumps({"a": [1, 2], "b": [3, 4]}))
    assert stream(source / "a.json", output, Choice()) is None
    (source / "b.csv").write_text("a,b\n" + "1,2\n" * 9)
    (source / "c.csv").write_text("a;b\n1;x\n")
    assert stream(source, output, Choice()) is None, "a column is of numbers in one and of text in another"


LIMITED = """
import os, pathlib, resource, sys
os.environ["ARROW_DEFAULT_MEMORY_POOL"] = "jemalloc"  # mimalloc reserves memory before it is used
import pyarrow.csv, pyarrow.json, pyarrow.parquet, pyarrow.orc, pyarrow.feather, pyarrow.dataset, pandas
from tools.conversion import convert
now = int(next(line for line in open("/proc/self/status") if line.startswith("VmData")).split()[1]) << 10
resource.setrlimit(resource.RLIMIT_DATA, (now + (int(sys.argv[3]) << 20),) * 2)
print(convert(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), {}).model_dump_json())
"""
"""As the sandbox limits its processes: what they may allocate, beside what the libraries take."""
ALLOWED_MB = 400


@pytest.mark.skipif(sys.platform != "linux", reason="the limit on allocated memory is Linux's")
@pytest.mark.parametrize("suffix", [".parquet", ".feather", ".orc", ".jsonl", ".csv"])
def test_memory_does_not_grow_with_the_parts(suffix: str, source: Path, tmp_path: Path) -> None:
    rows, texts = 16_000, [f"{i:04000}" for i in range(1000)]
    table = pa.table({"n": np.arange(rows), "text": pa.array(texts * (rows // 1000))})
    for i in range(8):
        path = source / f"part{i}{suffix}"
        if i:
            path.hardlink_to(source / f"part0{suffix}")
        elif suffix == ".jsonl":
            path.write_text("".join(f'{{"n": {j}, "text": "{texts[j % 1000]}"}}\n' for j in range(rows)))
        elif suffix == ".csv":
            path.write_text("n,text\n" + "".join(f"{j},{texts[j % 1000]}\n" for j in range(rows)))
        else:
            WRITERS[suffix](table, path)
    assert 8 * table.nbytes > ALLOWED_MB << 20, "whole, they do not fit"
    command = [sys.executable, "-c", LIMITED, source, tmp_path / "t.parquet", str(ALLOWED_MB)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    told = SourceRead.model_validate_json(done.stdout)
    assert told.rows == 8 * rows
    assert len(told.files) == 8


def test_a_folder_goes_through_the_conversion(source: Path, tmp_path: Path) -> None:
    for i in range(2):
        as_lines(records()[:100], source / f"part{i}.jsonl")
    told = convert(source, tmp_path / "t.parquet", {})
    assert [(file.name, file.rows) for file in told.files] == [("part0.jsonl", 100), ("part1.jsonl", 100)]
