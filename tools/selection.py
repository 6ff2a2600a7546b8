"""Greedy ensemble selection with replacement (Caruana et al. 2004)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tools.contract import Task, predicts
from tools.deadline import Deadline
from tools.deciding import decides
from tools.metrics import find_metric
from tools.metrics.classification import brier_losses
from tools.metrics.decision import decided
from tools.metrics.quantile import ready

Array = np.ndarray[Any, np.dtype[Any]]

STEPS = 40
PATIENCE = 8


Loss = Callable[[Array, Array], float]


def weighed_by(metric: str, task: Task) -> str:
    """The metric that weights are chosen by. Where a decision is chosen afterwards (`tools.deciding`) the probabilities that it is
    chosen on are what counts, so it is the log loss; accuracy, which the largest probability decides as a rule, stays itself."""
    chosen = find_metric(metric)
    return "log_loss" if decides(metric, task) and "accuracy" not in (chosen.name, chosen.same_as) else metric


def loss_function(metric: str, task: Task, levels: Sequence[float] = ()) -> Loss:
    """A quick loss, smaller is better, that orders predictions as the metric does.

    Takes `y` (n,) and predictions (n, k) or (n,). ROC AUC, log loss and RMSE are computed without the checks that
    scikit-learn makes at every call.

    Args:
        levels: of predicted quantiles.
    """
    chosen = find_metric(metric)
    sign = -1.0 if chosen.direction == "maximize" else 1.0
    if predicts(task) == "labels":
        called = chosen.needs == "label"
        # A little of the squared error breaks ties among calls.
        return lambda y, p: sign * chosen.function(y, (p >= 0.5).astype(int) if called else p) + 1e-3 * float(((p - y) ** 2).mean())
    if predicts(task) == "scores" and chosen.needs == "proba":  # a score as the probability of the label
        of_two = loss_function(metric, "binary")
        return lambda y, p: of_two(y, np.column_stack([1 - p, p]))
    if predicts(task) == "quantiles":
        at = np.asarray(levels)
        return lambda y, p: sign * chosen.function(y, ready(metric, y, p, at))
    if metric == "log_loss":
        return lambda y, p: float(-np.log(np.clip(p[np.arange(len(y)), y], 1e-15, 1)).mean())
    if metric == "roc_auc":
        return _one_minus_auc
    if metric == "rmse":
        return lambda y, p: float(np.sqrt(np.mean((y - p) ** 2)))
    if metric == "brier":
        return lambda y, p: float(brier_losses(y, p).mean())
    if chosen.needs == "label":
        # Label metrics move in steps; a little of the log loss breaks their ties.
        return lambda y, p: (
            sign * chosen.function(y, decided(p, chosen.decision))
            + 1e-3 * float(-np.log(np.clip(p[np.arange(len(y)), y], 1e-15, 1)).mean())
        )
    return lambda y, p: sign * chosen.function(y, p)


def _one_minus_auc(y: Array, p: Array) -> float:
    from scipy.stats import rankdata

    codes = [1] if p.shape[1] == 2 else [int(code) for code in np.unique(y)]
    areas = []
    for code in codes:
        positive = y == code
        hits = int(positive.sum())
        ranks = rankdata(p[:, code])
        areas.append((ranks[positive].sum() - hits * (hits + 1) / 2) / (hits * (len(y) - hits)))
    return float(1 - np.mean(areas))


def by_fold(loss: Loss, folds: Array) -> Loss:
    """The mean of a loss over folds, for metrics that compare rows with rows.

    Models of different folds differ in level; comparing their rows would reward members for nothing but their levels.
    Folds without two classes are left out.
    """
    groups = [np.flatnonzero(folds == fold) for fold in np.unique(folds)]

    def mean(y: Array, p: Array) -> float:
        usable = [rows for rows in groups if len(np.unique(y[rows])) > 1]
        return float(np.mean([loss(y[rows], p[rows]) for rows in usable])) if usable else loss(y, p)

    return mean


def greedy_weights(predictions: Array, y: Array, loss: Loss, deadline: Deadline) -> Array:
    """Weights of the candidates, summing to 1, shape (m,).

    Starts from the best candidate, adds whichever lowers the loss of the average most, the same one again if need be,
    and gives back the best average met on the way.

    Args:
        predictions: shape (m, n, k) or (m, n).
        y: shape (n,).
    """
    counts = np.zeros(len(predictions))
    alone = [loss(y, each) for each in predictions]
    first = int(np.argmin(alone))
    counts[first] = 1
    total = predictions[first].copy()
    best, best_counts, since = alone[first], counts.copy(), 0
    for step in range(1, STEPS):
        if since >= PATIENCE or deadline.expired():
            break
        losses = [loss(y, (total + each) / (step + 1)) for each in predictions]
        chosen = int(np.argmin(losses))
        counts[chosen] += 1
        total += predictions[chosen]
        since += 1
        if losses[chosen] < best - 1e-12:
            best, best_counts, since = losses[chosen], counts.copy(), 0
    weights: Array = best_counts / best_counts.sum()
    return weights


def weighted(predictions: Array, weights: Array) -> Array:
    """Weighted average over the first axis."""
    mean: Array = np.tensordot(weights, predictions, axes=1)
    return mean
