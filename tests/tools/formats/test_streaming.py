"""What is streamed is what is read whole: kinds, values and missing ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import tools.formats.streaming
from tools.conversion import convert
from tools.formats.contract import Choice
from tools.formats.detect import read
from tools.formats.streaming import stream_parquet, stream_text
from tools.tables import TableError


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks so small that a small file has many."""
    for name, size in (("_BLOCK", 1 << 12), ("_PIECE", 1 << 11), ("_GROUP_ROWS", 500), ("_CHUNK_CELLS", 4000)):
        monkeypatch.setattr(tools.formats.streaming, name, size)


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
    streamed = stream_text(path, tmp_path / "t.parquet", Choice())
    assert streamed is not None
    read(path).frame.to_parquet(tmp_path / "whole.parquet")
    frame, whole = pd.read_parquet(tmp_path / "t.parquet"), pd.read_parquet(tmp_path / "whole.parquet")
    pd.testing.assert_frame_equal(frame, whole, rtol=1e-15)
    assert (streamed.rows, streamed.columns) == whole.shape
    return streamed.notes


def test_mixed_columns(tmp_path: Path) -> None:
    same(tmp_path, mixed().to_csv(index=False))


def test_a_kind_that_shows_late_widens_the_column(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools.formats.streaming, "_PIECES", 1)
    same(tmp_path, mixed()[["whole", "late", "code"]].to_csv(index=False))


def test_what_arrow_reads_otherwise(tmp_path: Path) -> None:
    plain = mixed().drop(columns="word").to_csv(index=False)
    assert "Decoded as" in same(tmp_path, mixed().assign(word="größer").to_csv(index=False).encode("cp1252"))[0]
    same(tmp_path, plain + "1,2\n3\n")  # lines with missing fields
    same(tmp_path, plain.replace(",", ", "))
    assert "Comment lines" in same(tmp_path, "# from a device\n" + plain)[0]


def test_decimal_commas(tmp_path: Path) -> None:
    frame = mixed()[["share", "whole", "code"]].assign(price=[f"1.{i:03},25" for i in range(1000)] * 3)
    notes = same(tmp_path, frame.to_csv(index=False, sep=";", decimal=","))
    assert "Numbers with decimal commas: 'share', 'price'." in notes


def test_long_lines_are_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(mixed()[["whole", "share"]].to_csv(index=False) + "1,2,3\n")
    with pytest.raises(TableError, match=r"a line does not fit the header \(.*line 3002"):
        stream_text(tmp_path / "t.csv", tmp_path / "t.parquet", Choice())


def test_large_files_are_streamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools.formats.streaming, "STREAM_FROM", 1000)
    (tmp_path / "in").mkdir()
    mixed().to_csv(tmp_path / "in" / "t.csv", index=False)
    told = convert(tmp_path / "in", tmp_path / "t.parquet", {})
    assert told.notes[-1].endswith("bytes were read in a stream.")
    assert told.rows == 3000
    (tmp_path / "in" / "t.csv").write_text("a,b\n" + " " * 2000 + "\n")
    with pytest.raises(TableError, match="no rows"):
        convert(tmp_path / "in", tmp_path / "t.parquet", {})


def test_parquet_is_copied_in_batches(tmp_path: Path) -> None:
    mixed().to_parquet(tmp_path / "in.parquet")
    assert stream_parquet(tmp_path / "in.parquet", tmp_path / "out.parquet") is not None
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "out.parquet"), mixed())
    pd.DataFrame({"a": [[1], [2]]}).to_parquet(tmp_path / "in.parquet")
    assert stream_parquet(tmp_path / "in.parquet", tmp_path / "out.parquet") is None
    (tmp_path / "in.parquet").write_bytes((tmp_path / "in.parquet").read_bytes()[:200])
    with pytest.raises(TableError, match="is it whole"):
        stream_parquet(tmp_path / "in.parquet", tmp_path / "out.parquet")
