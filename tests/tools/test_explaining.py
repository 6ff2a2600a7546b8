from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.tools.conftest import Open
from tools.candidates import load_candidate, load_oof, write_candidate
from tools.ensembling import ensemble
from tools.evaluation import evaluate
from tools.explaining import Explanation, explain
from tools.problem import load_problem
from tools.spec import ToolRefused
from tools.training import train


def planted(rows: int = 600) -> pd.DataFrame:
    """Two columns that matter, one of which twice as much, one that is noise."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(rows, 3)), columns=["strong", "weak", "noise"])
    return X.assign(group=rng.choice(["u", "v"], rows), y=4 * X["strong"] + 2 * X["weak"] + 0.1 * rng.normal(size=rows))


def adds_up(found: Explanation) -> None:
    assert found.examples
    for example in found.examples:
        total = example.base + sum(part.contribution for part in example.parts) + example.rest
        assert total == pytest.approx(example.score, rel=1e-4, abs=1e-4)


def drawn(work: Path, plots: list[str]) -> None:
    assert plots
    for plot in plots:
        assert (work / plot).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("blend", [False, True], ids=["one model", "a blend"])
def test_of_quantiles_the_median_is_explained(open_workspace: Open, blend: bool) -> None:
    space = open_workspace(planted(300), "y", "quantile", quantiles=(0.25, 0.5, 0.9))
    train(["lightgbm", "tree"] if blend else ["lightgbm"], time_s=60, per_family=1)
    found = explain(ensemble().candidate.name if blend else "lightgbm-1", time_s=20)
    assert (found.metric, found.scale, found.effects[0].output) == ("mae", "y", "")
    assert [r.column for r in found.reliance[:2]] == ["strong", "weak"]
    adds_up(found)
    if not blend:
        problem = load_problem(space)
        oof = load_oof(space, "lightgbm-1", problem)
        for example in (each for each in found.examples if each.unseen):
            assert float(example.actual) == pytest.approx(problem.y[example.row], rel=1e-5)
            assert float(example.predicted) == pytest.approx(oof[example.row, 1], rel=0.05, abs=0.5)


def test_what_was_planted_is_what_it_relies_on(open_workspace: Open) -> None:
    space = open_workspace(planted(), "y", "regression")
    train(["lightgbm"], time_s=3, per_family=1)
    found = explain("lightgbm-1", time_s=20, rows=[3])
    assert (found.unseen, found.method, found.scale, found.rows) == (True, "exact", "y", 150)
    assert [r.column for r in found.reliance[:2]] == ["strong", "weak"]
    strong, weak, noise = (next(r for r in found.reliance if r.column == name) for name in ("strong", "weak", "noise"))
    assert strong.importance is not None
    assert noise.importance is not None
    assert strong.std_error is not None
    assert strong.importance > 10 * abs(noise.importance)
    assert strong.contribution == pytest.approx(2 * (weak.contribution or 0), rel=0.25)
    effect = next(e for e in found.effects if e.column == "strong")
    at, accumulated = np.array(effect.at, dtype=float), np.array(effect.accumulated)
    inner = np.abs(at) < 1.3
    assert np.polyfit(at[inner], accumulated[inner], 1)[0] == pytest.approx(4, rel=0.15)
    assert next(e for e in found.effects if e.column == "group").accumulated == []
    adds_up(found)
    asked = next(e for e in found.examples if e.row == 3)
    assert asked.why in ("asked", "most wrong", "highest", "lowest")
    assert float(asked.actual) == pytest.approx(load_problem(space).y[3], rel=1e-5)
    assert float(asked.predicted) == pytest.approx(asked.score, rel=1e-4)
    drawn(space.work, found.plots)
    assert found.degraded == []


def test_of_a_rare_class_that_is_called_below_one_half_the_calls_are_what_importance_looks_at(open_workspace: Open) -> None:
    """With 4 % of positives hardly a probability is above 0.5: by the most probable class nothing is called, and nothing matters."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(3000, 2)), columns=["strong", "noise"])
    positive = rng.random(3000) < 1 / (1 + np.exp(4 - 1.2 * X["strong"]))
    space = open_workspace(X.assign(y=np.where(positive, "yes", "no")), "y", "binary", metric="f1")
    train(["linear"], time_s=6, per_family=1)
    assert load_candidate(space, "linear-1").decision[1] > 2
    for found in (evaluate("linear-1", time_s=20).importance, explain("linear-1", time_s=20).reliance):
        importance = {each.column: each.importance for each in found}
        assert importance["strong"] > 0.1 > importance["noise"]


@pytest.mark.parametrize("table", ["breast_cancer", "diabetes", "mixed"])
def test_a_blend_of_every_task_is_taken_apart_on_the_scale_of_its_predictions(open_workspace: Open, table: str) -> None:
    space = open_workspace(table)
    train(["linear", "tree"], time_s=4)
    ensemble()
    found = explain("ensemble", time_s=15)
    assert (found.method, found.unseen) == ("sampled", True)
    adds_up(found)
    drawn(space.work, found.plots)
    problem = load_problem(space)
    for example in found.examples:
        assert problem.folds[example.row] == problem.fold_ids[-1]
        if problem.n_classes:
            assert found.scale == "probability"
            assert 0 <= example.score <= 1
            assert example.output in problem.contract.classes
    kinds = {column.name: column.kind for column in problem.schema.columns}
    assert all(kinds[effect.column] != "text" for effect in found.effects)
    assert found.degraded == []


def test_labels_are_taken_apart_one_by_one(open_workspace: Open) -> None:
    space = open_workspace("shapes")
    train(["tree"], time_s=40, per_family=1)
    found = explain("tree-1", time_s=40, rows=[0])
    assert (found.method, found.scale, found.metric) == ("sampled", "probability", "average_precision")
    adds_up(found)
    drawn(space.work, found.plots)
    labels = load_problem(space).contract.classes
    assert {effect.output for effect in found.effects} == set(labels)
    assert all(example.output in labels for example in found.examples)
    assert set(found.examples[0].actual.split(";")) <= {*labels, "none"}
    assert any(each.importance is not None and each.importance > 0 for each in found.reliance)
    assert found.degraded == []


def test_without_time_for_a_fold_the_fitted_model_is_explained_and_it_is_told(open_workspace: Open) -> None:
    space = open_workspace("diabetes")
    train(["tree"], time_s=4)
    evaluate("tree-1", time_s=20)
    record = load_candidate(space, "tree-1")
    problem = load_problem(space)
    write_candidate(space, record.model_copy(update={"fit_seconds": 1e6}), problem, load_oof(space, "tree-1", problem))
    found = explain("tree-1", time_s=10)
    assert not found.unseen
    assert not any(example.unseen for example in found.examples)
    adds_up(found)
    shutil.rmtree(space.fitted)
    with pytest.raises(ToolRefused, match=r"takes about 333333 s to fit; give explain \d+ s, or call evaluate first"):
        explain("tree-1", time_s=10)


def test_what_is_not_there_is_refused(open_workspace: Open) -> None:
    open_workspace("wine")
    train(["tree"], time_s=4)
    with pytest.raises(ToolRefused, match="no candidate 'nope'"):
        explain("nope")
    with pytest.raises(ToolRefused, match="no training row 9999; rows are 0 to"):
        explain("tree-1", rows=[0, 9999])
