"""Boosters by their own interfaces to Dask: rows that lie on two workers are learnt from as if they lay on one machine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from evals.apart import fit_apart, main
from evals.engines.dask import DaskEngine
from tests.tools.conftest import write_workspace
from tools.beyond import BEYOND_FILE
from tools.candidates import Candidate
from tools.columns import coerce
from tools.crossval import setting_for
from tools.deadline import Deadline
from tools.families import family
from tools.families.setting import FitContext
from tools.preparation import load_preparation
from tools.problem import load_problem
from tools.workspace import Workspace


def table(rows: int) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    place, a, b = rng.choice(["north", "south", "east"], rows), rng.normal(size=rows), rng.normal(size=rows)
    y = 2 * a + (place == "south") * b + 0.1 * rng.normal(size=rows)
    return pd.DataFrame({"place": place, "a": a, "b": b, "y": y})


def record(name: str, space: Workspace, params: dict[str, object]) -> Candidate:
    facts = {"metric": "rmse", "score": 1.0, "std_error": 0.1, "fold_scores": [1.0], "n_folds": 1, "repeats": 1}
    spent = {"fit_seconds": 1.0, "predict_ms_per_row": 1.0, "iterations": [60], "cut_short": False}
    return Candidate(name=f"{name}-1", family=name, params=params, preparation="default", **facts, **spent)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["xgboost", "lightgbm"])
def test_rows_on_two_workers_are_all_learnt_from(name: str, engine: DaskEngine, tmp_path: Path) -> None:
    whole = table(3000)
    space = write_workspace(tmp_path, whole.iloc[:400], "y", "regression")
    whole.iloc[:300].to_parquet(space.data / "all.parquet", index=False)
    whole.iloc[300:2600].to_parquet(space.data / BEYOND_FILE, index=False, row_group_size=500)
    space.preparations.mkdir()
    params = {"learning_rate": 0.1, "max_depth": 4} if name == "xgboost" else {"learning_rate": 0.1, "num_leaves": 15}
    fitted, rows = fit_apart(engine.client, space.data, record(name, space, params), space.preparations)
    assert rows == 2600
    unseen = whole.iloc[2600:]

    def error(predicted: np.ndarray) -> float:
        return float(np.sqrt(np.mean((predicted - unseen["y"]) ** 2)))

    problem = load_problem(space, "all")
    setting = setting_for(problem, load_preparation(space, "default", problem))
    context = FitContext(deadline=Deadline(), iterations=fitted.iterations, seed=0)
    of_all = whole.iloc[:2600]
    X = coerce(of_all.drop(columns="y"), problem.schema)
    together = family(name).fit(X, of_all["y"].to_numpy(), None, None, params, setting, context)
    alone = family(name).fit(problem.X, problem.y, None, None, params, setting, context)
    shown = coerce(unseen.drop(columns="y"), problem.schema)
    apart, at_once, sampled = (error(np.asarray(model.predict(shown))) for model in (fitted, together, alone))
    assert apart < 0.9 * sampled
    assert apart < 1.25 * at_once, "bins and trees are as good, but not the same: where blocks lie is the scheduler's choice"


def test_what_cannot_be_fitted_apart_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path), "xgboost-1", "--engine", "local"]) == 2
    assert "has no rows beyond a sample (beyond.parquet)" in capsys.readouterr().err
