from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.tools.conftest import TABLES, Open, mixed, write_workspace
from tools.eda import inspect_table, profile_table
from tools.spec import ToolRefused


def test_cells_are_shown_cut(open_workspace: Open) -> None:
    open_workspace(mixed().assign(long="x" * 500), "outcome", "multiclass")
    found = inspect_table(rows=3)
    assert found.columns == 12
    assert {len(column.cells) for column in found.shown} == {3}
    assert max(len(cell) for column in found.shown for cell in column.cells) <= 40
    assert "outcome" not in {column.column for column in inspect_table("holdout").shown}
    with pytest.raises(ToolRefused, match="tables here: holdout, train"):
        inspect_table("../train")


@pytest.mark.parametrize("table", sorted(TABLES))
def test_any_table_has_a_profile(open_workspace: Open, table: str) -> None:
    space = open_workspace(table)
    found = profile_table()
    assert len(found.profiles) == found.columns == len(space.schema.columns)
    assert found.rows == space.contract.rows_train
    known = [p.association for p in found.profiles if p.association is not None]
    assert known == sorted(known, reverse=True)
    for plot in found.plots:
        assert (space.work / plot).read_bytes().startswith(b"\x89PNG")


def test_what_looks_wrong_is_told(open_workspace: Open) -> None:
    rng = np.random.default_rng(0)
    n = 400
    y = np.where(rng.random(n) < 0.03, "rare", "common")
    frame = pd.DataFrame(
        {
            "leak": np.where(y == "rare", "c1", "c2"),
            "id": range(n),
            "one": 1,
            "void": np.nan,
            "a": np.repeat(rng.normal(size=n // 2), 2),
            "wild": np.inf,
            "y": y,
        }
    )
    frame["twin"] = 2 * frame["a"] + 1
    open_workspace(pd.concat([frame, frame.iloc[:80]], ignore_index=True), "y", "binary")
    found = {warned.kind: warned for warned in profile_table().warnings}
    assert found["possible_leak"].columns == ["leak"]
    assert found["constant"].columns[0] == "one"
    assert found["all_missing"].columns == ["void"]
    assert found["twin_columns"].columns == ["a", "twin"]
    assert found["infinite"].columns == ["wild"]
    assert {"imbalance", "duplicate_rows"} <= set(found)


def test_wide_tables_stay_small(open_workspace: Open) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(120, 90)), columns=[f"c{i}" for i in range(90)])
    open_workspace(frame.assign(y=frame["c7"] * 3 + rng.normal(size=120)), "y", "regression")
    found = profile_table()
    assert (len(found.profiles), found.not_shown) == (40, 50)
    assert found.profiles[0].column == "c7"


def test_the_holdout_has_no_target(open_workspace: Open) -> None:
    open_workspace("wine")
    with pytest.raises(ToolRefused, match="no target"):
        profile_table("holdout")


def test_a_target_that_looks_like_counts_is_told_and_stays_what_it_is(
    open_workspace: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=600)
    few, many, real = rng.poisson(np.exp(x - 1)), rng.poisson(np.exp(x + 2)), np.exp(x)
    told = {}
    for name, values, task in (
        ("few", few, "multiclass"),
        ("many", many, "regression"),
        ("real", real, "regression"),
        ("digits", np.arange(600) % 10, "multiclass"),
    ):
        space = write_workspace(tmp_path / name, pd.DataFrame({"x": x, "y": values}), "y", task)
        monkeypatch.setenv("MLTEAM_DATA", str(space.data))
        monkeypatch.setenv("MLTEAM_WORK", str(space.work))
        profile = profile_table()
        told[name] = [warning.message for warning in profile.warnings if warning.kind == "other_task"]
        assert profile.task == task
    assert told["real"] == told["digits"] == []
    assert all("--task count" in told[name][0] for name in ("few", "many"))
