"""Which tables the sparse linear model is for, and who else reads texts."""

from __future__ import annotations

import pytest

from tests.tools.conftest import Open
from tools.crossval import setting_for
from tools.families import family
from tools.families.setting import FitContext
from tools.preparation import choose_columns
from tools.problem import load_problem


@pytest.mark.parametrize(("table", "suited"), [("wine", False), ("mixed", True)])
def test_the_sparse_linear_model_is_for_texts_and_many_levels(open_workspace: Open, table: str, suited: bool) -> None:
    problem = load_problem(open_workspace(table))
    setting = setting_for(problem, choose_columns(problem, name="default", drop=[], text=True, dates=True))
    assert (family("sparse_linear").unsuited(setting) is None) == suited
    without = setting_for(problem, choose_columns(problem, name="default", drop=[], text=False, dates=True))
    assert family("sparse_linear").unsuited(without) is not None


def test_a_small_tree_reads_no_text_first_where_there_is_more(open_workspace: Open) -> None:
    problem = load_problem(open_workspace("mixed"))
    setting = setting_for(problem, choose_columns(problem, name="default", drop=[], text=True, dates=True))
    tree = family("tree")
    assert [params["texts"] for params in tree.default(setting)] == [False, False, True]
    note = next(column.name for column in setting.columns if column.kind == "text")
    other = problem.X.assign(**{note: problem.X[note].to_numpy()[::-1]})
    for params, same in zip(tree.default(setting), (True, True, False), strict=True):
        fitted = tree.fit(problem.X, problem.y, None, None, params, setting, FitContext())
        assert (fitted.predict(problem.X) == fitted.predict(other)).all() == same
    texts_alone = setting_for(
        problem, choose_columns(problem, name="default", drop=[c for c in problem.X if c != note], text=True, dates=True)
    )
    assert not any("texts" in params for params in tree.default(texts_alone)), "where there is nothing else, every tree reads them"
