from __future__ import annotations

import pytest

from tests.tools.conftest import TABLES, Open
from tools.ensembling import ensemble
from tools.evaluation import evaluate
from tools.predictions import read_predictions
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
    assert len(found.plots) == (3 if contract.task == "regression" else 5)
    for plot in found.plots:
        assert (space.work / plot).read_bytes().startswith(b"\x89PNG")
    assert 0 < len(found.importance) <= 15


def test_unknown_candidates_are_refused(open_workspace: Open) -> None:
    open_workspace("wine")
    with pytest.raises(ToolRefused, match="no candidate 'nope'"):
        evaluate("nope")
