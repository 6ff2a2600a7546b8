"""Metrics of risks against right-censored times. `y` holds signed times, see `tools.survival`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tools.contract import Task
from tools.metrics.metric import Metric

if TYPE_CHECKING:
    import numpy as np

    from tools.concordance import Concordance

    Array = np.ndarray[Any, np.dtype[Any]]


def concordance(name: str, y: Array, risk: Array) -> Concordance:
    """The pairs that a metric counts."""
    from tools.concordance import Concordance, censoring_weights

    return Concordance(y, risk, censoring_weights(y) if name == "c_index_ipcw" else None)


def _c_index(y: Array, risk: Array) -> float:
    return concordance("c_index", y, risk).score()


def _c_index_ipcw(y: Array, risk: Array) -> float:
    return concordance("c_index_ipcw", y, risk).score()


_TASK: tuple[Task, ...] = ("survival",)

SURVIVAL = (
    Metric(
        "c_index",
        _TASK,
        "maximize",
        "value",
        "Harrell's concordance: share of comparable pairs whose shorter-lived row has the higher risk",
        _c_index,
        (0.0, 1.0),
        compares_rows=True,
    ),
    Metric(
        "c_index_ipcw",
        _TASK,
        "maximize",
        "value",
        "Uno's concordance: pairs weighed by the inverse chance of not being censored, by the scored rows' own estimate",
        _c_index_ipcw,
        (0.0, 1.0),
        compares_rows=True,
    ),
)
