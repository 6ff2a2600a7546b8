"""Which of several labels are called: a multiplier of each label's odds, for the metric that is asked.

A label is called where its odds times its multiplier are one or more, which is a threshold of 1 / (1 + multiplier) on its probability. F1
in the mean over labels, and the share of wrong calls, ask each label for itself (Koyejo et al. 2015, Consistent Multilabel Classification);
F1 over all calls, and whole rows, depend on what is called of the others, and are climbed label by label.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tools.metrics.multilabel import from_rates
from tools.multipliers import GRID, PASSES, peak

Array = np.ndarray[Any, np.dtype[Any]]

DECIDED = ("f1_macro", "f1_micro", "f1_weighted", "accuracy", "hamming_loss")
"""Metrics that multipliers are chosen for: precision and recall alone are won by a rule without skill."""
_LEAST = 1e-12


def tilted_labels(proba: Array, decision: Array) -> Array:
    """Probabilities whose odds are multiplied: those of 0.5 and more are called. As probabilities they are wrong.

    Args:
        proba: shape (n, labels).
        decision: one multiplier a label, above 0, shape (labels,).
    """
    raised = proba * decision
    result: Array = raised / np.maximum(raised + (1 - proba), _LEAST)
    return result


def label_score(metric: str, y: Array, calls: Array) -> float:
    """One of `DECIDED`, larger is better.

    Args:
        y: 0 and 1, shape (n, labels).
        calls: the same of what is called.
    """
    if metric == "accuracy":
        return float((y == calls).all(axis=1).mean())
    value = from_rates(metric, (y * calls).sum(axis=0), calls.sum(axis=0), y.sum(axis=0), len(y))
    return -value if metric == "hamming_loss" else value


def choose_labels(metric: str, y: Array, proba: Array) -> list[float]:
    """Multipliers that are good for a metric on these rows.

    Args:
        metric: one of `DECIDED`.
        y: 0 and 1, shape (n, labels).
        proba: shape (n, labels).

    Returns:
        One multiplier a label.
    """
    clipped = np.clip(proba, _LEAST, 1 - _LEAST)
    # Rounded, so that a last bit that differs between machines moves no row across a step of the grid.
    needed = np.round(np.log1p(-clipped) - np.log(clipped), 9)
    steps = np.searchsorted(GRID, needed)  # the first place of the grid at which a row is called
    shift = np.zeros(y.shape[1])
    climbed = metric in ("accuracy", "f1_micro")
    ascend = _whole_rows if metric == "accuracy" else _calls
    for _ in range(PASSES if climbed else 1):
        before = shift.copy()
        ascend(metric, y, needed, steps, shift)
        if np.array_equal(before, shift):
            break
    return [float(f"{value:.6g}") for value in np.exp(shift)]


def _counted(steps: Array, rows: Array) -> Array:
    """How many of some rows are called at each place of the grid, shape (len(GRID),)."""
    return np.bincount(steps[rows], minlength=len(GRID) + 1)[:-1].cumsum()


def _calls(metric: str, y: Array, needed: Array, steps: Array, shift: Array) -> None:
    """Move the multiplier of each label to where it is best for a metric of calls."""
    called_now = shift >= needed
    others_hit, others_called, true = (y * called_now).sum(), called_now.sum(), y.sum()
    for label in range(y.shape[1]):
        has = y[:, label] == 1
        hits, called = _counted(steps[:, label], has), _counted(steps[:, label], np.ones(len(y), dtype=bool))
        if metric == "hamming_loss":
            scores = (2 * hits - called) / len(y)
        elif metric == "f1_micro":
            others_hit -= (has & called_now[:, label]).sum()
            others_called -= called_now[:, label].sum()
            scores = 2 * (others_hit + hits) / np.maximum(others_called + called + true, 1)
        else:
            scores = 2 * hits / np.maximum(called + has.sum(), 1)
        shift[label] = peak(GRID, scores, shift[label])
        if metric == "f1_micro":
            now = shift[label] >= needed[:, label]
            others_hit, others_called = others_hit + (has & now).sum(), others_called + now.sum()


def _whole_rows(metric: str, y: Array, needed: Array, steps: Array, shift: Array) -> None:
    """Move the multiplier of each label to where most rows have all labels right."""
    right = (shift >= needed) == (y == 1)
    for label in range(y.shape[1]):
        has = y[:, label] == 1
        others = np.delete(right, label, axis=1).all(axis=1)
        wrong = _counted(steps[:, label], others & ~has)
        scores = (_counted(steps[:, label], others & has) - wrong) / len(y)
        shift[label] = peak(GRID, scores, shift[label])
        right[:, label] = (shift[label] >= needed[:, label]) == has
