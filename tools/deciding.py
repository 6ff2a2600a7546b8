"""Which class is called: for metrics of labels, a multiplier a class decides instead of the largest probability.

A row is called the class with the largest product of probability and multiplier. Of two classes that is a threshold on the positive
probability, 1 / (1 + multiplier). The multipliers are searched for the metric that is asked (thresholds tuned after the fit beat those
built into it: Koyejo et al. 2014, Consistent Binary Classification with Generalized Performance Metrics), on out-of-fold predictions.
The search is a pure function of those, so that kernel and host come to the same and nobody's word is taken. Of several labels each
has a multiplier of its odds, see `tools.label_deciding`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from tools.contract import Task
from tools.crossfit import Correction
from tools.deadline import DeadlineReached
from tools.label_deciding import DECIDED, choose_labels, label_score, tilted_labels
from tools.labels import CALLED, MOST_LABELS
from tools.metrics import find_metric
from tools.metrics.metric import Metric
from tools.multipliers import COARSE, GRID, PASSES, peak
from tools.weighing import from_confusion, from_margins

Array = np.ndarray[Any, np.dtype[Any]]

ONE_SIDED = ("precision", "recall", "precision_macro", "precision_weighted")
"""Metrics that a rule without skill wins, by calling everything positive or next to nothing: the most probable class stays called."""
MOST_CLASSES = 30
_LEAST = 1e-12


@dataclass(frozen=True)
class Decided:
    """Out-of-fold predictions and what they are worth, in the metric's own direction."""

    score: float
    """Of all rows pooled, in the mean over repeats."""
    fold_scores: list[float]
    """Repeat by repeat."""
    decision: list[float]
    """The multipliers that the model calls classes or labels by; empty for the most probable class and labels from one half on."""
    values: Array
    """As they are scored, see `decide`, of all repeats, (repeats · n, k) or (repeats · n,)."""


def decides(name: str, task: Task) -> bool:
    """Whether multipliers are chosen for this metric: it scores labels, and not one side of them alone."""
    if task == "multilabel":
        return find_metric(name).name in DECIDED
    if name in ONE_SIDED or task not in ("binary", "multiclass", "ordinal"):
        return False
    metric = find_metric(name)
    return metric.needs == "label" and metric.decision == "mode"  # distances are least by the middle class, or the expected place


def tilted(proba: Array, decision: Sequence[float], *, labels: bool = False) -> Array:
    """Probabilities times multipliers, rows summing to 1: the largest of each row is the class that is called. Of labels those are called
    that have one half and more.

    They are made for scoring and for naming the class; as probabilities they are wrong.

    Args:
        decision: one multiplier a class or label; empty to leave everything as it is.
        labels: whether the columns are labels, and no classes of which each row has one.
    """
    if not len(decision):
        return proba
    if labels:
        return tilted_labels(proba, np.asarray(decision))
    product = proba * np.asarray(decision)
    result: Array = product / product.sum(axis=1, keepdims=True)
    return result


def choose(metric: Metric, y: Array, proba: Array) -> list[float]:
    """Multipliers that are good for a metric on these rows: coordinate ascent over a grid, one class after another.

    Args:
        y: codes, shape (n,), or labels, shape (n, k).
        proba: shape (n, k).

    Returns:
        k multipliers; for two classes the first is 1.
    """
    if y.ndim > 1:
        return choose_labels(metric.name, y, proba)
    logs, k = np.log(np.maximum(proba, _LEAST)), proba.shape[1]
    shift = np.zeros(k)
    for _ in range(1 if k == 2 else PASSES):
        before = shift.copy()
        for code in [1] if k == 2 else range(k):
            shift[code] = _best(metric, y, logs, shift, code)
        if np.array_equal(before, shift):
            break
    return [float(f"{value:.6g}") for value in np.exp(shift if k == 2 else shift - shift.mean())]


def _best(metric: Metric, y: Array, logs: Array, shift: Array, code: int) -> float:
    """The logarithm of one class's multiplier, the others held."""
    others = logs + shift
    others[:, code] = -np.inf
    rival = others.argmax(axis=1)
    # Rounded, so that a last bit that differs between machines moves no row across a step of the grid.
    needed = np.round(others[np.arange(len(y)), rival] - logs[:, code], 9)
    if metric.package:
        grid, scores = COARSE, np.array([_called(metric, y, np.where(each > needed, code, rival)) for each in COARSE])
    else:
        grid, scores = GRID, from_margins(metric.same_as or metric.name, *_margins(y, rival, needed, code, logs.shape[1]))
    return peak(grid, scores if metric.direction == "maximize" else -scores, float(shift[code]))


def _called(metric: Metric, y: Array, labels: Array) -> float:
    """The score of calls, NaN where the function has none."""
    try:
        return float(metric.function(y, labels))
    except DeadlineReached:
        raise
    except (Exception, SystemExit):  # somebody else's function, on calls that it may not be made for
        return np.nan


def _margins(y: Array, rival: Array, needed: Array, code: int, k: int) -> tuple[Array, Array, Array]:
    """What `from_margins` takes for each multiplier of the grid: a row goes from its rival to the class at one step.

    Whole confusion matrices would be k times as many numbers, which of 30 classes took seconds a candidate.

    Returns:
        Rows of each class that are called it, (len(GRID), k); rows of each class, (1, k); rows that are called each, (len(GRID), k).
    """
    steps = np.searchsorted(GRID, needed, side="right")

    def left(rows: Array) -> tuple[Array, Array]:
        """Of some rows, how many each rival still has at a step, and how many the class has got."""
        counts = np.bincount(steps[rows] * k + rival[rows], minlength=(len(GRID) + 1) * k)
        gone = counts.reshape(-1, k).cumsum(axis=0)
        return gone[-1] - gone[:-1], gone[:-1].sum(axis=1)

    called, got = left(np.arange(len(y)))
    right, _ = left(np.flatnonzero(y == rival))
    _, hit = left(np.flatnonzero(y == code))
    called[:, code] += got
    right[:, code] += hit
    return right, np.bincount(y, minlength=k)[None], called


def _correction(name: str, seed: int, labels: bool) -> Correction[list[float]]:
    metric = find_metric(name)
    apply = partial(tilted, labels=labels)
    if labels:
        return Correction(
            [lambda y, proba: choose(metric, y, proba)], apply, lambda y, proba: label_score(metric.name, y, proba >= CALLED), seed
        )
    sign = 1.0 if metric.direction == "maximize" else -1.0

    def score(y: Array, proba: Array) -> float:
        labels = proba.argmax(axis=1)
        if metric.package:
            return sign * _called(metric, y, labels)
        k = proba.shape[1]
        matrix = np.bincount(y * k + labels, minlength=k * k).reshape(1, k, k)
        return sign * float(from_confusion(metric.same_as or metric.name, matrix)[0])

    return Correction([lambda y, proba: choose(metric, y, proba)], apply, score, seed)


def decide(metric: str, task: Task, y: Array, proba: Array, folds: Array, seed: int) -> tuple[list[float], Array]:
    """The decision of a candidate, and its out-of-fold predictions as they are scored.

    Each part of the rows is tilted by multipliers that were chosen, or turned down, on the other parts, see `tools.crossfit`.

    Args:
        y: codes or values, shape (n,), or labels, shape (n, k).
        proba: out-of-fold probabilities of all repeats, (repeats · n, k), or values (repeats · n,); NaN in rows that no fold validates.
        folds: fold of each row in the first repeat, -1 for never validated.

    Returns:
        One multiplier a class or label for new rows, empty where the most probable class is called and labels from one half on; and
        predictions in the shape of `proba`, tilted for metrics of labels, unchanged for others.
    """
    if not decides(metric, task) or not _few_enough(task, proba):
        return [], proba
    rows = folds >= 0
    of_all = np.tile(rows, len(proba) // len(y))
    found, corrected = _correction(metric, seed, task == "multilabel").cross_fit(y[rows], proba[of_all], folds[rows])
    scored = proba.copy()
    scored[of_all] = corrected
    return found or [], scored


def provisional(metric: str, task: Task, y: Array, proba: Array) -> Array:
    """Predictions of some rows tilted as is best for those very rows: to tell hopeless fits early, never to report."""
    if not decides(metric, task) or not _few_enough(task, proba) or len(np.unique(y)) < 2:
        return proba
    return tilted(proba, choose(find_metric(metric), y, proba), labels=task == "multilabel")


def _few_enough(task: Task, proba: Array) -> bool:
    return 1 <= proba.shape[1] <= MOST_LABELS if task == "multilabel" else 2 <= proba.shape[1] <= MOST_CLASSES


def threshold(decision: Sequence[float]) -> float | None:
    """The positive probability above which the second of two classes is called; None for more classes."""
    if len(decision) not in (0, 2):
        return None
    return decision[0] / (decision[0] + decision[1]) if decision else 0.5
