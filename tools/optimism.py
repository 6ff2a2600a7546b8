"""How much a cross-validated score flatters a candidate that was picked for it among many, on the same folds.

The bootstrap bias corrected cross-validation of Tsamardinos, Greasidou and Borboudakis (2018, Machine Learning 107): the pick is
made again on resamples of the rows, by the out-of-fold predictions that are there anyhow, and scored on the rows that the resample
left out. Nothing is fitted again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from tools.contract import Task, predicts

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

MOST_CANDIDATES, LEAST_CANDIDATES = 25, 5
"""So many of the best are picked from; one far behind them is the pick of no resample."""
MOST_RESAMPLES, LEAST_RESAMPLES = 200, 30
ROWS_WEIGHED = 60_000_000
"""Rows times resamples times candidates times columns, about two seconds on a slow core."""
ROWS_AT_MOST = 500_000_000
"""Beyond, even the fewest resamples take too long, and so many rows flatter nobody by much."""


class Optimism(BaseModel):
    """What the best score of many owes to having been picked."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    optimism: float
    """How much better the best score is than what the pick can be expected to have on other rows; 0 or more."""
    candidates: int
    """How many the pick was made from."""
    resamples: int


def selection_optimism(
    metric: str,
    task: Task,
    y: Array,
    candidates: Sequence[Callable[[], Array]],
    *,
    groups: Array | None = None,
    units: Array | None = None,
    resamples: int = MOST_RESAMPLES,
    seed: int = 0,
) -> Optimism | None:
    """The optimism of the first of `candidates`, which has the best score over all rows.

    Of each resample the candidate with the best score is taken, and its score on the rows left out (a share of 0.37 of them) is
    compared with that of the overall best on the same rows; the mean difference is the optimism. The original takes the mean score
    itself for the corrected one; the difference leaves out what a metric has on fewer rows, and is the same where a metric is a mean
    over rows. Resamples on whose rows some score is undefined are passed over.

    Args:
        y: codes or values of the rows that folds validate, shape (n,).
        candidates: each gives its out-of-fold predictions for these rows, (n, k) or (n,), when it is called; they are not kept.
        groups: the group of each row, shape (n,), where whole groups are to be drawn and left out.
        units: the unit of each row's error, shape (n,), or the levels of its quantiles, shape (n, q); see `tools.metrics.score`.
        resamples: at most; many rows and candidates get fewer, and fewer candidates, the last ones left out.

    Raises:
        ValueError: as `tools.metrics.score` does.

    Returns:
        None for fewer than two candidates, for too many rows, and where most resamples have no score.
    """
    import numpy as np

    from tools.metrics import metric_for, shaped
    from tools.resampling import draw
    from tools.weighing import weigher

    if predicts(task) == "groups":  # each score compares all rows with all, and there are few numbers of groups to pick from
        return None
    chosen, candidates = metric_for(metric, task), candidates[: most_candidates(metric, task, y)]
    if len(candidates) < 2 or (groups is not None and len(np.unique(groups)) < 2):
        return None
    work = _work(metric, task, y) * len(candidates)
    resamples = int(np.clip(ROWS_WEIGHED // work, min(LEAST_RESAMPLES, resamples), resamples))
    sign = 1.0 if chosen.direction == "maximize" else -1.0
    inside, outside = np.empty((len(candidates), resamples)), np.empty((len(candidates), resamples))
    for i, predictions in enumerate(candidates):
        codes, ready = shaped(chosen, task, y, predictions(), units)
        score = weigher(chosen, codes, ready)
        # The same seed for each: all are compared on the same rows.
        for b, counts in enumerate(draw(task, codes, resamples, seed, groups)):
            inside[i, b], outside[i, b] = sign * score(counts), sign * score((counts == 0).astype(np.float64))
    usable = np.isfinite(inside).all(axis=0) & np.isfinite(outside).all(axis=0)
    if usable.sum() < max(2, resamples / 2):
        return None
    inside, outside = inside[:, usable], outside[:, usable]
    picked = outside[inside.argmax(axis=0), np.arange(int(usable.sum()))]
    return Optimism(optimism=max(0.0, float((outside[0] - picked).mean())), candidates=len(candidates), resamples=int(usable.sum()))


def most_candidates(metric: str, task: Task, y: Array) -> int:
    """How many of the best candidates a pick can be made from in reasonable time; 0 for too many rows."""
    work = LEAST_RESAMPLES * _work(metric, task, y)
    if work * LEAST_CANDIDATES > ROWS_AT_MOST:
        return 0
    return min(MOST_CANDIDATES, max(LEAST_CANDIDATES, ROWS_WEIGHED // max(1, work)))


def _work(metric: str, task: Task, y: Array) -> int:
    """Rows to be weighed for one candidate and resample."""
    import numpy as np

    from tools.metrics import metric_for

    return len(y) * (y.shape[1] if y.ndim == 2 else len(np.unique(y)) if metric_for(metric, task).compares_rows and task != "binary" else 1)
