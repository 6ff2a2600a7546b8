"""The metrics that are told beside the one that decides: which, by which predictions, and over which groups."""

import numpy as np
import pytest

from tests.tools.test_folds import contract
from tools.contract import Contract, Task
from tools.metrics import score
from tools.told_metrics import told_intervals, told_names


def of(task: Task, metric: str, direction: str = "maximize") -> Contract:
    return contract("stratified", task).model_copy(update={"metric": metric, "direction": direction})


def test_calls_are_scored_by_the_decision_and_probabilities_as_they_are() -> None:
    rng = np.random.default_rng(0)
    p = rng.uniform(0, 0.6, 200)
    y, predicted = (rng.random(200) < p).astype(np.int64), np.column_stack([1 - p, p])
    called = predicted * [1.0, 3.0] / (predicted * [1.0, 3.0]).sum(axis=1, keepdims=True)
    asked = of("binary", "f1")
    names = told_names(asked, y)
    assert names[0] == "f1"
    assert "f1_micro" not in names, "of classes it is the accuracy"
    found = told_intervals(asked, names, y, predicted, called)
    assert list(found) == names
    assert found["recall"].score == score("recall", "binary", y, called) > score("recall", "binary", y, predicted)
    assert found["log_loss"].score == score("log_loss", "binary", y, predicted) != score("log_loss", "binary", y, called)
    assert all(each.low <= each.score <= each.high for each in found.values())


def test_what_is_undefined_is_left_out_and_the_adjusted_r2_stands_behind_r2() -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(size=60)
    asked = of("regression", "r2").model_copy(update={"features": ["a", "b"]})
    names = told_names(asked, y)
    assert "rmsle" not in names, "some values are below -1"
    found = told_intervals(asked, names, y, y + 0.3 * rng.normal(size=60), y)
    assert list(found)[:2] == ["r2", "adjusted_r2"]
    assert found["adjusted_r2"].score == pytest.approx(1 - (1 - found["r2"].score) * 59 / 57)
    assert found["adjusted_r2"].low < found["r2"].low


def test_a_metric_without_an_interval_over_groups_has_one_over_rows() -> None:
    y, said = np.repeat([0, 1], 20), np.random.default_rng(0).uniform(0.2, 0.8, 40)
    predicted = np.column_stack([1 - said, said])
    found = told_intervals(of("binary", "roc_auc"), ["roc_auc", "log_loss"], y, predicted, predicted, groups=y)
    assert {name: each.groups for name, each in found.items()} == {"roc_auc": None, "log_loss": 2}
