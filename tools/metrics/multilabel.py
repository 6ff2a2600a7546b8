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


def label_losses(y: Array, proba: Array) -> Array:
    """Negative log-likelihood of each row in the mean over its labels, shape (n,)."""
    import numpy as np

    said = np.clip(np.where(y == 1, proba, 1 - proba), np.finfo(np.float64).eps, 1.0)
    losses: Array = -np.log(said).mean(axis=1)
    return losses


def from_rates(name: str, hits: Array, called: Array, true: Array, n: float) -> float:
    """A metric of calls from the rows of each label that are called rightly, called at all, and true, shape (labels,) each.

    A quotient without a divisor is 0, as scikit-learn has it with `zero_division=0`.
    """
    import numpy as np

    if name == "hamming_loss":
        return float((called + true - 2 * hits).sum() / (n * len(hits)))
    what, _, average = name.partition("_")
    top, bottom = {"f1": (2 * hits, called + true), "precision": (hits, called), "recall": (hits, true)}[what]
    if average == "micro":
        return float(top.sum() / max(bottom.sum(), 1e-12))
    by_label = top / np.maximum(bottom, 1e-12)
    return float(by_label.mean()) if average == "macro" else float(by_label @ true / max(true.sum(), 1e-12))


def labels_weigher(name: str, y: Array, shaped: Array) -> Callable[[Array], float]:
    """A metric of labels as a function of how often each row counts, see `tools.weighing`."""
    import numpy as np

    if name in ("average_precision", "roc_auc"):
        from tools.weighing import ranked_labels

        return ranked_labels(name, y, shaped)
    if name == "log_loss":
        return _mean(label_losses(y, shaped))
    if name == "brier":
        return _mean(((shaped - y) ** 2).mean(axis=1))
    if name == "accuracy":
        return _mean((y == shaped).all(axis=1).astype(np.float64))
    both, calls, true = (y * shaped).astype(np.float64), shaped.astype(np.float64), y.astype(np.float64)
    return lambda counts: from_rates(name, counts @ both, counts @ calls, counts @ true, counts.sum()) if counts.sum() > 0 else np.nan


def _mean(of_rows: Array) -> Callable[[Array], float]:
    return lambda counts: float(counts @ of_rows / counts.sum()) if counts.sum() > 0 else float("nan")


def _hamming(y: Array, calls: Array) -> float:
    from sklearn.metrics import hamming_loss

    return float(hamming_loss(y, calls))


_TASK: tuple[Task, ...] = ("multilabel",)

MULTILABEL = (Metric("hamming_loss", _TASK, "minimize", "label", "Share of all calls that are wrong", _hamming, (0.0, 1.0)),)
