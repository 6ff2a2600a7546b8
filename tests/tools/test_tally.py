"""Missing and different values of columns, counted piece by piece as pandas counts them whole."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import tools.conversion
import tools.formats.parts
import tools.tally
from tools.conversion import READING, TABLE, convert, described
from tools.hashes import hashed
from tools.intake import _of_estimates
from tools.parquet import by_pieces
from tools.tally import tallies


def mixed(rows: int = 3000) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    there = rng.random(rows) > 0.1
    texts = rng.choice(["", "a", "b", "ab", "ba", "naïve", "x" * 300], rows)
    return pd.DataFrame(
        {
            "whole": rng.integers(-50, 50, rows),
            "holes": pd.Series(rng.integers(0, 9, rows)).where(there),
            "share": rng.normal(size=rows).round(2),
            "small": rng.normal(size=rows).round(1).astype(np.float32),
            "zeros": rng.choice([0.0, -0.0, np.nan], rows),
            "flag": rng.random(rows) > 0.5,
            "maybe": pd.Series(rng.choice([True, False], rows), dtype=object).where(there),
            "word": texts,
            "gaps": pd.Series(texts).where(there),
            "level": pd.Categorical(texts),
            "day": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 90, rows), unit="D"),
            "price": [Decimal(int(n)) / 4 for n in rng.integers(0, 30, rows)],
            "code": [f"U{i:07}" for i in range(rows)],
            "nothing": pd.Series([None] * rows, dtype="float64"),
            "outer.inner": rng.integers(0, 3, rows),
            "outer": rng.integers(0, 7, rows),
        }
    )


def test_a_large_table_is_told_as_a_small_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = mixed()
    frame.to_parquet(tmp_path / TABLE, row_group_size=700)
    whole = described(tmp_path, 14)
    monkeypatch.setattr(tools.conversion, "WHOLE_BYTES", 0)
    for name, size in (("_PIECE_ROWS", 500), ("_COLUMNS_AT_ONCE", 3)):
        monkeypatch.setattr(tools.tally, name, size)
    assert described(tmp_path, 14) == whole
    assert len(whole.columns) == 14
    assert len(whole.types) == frame.shape[1]
    assert _of_estimates(whole) == []


def test_many_different_values_are_estimated_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools.conversion, "WHOLE_BYTES", 0)
    monkeypatch.setattr(tools.tally, "_PIECE_ROWS", 10_000)
    rng = np.random.default_rng(1)
    n = 150_000
    many = rng.integers(0, 2**40, n)
    many[::3] = many[0]
    columns = {"id": np.arange(n), "many": many, "few": np.arange(n) % 65_000, "text": pa.array(map(str, many))}
    pq.write_table(pa.table(columns), tmp_path / TABLE)
    true = {"id": n, "many": len(np.unique(many)), "few": 65_000, "text": len(np.unique(many))}
    assert {name: (one.unique, one.exact) for name, one in tallies(tmp_path / TABLE, columns).items()} == {
        name: (unique, True) for name, unique in true.items()
    }, "as long as hashes suffice"
    monkeypatch.setattr(tools.tally, "MOST_HASHES", 0)
    found = tallies(tmp_path / TABLE, columns)
    assert (found["few"].unique, found["few"].exact) == (65_000, True)
    assert found["id"].unique <= n
    for name in ("id", "many", "text"):
        assert abs(found[name].unique / true[name] - 1) < 0.02
        assert not found[name].exact
    (told,) = _of_estimates(described(tmp_path, 10))
    assert "estimated, to half a per cent, for 3 columns with more than 65,536 ('id', 'many', 'text')" in told


def test_hashes_are_those_of_values_wherever_they_stand() -> None:
    bounds = [letter * n for letter in ("x", "\x00") for n in (7, 8, 9, 16, 255, 256, 257)]
    texts = pa.array(["a", "", "ab", "b", "aa", "ba", "a\x00", "\x00a", "abc" * 100, "abc" * 99 + "abd", *bounds])
    all_at_once = hashed(texts)
    assert len(set(all_at_once.tolist())) == len(texts)
    for i in range(len(texts)):
        assert hashed(texts.slice(i, 1)).tolist() == [all_at_once[i]]
    assert hashed(texts.cast(pa.large_string())).tolist() == all_at_once.tolist()
    assert hashed(texts.dictionary_encode()).tolist() == all_at_once.tolist()
    assert len(hashed(texts.slice(0, 0))) == 0
    assert len({*hashed(pa.array(["", ""])).tolist()}) == 1


def test_what_is_counted_at_the_conversion_is_what_the_table_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STREAM_FROM", "PACKED_FROM"):
        monkeypatch.setattr(tools.formats.parts, name, 1)
    monkeypatch.setattr(tools.tally, "MOST_HASHES", 0)
    vault, source = tmp_path / "vault", tmp_path / "in"
    vault.mkdir()
    source.mkdir()
    frame = mixed().drop(columns=["zeros", "price"]).assign(code=range(3000))
    for rows, estimated in ((3000, []), (90_000, ["code"])):
        large = pd.concat([frame] * (rows // 3000), ignore_index=True).assign(code=range(rows))
        large.to_csv(source / "t.csv", index=False)
        told = convert(source, vault / TABLE, {})
        assert [one.exact for one in told.counts] == [name not in estimated for name in large]
        whole = described(vault, 50)
        (vault / READING).write_text(told.model_dump_json())
        assert described(vault, 50) == whole, "a table that is not large is counted exactly"
        (vault / READING).unlink()
    monkeypatch.setattr(tools.conversion, "WHOLE_BYTES", 0)
    assert described(vault, 50).estimated == ["code"]


def test_what_was_read_is_not_kept(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    with pq.ParquetWriter(tmp_path / TABLE, pa.schema([("x", pa.float64())])) as writer:
        for _ in range(30):
            writer.write_table(pa.table({"x": rng.normal(size=50_000)}))
    before, most = pa.total_allocated_bytes(), 0
    with by_pieces(tmp_path / TABLE) as file:
        for _ in file.iter_batches(batch_size=50_000):
            most = max(most, pa.total_allocated_bytes() - before)
    assert most < (tmp_path / TABLE).stat().st_size / 4
