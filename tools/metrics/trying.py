"""Whether a metric that a package brought can judge a run: it is tried on what is nearly right, and on the same dealt out at random.

Whatever a metric asks for, predictions that follow the truth are worth no less than the same predictions in the place of other rows'. One
that says the opposite has its direction or its sign the wrong way round, and a search would hand over the worst model that it finds.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from tools.contract import Task, predicts
from tools.metrics.metric import Metric
from tools.metrics.scoring import score

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

ROWS = 2_000
"""Rows that it is tried on at most."""
DEALS = 5
WITHIN_S = 30.0
"""Seconds for all trials. A run makes hundreds of such calls."""
SURE = 0.9
"""Probability of what is true."""


def unusable(metric: Metric, task: Task, y: Array, classes: int, seed: int = 0, within_s: float = WITHIN_S) -> str | None:
    """Why a package's metric cannot judge a run, or None where it can, or where that cannot be tried.

    Args:
        y: codes or values, shape (n,), or labels, shape (n, labels), on which it is defined.
        classes: number of classes or labels; 0 where neither is predicted.
    """
    import numpy as np

    if metric.in_units or predicts(task) not in ("classes", "labels", "values"):
        return None
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.permutation(len(y))[:ROWS])
    truth = y[rows]
    right = _nearly_right(task, truth, classes, rng)
    dealt = [right[rng.permutation(len(truth))] for _ in range(DEALS)]
    found: list[float | ValueError] = []
    called = f"metric {metric.name!r} of package {metric.package!r}"

    def tried() -> None:
        for said in (right, *dealt):
            try:
                found.append(score(metric.name, task, truth, said))
            except ValueError as error:
                found.append(error)

    # A thread that nobody waits for longer: what never comes back cannot be ended, but must not hold the run up.
    thread = threading.Thread(target=tried, name="metric-tried", daemon=True)
    thread.start()
    thread.join(within_s)
    if len(found) <= DEALS:
        return f"{called} did not score {len(truth):,} rows {DEALS + 1} times in {within_s:g} s"
    scores = [value for value in found if isinstance(value, float)]
    if not scores:
        return str(found[0])
    if len(scores) < len(found):  # on some of these it may have no value
        return None
    best, others = scores[0], scores[1:]
    if all(metric.better(other, best) for other in others):
        nearest = min(others) if metric.direction == "maximize" else max(others)
        return (
            f"{called} is to {metric.direction}, and gives what is nearly right {best:.6g} and the same predictions in other rows' places"
            f" {nearest:.6g}: its direction or its sign is the wrong way round"
        )
    return None


def _nearly_right(task: Task, y: Array, classes: int, rng: np.random.Generator) -> Array:
    """Predictions in the task's shape that follow the truth, but not to the last digit: some losses have no value there."""
    import numpy as np

    if predicts(task) == "values":
        step = 0.01 * (float(y.std()) or 1.0)
        values = y + rng.normal(0, step, len(y))
        # Of what is never negative a metric may take the logarithm, and models predict more than 0.
        return np.asarray(np.maximum(np.abs(values), step) if y.min() >= 0 else values)
    if predicts(task) == "labels":
        return np.where(y == 1, SURE, 1 - SURE)
    proba = np.full((len(y), classes), (1 - SURE) / max(1, classes - 1))
    proba[np.arange(len(y)), y] = SURE
    return proba
