"""All rows where they fit, so small tables are what they were; else a stated sample in the table's order."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

from tests.hosting import Hosting
from tools.conversion import TABLE
from tools.intake import fetch_data
from tools.sampling import WORKING_COPIES, rows_that_fit
from tools.sealing import seal_holdout


def rows(n: int = 40_000) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame({"at": np.arange(n), "x": rng.normal(size=n), "y": rng.choice(["rare", "usual"], n, p=[0.01, 0.99])})


def test_what_fits_is_taken_whole(tmp_path: Path) -> None:
    rows().to_parquet(tmp_path / TABLE)
    for memory in (None, 4096):
        frame, at, told, sampled_from, sampled_by = rows_that_fit(tmp_path, memory, "y", 0)
        assert sampled_by is None
        assert sampled_from is None
        assert np.array_equal(at, np.arange(len(frame)))
        pd.testing.assert_frame_equal(frame, pd.read_parquet(tmp_path / TABLE))
        assert told == ""


def test_a_sample_keeps_order_and_shares_and_fits(tmp_path: Path) -> None:
    rows().to_parquet(tmp_path / TABLE, row_group_size=7_000)
    frame, at, told, sampled_from, sampled_by = rows_that_fit(tmp_path, 4, "y", 0)
    assert (sampled_from, sampled_by) == (40_000, "y")
    assert np.array_equal(at, frame["at"])
    assert 1_000 < len(frame) < 30_000
    assert frame["at"].is_monotonic_increasing
    assert abs((frame["y"] == "rare").mean() - (rows()["y"] == "rare").mean()) < 1 / len(frame)
    assert frame.memory_usage(index=False, deep=True).sum() * WORKING_COPIES < 4.2 * 2**20
    assert told.startswith(
        f"Everything up to the final score rests on a random sample of {len(frame):,} of 40,000 rows (every value of 'y'"
    )
    pd.testing.assert_frame_equal(frame, rows().iloc[frame["at"]].reset_index(drop=True))
    pd.testing.assert_frame_equal(frame, rows_that_fit(tmp_path, 4, "y", 0).frame)
    plain, _, told, _, sampled_by = rows_that_fit(tmp_path, 4, "x", 0)
    assert sampled_by is None
    assert len(plain) == plain["at"].nunique()
    assert "keeps its share" not in told


def test_a_missing_value_is_a_stratum_of_its_own(tmp_path: Path) -> None:
    frame = rows().assign(y=rows()["y"].where(rows()["at"] % 50 > 0))
    frame.to_parquet(tmp_path / TABLE, row_group_size=7_000)
    sample = rows_that_fit(tmp_path, 4, "y", 0)
    assert sample.sampled_by == "y"
    assert abs(sample.frame["y"].isna().mean() - 0.02) < 0.001
    numbers = frame.assign(y=np.where(frame["y"].isna(), np.nan, frame["at"] % 3))
    numbers.to_parquet(tmp_path / TABLE, row_group_size=7_000)
    sample = rows_that_fit(tmp_path, 4, "y", 0)
    assert abs(sample.frame["y"].isna().mean() - 0.02) < 0.001
    assert sample.sampled_by == "y"


def test_a_run_tells_of_its_sample(tmp_path: Path) -> None:
    rows().drop(columns="at").to_csv(tmp_path / "t.csv", index=False)
    h = Hosting(tmp_path, tmp_path / "t.csv", target="y", sandbox={"kind": "bubblewrap", "memory_mb": 64})
    fetch_data(h.host)
    sealed = seal_holdout(h.host)
    assert sealed.rows_train + sealed.rows_holdout == 40_000
    h = Hosting(tmp_path, tmp_path / "t.csv", target="y", sandbox={"kind": "bubblewrap", "memory_mb": 4})
    fetch_data(h.host)
    sealed = seal_holdout(h.host)
    assert sealed.rows_train + sealed.rows_holdout < 30_000
    assert h.vault.contract.sampled_from == 40_000
    assert h.vault.contract.sampled_by == "y"
    assert "of 40,000 rows (every value of 'y' keeps its share)" in json.loads(h.run.manifest.read_text())["notes"][-1]
