"""How differently a model treats the groups of a sensitive column, by its out-of-fold predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tools.contract import Task

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray[Any, np.dtype[Any]]

FEWEST = 30
"""Rows of a group below which its rates say too little."""
MOST_LEVELS = 10
"""A number with more values is cut into quarters."""


def groups_of(values: pd.Series) -> Array:
    """The group of each row as text, shape (n,): the value, its quarter among many numbers, or `missing`."""
    import pandas as pd

    if pd.api.types.is_numeric_dtype(values) and values.nunique() > MOST_LEVELS:
        values = pd.qcut(values, 4, duplicates="drop").astype(object)
    return values.astype(object).where(values.notna(), "missing").astype(str).to_numpy(dtype=object).astype(str)


def disparities(task: Task, y: Array, predictions: Array, groups: Array) -> dict[str, float]:
    """The largest differences between groups of 30 rows and more.

    `selection_rate`: of the share that is called positive (demographic parity). `tpr`: of the share of positives that are found
    (equality of opportunity, Hardt et al. 2016), over groups with that many positives. `error`: of the share of wrong calls, or of
    the mean absolute error as a share of that of all rows. The first two are for two classes alone.

    Args:
        y: codes or values, shape (n,).
        predictions: as they are scored, so that the largest of a row is the class that is called: (n, k), or values (n,).
        groups: shape (n,).

    Returns:
        Differences of 0 and more; empty with fewer than two such groups.
    """
    if predictions.ndim == 1:
        wrong = np.abs(predictions - y)
        wrong = wrong / max(float(wrong.mean()), 1e-12)
    else:
        called = predictions.argmax(axis=1)
        wrong = (called != y).astype(np.float64)
    members = [groups == name for name in np.unique(groups)]
    members = [inside for inside in members if inside.sum() >= FEWEST]
    if len(members) < 2:
        return {}
    found = {"error": _spread([float(wrong[inside].mean()) for inside in members])}
    if task == "binary":
        found["selection_rate"] = _spread([float((called[inside] == 1).mean()) for inside in members])
        positives = [inside & (y == 1) for inside in members]
        rates = [float((called[inside] == 1).mean()) for inside in positives if inside.sum() >= FEWEST]
        if len(rates) > 1:
            found["tpr"] = _spread(rates)
    return found


def _spread(rates: list[float]) -> float:
    return round(max(rates) - min(rates), 6)
