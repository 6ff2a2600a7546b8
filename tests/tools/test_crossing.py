from __future__ import annotations

import numpy as np
import pytest

from tests.tools.conftest import Open
from tests.tools.test_crosses import calendar
from tools.crossing import with_crosses, worth_crossing
from tools.crossval import setting_for
from tools.deadline import Deadline
from tools.families import family
from tools.families.base import CROSSES
from tools.families.setting import FitContext, Setting
from tools.preparation import choose_columns
from tools.problem import load_problem

READERS = ["lightgbm", "xgboost", "catboost", "random_forest", "extra_trees", "mlp"]


def test_days_are_worth_it_and_what_trees_find_is_not() -> None:
    X, y, columns = calendar()
    setting = Setting(columns=columns, n_rows=len(X), n_classes=0, metric="rmse")
    judged, learnt = np.split(np.random.default_rng(0).permutation(len(X)), [len(X) // 5])
    assert worth_crossing(X, y, setting, learnt, judged)
    steps = np.where(X["wind"].fillna(0) > 0, 1.0, -1.0) * np.where(X["month"] > 6, 1.0, -1.0)
    noise = np.random.default_rng(0).normal(size=len(X))
    assert not worth_crossing(X, 2 * steps + noise, setting, learnt, judged), "a tree needs two splits for it"


def test_a_call_with_little_time_does_not_ask_and_one_without_a_pair_goes_on(open_workspace: Open) -> None:
    problem = load_problem(open_workspace("breast_cancer"))
    setting = setting_for(problem, choose_columns(problem, name="default", drop=[], text=True, dates=True))
    assert with_crosses(setting, problem, 5.0) is setting
    assert with_crosses(setting, problem) == setting, "no pair of its columns is worth it"


def test_a_trial_that_fails_costs_the_pairs_alone() -> None:
    X, y, columns = calendar()
    setting = Setting(columns=columns, n_rows=len(X), n_classes=2, metric="log_loss")
    judged, learnt = np.split(np.random.default_rng(0).permutation(len(X)), [len(X) // 5])
    coded = (y > 0).astype(np.int64)
    assert worth_crossing(X, coded, setting, learnt, judged)
    assert not worth_crossing(X, 5 * coded, setting, learnt, judged), "codes beyond the classes"


@pytest.mark.parametrize("name", READERS)
def test_a_family_learns_by_pairs_where_its_parameters_say_so(name: str) -> None:
    X, y, columns = calendar(strength=2.0)
    setting = Setting(columns=columns, n_rows=len(X), n_classes=0, metric="rmse", crossable=True)
    learner = family(name)
    first, second = learner.portfolio(setting)[:2]
    assert first == {**second, CROSSES: "pairs"}
    assert CROSSES not in learner.portfolio(Setting(columns=columns, n_rows=len(X), n_classes=0, metric="rmse"))[0]
    quick = {"n_estimators": 30, "epochs": 8, "learning_rate": 0.3} if name != "mlp" else {"epochs": 8}
    errors = []
    for params in (first, second):
        small = {key: quick.get(key, value) for key, value in params.items()}
        context = FitContext(deadline=Deadline(60), iterations=quick["epochs"] if name == "mlp" else 30)
        fitted = learner.fit(X.iloc[:3000], y[:3000], None, None, small, setting, context)
        errors.append(float(np.mean((fitted.predict(X.iloc[3000:]) - y[3000:]) ** 2)))
    assert errors[0] < 0.9 * errors[1]
