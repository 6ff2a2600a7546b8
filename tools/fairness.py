"""How differently a model treats the groups of a sensitive column, by its out-of-fold predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tools.contract import Task
from tools.metrics.decision import Decision, decided

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

Array = np.ndarray[Any, np.dtype[Any]]

FEWEST = 30
"""Rows of a group below which its rates say too little."""
FEWEST_TOGETHER = 5
"""Where rows belong together, as those of one patient do: how many of such a group must have."""
MOST_LEVELS = 10
"""A number with more values is cut into quarters."""


def groups_of(values: pd.Series) -> Array:
    """The group of each row as text, shape (n,): the value, its quarter among many numbers, or `missing`."""
    import pandas as pd

    if pd.api.types.is_numeric_dtype(values) and values.nunique() > MOST_LEVELS:
        values = pd.qcut(values, 4, duplicates="drop").astype(object)
    return values.astype(object).where(values.notna(), "missing").astype(str).to_numpy(dtype=object).astype(str)


def disparities(
    task: Task, y: Array, repeats: Sequence[Array], groups: Array, together: Array | None = None, decision: Decision = "mode"
) -> dict[str, float]:
    """The largest differences between groups of 30 rows and more, by what single models do in the mean over repeats.

    `selection_rate`: of the share that is called positive (demographic parity). `tpr`: of the share of positives that are found
    (equality of opportunity, Hardt et al. 2016), over groups with that many positives. `error`: of the share of wrong calls, or of
    the mean absolute error as a share of that of all rows. The first two are for two classes alone.

    Args:
        y: codes or values, shape (n,).
        repeats: predictions of each repeat as they are scored, (n, k), or values (n,). A row counts once, however often it was predicted.
        groups: shape (n,).
        together: which rows belong together, shape (n,); a group has five of them at least then, or its rates are of a few alone.
        decision: which class of a row's is called.

    Returns:
        Differences of 0 and more; empty with fewer than two such groups.
    """
    members = [inside for inside in (groups == name for name in np.unique(groups)) if enough(inside, together)]
    if len(members) < 2:
        return {}
    if repeats[0].ndim == 1:
        wrong = np.mean([np.abs(each - y) for each in repeats], axis=0)
        wrong = wrong / max(float(wrong.mean()), 1e-12)
    else:
        calls = [decided(each, decision) for each in repeats]
        wrong = np.mean([called != y for called in calls], axis=0)
    found = {"error": _spread([float(wrong[inside].mean()) for inside in members])}
    if task == "binary":
        selected = np.mean([called == 1 for called in calls], axis=0)
        found["selection_rate"] = _spread([float(selected[inside].mean()) for inside in members])
        positives = [inside & (y == 1) for inside in members]
        rates = [float(selected[inside].mean()) for inside in positives if enough(inside, together)]
        if len(rates) > 1:
            found["tpr"] = _spread(rates)
    return found


def enough(inside: Array, together: Array | None) -> bool:
    """Whether some rows, bool (n,), are so many that a rate of theirs says something, by `disparities`."""
    return inside.sum() >= FEWEST and (together is None or len(np.unique(together[inside])) >= FEWEST_TOGETHER)


def _spread(rates: list[float]) -> float:
    return round(max(rates) - min(rates), 6)
