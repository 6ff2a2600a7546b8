"""Contributions add up with the base to the score that they explain, for every model and scale."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.tools.conftest import TABLES, Open
from tools.candidates import Candidate
from tools.crossval import setting_for
from tools.families import family
from tools.families.setting import FitContext
from tools.model import FittedMember, FittedModel
from tools.preparation import choose_columns
from tools.problem import Problem, load_problem
from tools.shapley import exact, raw_scale, sampled


def model_of(problem: Problem, *families: str, fits: int = 1, **params: Any) -> FittedModel:
    preparation = choose_columns(problem, name="default", drop=[], text=True, dates=True)
    setting = setting_for(problem, preparation)
    X = problem.X[[column.name for column in preparation.columns]]
    members = []
    for name in families:
        chosen = {**family(name).default(setting)[0], **params}
        fitted = [family(name).fit(X, problem.y, None, None, chosen, setting, FitContext(iterations=25, seed=seed)) for seed in range(fits)]
        record = Candidate(
            name=name, family=name, params=chosen, preparation="default", metric=problem.contract.metric, score=0, std_error=0,
            fold_scores=[], n_folds=3, fit_seconds=1, predict_ms_per_row=1,
        )  # fmt: skip
        members.append(FittedMember(record, preparation, 1 / len(families), fitted))
    return FittedModel(problem.contract, problem.schema, members, problem.n_rows)


def inverse_link(problem: Problem, raw: np.ndarray) -> np.ndarray:
    """Predictions of raw scores, in the shape of predictions."""
    if problem.contract.predicts == "values":
        return np.exp(raw[:, 0]) if problem.contract.task == "count" else raw[:, 0]
    if problem.contract.task == "binary":
        positive = 1 / (1 + np.exp(-raw[:, 0]))
        return np.column_stack([1 - positive, positive])
    shifted = np.exp(raw - raw.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("name", ["lightgbm", "xgboost", "catboost"])
@pytest.mark.parametrize("table", sorted(set(TABLES) - {"shapes", "bands"}))
def test_exact_values_add_up_to_the_raw_score(open_workspace: Open, table: str, name: str) -> None:
    problem = load_problem(open_workspace(table))
    model = model_of(problem, name)
    X = problem.X.iloc[:60]
    found = exact(model, X)
    assert found is not None
    assert found.values.shape == (60, len(model.members[0].preparation.columns), problem.n_classes if problem.n_classes > 2 else 1)
    raw = found.values.sum(axis=1) + found.base
    assert np.allclose(inverse_link(problem, raw), model.predict_table(X), rtol=1e-4, atol=2e-4)
    assert np.abs(found.values).max() > 0.01


def test_seeds_and_members_are_averaged_where_the_scale_is_the_predictions_own(open_workspace: Open) -> None:
    problem = load_problem(open_workspace("diabetes"))
    model = model_of(problem, "lightgbm", "catboost", fits=2)
    found = exact(model, problem.X)
    assert found is not None
    assert raw_scale(model) == "progression"
    assert np.allclose(found.values.sum(axis=1)[:, 0] + found.base, model.predict_table(problem.X), rtol=1e-6)
    logarithmic = model_of(problem, "lightgbm", log_target=True)
    found = exact(logarithmic, problem.X)
    assert found is not None
    assert raw_scale(logarithmic) == "log(1 + progression)"
    assert np.allclose(np.expm1(found.values.sum(axis=1)[:, 0] + found.base), logarithmic.predict_table(problem.X), rtol=1e-6)


def test_there_are_none_where_no_sum_gives_the_prediction(open_workspace: Open) -> None:
    problem = load_problem(open_workspace("breast_cancer"))
    assert exact(model_of(problem, "lightgbm", "xgboost"), problem.X) is None
    assert exact(model_of(problem, "tree"), problem.X) is None


def test_sampled_values_add_up_for_a_blend(open_workspace: Open) -> None:
    problem = load_problem(open_workspace("mixed"))
    model = model_of(problem, "lightgbm", "linear")
    players = {column.name: [column.name] for column in model.members[0].preparation.columns}
    X = problem.X.iloc[:5]
    found = sampled(model.predict_table, X, problem.X.iloc[50:90], players, 4, np.random.default_rng(0))
    assert found.contributions.values.shape == (5, len(players), 3)
    assert np.allclose(found.contributions.values.sum(axis=1) + found.contributions.base, model.predict_table(X))


def test_sampled_values_are_shapleys(open_workspace: Open) -> None:
    """Against the sum over all orders and background rows, which three columns allow."""
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(rng.normal(size=(8, 3)), columns=list("abc"))

    def predict(table: pd.DataFrame) -> np.ndarray:
        return (table["a"] * table["b"] + 2 * table["c"] + table["a"] * table["c"]).to_numpy()

    X, background = rows.iloc[:2], rows.iloc[2:]
    wanted = np.zeros((2, 3))
    for order in permutations("abc"):
        for _, start in background.iterrows():
            for i in range(2):
                now = start.copy()
                before = predict(now.to_frame().T)[0]
                for name in order:
                    now[name] = X.iloc[i][name]
                    after = predict(now.to_frame().T)[0]
                    wanted[i, "abc".index(name)] += (after - before) / (6 * len(background))
                    before = after
    players = {name: [name] for name in "abc"}
    found = sampled(predict, X, background, players, 3000, rng)
    assert np.allclose(found.contributions.values[:, :, 0], wanted, atol=5 * found.std_error.max())
    assert found.std_error.max() < 0.05


def test_columns_that_are_told_together_are_switched_together() -> None:
    rows = pd.DataFrame(np.eye(3), columns=list("abc"))
    players = {"a": ["a"], "the other 2 columns": ["b", "c"]}
    found = sampled(lambda t: (t["a"] + t["b"] * t["c"]).to_numpy(), rows.iloc[:1], rows.iloc[1:], players, 6, np.random.default_rng(0))
    assert found.contributions.columns == ["a", "the other 2 columns"]
    assert np.allclose(found.contributions.values[0, :, 0], [1.0, 0.0])
