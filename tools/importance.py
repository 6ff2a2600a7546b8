"""Permutation importance (Breiman 2001): how much worse the contract's metric gets when a column is shuffled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.deadline import Deadline
from tools.forecast import Forecast
from tools.problem import Problem, levels_of_rows

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray[Any, np.dtype[Any]]

BATCH_ROWS = 5000
"""Rows that are predicted at once: many models spend more on a call than on a row."""


def loss_of_metric(problem: Problem, y: Array, predictions: Array, units: Array | None = None, decision: Sequence[float] = ()) -> float:
    """The contract's metric, turned so that lower is better.

    Args:
        units: the unit of each row's error, for metrics that count in units.
        decision: the multipliers by which the model calls classes: of a rare class it calls, the most probable one may call none.

    Raises:
        ValueError: when it is undefined on these rows.
    """
    from tools.deciding import tilted
    from tools.metrics import score

    if units is None:
        units = levels_of_rows(problem.contract, len(y))
    contract = problem.contract
    decided = tilted(predictions, decision, labels=contract.predicts == "labels")
    value = score(contract.metric, contract.task, y, decided, units=units)
    return -value if contract.direction == "maximize" else value


def shuffled_moments(X: pd.DataFrame, name: str, forecast: Forecast, rng: np.random.Generator) -> pd.DataFrame:
    """Rows to forecast with one thing about them shuffled, so that every row stays a moment that some row was.

    Args:
        name: the time column, which is shuffled within each series; the series columns with commas between, which change places among
            rows of one moment; or a column that is known ahead.
    """
    if name == forecast.time:
        within, moved = forecast.series_of(X).astype(str), [name]
    elif name == ", ".join(forecast.series):
        within, moved = X[forecast.time].astype(str).to_numpy(), list(forecast.series)
    else:
        within, moved = np.zeros(len(X)), [name]
    places = np.arange(len(X))
    for value in np.unique(within):
        rows = np.flatnonzero(within == value)
        places[rows] = rng.permutation(rows)
    return X.assign(**{column: X[column].take(places).array for column in moved})


def permutation_importance(
    predict: Callable[[pd.DataFrame], Array],
    X: pd.DataFrame,
    loss: Callable[[Array], float],
    columns: list[str],
    rng: np.random.Generator,
    repeats: int = 1,
    deadline: Deadline | None = None,
    shuffle: Callable[[pd.DataFrame, str], pd.DataFrame] | None = None,
) -> dict[str, list[float]]:
    """What each shuffle of a column adds to the loss, column by column; negative where the shuffled table did better.

    All columns are shuffled once before any is again, so that a deadline leaves as many columns as it can. Columns that are never
    reached have an empty list.

    Args:
        loss: of predictions for X.
        shuffle: gives X with what stands under a name shuffled; left out, the column of that name over all rows.

    Raises:
        ValueError: when the metric is undefined on these rows.
    """
    import pandas as pd

    base = loss(predict(X))
    found: dict[str, list[float]] = {name: [] for name in columns}
    together = max(1, BATCH_ROWS // max(1, len(X)))
    for start in [*range(0, len(columns), together)] * repeats:
        if deadline is not None and deadline.expired():
            break
        names = columns[start : start + together]
        tables = [shuffle(X, name) if shuffle else X.assign(**{name: X[name].to_numpy()[rng.permutation(len(X))]}) for name in names]
        predictions = predict(pd.concat(tables, ignore_index=True))
        for place, name in enumerate(names):
            found[name].append(loss(predictions[place * len(X) : (place + 1) * len(X)]) - base)
    return found
