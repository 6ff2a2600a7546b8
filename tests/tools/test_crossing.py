from __future__ import annotations

import numpy as np
import pytest

from tests.tools.test_crosses import calendar
from tools.crossing import worth_crossing
from tools.deadline import Deadline
from tools.families import family
from tools.families.base import CROSSES
from tools.families.setting import FitContext, Setting

READERS = ["lightgbm", "xgboost", "catboost", "random_forest", "extra_trees", "mlp"]


def test_days_are_worth_it_and_what_trees_find_is_not() -> None:
    X, y, columns = calendar()
    setting = Setting(columns=columns, n_rows=len(X), n_classes=0, metric="rmse")
    judged, learnt = np.split(np.random.default_rng(0).permutation(len(X)), [len(X) // 5])
    assert worth_crossing(X, y, setting, learnt, judged)
    steps = np.where(X["wind"].fillna(0) > 0, 1.0, -1.0) * np.where(X["month"] > 6, 1.0, -1.0)
    noise = np.random.default_rng(0).normal(size=len(X))
    assert not worth_crossing(X, 2 * steps + noise, setting, learnt, judged), "a tree needs two splits for it"


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
