"""Which class is called, given the probability of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np

    from tools.contract import Contract

    Array = np.ndarray[Any, np.dtype[Any]]

Decision = Literal["mode", "median", "mean"]
"""The most probable class; of ordered classes the middle one, or the one nearest to the expected place."""


def decided(proba: Array, decision: Decision) -> Array:
    """The code of the called class of each row, shape (n,), int64.

    The mode costs the fewest wrong calls. Of ordered classes the median costs the least distance in classes, and the mean the least
    squared distance, which is what quadratic weights punish.

    Args:
        proba: probabilities (n, k), rows summing to 1; the classes in their order for `median` and `mean`.
    """
    import numpy as np

    if decision == "mode":
        return proba.argmax(axis=1)
    if decision == "median":
        return np.minimum((proba.cumsum(axis=1) < 0.5 - 1e-12).sum(axis=1), proba.shape[1] - 1)
    return np.floor(proba @ np.arange(proba.shape[1]) + 0.5 + 1e-12).astype(np.int64)


def decision_of(contract: Contract) -> Decision:
    """The decision that suits a run's metric; where that has none the most probable class, of ordered classes the middle one.

    A package's metric whose package is not installed where this runs counts for one without.
    """
    from tools.metrics.catalogue import find_metric

    try:
        metric = find_metric(contract.metric)
    except ValueError:
        metric = None
    if metric is not None and metric.needs == "label":
        return metric.decision
    return "median" if contract.task == "ordinal" else "mode"


def called(contract: Contract, proba: Array) -> Array:
    """The codes of the classes that a run's model calls, shape (n,), see `decision_of`."""
    return decided(proba, decision_of(contract))
