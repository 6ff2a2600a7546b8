"""The contestants of `make bench-data` convert the same rows."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from evals.data_bench import CONTESTANTS, as_bytes, as_table, convert_once, generate


def test_ours_and_pandas_make_the_same_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evals.data_bench.CHUNK_ROWS", 500)
    (tmp_path / "in").mkdir()
    rows = generate(tmp_path / "in" / "rows.csv", as_bytes("100KB"))
    for name in ("mlteam", "pandas"):
        CONTESTANTS[name](tmp_path / "in" / "rows.csv", tmp_path / f"{name}.parquet")
    frames = [pd.read_parquet(tmp_path / f"{name}.parquet") for name in ("mlteam", "pandas")]
    pd.testing.assert_frame_equal(*frames)
    assert frames[0].shape == (rows, 20)
    found = convert_once("mlteam and profile", tmp_path / "in" / "rows.csv")
    assert found["rows"] == rows
    found = convert_once("pandas", tmp_path / "in" / "rows.csv")
    assert found["rows"] == rows
    assert found["peak"] > 10 * 2**20
    table = as_table([{**found, "size": "100KB", "bytes": 100_000}])
    assert f"| 100KB | {rows:,} | pandas |" in table


def test_a_size_is_spelt_with_its_unit() -> None:
    with pytest.raises(ValueError, match="expected such as 10MB"):
        as_bytes("10")
