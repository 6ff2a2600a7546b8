"""Which rows belong together when rows are dealt out or resampled: those of one class, or of one end."""

from __future__ import annotations

from typing import Any

import numpy as np

from tools.contract import Task, predicts
from tools.survival import events_of

Array = np.ndarray[Any, np.dtype[Any]]


def strata(task: Task, y: Array) -> Array:
    """The stratum of each row, int64 (n,): its class or label; whether the event was seen; 0 for all rows of plain numbers.

    Args:
        y: class codes, values or signed times, shape (n,), or points, shape (n, d).
    """
    match predicts(task):
        case "classes":
            return np.unique(y, return_inverse=True)[1].astype(np.int64)
        case "risk":
            return events_of(y).astype(np.int64)
        case "scores" if y.ndim == 1:
            return y.astype(np.int64)
        case _:
            return np.zeros(len(y), dtype=np.int64)
