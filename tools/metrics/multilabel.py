"""Metrics of several labels a row, over arrays of shape (n, labels)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tools.contract import Task
from tools.metrics.metric import Metric

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]


def scorable(y: Array) -> list[int]:
    """The labels that are true in some rows and false in others: the rest have no curve."""
    return [place for place in range(y.shape[1]) if 0 < y[:, place].sum() < len(y)]


def from_rates(name: str, hits: Array, called: Array, true: Array, n: float) -> float:
    """A metric of calls from the rows of each label that are called rightly, called at all, and true, shape (labels,) each.

    A label that is neither true nor called anywhere has F1 0, as scikit-learn has it with `zero_division=0`.
    """
    import numpy as np

    if name == "hamming_loss":
        return float((called + true - 2 * hits).sum() / (n * len(hits)))
    if name == "f1_micro":
        return float(2 * hits.sum() / max((called + true).sum(), 1e-12))
    return float(np.mean(2 * hits / np.maximum(called + true, 1e-12)))


def labels_weigher(name: str, y: Array, shaped: Array) -> Callable[[Array], float]:
    """A metric of labels as a function of how often each row counts, see `tools.weighing`."""
    import numpy as np

    if name == "average_precision":
        from tools.weighing import ranked_labels

        return ranked_labels(y, shaped)
    both, calls, true = (y * shaped).astype(np.float64), shaped.astype(np.float64), y.astype(np.float64)
    return lambda counts: from_rates(name, counts @ both, counts @ calls, counts @ true, counts.sum()) if counts.sum() > 0 else np.nan


def _hamming(y: Array, calls: Array) -> float:
    from sklearn.metrics import hamming_loss

    return float(hamming_loss(y, calls))


_TASK: tuple[Task, ...] = ("multilabel",)

MULTILABEL = (Metric("hamming_loss", _TASK, "minimize", "label", "Share of all calls that are wrong", _hamming, (0.0, 1.0)),)
