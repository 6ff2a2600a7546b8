from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.tools.conftest import TABLES, Open
from tests.tools.installed import install
from tools.candidates import load_candidate, load_oof, write_candidate
from tools.contract import Split
from tools.crossval import evaluate_candidate
from tools.deadline import Deadline
from tools.ensembling import ensemble
from tools.learning_curve import _Curve, judge, learning_curve, one_fold
from tools.preparation import load_preparation
from tools.problem import load_problem
from tools.spec import ToolRefused
from tools.training import train

SLOW = {"learning_rate": 1e-5, "depth": 9, "l2_leaf_reg": 3.0}
"""CatBoost that does not come to an end within a second."""


def hungry(rows: int) -> pd.DataFrame:
    """A target that a tree learns more of with every row: steps in two columns, and little noise."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(rows, 6))
    y = np.round(2 * X[:, 0]) + np.round(2 * X[:, 1]) + 0.1 * rng.normal(size=rows)
    return pd.DataFrame(X, columns=list("abcdef")).assign(y=y)


def test_where_rows_are_wanting_more_of_them_are_likely_to_help(open_workspace: Open) -> None:
    space = open_workspace(hungry(1600), "y", "regression")
    train(["tree"], time_s=6, per_family=1)
    found = learning_curve("tree-1", time_s=60)
    assert (found.fitted, found.folds, len(found.points)) == ("tree-1", 3, 6)
    assert [p.rows for p in found.points] == sorted(p.rows for p in found.points)
    assert found.points[-1].rows == 800
    assert found.points[0].score > 1.2 * found.points[-1].score
    assert found.verdict == "likely"
    assert 0 < found.low < found.gain < found.high
    assert found.doubled == pytest.approx(found.score - found.gain, rel=0.02)
    assert (space.work / found.plots[0]).read_bytes().startswith(b"\x89PNG")


def test_noise_does_not_get_better_with_rows(open_workspace: Open) -> None:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(rng.normal(size=(1600, 3)), columns=list("abc")).assign(y=rng.normal(size=1600))
    open_workspace(frame, "y", "regression")
    train(["linear"], time_s=6, per_family=1)
    found = learning_curve("linear-1", time_s=60)
    assert found.verdict != "likely" or found.gain < found.noise
    assert found.high < 0.1


def test_a_metric_of_a_package_is_bounded_by_its_own_range(open_workspace: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a score in euros 1 is no upper bound, as it is of the built-in ones."""
    code = """
from tools.metrics import Metric

EUROS = Metric("euros", ("regression",), "maximize", "value", "What is left of 1000", lambda y, p: 1000 - abs(y - p).mean())
"""
    packages = tmp_path / "packages"
    packages.mkdir()
    install(packages, "shop-euros", code, {"mlteam.metrics": {"euros": "EUROS"}})
    monkeypatch.syspath_prepend(str(packages))
    space = open_workspace(hungry(800), "y", "regression")
    path = space.data / "contract.json"
    path.write_text(path.read_text().replace('"metric":"rmse","direction":"minimize"', '"metric":"euros","direction":"maximize"'))
    train(["tree"], time_s=6, per_family=1)
    found = learning_curve("tree-1", time_s=60)
    assert found.metric == "euros"
    assert found.score == pytest.approx(found.points[-1].score, abs=0.1)
    assert found.points[-1].score > 990
    assert 0 < found.gain == pytest.approx(found.doubled - found.score, rel=0.1)


@pytest.mark.parametrize("table", sorted(set(TABLES) - {"mixed"}))
def test_every_task_has_a_curve_and_an_ensemble_takes_its_heaviest_member(open_workspace: Open, table: str) -> None:
    open_workspace(table)
    train(["linear", "tree"], time_s=4)
    blend = ensemble()
    found = learning_curve("ensemble", time_s=60)
    assert found.fitted == max(blend.members, key=lambda m: m.weight).name
    assert found.low <= found.gain <= found.high


def test_under_a_time_split_no_fold_learns_from_later_rows(open_workspace: Open) -> None:
    frame = hungry(400).assign(when=pd.date_range("2024-01-01", periods=400).astype(str))
    space = open_workspace(frame, "y", "regression", split=Split(kind="time", column="when", holdout_fraction=0.25, seed=0))
    problem = load_problem(space)
    for fold in problem.fold_ids:
        alone = one_fold(problem, fold)
        checked = alone.X["when"][alone.folds == fold]
        assert alone.X["when"][alone.folds != fold].max() < checked.min()
        assert set(checked) == set(problem.X["when"][problem.folds == fold])


@pytest.mark.parametrize("metric", ["f1", "log_loss"])
def test_the_last_size_is_scored_as_the_others_are(open_workspace: Open, metric: str) -> None:
    """Thresholds and calibrations that all folds taught would make it better than a fold's own can, and more rows seem to help."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 3))
    y = np.where(X[:, 0] + rng.normal(size=600) > 1.5, "yes", "no")
    space = open_workspace(pd.DataFrame(X, columns=list("abc")).assign(y=y), "y", "binary")
    path = space.data / "contract.json"
    direction = "maximize" if metric == "f1" else "minimize"
    path.write_text(path.read_text().replace('"metric":"roc_auc","direction":"maximize"', f'"metric":"{metric}","direction":"{direction}"'))
    train(["tree"], time_s=6, per_family=1)
    problem, record = load_problem(space), load_candidate(space, "tree-1")
    preparation = load_preparation(space, "default", problem)
    again = [evaluate_candidate(record.spec, one_fold(problem, fold), preparation, Deadline()) for fold in problem.fold_ids]
    found = learning_curve("tree-1", time_s=60)
    assert found.points[-1].score == pytest.approx(np.mean([one.candidate.score for one in again]), rel=1e-5)


def test_what_cannot_be_told_is_refused(open_workspace: Open) -> None:
    open_workspace("mixed")  # a class of two rows
    train(["tree"], time_s=4)
    with pytest.raises(ToolRefused, match="too few for a learning curve"):
        learning_curve("tree-1")
    with pytest.raises(ToolRefused, match="no candidate 'nope'"):
        learning_curve("nope")


def test_a_short_time_leaves_the_largest_sizes_out_and_too_short_a_time_is_told(open_workspace: Open) -> None:
    space = open_workspace(hungry(600), "y", "regression")
    train(["tree"], time_s=4)
    problem = load_problem(space)
    preparation = load_preparation(space, "default", problem)
    record, oof = load_candidate(space, "tree-1"), load_oof(space, "tree-1", problem)
    curve = _Curve(problem, preparation, record, oof, Deadline(60))
    first, second = sorted(problem.fold_ids, reverse=True)[:2]
    for size in range(3):
        assert curve._fit(first, size)
        assert curve._fit(second, size)
        assert (len(curve.lines) == 2) == (size == 2)
    curve._fit(first, 3)
    assert (curve.sizes, len(curve.rows)) == (3, 4)
    assert [len(line) for line in curve.lines] == [4, 4]
    assert curve.lines[-1][-1] == pytest.approx(problem.score(oof, np.flatnonzero(problem.folds == first)))
    write_candidate(space, record.model_copy(update={"family": "catboost", "params": SLOW}), problem, oof)
    with pytest.raises(ToolRefused, match="cannot be fitted on 2 folds at 3 sizes in 1 s; give learning_curve about"):
        learning_curve("tree-1", time_s=1)
    slow = record.model_copy(update={"fit_seconds": 3000})
    write_candidate(space, slow, problem, oof)
    with pytest.raises(ToolRefused, match=r"in 30 s; give learning_curve about \d{4} s"):
        learning_curve("tree-1", time_s=30)
    hopeless = _Curve(problem, preparation, slow, oof, Deadline(30))
    hopeless.run()
    assert not any(hopeless._scores.values()), "what cannot be done is not begun"


def test_the_verdict_weighs_the_interval_against_the_noise_of_the_score() -> None:
    assert judge(0.01, 0.03, 0.01) == "likely"
    assert judge(-0.01, 0.03, 0.01) == "unclear"
    assert judge(0.0001, 0.004, 0.01) == "hardly"
