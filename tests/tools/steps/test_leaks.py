"""No label and no row that a fold validates reaches what is fitted for it, whatever steps come before the model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.tools.conftest import Open
from tests.tools.steps.test_steps import table, truth
from tools.candidates import CandidateSpec
from tools.crossval import evaluate_candidate, setting_for
from tools.deadline import Deadline
from tools.families import family
from tools.preparation import Preparation, load_preparation, prepare
from tools.problem import Problem, load_problem

CHAINS = (
    ["encode=target", "make=aggregates", "select=mi"],
    ["impute=knn", "make=interactions", "encode=ordinal", "scale=quantile", "resample=over"],
)


def predictions(problem: Problem, preparation: Preparation) -> np.ndarray:
    """Out of fold, before they are calibrated by other folds."""
    params = family("tree").default(setting_for(problem, preparation))[0]
    spec = CandidateSpec(name="trial", family="tree", params=params, preparation="made")
    found = evaluate_candidate(spec, problem, preparation, Deadline()).before
    assert found is not None
    return found


@pytest.mark.parametrize("chain", CHAINS)
def test_poisoned_rows_of_a_fold_change_nothing_that_is_said_of_its_others(open_workspace: Open, chain: list[str]) -> None:
    frame = table(160)
    space = open_workspace(frame.assign(y=truth(frame)), "y", "binary")
    prepare("made", steps=chain)
    problem = load_problem(space)
    preparation = load_preparation(space, "made", problem)
    said = predictions(problem, preparation)
    fold = np.flatnonzero(problem.folds == 0)
    # Its labels turned round: a model that had read one of them would say something else.
    y = problem.y.copy()
    y[fold] = 1 - y[fold]
    assert np.array_equal(predictions(replace(problem, y=y), preparation)[fold], said[fold])
    # Half of its rows made absurd: a statistic of the whole table would carry that to the other half.
    poisoned, others = fold[::2], fold[1::2]
    X = problem.X.copy()
    X.loc[poisoned, ["width", "height", "count"]] = 1e9
    X.loc[poisoned, ["shop", "code", "note"]] = "poison"
    assert np.array_equal(predictions(replace(problem, X=X), preparation)[others], said[others])
    # But rows that it learns from do matter, or this would show nothing.
    learnt = problem.y.copy()
    learnt[problem.folds != 0] = 1 - learnt[problem.folds != 0]
    assert not np.array_equal(predictions(replace(problem, y=learnt), preparation)[fold], said[fold])
