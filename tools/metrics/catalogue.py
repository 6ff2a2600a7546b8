"""Metrics by name: the built-in ones, and those that installed packages bring."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from tools.contract import Task, plain_numbers, predicts
from tools.metrics.classification import CLASSIFICATION
from tools.metrics.custom import brought, load
from tools.metrics.metric import Metric
from tools.metrics.multilabel import MULTILABEL, scorable
from tools.metrics.names import usual_name
from tools.metrics.ordinal import ORDINAL
from tools.metrics.quantile import QUANTILE
from tools.metrics.regression import ADJUSTED, REGRESSION
from tools.metrics.structure import STRUCTURE
from tools.metrics.survival import SURVIVAL

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

METRICS: dict[str, Metric] = {
    metric.name: metric for metric in (*CLASSIFICATION, *ORDINAL, *MULTILABEL, *REGRESSION, *QUANTILE, *SURVIVAL, *STRUCTURE)
}
"""The built-in metrics."""
BESIDE = {
    ADJUSTED: ("r2", "is told beside the metrics and nothing is chosen by it"),
    "ibs": ("c_index", "is told beside the metrics and nothing is chosen by it"),
    "coverage": ("pinball", "is measured on the holdout and told; by itself, an interval that holds everything would win"),
    "width": ("pinball", "is measured on the holdout and told; by itself, an interval that holds nothing would win"),
    "mse": ("rmse", "is the square of rmse and puts models in the same order"),
    "gini": ("roc_auc", "is 2 roc_auc - 1 and puts models in the same order"),
}
"""What people may ask for that nothing is chosen by: the metric to choose by in its place, and why."""
_BESIDE_TOO = {
    "r2_adjusted": ADJUSTED,
    "adj_r2": ADJUSTED,
    "mean_squared_error": "mse",
    "interval_width": "width",
    "interval_coverage": "coverage",
}
_DEFAULTS: dict[Task, str] = {
    "binary": "roc_auc",
    "multiclass": "log_loss",
    "ordinal": "qwk",
    "regression": "rmse",
    "count": "poisson_deviance",
    "quantile": "pinball",
    "forecast": "mase",
    "survival": "c_index",
    "cluster": "silhouette",
    "anomaly": "agreement",
    "multilabel": "average_precision",
}
_TWO_CLASSES = ("roc_auc", "roc_auc_ovo", "average_precision", "mcc", "kappa", "qwk")


def default_metric(task: Task) -> str:
    """The metric of a task when nobody asked for one."""
    return _DEFAULTS[task]


def metric_name(said: str) -> str:
    """The name of the metric that is meant, by any of its names; what is none comes back as it is. A package's own names stand first."""
    name = usual_name(said)
    return name if said not in METRICS and name in METRICS and said not in brought() else said


def find_metric(name: str) -> Metric:
    """The metric called `name`, built in or brought by a package, which is imported for that.

    Raises:
        ValueError: when there is none, naming the nearest; when the package that brings it is broken, naming that.
    """
    metric = METRICS.get(name)
    if metric is not None:
        return metric
    custom = brought()
    if name in custom:
        return load(name)
    usual = usual_name(name)
    if (beside := BESIDE.get(_BESIDE_TOO.get(usual, usual))) is not None:
        raise ValueError(f"{name!r} {beside[1]}; choose by {beside[0]!r}.")
    known = [*METRICS, *custom]
    near = [usual] if usual in METRICS else difflib.get_close_matches(usual, known, n=3)
    hint = f"Did you mean {' or '.join(map(repr, near))}?" if near else ""
    raise ValueError(f"unknown metric {name!r}. {hint or 'Metrics: ' + ', '.join(known) + '.'}")


def metric_for(name: str, task: Task) -> Metric:
    """The metric called `name`.

    Raises:
        ValueError: as `find_metric` does, and when the metric does not fit the task; names those that do.
    """
    try:
        metric = find_metric(name)
    except ValueError as error:
        raise ValueError(f"{error} Metrics for a {task} task: {_fitting(task)}.") from None
    if task not in metric.tasks:
        tasks = f"{', '.join(metric.tasks[:-1])} and {metric.tasks[-1]}" if len(metric.tasks) > 1 else metric.tasks[0]
        raise ValueError(f"metric {name!r} is for {tasks} tasks, this task is {task}. Choose one of: {_fitting(task)}.")
    return metric


def _fitting(task: Task) -> str:
    return ", ".join(known.name for known in METRICS.values() if task in known.tasks)


def undefined_reason(metric: str, task: Task, y: Array) -> str | None:
    """Why `metric` has no value on these true values, or None when it has one.

    Raises:
        ValueError: for a metric that does not exist or does not fit.
    """
    import numpy as np

    metric_for(metric, task)
    if len(y) == 0:
        return "there are no rows to score"
    if predicts(task) == "risk":
        return _no_pairs(y)
    if predicts(task) in ("groups", "scores"):
        return _no_reference(metric, y)
    if plain_numbers(task):
        if not np.isfinite(y).all():
            return "a true value is missing or infinite"
        if metric == "r2" and (len(y) < 2 or np.ptp(y) == 0):
            return "r2 needs at least two different true values; use rmse or mae"
        if metric == "mape" and (y == 0).any():
            return "mape divides by the true value and some are 0; use mae or smape"
        if metric == "wape" and not y.any():
            return "wape divides by the sum of the true values, all of which are 0; use mae or rmse"
        if metric == "poisson_deviance" and (y < 0).any():
            return "poisson_deviance is of counts and some true values are negative; use rmse or mae"
        if metric == "rmsle" and (y < 0).any():
            return "rmsle takes log(1 + value) and some true values are negative; use rmse or mae"
        return None
    if predicts(task) == "labels":
        if metric in ("average_precision", "roc_auc") and not scorable(y):
            return f"{metric} needs a label that is true in some rows and false in others; use hamming_loss"
        return None
    if metric in _TWO_CLASSES and len(np.unique(y)) < 2:
        return f"{metric} needs at least two classes among the true values, found one; use accuracy or log_loss"
    return None


def _no_pairs(y: Array) -> str | None:
    """Why signed times have no two rows of which one is known to have lived longer."""
    import numpy as np

    from tools.survival import events_of, times_of

    if not np.isfinite(y).all():
        return "a time is missing or infinite"
    times, events = times_of(y), events_of(y)
    if not events.any():
        return "no event happened among these rows; concordance needs one, and a row that lived longer"
    first = times[events].min()
    return None if ((times > first) | ((times == first) & ~events)).any() else "no row lived longer than the first event"


def _no_reference(metric: str, y: Array) -> str | None:
    """Why groups or scores cannot be scored against labels (n,) or reference columns (n, d)."""
    import numpy as np

    if y.ndim == 2:
        if metric in _TWO_CLASSES:
            return f"{metric} needs labels, and no column of them was named; name it with --target, or use agreement"
        return "there are fewer than three rows" if len(y) < 3 else None
    if metric not in _TWO_CLASSES:
        return f"{metric} is for rows without labels; use roc_auc or average_precision, or leave --target out"
    found = len(np.unique(y))
    return f"{metric} needs rows of both labels, found {found} of them" if found < 2 else None
