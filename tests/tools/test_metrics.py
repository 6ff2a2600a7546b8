from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk

from tools.metrics import METRICS, bootstrap_interval, default_metric, metric_for, score, undefined_reason

TASKS = ["binary", "multiclass", "regression"]
CASES = [(name, task) for name, metric in METRICS.items() for task in metric.tasks]


def rows(task: str, n: int = 300, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    if task == "regression":
        y = rng.gamma(2.0, size=n) + 0.1
        return y, y + 0.5 * rng.normal(size=n)
    k = 2 if task == "binary" else 4
    y = rng.integers(k, size=n)
    proba = rng.dirichlet(np.ones(k), n)
    proba[np.arange(n), y] += 0.4
    return y, proba / proba.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(("name", "task"), CASES)
def test_every_metric_scores_its_tasks_and_prefers_the_truth(name: str, task: str) -> None:
    y, predictions = rows(task)
    perfect = y if task == "regression" else np.eye(predictions.shape[1])[y]
    assert METRICS[name].better(score(name, task, y, perfect), score(name, task, y, predictions))


@pytest.mark.parametrize(("name", "task"), CASES)
def test_bootstrap_agrees_with_resampling_row_by_row(name: str, task: str) -> None:
    y, predictions = rows(task, 200)
    found = bootstrap_interval(name, task, y, predictions, resamples=400)
    rng = np.random.default_rng(1)
    strata = [np.arange(len(y))] if task == "regression" else [np.flatnonzero(y == code) for code in np.unique(y)]
    scores = []
    for _ in range(80):
        drawn = np.concatenate([rng.choice(part, len(part)) for part in strata])
        scores.append(score(name, task, y[drawn], predictions[drawn]))
    assert found.std_error == pytest.approx(np.std(scores), rel=0.4)
    assert found.low <= found.score <= found.high
    assert found.n == 200


def test_scores_are_those_of_scikit_learn() -> None:
    y, proba = rows("multiclass")
    assert score("roc_auc", "multiclass", y, proba) == pytest.approx(sk.roc_auc_score(y, proba, multi_class="ovr"))
    assert score("log_loss", "multiclass", y, proba) == pytest.approx(sk.log_loss(y, proba))
    y, values = rows("regression")
    assert score("rmse", "regression", y, values) == pytest.approx(np.sqrt(((y - values) ** 2).mean()))


def test_an_interval_is_the_same_for_a_seed() -> None:
    y, proba = rows("binary", 50_000)
    assert bootstrap_interval("log_loss", "binary", y, proba) == bootstrap_interval("log_loss", "binary", y, proba)


def test_an_undefined_score_is_an_error_never_nan() -> None:
    ones, proba = np.ones(5, dtype=int), np.full((5, 2), 0.5)
    with pytest.raises(ValueError, match="at least two classes"):
        score("roc_auc", "binary", ones, proba)
    with pytest.raises(ValueError, match="some are 0"):
        score("mape", "regression", np.zeros(3), np.ones(3))
    with pytest.raises(ValueError, match="two different true values"):
        score("r2", "regression", np.ones(3), np.ones(3))
    with pytest.raises(ValueError, match="missing or infinite"):
        score("rmse", "regression", np.ones(2), np.array([np.nan, 1]))
    with pytest.raises(ValueError, match="expected"):
        score("log_loss", "binary", ones, np.ones(5))
    assert undefined_reason("accuracy", "binary", ones) is None
    assert score("accuracy", "binary", ones, np.full((5, 2), [0.4, 0.6])) == 1.0


def test_unknown_and_unfitting_metrics_are_told_apart() -> None:
    with pytest.raises(ValueError, match=r"unknown metric 'roc-auc'.*'roc_auc'"):
        metric_for("roc-auc", "binary")
    with pytest.raises(ValueError, match=r"'rmse' is for regression tasks, this task is binary.*log_loss"):
        metric_for("rmse", "binary")


@pytest.mark.parametrize("task", TASKS)
def test_the_default_fits(task: str) -> None:
    assert metric_for(default_metric(task), task).name == default_metric(task)  # type: ignore[arg-type]
