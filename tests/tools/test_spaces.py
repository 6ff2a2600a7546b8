"""Every configuration that a search can draw can be fitted, in each branch of its space."""

from __future__ import annotations

import numpy as np
import optuna
import pytest

from tests.tools.conftest import Open
from tools.crossval import setting_for
from tools.families import FOUNDATION, LEARNS, NETWORKS, family
from tools.families.setting import FitContext
from tools.grid import derived
from tools.preparation import load_preparation
from tools.problem import load_problem
from tools.spaces import SearchSpace

TUNED = [name for name in LEARNS["multiclass"] if name not in ("dummy", *NETWORKS, *FOUNDATION)]
BRANCHES = {("xgboost", "grow_policy"): {"depthwise", "lossguide"}, ("linear", "penalty"): {"l2", "elastic_net"}}


@pytest.mark.parametrize("table", ["breast_cancer", "wine", "diabetes"])
@pytest.mark.parametrize("name", TUNED)
def test_what_a_search_draws_can_be_fitted(name: str, table: str, open_workspace: Open) -> None:
    space = open_workspace(table)
    problem = load_problem(space)
    preparation = load_preparation(space, "default", problem)
    setting = setting_for(problem, preparation)
    searched = SearchSpace(family(name), setting)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    drawn = [searched.draw(study.ask()) for _ in range(6)]
    points = derived(searched.draw, seed=1)
    drawn += [searched.draw(optuna.trial.FixedTrial(point)) for point in points[:4]]
    rows = np.arange(0, problem.n_rows, 2)
    X, y = problem.X.iloc[rows], problem.y[rows]
    for params in drawn:
        fitted = family(name).fit(X, y, None, None, params, setting, FitContext(iterations=4))
        assert np.isfinite(fitted.predict(problem.X.iloc[1::2])).all(), params


@pytest.mark.parametrize(("name", "parameter"), list(BRANCHES))
def test_what_belongs_to_one_branch_is_drawn_in_it_alone(name: str, parameter: str, open_workspace: Open) -> None:
    space = open_workspace("diabetes")
    problem = load_problem(space)
    setting = setting_for(problem, load_preparation(space, "default", problem))
    searched = SearchSpace(family(name), setting)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    asked: dict[str, set[str]] = {}
    for _ in range(20):
        trial = study.ask()
        params = searched.draw(trial)
        asked.setdefault(params[parameter], set()).update(trial.params)
    assert set(asked) == BRANCHES[name, parameter]
    one, other = asked.values()
    assert one - other
    assert parameter in one & other
