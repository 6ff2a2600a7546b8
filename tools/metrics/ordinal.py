"""Metrics of ordered classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tools.contract import Task
from tools.metrics.metric import Metric

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]


def rps_losses(y: Array, proba: Array) -> Array:
    """Ranked probability score of each row, shape (n,), 0 to 1: squared errors of the cumulative probabilities, over the number of
    cuts between classes (Epstein 1969)."""
    import numpy as np

    k = proba.shape[1]
    happened = y[:, None] <= np.arange(k - 1)
    losses: Array = ((proba.cumsum(axis=1)[:, :-1] - happened) ** 2).mean(axis=1)
    return losses


def _rps(y: Array, proba: Array) -> float:
    return float(rps_losses(y, proba).mean())


def _qwk(y: Array, labels: Array) -> float:
    import numpy as np
    from sklearn.metrics import cohen_kappa_score

    # Left to itself, scikit-learn closes up classes that none of the rows has or is called, and takes what lies around them for neighbours.
    every = np.arange(int(max(y.max(), labels.max())) + 1)
    return float(cohen_kappa_score(y, labels, labels=every, weights="quadratic"))


def _distance(y: Array, labels: Array) -> float:
    import numpy as np

    return float(np.abs(y - labels).mean())


_TASK: tuple[Task, ...] = ("ordinal",)

ORDINAL = (
    Metric(
        "qwk",
        _TASK,
        "maximize",
        "label",
        "Quadratically weighted kappa: agreement beyond chance, wrong calls weighing by the square of their distance, -1 to 1",
        _qwk,
        (-1.0, 1.0),
        decision="mean",
    ),
    Metric(
        "ordinal_mae",
        _TASK,
        "minimize",
        "label",
        "Mean distance of the called class from the true one, in classes",
        _distance,
        (0.0, float("inf")),
        decision="median",
    ),
    Metric("rps", _TASK, "minimize", "proba", "Ranked probability score: squared errors of cumulative probabilities", _rps, (0.0, 1.0)),
)
