"""A search made again inside each fold: in noise its own score flatters, the nested one does not."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.tools.conftest import Open, mixed, write_workspace
from tests.tools.test_honesty import noise
from tools.candidates import Candidate
from tools.contract import Split
from tools.crossval import Evaluated
from tools.nesting import _estimated, inner_problem, nested_score
from tools.optimism import selection_optimism
from tools.problem import load_problem
from tools.spec import ToolRefused
from tools.workspace import Workspace


def test_a_search_is_scored_on_rows_that_had_no_part_in_it(open_workspace: Open) -> None:
    space = open_workspace("breast_cancer")
    found = nested_score(["dummy", "tree"], time_s=60)
    assert (found.folds, found.folds_in_all, found.metric) == (3, 3, "roc_auc")
    assert {pick.family for pick in found.picks} == {"tree"}
    assert found.nested > 0.8
    assert found.optimism == pytest.approx(found.flat - found.nested)
    assert found.std_error == pytest.approx(np.std([pick.outer for pick in found.picks], ddof=1) / np.sqrt(3))
    assert not space.candidates.exists(), "nothing of it is a candidate"


def test_trials_are_part_of_the_search(open_workspace: Open) -> None:
    open_workspace("diabetes")
    found = nested_score(["tree"], time_s=60, trials=3)
    assert (found.trials, found.folds) == (3, 3)
    assert found.estimated is not None
    assert found.estimated >= 0


def test_the_estimate_beside_it_draws_whole_groups(tmp_path: Path) -> None:
    """As the one of the leaderboard does: a pick among rows of one patient is a pick by one patient's luck."""
    rng, n = np.random.default_rng(0), 200
    frame = pd.DataFrame({"x": rng.normal(size=n), "g": np.arange(n) // 20, "y": rng.normal(size=n)})
    space = write_workspace(tmp_path, frame, "y", "regression", split=Split(kind="group", column="g", holdout_fraction=0.25, seed=0))
    problem = load_problem(space)
    record = Candidate(
        name="m", family="tree", params={}, preparation="default", metric="rmse", score=1.0, std_error=0.1, fold_scores=[1.0], n_folds=3,
        fit_seconds=1.0, predict_ms_per_row=1.0,
    )  # fmt: skip
    luck = rng.normal(size=(6, 10))[:, frame["g"].to_numpy()[: len(problem.y)]]
    flat = [Evaluated(record.model_copy(update={"score": problem.score(problem.y + each)}), problem.y + each) for each in luck]
    ranked = [one.oof for one in sorted(flat, key=lambda one: one.candidate.score)]
    by_groups, by_rows = (
        selection_optimism("rmse", "regression", problem.y, [partial(np.copy, oof) for oof in ranked], groups=groups)
        for groups in (problem.groups, None)
    )
    assert by_groups is not None
    assert by_rows is not None
    assert _estimated(problem, flat, -1.0) == by_groups.optimism != by_rows.optimism


@pytest.mark.parametrize("kind", ["group", "time"])
def test_the_inner_folds_keep_the_scheme(tmp_path: Path, kind: str) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=200), "g": np.arange(200) // 5, "y": rng.normal(size=200)})
    space = write_workspace(tmp_path, frame, "y", "regression", split=Split(kind=kind, column="g", holdout_fraction=0.25, seed=0))  # type: ignore[arg-type]  # one of the kinds
    problem, table = load_problem(space), space.table("train")
    for fold in problem.fold_ids:
        inner = inner_problem(problem, table, fold)
        own, outer = inner.X["g"].to_numpy(), problem.X["g"].to_numpy()[problem.folds == fold]
        assert not set(own) & set(outer)
        for part in inner.parts:
            learn, check = inner.scheme.rows(part)
            assert not set(own[learn]) & set(own[check])
            if kind == "time":
                assert own[learn].max() < own[check].min() <= own.max() < outer.min()


def test_too_little_time_is_told_with_what_would_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    space = write_workspace(tmp_path, mixed(8_000), "outcome", "multiclass")  # texts, which no machine reads in a quarter of a second
    monkeypatch.setenv("MLTEAM_DATA", str(space.data))
    monkeypatch.setenv("MLTEAM_WORK", str(space.work))
    with pytest.raises(ToolRefused, match=r"outer folds were done in 1 s; give nested_score about \d+ s, or fewer families"):
        nested_score(["linear"], time_s=1, per_family=2)
    with pytest.raises(ToolRefused, match="no family 'forest'"):
        nested_score(["forest"])


@pytest.mark.slow
def test_in_noise_the_flat_score_flatters_and_the_nested_one_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over tables of noise, chance is an AUC of 0.5; the cheap estimate has the sign and the size of what nesting finds."""
    found = []
    for seed in range(6):
        space: Workspace = write_workspace(tmp_path / str(seed), noise(seed, 160), "y", "binary")
        monkeypatch.setenv("MLTEAM_DATA", str(space.data))
        monkeypatch.setenv("MLTEAM_WORK", str(space.work))
        found.append(nested_score(["tree"], time_s=60, trials=5))
    flat, nested = np.array([one.flat for one in found]), np.array([one.nested for one in found])
    error = nested.std(ddof=1) / np.sqrt(len(found))
    assert abs(nested.mean() - 0.5) < 4 * error
    assert flat.mean() > nested.mean()
    assert flat.mean() > 0.5
    estimated = np.array([one.estimated for one in found], dtype=float)
    assert 0 < estimated.mean() < 3 * (flat - nested).mean() + 4 * error
