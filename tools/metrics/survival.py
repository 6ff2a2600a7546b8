"""Metrics of risks against right-censored times. `y` holds signed times, see `tools.survival`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tools.contract import Task
from tools.metrics.metric import Metric

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]


def weighed(name: str, y: Array, risk: Array) -> Callable[[Array | None], float]:
    """A metric of these rows as a function of how often each counts, shape (n,)."""
    from tools.concordance import Concordance, censoring_weights

    pairs = Concordance(y, risk)
    return pairs.score if name == "c_index" else lambda counts: pairs.score(counts, censoring_weights(y, counts))


def _c_index(y: Array, risk: Array) -> float:
    return weighed("c_index", y, risk)(None)


def _c_index_ipcw(y: Array, risk: Array) -> float:
    return weighed("c_index_ipcw", y, risk)(None)


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
