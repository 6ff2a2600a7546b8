"""What a fitted model takes where it is used: milliseconds for a single row, megabytes on file."""

from __future__ import annotations

import pickle
import statistics
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from tools.problem import Problem

CALLS, AGAIN = 15, 4
ENOUGH_S = 0.2
"""Calls end after this time, since a model that is slow shows it in a few."""


def latency_of(predict: Callable[[pd.DataFrame], Any], rows: pd.DataFrame) -> float:
    """Milliseconds of a call with one row: the median of up to 15 calls with different rows, after one that is not counted.

    A batch takes less a row, since most of a call is spent on other things than rows.
    """
    if not len(rows):
        return 0.0
    predict(rows.iloc[:1])
    taken: list[float] = []
    begun = time.perf_counter()
    for call in range(CALLS):
        row = rows.iloc[[call % len(rows)]]
        started = time.perf_counter()
        predict(row)
        taken.append(time.perf_counter() - started)
        if time.perf_counter() - begun > ENOUGH_S:
            break
    return 1000 * statistics.median(taken)


def least_latency_of(predict: Callable[[pd.DataFrame], Any], rows: pd.DataFrame, bound_ms: float | None) -> float:
    """The same, measured again where it is above a bound: a machine that is busy only makes a model slower, so the least of several medians
    is nearest to the model's own. Whether it keeps to the bound is for the host to say, with limits of confidence."""
    least = latency_of(predict, rows)
    for _ in range(AGAIN):
        if bound_ms is None or least <= bound_ms:
            break
        least = min(least, latency_of(predict, rows))
    return least


def table_ms(problem: Problem, columns: list[str]) -> float:
    """Milliseconds of what every prediction of a single row begins with: bringing its columns into the schema. Measured once a problem:
    of 2,000 columns it takes as long as the fit of a fold."""
    from tools.columns import coerce
    from tools.contract import TableSchema

    if (known := tuple(columns)) not in problem.measured_ms:
        schema = TableSchema(columns=[column for column in problem.schema.columns if column.name in columns])
        problem.measured_ms[known] = latency_of(lambda rows: coerce(rows, schema), problem.X[columns].head(CALLS))
    return problem.measured_ms[known]


class _Counter:
    """A file that keeps nothing but its length."""

    def __init__(self) -> None:
        self.bytes = 0

    def write(self, data: Any) -> int:
        size = memoryview(data).nbytes
        self.bytes += size
        return size


def size_of(model: Any) -> float:
    """MB, of a million bytes, that a pickle of the model takes; a saved model is compressed and takes less."""
    counter = _Counter()
    pickle.dump(model, counter, protocol=pickle.HIGHEST_PROTOCOL)
    return counter.bytes / 1e6
