from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import tools.understanding.first_look
from tools.conversion import TABLE
from tools.understanding.first_look import ROWS, _stretches, first_look


def test_target_and_groups_of_a_table_that_nobody_described(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    left = rng.integers(0, 2, 60).repeat(5)
    frame = pd.DataFrame({"churn": left, "spent": rng.normal(size=300), "customer_id": np.repeat(np.arange(60) * 3, 5)})
    frame.to_parquet(tmp_path / TABLE)
    found = first_look(tmp_path, tmp_path / "source", target=None, goal=None, said=None)
    assert found.targets[0].column == "churn"
    assert [(one.column, one.sure) for one in found.orderings] == [("customer_id", True)]
    named = first_look(tmp_path, tmp_path / "source", target="spent", goal=None, said=None)
    assert named.targets == []
    assert not any(one.sure for one in named.orderings)
    assert first_look(tmp_path, tmp_path / "source", target="nowhere", goal=None, said=None) == ([], [], [])


def test_of_a_large_table_groups_of_rows_all_over_it_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In order of the target, so that its first rows have one value."""
    monkeypatch.setattr(tools.understanding.first_look, "WHOLE_BYTES", 0)
    people = np.repeat(np.arange(4000) * 3, 5)
    frame = pd.DataFrame({"spent": np.random.default_rng(0).normal(size=20_000), "customer_id": people, "churn": people // 6000})
    frame.to_parquet(tmp_path / TABLE, row_group_size=1000)
    found = first_look(tmp_path, tmp_path / "source", target="churn", goal=None, said=None)
    assert [(one.column, one.sure) for one in found.orderings] == [("customer_id", True)]


def test_a_wide_table_is_looked_at_where_its_names_speak(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    wide = {f"x{i}": rng.normal(size=60) for i in range(300)}
    frame = pd.DataFrame({**wide, "class": rng.integers(0, 2, 60), **{f"z{i}": rng.normal(size=60) for i in range(20)}})
    frame.to_parquet(tmp_path / TABLE)
    found = first_look(tmp_path, tmp_path / "source", target=None, goal=None, said=None).targets
    assert [one.column for one in found[:2]] == ["class", "z19"]


def test_a_long_table_is_looked_at_in_stretches_all_over_it() -> None:
    places = _stretches(1_000_003)
    assert len(places) == len(set(places)) == ROWS
    assert places == sorted(places)
    assert places[-1] > 950_000
