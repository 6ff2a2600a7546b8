"""Bootstrap resamples of a metric, computed without scoring each resample from scratch.

A resample is a count of how often each row was drawn. Means of per-row losses need the mean under those counts, label
metrics need a resampled confusion matrix, rank metrics need a cumulative sum over rows sorted once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tools.contract import Task
from tools.metrics import Metric

Array = np.ndarray[Any, np.dtype[Any]]

# Sorted-row operations that take about 1.5 s on a slow core.
RANK_WORK = 90_000_000
# Cells of resampled confusion matrices that are held at once: 32 MB.
MATRIX_CELLS = 4_000_000


def bootstrap_scores(metric: Metric, task: Task, y: Array, shaped: Array, resamples: int, rng: np.random.Generator) -> Array:
    """Scores of `resamples` resamples, shape (resamples,).

    Args:
        y: codes or values, shape (n,).
        shaped: what the metric's function takes: probabilities (n, k), codes (n,) or values (n,).
    """
    if metric.needs == "label":
        return _label_scores(metric.name, y, shaped, resamples, rng)
    if metric.name == "median_ae":
        errors = np.abs(y - shaped)
        return np.array([np.median(errors[rng.integers(len(y), size=len(y))]) for _ in range(resamples)])
    strata = [np.arange(len(y))] if task == "regression" else [np.flatnonzero(y == code) for code in np.unique(y)]
    if metric.name in ("roc_auc", "average_precision"):
        return _rank_scores(metric.name, y, shaped, strata, resamples, rng)
    losses = _losses(metric.name, y, shaped)
    means = np.stack([counts @ losses / len(y) for counts in _draws(strata, len(y), resamples, rng)])
    if metric.name == "r2":
        residual, total, squared = means.T
        spread = squared - total**2
        return 1 - residual / np.where(spread > 0, spread, np.inf)
    return np.sqrt(means[:, 0]) if metric.name in ("rmse", "rmsle") else means[:, 0]


def paired_bootstrap_scores(
    metric: Metric, task: Task, y: Array, first: Array, second: Array, resamples: int, seed: int
) -> tuple[Array, Array]:
    """Scores of two models on the same resamples, two arrays of shape (m,) with m at most `resamples`.

    Args:
        first: what the metric's function takes, of the first model, as in `bootstrap_scores`.
        second: the same of the second model.
    """
    if metric.needs == "label":
        return _paired_label_scores(metric.name, y, first, second, resamples, np.random.default_rng(seed))
    # What is drawn depends on the rows and their classes alone: equal seeds draw equal rows for both.
    mine, other = (bootstrap_scores(metric, task, y, shaped, resamples, np.random.default_rng(seed)) for shaped in (first, second))
    return mine, other


def _draws(strata: list[Array], n: int, resamples: int, rng: np.random.Generator) -> Iterator[Array]:
    """Counts of each row in a resample, shape (n,), each stratum resampled to its own size."""
    for _ in range(resamples):
        counts = np.zeros(n)
        for rows in strata:
            counts[rows] = np.bincount(rng.integers(len(rows), size=len(rows)), minlength=len(rows))
        yield counts


def _losses(name: str, y: Array, shaped: Array) -> Array:
    """Per-row quantities whose means determine the metric, shape (n, 1), or (n, 3) for r2."""
    if name == "log_loss":
        picked = shaped[np.arange(len(y)), y]
        return -np.log(np.clip(picked, np.finfo(np.float64).eps, 1.0))[:, None]
    if name == "brier":
        return ((shaped[:, 1] - (y == 1)) ** 2)[:, None]
    if name == "mae":
        return np.abs(y - shaped)[:, None]
    if name == "mape":
        return (np.abs(y - shaped) / np.maximum(np.abs(y), np.finfo(np.float64).eps))[:, None]
    if name == "rmsle":
        return ((np.log1p(y) - np.log1p(np.clip(shaped, 0, None))) ** 2)[:, None]
    if name == "rmse":
        return ((y - shaped) ** 2)[:, None]
    if name == "r2":
        centred = y - y.mean()
        return np.column_stack([(y - shaped) ** 2, centred, centred**2])
    raise ValueError(f"no bootstrap for metric {name!r}")


def _label_scores(name: str, y: Array, labels: Array, resamples: int, rng: np.random.Generator) -> Array:
    """Resample the confusion matrix: within a true class, the calls of a resample are multinomial."""
    k = int(max(y.max(), labels.max(), 1)) + 1
    matrix = np.bincount(y * k + labels, minlength=k * k).reshape(k, k)
    drawn = np.zeros((resamples, k, k))
    for code in np.flatnonzero(matrix.sum(axis=1)):
        size = int(matrix[code].sum())
        drawn[:, code] = rng.multinomial(size, matrix[code] / size, size=resamples)
    return _from_confusion(name, drawn)


def _paired_label_scores(name: str, y: Array, first: Array, second: Array, resamples: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Resample the pairs of calls within each true class; either model's calls make its own confusion matrix."""
    k = int(max(y.max(), first.max(), second.max(), 1)) + 1
    batch = max(1, MATRIX_CELLS // (k * k))
    scores: list[tuple[Array, Array]] = []
    for start in range(0, resamples, batch):
        size = min(batch, resamples - start)
        mine, other = np.zeros((size, k, k)), np.zeros((size, k, k))
        for code in np.unique(y):
            rows = y == code
            pairs, counts = np.unique(first[rows] * k + second[rows], return_counts=True)
            drawn = rng.multinomial(counts.sum(), counts / counts.sum(), size=size)
            for pair, times in zip(pairs, drawn.T, strict=True):
                mine[:, code, pair // k] += times
                other[:, code, pair % k] += times
        scores.append((_from_confusion(name, mine), _from_confusion(name, other)))
    return np.concatenate([s[0] for s in scores]), np.concatenate([s[1] for s in scores])


def _from_confusion(name: str, matrices: Array) -> Array:
    """Label metrics of many confusion matrices, shape (m, k, k) with true classes in rows."""
    n = matrices.sum(axis=(1, 2))
    right = np.diagonal(matrices, axis1=1, axis2=2)
    true, called = matrices.sum(axis=2), matrices.sum(axis=1)
    if name == "accuracy":
        return right.sum(axis=1) / n
    if name == "balanced_accuracy":
        there = true[0] > 0
        return (right[:, there] / true[:, there]).mean(axis=1)
    if name == "precision":
        return _ratio(right[:, 1], called[:, 1])
    if name == "recall":
        return _ratio(right[:, 1], true[:, 1])
    if name == "mcc":
        covariance = right.sum(axis=1) * n - (true * called).sum(axis=1)
        return _ratio(covariance, np.sqrt((n**2 - (called**2).sum(axis=1)) * (n**2 - (true**2).sum(axis=1))))
    if name == "kappa":
        expected = (true * called).sum(axis=1) / n
        return _ratio(right.sum(axis=1) - expected, n - expected)
    f1 = _ratio(2 * right, true + called)
    if name == "f1":
        return f1[:, 1]
    if name == "f1_macro":
        seen = (true + called) > 0
        return _ratio((f1 * seen).sum(axis=1), seen.sum(axis=1))
    if name == "f1_weighted":
        return (f1 * true).sum(axis=1) / n
    raise ValueError(f"no bootstrap for metric {name!r}")


def _ratio(top: Array, bottom: Array) -> Array:
    """Elementwise quotient, 0 where the divisor is 0, as scikit-learn has it."""
    return np.divide(top, bottom, out=np.zeros(np.broadcast(top, bottom).shape), where=bottom > 0)


def _rank_scores(name: str, y: Array, proba: Array, strata: list[Array], resamples: int, rng: np.random.Generator) -> Array:
    columns = [1] if proba.shape[1] == 2 else [int(code) for code in np.unique(y)]
    resamples = int(np.clip(RANK_WORK // (len(y) * (len(columns) + 1)), min(100, resamples), resamples))
    sorted_columns = []
    for code in columns:
        order = np.argsort(-proba[:, code], kind="stable")
        ranked = proba[order, code]
        # Last row of each run of equal probabilities: ties count as one step of the curve.
        ends = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
        sorted_columns.append((order, y[order] == code, ends))
    curve = _auc if name == "roc_auc" else _precision_area
    scores = np.empty(resamples)
    for i, counts in enumerate(_draws(strata, len(y), resamples, rng)):
        scores[i] = np.mean([curve(counts[order], positive, ends) for order, positive, ends in sorted_columns])
    return scores


def _auc(weights: Array, positive: Array, ends: Array) -> float:
    """Trapezoidal area under the ROC curve of weighted rows sorted by falling score."""
    hits = np.cumsum(weights * positive)[ends]
    misses = np.cumsum(weights)[ends] - hits
    steps = np.diff(misses, prepend=0.0)
    area = steps @ (hits - np.diff(hits, prepend=0.0) / 2)
    return float(area / (hits[-1] * misses[-1]))


def _precision_area(weights: Array, positive: Array, ends: Array) -> float:
    """Average precision (step-wise, without interpolation) of weighted rows sorted by falling score."""
    hits = np.cumsum(weights * positive)[ends]
    called = np.cumsum(weights)[ends]
    precision = np.divide(hits, called, out=np.zeros_like(hits), where=called > 0)
    return float(np.diff(hits, prepend=0.0) @ precision / hits[-1])
