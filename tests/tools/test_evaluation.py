from __future__ import annotations

import numpy as np
import pytest

from tests.tools.conftest import TABLES, Open
from tools.candidates import load_oof
from tools.contract import Split
from tools.ensembling import ensemble
from tools.evaluation import evaluate
from tools.metrics import bootstrap_interval
from tools.predictions import read_predictions
from tools.problem import load_problem
from tools.spec import ToolRefused
from tools.training import train


@pytest.mark.parametrize("table", sorted(TABLES))
def test_holdout_predictions_and_plots(open_workspace: Open, table: str) -> None:
    space = open_workspace(table)
    train(["linear", "tree"], time_s=4)
    ensemble()
    found = evaluate("ensemble", time_s=30)
    contract = space.contract
    predictions = read_predictions(space.work / found.predictions, contract, contract.rows_holdout)
    assert len(predictions) == found.rows_predicted == contract.rows_holdout
    assert found.metrics[0].metric == contract.metric
    assert all(metric.low <= metric.high for metric in found.metrics)
    assert len(found.plots) == {"values": 3, "quantiles": 3, "classes": 5, "labels": 1}[contract.predicts]
    for plot in found.plots:
        assert (space.work / plot).read_bytes().startswith(b"\x89PNG")
    assert 0 < len(found.importance) <= 15


def test_intervals_take_rows_of_a_group_together(open_workspace: Open) -> None:
    """Every patient is there five times: five rows of one tell no more than one."""
    make, target, task = TABLES["diabetes"]
    frame = make().iloc[:200]
    frame = frame.assign(patient=[f"p{i}" for i in range(200)]).loc[np.repeat(frame.index, 5)].reset_index(drop=True)
    split = Split(kind="group", column="patient", holdout_fraction=0.25, seed=0)
    space = open_workspace(frame, target, task, split=split)
    train(["linear"], per_family=1, time_s=4)
    found = {metric.metric: metric for metric in evaluate("linear-1", time_s=10).metrics}
    problem = load_problem(space)
    by_rows = bootstrap_interval("mae", "regression", problem.y, load_oof(space, "linear-1", problem))
    assert found["mae"].score == pytest.approx(by_rows.score)
    assert found["mae"].high - found["mae"].low > 1.4 * (by_rows.high - by_rows.low)


def test_unknown_candidates_are_refused(open_workspace: Open) -> None:
    open_workspace("wine")
    with pytest.raises(ToolRefused, match="no candidate 'nope'"):
        evaluate("nope")
