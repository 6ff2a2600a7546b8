"""Which tables the sparse linear model is for."""

from __future__ import annotations

import pytest

from tests.tools.conftest import Open
from tools.crossval import setting_for
from tools.families import family
from tools.preparation import choose_columns
from tools.problem import load_problem


@pytest.mark.parametrize(("table", "suited"), [("wine", False), ("mixed", True)])
def test_the_sparse_linear_model_is_for_texts_and_many_levels(open_workspace: Open, table: str, suited: bool) -> None:
    problem = load_problem(open_workspace(table))
    setting = setting_for(problem, choose_columns(problem, name="default", drop=[], text=True, dates=True))
    assert (family("sparse_linear").unsuited(setting) is None) == suited
    without = setting_for(problem, choose_columns(problem, name="default", drop=[], text=False, dates=True))
    assert family("sparse_linear").unsuited(without) is not None
