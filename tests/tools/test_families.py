from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.tools.conftest import Open
from tools.columns import infer_schema
from tools.contract import Column
from tools.crossval import setting_for
from tools.deadline import Deadline
from tools.families import FOUNDATION, LEARNS, NETWORKS, FamilyUnavailable, family
from tools.families.boosting import paced
from tools.families.forests import FEWEST_TREES
from tools.families.setting import FitContext, Setting
from tools.preparation import choose_columns
from tools.problem import Problem, load_problem
from tools.spaces import SearchSpace

TABLES = ["breast_cancer", "wine", "diabetes", "ink", "bands", "grades", "shapes", "mixed"]


# Those that were trained before have tests of their own, with checkpoints.
@pytest.fixture(params=[name for name in LEARNS["ordinal"] if name not in FOUNDATION])
def name(request: pytest.FixtureRequest) -> str:
    try:
        family(request.param)
    except FamilyUnavailable as reason:
        pytest.skip(str(reason))
    return str(request.param)


def light(name: str, setting: Setting) -> dict[str, object]:
    """The first default, made quick."""
    params = dict(family(name).default(setting)[0])
    smaller = {
        "n_estimators": 30,
        "epochs": 24 if name == "realmlp" else 6,
        "hidden": 16,
        "members": 4,
        "width": 16,
        "blocks": 1,
        "learning_rate": 0.2,
    }
    for key, value in smaller.items():
        if key in params and not (key == "learning_rate" and name in NETWORKS):
            params[key] = value
    return params


def parts(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    return np.flatnonzero(problem.folds != 0), np.flatnonzero(problem.folds == 0)


@pytest.mark.parametrize("table", TABLES)
def test_every_family_fits_predicts_and_survives_a_pickle(open_workspace: Open, name: str, table: str) -> None:
    problem = load_problem(open_workspace(table))
    if name not in LEARNS[problem.contract.task] and problem.contract.quantiles:
        pytest.skip("it learns no quantiles")
    setting = setting_for(problem, choose_columns(problem, name="default", drop=[], text=True, dates=True))
    learn, check = parts(problem)
    X, params = problem.X, light(name, setting)
    context = FitContext(iterations=40 if name not in (*NETWORKS, "random_forest", "extra_trees") else None)
    fitted = family(name).fit(X.iloc[learn], problem.y[learn], X.iloc[check], problem.y[check], params, setting, context)
    predictions = fitted.predict(X.iloc[check])
    again = family(name).fit(X.iloc[learn], problem.y[learn], X.iloc[check], problem.y[check], params, setting, context)
    assert np.array_equal(predictions, again.predict(X.iloc[check]))
    assert np.allclose(pickle.loads(pickle.dumps(fitted)).predict(X.iloc[check]), predictions)
    assert np.isfinite(predictions).all()
    assert len(fitted.predict(X.head(0))) == 0
    if problem.n_classes:
        assert predictions.shape == (len(check), problem.n_classes)
        assert (predictions >= 0).all()
        assert np.allclose(predictions.sum(axis=1), 1) or problem.contract.predicts == "labels"
    if name != "dummy" and table in ("breast_cancer", "diabetes", "ink"):
        shares = problem.y[learn].mean()
        floor = np.tile([1 - shares, shares], (len(check), 1)) if problem.n_classes else np.full(len(check), shares)
        reached, least = (problem.score(_fill(problem, check, found), check) for found in (predictions, floor))
        assert problem.contract.better(reached, least)


def _fill(problem: Problem, rows: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    whole = problem.empty_predictions(problem.n_rows)
    whole[rows] = predictions
    return whole


def test_counts_are_learnt_by_their_likelihood_and_predicted_above_nothing(open_workspace: Open, name: str) -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=400)
    frame = pd.DataFrame({"x": x, "gap": np.where(rng.random(400) < 0.3, np.nan, x), "y": rng.poisson(np.exp(0.8 * x - 2.0))})
    problem = load_problem(open_workspace(frame, "y", "count"))
    setting = setting_for(problem, choose_columns(problem, name="default", drop=[], text=True, dates=True))
    assert (setting.poisson_loss, setting.may_log) == (True, False)
    none = np.zeros(problem.n_rows)
    for y in (problem.y, none):
        context = FitContext(iterations=25 if name not in (*NETWORKS, "random_forest", "extra_trees") else None)
        fitted = family(name).fit(problem.X, y, None, None, light(name, setting), setting, context)
        far = fitted.predict(problem.X.assign(x=np.linspace(-50, 50, problem.n_rows)))
        assert (far >= 0.5 / problem.n_rows).all()
        assert far.max() <= 1.25 * max(y.max(), 1)
    assert family(name).fit(problem.X, problem.y, None, None, light(name, setting), setting, FitContext(iterations=10)).log_rate


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


@pytest.mark.parametrize("name", ["ordered_linear", "ordered_lightgbm"])
def test_cumulative_models_of_neighbouring_cuts_give_probabilities(open_workspace: Open, name: str) -> None:
    problem = load_problem(open_workspace("grades"))
    setting = setting_for(problem, choose_columns(problem, name="default", drop=[], text=True, dates=True))
    assert setting.ordered
    assert family(name).unsuited(setting) is None
    assert "--task ordinal" in str(family(name).unsuited(replace(setting, ordered=False)))
    learn, check = parts(problem)
    X, y = problem.X, problem.y
    fitted = family(name).fit(X.iloc[learn], y[learn], None, None, light(name, setting), setting, FitContext(iterations=30))
    inner, found = family(name.removeprefix("ordered_")), fitted.predict(X.iloc[check])
    above = []
    for cut in range(3):
        binary = replace(setting, n_classes=2)
        one = inner.fit(X.iloc[learn], (y[learn] > cut).astype(int), None, None, light(name, setting), binary, FitContext(iterations=30))
        above.append(one.predict(X.iloc[check])[:, 1])
    expected = np.minimum.accumulate(np.column_stack(above), axis=1)
    assert 1 - found.cumsum(axis=1)[:, :3] == pytest.approx(expected, abs=1e-5)
    # A fold may lack a class in the middle.
    some = learn[y[learn] != 1]
    fitted = family(name).fit(X.iloc[some], y[some], None, None, light(name, setting), setting, FitContext(iterations=10))
    assert fitted.predict(X.iloc[check])[:, 1].max() < 1e-6


WEIGHABLE = ["linear", "tree", "sparse_linear", "lightgbm", "catboost", "xgboost", "extra_trees", "random_forest"]


@pytest.mark.parametrize("name", WEIGHABLE)
def test_balanced_weights_raise_the_rare_class_where_the_metric_counts_classes(name: str) -> None:
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": rng.normal(size=600), "b": rng.normal(size=600)})
    y = (rng.random(600) < 1 / (1 + np.exp(3 - X["a"]))).astype(np.int64).to_numpy()
    setting = Setting(
        columns=[Column(name=c, kind="numeric", missing=0, unique=600) for c in X], n_rows=600, n_classes=2, metric="balanced_accuracy"
    )
    first, second, *_ = family(name).portfolio(setting)
    assert {**first, "class_weight": "balanced"} == second
    plain, weighed = (
        family(name).fit(X[:400], y[:400], X[400:], y[400:], params, setting, FitContext()).predict(X[400:])[:, 1].mean()
        for params in (first, second)
    )
    assert weighed > 1.5 * plain
    assert all("class_weight" not in params for params in family(name).portfolio(replace(setting, metric="log_loss")))


def test_labels_share_what_a_linear_model_makes_of_the_columns(open_workspace: Open) -> None:
    problem = load_problem(open_workspace("shapes"))
    preparation = choose_columns(problem, name="default", drop=[], text=True, dates=True)
    setting = setting_for(problem, preparation)
    fitted = family("linear").fit(problem.X, problem.y, None, None, {"C": 1.0}, setting, FitContext())
    models = fitted.predictor.fits  # type: ignore[attr-defined]
    assert len({id(each.predictor.vectorizer) for each in models}) == 1
    alone = replace(setting, labels=0)
    for label, each in enumerate(models):
        single = family("linear").fit(problem.X, problem.y[:, label], None, None, {"C": 1.0}, alone, FitContext())
        assert np.allclose(each.predict(problem.X), single.predict(problem.X))


@pytest.mark.parametrize("name", ["extra_trees", "random_forest"])
def test_trees_of_many_classes_are_expected_to_be_large(name: str) -> None:
    """Every node holds the share of every class."""
    rng = np.random.default_rng(0)
    X, y = pd.DataFrame(rng.normal(size=(1200, 4)), columns=list("abcd")), np.arange(1200) % 300
    two = Setting(columns=infer_schema(X, None).columns, n_rows=1200, n_classes=2, metric="log_loss")
    many = replace(two, n_classes=300)
    found = family(name)
    fitted = found.fit(X, y, None, None, {**found.default(many)[0], "n_estimators": FEWEST_TREES}, many, FitContext())
    taken = sum(one.tree_.value.nbytes for one in fitted.predictor.estimator.estimators_) / 2**20  # type: ignore[attr-defined]
    assert taken > 5
    assert found.memory_mb(1200, many) - found.memory_mb(1200, two) > 0.8 * taken
