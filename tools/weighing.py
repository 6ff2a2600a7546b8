"""A metric as a function of how often each row counts, so that many resamples are scored without starting from scratch.

Means of per-row losses need the mean under the counts, label metrics a weighted confusion matrix, rank metrics cumulative sums
over rows that were sorted once. What is none of these, such as a metric that a package brought, is scored on repeated rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tools.deadline import DeadlineReached
from tools.metrics.classification import ECE_BINS, brier_losses, calibration_gaps
from tools.metrics.metric import Metric
from tools.metrics.multilabel import labels_weigher, scorable
from tools.metrics.ordinal import rps_losses
from tools.metrics.regression import row_losses
from tools.metrics.structure import silhouettes
from tools.metrics.survival import weighed

Array = np.ndarray[Any, np.dtype[Any]]

Weigher = Callable[[Array], float]
"""Takes a whole number for each row, shape (n,), as floats; gives the score of the rows repeated so often, NaN where there is none."""

_TINY = np.finfo(np.float64).eps


def weigher(metric: Metric, y: Array, shaped: Array) -> Weigher:
    """The metric of these rows as a function of their counts.

    Args:
        y: codes or values, shape (n,).
        shaped: what the metric's function takes: probabilities (n, k), codes (n,) or values (n,).
    """
    if metric.name == "silhouette":
        return _own_silhouettes(y, shaped)
    if metric.package or metric.needs == "group" or metric.name == "agreement":
        return _repeated(metric, y, shaped)
    if y.ndim == 2:
        return labels_weigher(metric.name, y, shaped)
    if metric.needs == "label":
        return _label(metric, y, shaped)
    if metric.name in ("roc_auc", "average_precision"):
        return _one_against_rest(metric.name, y, shaped)
    if metric.name == "roc_auc_ovo":
        return _one_against_one(y, shaped)
    if metric.name == "ece":
        return _calibration(y, shaped)
    if metric.name in ("c_index", "c_index_ipcw"):
        return weighed(metric.name, y, shaped)
    if metric.name == "median_ae":
        return _median(np.abs(y - shaped))
    if metric.name == "r2":
        return _explained(y, shaped)
    if metric.name == "wape":
        errors, sizes = np.abs(y - shaped), np.abs(y)
        return lambda counts: _quotient(counts @ errors, counts @ sizes)
    losses = _losses(metric.name, y, shaped)
    if losses is None:
        return _repeated(metric, y, shaped)
    if metric.name in ("rmse", "rmsle"):
        return lambda counts: float(np.sqrt(_quotient(counts @ losses, counts.sum())))
    return lambda counts: _quotient(counts @ losses, counts.sum())


def from_confusion(name: str, matrices: Array) -> Array:
    """Label metrics of many confusion matrices, shape (m, k, k) with true classes in rows; 0 where a quotient has no divisor."""
    right = np.diagonal(matrices, axis1=1, axis2=2)
    true, called = matrices.sum(axis=2), matrices.sum(axis=1)
    if name not in ("qwk", "ordinal_mae"):
        return from_margins(name, right, true, called)
    n, places = true.sum(axis=1), np.arange(matrices.shape[1])
    apart = np.abs(places[:, None] - places)
    if name == "ordinal_mae":
        return _ratio((matrices * apart).sum(axis=(1, 2)), n)
    expected = _ratio(np.einsum("mi,mj,ij->m", true, called, apart**2), n)
    agreement: Array = 1 - _ratio((matrices * apart**2).sum(axis=(1, 2)), expected)
    return agreement


def from_margins(name: str, right: Array, true: Array, called: Array) -> Array:
    """Label metrics by what most of them ask of a confusion matrix; 0 where a quotient has no divisor.

    Args:
        right: rows of each class that are called it, shape (m, k).
        true: rows of each class, shape (m, k), or (1, k) where they are the same for all.
        called: rows that are called each class, shape (m, k).
    """
    n = true.sum(axis=1)
    recall, precision = _ratio(right, true), _ratio(right, called)
    f1 = _ratio(2 * right, true + called)
    seen = (true + called) > 0
    if name in ("precision", "recall", "f1"):
        positive: Array = {"precision": precision, "recall": recall, "f1": f1}[name][:, 1]
        return positive
    if name in ("precision_macro", "recall_macro", "f1_macro"):
        by_class = {"precision_macro": precision, "recall_macro": recall, "f1_macro": f1}[name]
        return _ratio((by_class * seen).sum(axis=1), seen.sum(axis=1))
    if name in ("precision_weighted", "f1_weighted"):
        return _ratio(({"precision_weighted": precision, "f1_weighted": f1}[name] * true).sum(axis=1), n)
    if name == "accuracy":
        return _ratio(right.sum(axis=1), n)
    if name == "balanced_accuracy":
        return _ratio(recall.sum(axis=1), (true > 0).sum(axis=1))
    if name == "mcc":
        covariance = right.sum(axis=1) * n - (true * called).sum(axis=1)
        return _ratio(covariance, np.sqrt((n**2 - (called**2).sum(axis=1)) * (n**2 - (true**2).sum(axis=1))))
    if name == "kappa":
        expected = _ratio((true * called).sum(axis=1), n)
        return _ratio(right.sum(axis=1) - expected, n - expected)
    raise ValueError(f"no bootstrap for metric {name!r}")


def _losses(name: str, y: Array, shaped: Array) -> Array | None:
    """Per-row quantities whose mean determines the metric, shape (n,), or None."""
    if name == "log_loss":
        return -np.log(np.clip(shaped[np.arange(len(y)), y], _TINY, 1.0))
    if name == "brier":
        return brier_losses(y, shaped)
    if name == "rps":
        return rps_losses(y, shaped)
    return row_losses(name, y, shaped)


def _own_silhouettes(points: Array, groups: Array) -> Weigher:
    """The mean of the rows' own silhouettes. Repeated rows would be nearest to themselves, and flatter any groups."""
    rows, values = silhouettes(points, groups)
    return lambda counts: _quotient(counts[rows] @ values, counts[rows].sum())


def _repeated(metric: Metric, y: Array, shaped: Array) -> Weigher:
    def score(counts: Array) -> float:
        rows = np.repeat(np.arange(len(y)), counts.astype(np.int64))
        try:
            return float(metric.function(y[rows], shaped[rows]))
        except DeadlineReached:
            raise
        except (Exception, SystemExit):  # somebody else's function, on rows that it may not be made for
            return np.nan

    return score


def _label(metric: Metric, y: Array, labels: Array) -> Weigher:
    name, k = metric.same_as or metric.name, int(max(y.max(), labels.max(), 1)) + 1
    cells = y * k + labels

    def score(counts: Array) -> float:
        matrix = np.bincount(cells, weights=counts, minlength=k * k).reshape(1, k, k)
        there = np.count_nonzero(matrix.sum(axis=2))
        if there == 0 or (there < 2 and name in ("mcc", "kappa", "qwk")):
            return np.nan
        return float(from_confusion(name, matrix)[0])

    return score


def _one_against_rest(name: str, y: Array, proba: Array) -> Weigher:
    columns = [1] if proba.shape[1] == 2 else [int(code) for code in np.unique(y)]
    return _curves(_auc if name == "roc_auc" else _precision_area, [(y == code, proba[:, code]) for code in columns])


def ranked_labels(name: str, y: Array, proba: Array) -> Weigher:
    """The mean area under the labels' curves, of those that are true in some rows and false in others."""
    return _curves(_auc if name == "roc_auc" else _precision_area, [(y[:, place] == 1, proba[:, place]) for place in scorable(y)])


def _curves(curve: Callable[[Array, Array, Array], float | None], columns: list[tuple[Array, Array]]) -> Weigher:
    """The mean area under curves, of pairs of what is positive and what was said, shape (n,) each."""
    ranked = []
    for positive, said in columns:
        order = np.argsort(-said, kind="stable")
        falling = said[order]
        # Last row of each run of equal probabilities: ties count as one step of the curve.
        ends = np.append(np.flatnonzero(np.diff(falling)), len(falling) - 1)
        ranked.append((order, positive[order], ends))

    def score(counts: Array) -> float:
        areas = [curve(counts[order], positive, ends) for order, positive, ends in ranked]
        found = [area for area in areas if area is not None]
        # One class alone has no curve; a class that is not among the rows has none among several.
        return float(np.mean(found)) if found else np.nan

    return score


def _auc(weights: Array, positive: Array, ends: Array) -> float | None:
    """Trapezoidal area under the ROC curve of weighted rows sorted by falling score."""
    hits = np.cumsum(weights * positive)[ends]
    misses = np.cumsum(weights)[ends] - hits
    if hits[-1] <= 0 or misses[-1] <= 0:
        return None
    steps = np.diff(misses, prepend=0.0)
    area = steps @ (hits - np.diff(hits, prepend=0.0) / 2)
    return float(area / (hits[-1] * misses[-1]))


def _precision_area(weights: Array, positive: Array, ends: Array) -> float | None:
    """Average precision (step-wise, without interpolation) of weighted rows sorted by falling score."""
    hits = np.cumsum(weights * positive)[ends]
    called = np.cumsum(weights)[ends]
    if hits[-1] <= 0 or hits[-1] >= called[-1]:
        return None
    precision = np.divide(hits, called, out=np.zeros_like(hits), where=called > 0)
    return float(np.diff(hits, prepend=0.0) @ precision / hits[-1])


def _one_against_one(y: Array, proba: Array) -> Weigher:
    """Of each class, how many rows of every other class lie below each of its rows: one cumulative sum a class finds all."""
    codes, places = np.unique(y, return_inverse=True)
    starts = np.searchsorted(np.sort(places), np.arange(len(codes)))
    ends = np.append(starts[1:], len(y))
    parts = []
    for place, code in enumerate(codes):
        said = proba[:, code]
        order = np.lexsort((said, places)).astype(np.int32)
        rising, mine = said[order], np.flatnonzero(places == place)
        below = [
            start + np.searchsorted(rising[start:end], said[mine], side=side).astype(np.int32)
            for side in ("left", "right")
            for start, end in zip(starts, ends, strict=True)
        ]
        parts.append((order, mine, np.stack(below[: len(codes)]), np.stack(below[len(codes) :])))

    def score(counts: Array) -> float:
        sizes = np.bincount(places, weights=counts, minlength=len(codes))
        there = sizes > 0
        total, pairs = 0.0, 0
        for place in np.flatnonzero(there):
            order, mine, left, right = parts[place]
            sums = np.concatenate([[0.0], np.cumsum(counts[order])])
            below = (sums[left] + sums[right]) / 2 - sums[starts][:, None]
            others = there & (np.arange(len(codes)) != place)
            total += float(((below @ counts[mine])[others] / (sizes[place] * sizes[others])).sum())
            pairs += int(others.sum())
        return total / pairs if pairs else np.nan

    return score


def _calibration(y: Array, proba: Array) -> Weigher:
    bins, gaps = calibration_gaps(y, proba)
    return lambda counts: _quotient(np.abs(np.bincount(bins, weights=counts * gaps, minlength=ECE_BINS)).sum(), counts.sum())


def _median(errors: Array) -> Weigher:
    order = np.argsort(errors, kind="stable")
    rising = errors[order]

    def score(counts: Array) -> float:
        sums = np.cumsum(counts[order])
        total = sums[-1]
        if total <= 0:
            return np.nan
        middle = np.searchsorted(sums, [(total - 1) // 2, total // 2], side="right")
        return float(rising[middle].mean())

    return score


def _explained(y: Array, values: Array) -> Weigher:
    centred = y - y.mean()
    parts = np.column_stack([(y - values) ** 2, centred, centred**2])
    # Below this the spread is what rounding leaves of equal values.
    least = 1e-12 * float((centred**2).max(initial=0.0))

    def score(counts: Array) -> float:
        size = counts.sum()
        if size <= 0:
            return np.nan
        residual, total, squared = counts @ parts / size
        spread = squared - total**2
        return float(1 - residual / spread) if spread > least else np.nan

    return score


def _quotient(top: Any, bottom: Any) -> float:
    return float(top / bottom) if bottom > 0 else np.nan


def _ratio(top: Array, bottom: Array) -> Array:
    """Elementwise quotient, 0 where the divisor is 0, as scikit-learn has it."""
    return np.divide(top, bottom, out=np.zeros(np.broadcast(top, bottom).shape), where=bottom > 0)
