"""Metrics of predicted quantiles.

All are means over rows, and what `ready` makes of predictions says each row's loss: a value whose distance from the true one is the
loss. So everything that resamples, weighs and compares knows one shape.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

from tools.contract import Task
from tools.metrics.metric import Metric
from tools.quantiles import MEDIAN, crps_losses, pinball_losses

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

MEANS = ("pinball", "crps")
"""Of a loss that all levels have a part in."""


def ready(name: str, y: Array, predictions: Array, levels: Array) -> Array:
    """What a metric's function takes of quantiles, shape (n,): the median, or a value as far from `y` as the row's loss is large.

    Args:
        y: shape (n,).
        predictions: shape (n, q).
        levels: shape (q,), or (n, q) with equal rows.
    """
    import numpy as np

    if name in MEANS:
        return y + (pinball_losses if name == "pinball" else crps_losses)(y, predictions, levels)
    median: Array = predictions[:, int(np.argmin(np.abs(np.broadcast_to(levels, predictions.shape)[0] - MEDIAN)))]
    return median


def _mean_distance(y: Array, values: Array) -> float:
    import numpy as np

    return float(np.abs(y - values).mean())


_TASK: tuple[Task, ...] = ("quantile",)

QUANTILE = (
    Metric(
        "pinball",
        _TASK,
        "minimize",
        "value",
        "Mean pinball loss over the predicted levels, in units of the target",
        _mean_distance,
        (0.0, inf),
    ),
    Metric(
        "crps",
        _TASK,
        "minimize",
        "value",
        "Continuous ranked probability score as far as the predicted levels tell it, in units of the target",
        _mean_distance,
        (0.0, inf),
    ),
)
