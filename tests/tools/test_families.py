from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest

from tests.tools.conftest import Open
from tools.crossval import setting_for
from tools.deadline import Deadline
from tools.families import NAMES, FamilyUnavailable, family
from tools.families.base import FitContext, Setting
from tools.families.boosting import paced
from tools.preparation import choose_columns
from tools.problem import Problem, load_problem
from tools.spaces import SearchSpace

TABLES = ["breast_cancer", "wine", "diabetes", "mixed"]


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    try:
        family(request.param)
    except FamilyUnavailable as reason:
        pytest.skip(str(reason))
    return str(request.param)


def light(name: str, setting: Setting) -> dict[str, object]:
    """The first default, made quick."""
    params = dict(family(name).default(setting)[0])
    for key, value in (("n_estimators", 30), ("epochs", 6), ("hidden", 16), ("learning_rate", 0.2 if name != "mlp" else 0.004)):
        if key in params:
            params[key] = value
    return params


def parts(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    return np.flatnonzero(problem.folds != 0), np.flatnonzero(problem.folds == 0)


@pytest.mark.parametrize("table", TABLES)
def test_every_family_fits_predicts_and_survives_a_pickle(open_workspace: Open, name: str, table: str) -> None:
    problem = load_problem(open_workspace(table))
    setting = setting_for(problem, choose_columns(problem, name="default", drop=[], text=True, dates=True))
    learn, check = parts(problem)
    X, params = problem.X, light(name, setting)
    context = FitContext(iterations=40 if name not in ("mlp", "random_forest", "extra_trees") else None)
    fitted = family(name).fit(X.iloc[learn], problem.y[learn], X.iloc[check], problem.y[check], params, setting, context)
    predictions = fitted.predict(X.iloc[check])
    again = family(name).fit(X.iloc[learn], problem.y[learn], X.iloc[check], problem.y[check], params, setting, context)
    assert np.array_equal(predictions, again.predict(X.iloc[check]))
    assert np.allclose(pickle.loads(pickle.dumps(fitted)).predict(X.iloc[check]), predictions)
    assert np.isfinite(predictions).all()
    assert len(fitted.predict(X.head(0))) == 0
    if problem.n_classes:
        assert predictions.shape == (len(check), problem.n_classes)
        assert np.allclose(predictions.sum(axis=1), 1)
    if name != "dummy" and table in ("breast_cancer", "diabetes"):
        shares = problem.y[learn].mean()
        floor = np.tile([1 - shares, shares], (len(check), 1)) if problem.n_classes else np.full(len(check), shares)
        reached, least = (problem.score(_fill(problem, check, found), check) for found in (predictions, floor))
        assert problem.contract.better(reached, least)


def _fill(problem: Problem, rows: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    whole = problem.empty_predictions(problem.n_rows)
    whole[rows] = predictions
    return whole


def test_one_column_one_class_and_no_variation(open_workspace: Open, name: str) -> None:
    frame = pd.DataFrame({"x": [1.0] * 30 + [None] * 30, "y": ["a", "b"] * 30})
    problem = load_problem(open_workspace(frame, "y", "binary"))
    setting = Setting(columns=problem.schema.columns, n_rows=problem.n_rows, n_classes=2, metric="roc_auc")
    params = light(name, setting)
    for rows in (np.arange(problem.n_rows), np.flatnonzero(problem.y == 1)[:3]):
        fitted = family(name).fit(problem.X.iloc[rows], problem.y[rows], None, None, dict(params), setting, FitContext(iterations=10))
        assert np.isfinite(fitted.predict(problem.X)).all()


def test_an_expired_deadline_cuts_iterative_fits_short(open_workspace: Open, name: str) -> None:
    if not family(name).iterative:
        pytest.skip("not iterative")
    problem = load_problem(open_workspace("diabetes"))
    setting = Setting(columns=problem.schema.columns, n_rows=problem.n_rows, n_classes=0, metric="rmse")
    params = family(name).default(setting)[0]
    fitted = family(name).fit(problem.X, problem.y, problem.X, problem.y, dict(params), setting, FitContext(deadline=Deadline(0)))
    assert fitted.cut_short
    assert np.isfinite(fitted.predict(problem.X)).all()


@pytest.mark.parametrize("classes", [0, 2])
def test_the_space_holds_the_first_default(name: str, classes: int) -> None:
    setting = Setting(columns=[], n_rows=2000, n_classes=classes, metric="rmse")
    default = family(name).default(setting)[0]
    assert SearchSpace(family(name), setting).holds(default), "a search begins with it"


def test_skewed_targets_come_back_on_their_own_scale(open_workspace: Open) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=200)
    problem = load_problem(open_workspace(pd.DataFrame({"x": x, "y": np.exp(3 + x)}), "y", "regression"))
    setting = Setting(columns=problem.schema.columns, n_rows=problem.n_rows, n_classes=0, metric="rmsle")
    fitted = family("linear").fit(problem.X, problem.y, None, None, {"alpha": 0.1, "log_target": True}, setting, FitContext())
    assert np.corrcoef(np.log(fitted.predict(problem.X)), np.log(problem.y))[0, 1] > 0.98
    wild = fitted.predict(pd.DataFrame({"x": [1e9, -1e9]}))
    assert wild.max() <= 1.25 * problem.y.max()
    assert wild.min() >= 0


def test_unknown_families_are_named() -> None:
    with pytest.raises(ValueError, match=r"'lightgmb'.*'lightgbm'"):
        family("lightgmb")


def test_pacing_raises_the_learning_rate_only_when_time_is_short() -> None:
    params = {"learning_rate": 0.05}
    assert paced(params, pace=0.001, seconds=10, n_rows=1000) == params
    assert paced(params, pace=0.1, seconds=10, n_rows=1000)["learning_rate"] == pytest.approx(0.05)
    assert 0.05 < paced(params, pace=0.1, seconds=4, n_rows=1000)["learning_rate"] <= 0.2
