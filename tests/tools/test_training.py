from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import pytest

from tests.tools.conftest import Open, mixed
from tools.candidates import leaderboard, load_candidate, load_oof
from tools.constraints import Constraints
from tools.contract import Split
from tools.families import load_libraries
from tools.problem import load_problem
from tools.searching import FIRST_ROWS
from tools.spec import ToolRefused
from tools.training import train, train_baselines


def test_baselines_are_candidates_that_score_what_they_say(open_workspace: Open) -> None:
    space = open_workspace("breast_cancer")
    found = train_baselines(time_s=10)
    assert [c.family for c in found.candidates] == ["linear", "tree", "dummy"]
    assert found.skipped == []
    assert found.best == "linear-1"
    problem = load_problem(space)
    for record in leaderboard(space):
        oof = load_oof(space, record.name, problem)
        assert problem.score(oof) == pytest.approx(record.score)
        assert problem.fold_scores(oof) == pytest.approx(record.fold_scores)
        assert record.n_folds == 3


@pytest.mark.parametrize("table", ["wine", "diabetes", "mixed"])
def test_families_beat_the_dummy_on_any_table(open_workspace: Open, table: str) -> None:
    space = open_workspace(table)
    found = train(["dummy", "linear", "lightgbm"], time_s=120, per_family=1)
    names = {c.family: c.name for c in reversed(found.candidates)}
    assert set(names) == {"dummy", "linear", "lightgbm"}
    assert not [s for s in found.skipped if "Error" in s.reason]
    contract = space.contract
    assert contract.better(load_candidate(space, names["lightgbm"]).score, load_candidate(space, names["dummy"]).score)


def test_a_configuration_is_trained_once(open_workspace: Open) -> None:
    open_workspace("wine")
    train(["dummy"], time_s=5)
    again = train(["dummy"], time_s=5)
    assert again.candidates == []
    assert [s.reason for s in again.skipped] == ["trained already as dummy-1"]


def test_the_time_is_kept_and_the_rest_told(open_workspace: Open) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(8000, 12)), columns=list("abcdefghijkl"))
    open_workspace(frame.assign(y=frame["a"] * frame["b"] + rng.normal(size=8000)), "y", "regression")
    families = ["lightgbm", "catboost", "xgboost", "extra_trees", "random_forest"]
    load_libraries(families)
    found = train(families, time_s=3)
    assert found.candidates
    assert found.seconds < 40, "without a deadline these fits take a minute; the margin is for a busy machine"
    assert len({c.family for c in found.candidates} | {s.name.split("-")[0] for s in found.skipped}) == 5


def test_a_floor_and_a_first_learner_are_there_however_little_time_there_was(open_workspace: Open) -> None:
    space = open_workspace("wine")
    found = train_baselines(time_s=0.0)
    assert [c.family for c in found.candidates] == ["tree", "dummy"]
    assert all(candidate.n_folds == space.contract.folds for candidate in leaderboard(space))
    assert [c.family for c in train_baselines(preparation="default", time_s=0.0).candidates] == [], "another learns already"


def test_without_a_tree_the_other_families_have_their_time_before_a_first_learner(open_workspace: Open) -> None:
    open_workspace("wine", constraints=Constraints(families=("linear", "lightgbm")))
    assert [c.family for c in train_baselines(time_s=0.0).candidates] == ["dummy"]
    assert [c.family for c in train(["lightgbm", "linear"], time_s=0.0).candidates] == ["linear"]


def test_a_first_learner_sees_few_rows_and_predicts_all(open_workspace: Open) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(20_000, 3)), columns=list("abc"))
    space = open_workspace(frame.assign(y=frame["a"] > 0), "y", "binary")
    found = train_baselines(time_s=0.0)
    (tree,) = (c for c in leaderboard(space) if c.family == "tree")
    problem = load_problem(space)
    assert tree.share == FIRST_ROWS / problem.fold_rows
    assert tree.score > 0.9
    assert not np.isnan(load_oof(space, tree.name, problem)).any()
    shutil.rmtree(space.candidates / tree.name)
    (forest,) = train(["extra_trees", "lightgbm"], time_s=0.0).candidates  # as where the user allows no baseline
    assert (forest.family, load_candidate(space, forest.name).share) == ("lightgbm", tree.share)
    assert forest.score > 0.9
    assert "the time was over before any family had learnt" in next(d.reason for d in found.degraded if d.what == "tree-1")


def test_a_split_by_time_leaves_early_rows_without_prediction(open_workspace: Open) -> None:
    frame = mixed().drop(columns=["note 🙂"]).assign(when=pd.date_range("2024-01-01", periods=240).astype(str))
    target = np.nan_to_num(frame.pop("a.b"), posinf=0)
    space = open_workspace(
        frame.assign(y=target), "y", "regression", split=Split(kind="time", column="when", holdout_fraction=0.25, seed=0)
    )
    train_baselines(time_s=8)
    problem = load_problem(space)
    oof = load_oof(space, "linear-1", problem)
    assert np.isnan(oof).sum() == (problem.folds == -1).sum() > 0


def test_unknown_families_and_preparations_are_refused(open_workspace: Open) -> None:
    open_workspace("wine")
    with pytest.raises(ToolRefused, match="no family 'svm'"):
        train(["svm"])
    with pytest.raises(ToolRefused, match="no preparation 'nope'"):
        train_baselines("nope")
