from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.contract import Task, predicts
from tools.deadline import Deadline
from tools.metrics import METRICS, score
from tools.selection import by_fold, greedy_weights, loss_function, weighted


def proba(rng: np.random.Generator, y: np.ndarray, k: int) -> np.ndarray:
    found = rng.dirichlet(np.ones(k), len(y))
    found[np.arange(len(y)), y] += 0.3
    return found / found.sum(axis=1, keepdims=True)


def targeted(metric: str) -> list[Task]:
    """The tasks of a metric in which rows have an answer each; groups and the panel's scores have none."""
    return [task for task in METRICS[metric].tasks if predicts(task) in ("classes", "values", "labels")]


MEASURES = sorted(metric for metric in METRICS if targeted(metric))


@pytest.mark.parametrize("metric", MEASURES)
def test_the_quick_loss_orders_as_the_metric_does(metric: str) -> None:
    rng = np.random.default_rng(0)
    for task in targeted(metric):
        if predicts(task) == "values":
            y = rng.gamma(2.0, size=300) + 0.1
            found = [y + s * rng.normal(size=300) for s in (0.1, 0.5, 1.0)]
        elif task == "multilabel":
            y = rng.integers(2, size=(300, 3))
            found = [np.clip(0.25 + 0.5 * y + s * rng.normal(size=y.shape), 0, 1) for s in (0.1, 0.4, 0.8)]
        else:
            y = rng.integers(2 if task == "binary" else 3, size=300)
            found = [proba(rng, y, y.max() + 1) for _ in range(3)]
        loss = loss_function(metric, task)
        sign = -1 if METRICS[metric].direction == "maximize" else 1
        losses, scores = [loss(y, p) for p in found], [sign * score(metric, task, y, p, units=np.ones(300)) for p in found]
        assert np.argsort(losses).tolist() == np.argsort(scores).tolist()


@pytest.mark.parametrize("metric", ["roc_auc", "average_precision"])
def test_scores_of_anomalies_are_judged_as_probabilities(metric: str) -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=300)
    found = [np.clip(0.25 + 0.5 * y + s * rng.normal(size=300), 0, 1) for s in (0.1, 0.4, 0.8)]
    losses = [loss_function(metric, "anomaly")(y, p) for p in found]
    assert np.argsort(losses).tolist() == np.argsort([-score(metric, "anomaly", y, p) for p in found]).tolist()


def test_independent_errors_are_averaged_away() -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(size=500)
    predictions = np.stack([y + rng.normal(size=500), y + rng.normal(size=500), y + 10 * rng.normal(size=500)])
    loss = loss_function("rmse", "regression")
    weights = greedy_weights(predictions, y, loss, Deadline())
    assert weights.sum() == pytest.approx(1)
    assert weights[2] < 0.05
    assert loss(y, weighted(predictions, weights)) < 0.8 * loss(y, predictions[0])


def test_levels_of_folds_earn_nothing() -> None:
    rng = np.random.default_rng(0)
    y, folds = rng.integers(2, size=400), np.arange(400) % 4
    good = proba(rng, y, 2)
    level = np.where(folds == 0, 0.9, 0.1)
    loss = by_fold(loss_function("roc_auc", "binary"), folds)
    assert loss(y, np.column_stack([1 - level, level])) == pytest.approx(0.5)
    assert loss(y, good) < 0.4


def test_without_time_the_best_one_is_taken() -> None:
    y = np.arange(10.0)
    weights = greedy_weights(np.stack([y + 1, y]), y, loss_function("rmse", "regression"), Deadline(0))
    assert weights.tolist() == [0, 1]


@given(
    metric=st.sampled_from(MEASURES),
    members=st.integers(1, 6),
    n=st.integers(20, 80),
    seed=st.integers(0, 10_000),
)
def test_weights_are_a_convex_mix_that_is_no_worse_than_its_best_member(metric: str, members: int, n: int, seed: int) -> None:
    """On the rows that they were learned from, by the loss that they were learned with."""
    rng = np.random.default_rng(seed)
    for task in targeted(metric):
        if predicts(task) == "values":
            y = rng.gamma(2.0, size=n) + 0.1
            predictions = np.stack([y + rng.uniform(0, 2) * rng.normal(size=n) for _ in range(members)])
        elif task == "multilabel":
            y = rng.integers(2, size=(n, 3))
            predictions = rng.random((members, n, 3))
        else:
            k = 2 if task == "binary" else 3
            y = np.concatenate([np.arange(k), rng.integers(k, size=n - k)])
            predictions = np.stack([proba(rng, y, k) for _ in range(members)])
        loss = loss_function(metric, task)
        weights = greedy_weights(predictions, y, loss, Deadline())
        assert weights.shape == (members,)
        assert (weights >= 0).all()
        assert weights.sum() == pytest.approx(1)
        assert loss(y, weighted(predictions, weights)) <= min(loss(y, each) for each in predictions) + 1e-9
        mixed = weighted(predictions, weights)
        assert (mixed >= predictions.min(axis=0) - 1e-12).all()
        assert (mixed <= predictions.max(axis=0) + 1e-12).all()
