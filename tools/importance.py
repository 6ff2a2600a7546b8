"""Permutation importance (Breiman 2001): how much worse the contract's metric gets when a column is shuffled."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.deadline import Deadline
from tools.problem import Problem

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray[Any, np.dtype[Any]]


def loss_of_metric(problem: Problem, y: Array, predictions: Array) -> float:
    """The contract's metric, turned so that lower is better.

    Raises:
        ValueError: when it is undefined on these rows.
    """
    from tools.metrics import score

    value = score(problem.contract.metric, problem.contract.task, y, predictions)
    return -value if problem.contract.direction == "maximize" else value


def permutation_importance(
    predict: Callable[[pd.DataFrame], Array],
    X: pd.DataFrame,
    loss: Callable[[Array], float],
    columns: list[str],
    rng: np.random.Generator,
    repeats: int = 1,
    deadline: Deadline | None = None,
) -> dict[str, list[float]]:
    """What each shuffle of a column adds to the loss, column by column; negative where the shuffled table did better.

    All columns are shuffled once before any is again, so that a deadline leaves as many columns as it can. Columns that are never
    reached have an empty list.

    Args:
        loss: of predictions for X.

    Raises:
        ValueError: when the metric is undefined on these rows.
    """
    base = loss(predict(X))
    found: dict[str, list[float]] = {name: [] for name in columns}
    for _ in range(repeats):
        for name in columns:
            if deadline is not None and deadline.expired():
                return found
            shuffled = X.copy()
            shuffled[name] = X[name].to_numpy()[rng.permutation(len(X))]
            found[name].append(loss(predict(shuffled)) - base)
    return found
