"""Metrics by name, for which task and which way is better, and bootstrap intervals for them.

Throughout, `y` is an array of shape (n,): integer codes into `contract.classes` for classification, floats for
regression. `predictions` are probabilities of shape (n, k) in the order of `contract.classes`, or values of shape (n,).
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

from tools.contract import Direction, Task

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

Needs = Literal["proba", "label", "value"]


@dataclass(frozen=True)
class Metric:
    """One way to score predictions."""

    name: str
    tasks: tuple[Task, ...]
    direction: Direction
    needs: Needs
    """`proba`: probabilities; `label`: the most probable class; `value`: numbers."""
    description: str
    function: Callable[[Array, Array], float]
    """Takes `y` and, by `needs`, probabilities (n, k), predicted codes (n,) or values (n,)."""

    def better(self, a: float, b: float) -> bool:
        """Whether score `a` is strictly better than `b`."""
        return a > b if self.direction == "maximize" else a < b


class Interval(BaseModel):
    """A score with its percentile bootstrap interval."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    score: float
    low: float
    high: float
    std_error: float
    level: float
    """Nominal coverage, 0 to 1."""
    n: int
    """Number of rows scored."""


def _roc_auc(y: Array, proba: Array) -> float:
    import numpy as np
    from sklearn.metrics import roc_auc_score

    if proba.shape[1] == 2:
        return float(roc_auc_score(y == 1, proba[:, 1]))
    return float(np.mean([roc_auc_score(y == code, proba[:, code]) for code in np.unique(y)]))


def _average_precision(y: Array, proba: Array) -> float:
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(y == 1, proba[:, 1]))


def _log_loss(y: Array, proba: Array) -> float:
    from sklearn.metrics import log_loss

    return float(log_loss(y, proba, labels=range(proba.shape[1])))


def _brier(y: Array, proba: Array) -> float:
    from sklearn.metrics import brier_score_loss

    return float(brier_score_loss(y == 1, proba[:, 1]))


def _accuracy(y: Array, labels: Array) -> float:
    from sklearn.metrics import accuracy_score

    return float(accuracy_score(y, labels))


def _balanced_accuracy(y: Array, labels: Array) -> float:
    from sklearn.metrics import recall_score

    # The mean recall over the classes that occur in y; scikit-learn's own function warns about the others.
    return float(recall_score(y, labels, average="macro", labels=sorted(set(y.tolist())), zero_division=0))


def _f1(y: Array, labels: Array) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(y, labels, pos_label=1, zero_division=0))


def _f1_macro(y: Array, labels: Array) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(y, labels, average="macro", zero_division=0))


def _f1_weighted(y: Array, labels: Array) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(y, labels, average="weighted", zero_division=0))


def _precision(y: Array, labels: Array) -> float:
    from sklearn.metrics import precision_score

    return float(precision_score(y, labels, pos_label=1, zero_division=0))


def _recall(y: Array, labels: Array) -> float:
    from sklearn.metrics import recall_score

    return float(recall_score(y, labels, pos_label=1, zero_division=0))


def _mcc(y: Array, labels: Array) -> float:
    from sklearn.metrics import matthews_corrcoef

    return float(matthews_corrcoef(y, labels))


def _kappa(y: Array, labels: Array) -> float:
    from sklearn.metrics import cohen_kappa_score

    return float(cohen_kappa_score(y, labels))


def _rmse(y: Array, values: Array) -> float:
    from sklearn.metrics import root_mean_squared_error

    return float(root_mean_squared_error(y, values))


def _mae(y: Array, values: Array) -> float:
    from sklearn.metrics import mean_absolute_error

    return float(mean_absolute_error(y, values))


def _r2(y: Array, values: Array) -> float:
    from sklearn.metrics import r2_score

    return float(r2_score(y, values))


def _mape(y: Array, values: Array) -> float:
    from sklearn.metrics import mean_absolute_percentage_error

    return float(mean_absolute_percentage_error(y, values))


def _rmsle(y: Array, values: Array) -> float:
    from sklearn.metrics import root_mean_squared_log_error

    return float(root_mean_squared_log_error(y, values.clip(min=0)))


def _median_ae(y: Array, values: Array) -> float:
    from sklearn.metrics import median_absolute_error

    return float(median_absolute_error(y, values))


_BINARY: tuple[Task, ...] = ("binary",)
_MULTI: tuple[Task, ...] = ("multiclass",)
_CLASSES: tuple[Task, ...] = ("binary", "multiclass")
_NUMBERS: tuple[Task, ...] = ("regression",)

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("roc_auc", _CLASSES, "maximize", "proba", "Area under the ROC curve; mean of one-vs-rest over the classes", _roc_auc),
        Metric("average_precision", _BINARY, "maximize", "proba", "Area under the precision-recall curve", _average_precision),
        Metric("log_loss", _CLASSES, "minimize", "proba", "Mean negative log-likelihood of the true class", _log_loss),
        Metric("brier", _BINARY, "minimize", "proba", "Mean squared error of the positive probability", _brier),
        Metric("accuracy", _CLASSES, "maximize", "label", "Share of rows whose most probable class is right", _accuracy),
        Metric("balanced_accuracy", _CLASSES, "maximize", "label", "Mean recall over the classes", _balanced_accuracy),
        Metric("f1", _BINARY, "maximize", "label", "Harmonic mean of precision and recall of the positive class", _f1),
        Metric("precision", _BINARY, "maximize", "label", "Share of positive calls that are right", _precision),
        Metric("recall", _BINARY, "maximize", "label", "Share of positives that are found", _recall),
        Metric("mcc", _CLASSES, "maximize", "label", "Matthews correlation coefficient, -1 to 1", _mcc),
        Metric("f1_macro", _MULTI, "maximize", "label", "Mean of the classes' F1", _f1_macro),
        Metric("f1_weighted", _MULTI, "maximize", "label", "Mean of the classes' F1, weighted by their rows", _f1_weighted),
        Metric("kappa", _MULTI, "maximize", "label", "Cohen's kappa: agreement beyond chance", _kappa),
        Metric("rmse", _NUMBERS, "minimize", "value", "Root of the mean squared error, in units of the target", _rmse),
        Metric("mae", _NUMBERS, "minimize", "value", "Mean absolute error, in units of the target", _mae),
        Metric("r2", _NUMBERS, "maximize", "value", "Share of the target's variance explained", _r2),
        Metric("mape", _NUMBERS, "minimize", "value", "Mean absolute error as a share of the true value", _mape),
        Metric("rmsle", _NUMBERS, "minimize", "value", "RMSE of log(1 + value); predictions below 0 count as 0", _rmsle),
        Metric("median_ae", _NUMBERS, "minimize", "value", "Median absolute error, in units of the target", _median_ae),
    )
}


def default_metric(task: Task) -> str:
    """The metric of a task when nobody asked for one."""
    return {"binary": "roc_auc", "multiclass": "log_loss", "regression": "rmse"}[task]


def metric_for(name: str, task: Task) -> Metric:
    """The metric called `name`.

    Raises:
        ValueError: when there is no such metric, or it does not fit the task; names those that do.
    """
    fitting = ", ".join(known.name for known in METRICS.values() if task in known.tasks)
    metric = METRICS.get(name)
    if metric is None:
        near = difflib.get_close_matches(name.lower().replace("-", "_").replace(" ", "_"), METRICS, n=3)
        hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise ValueError(f"unknown metric {name!r}.{hint} Metrics for a {task} task: {fitting}.")
    if task not in metric.tasks:
        raise ValueError(f"metric {name!r} is for {' and '.join(metric.tasks)} tasks, this task is {task}. Choose one of: {fitting}.")
    return metric


def undefined_reason(metric: str, task: Task, y: Array) -> str | None:
    """Why `metric` has no value on these true values, or None when it has one.

    Raises:
        ValueError: for a metric that does not exist or does not fit.
    """
    import numpy as np

    metric_for(metric, task)
    if len(y) == 0:
        return "there are no rows to score"
    if task == "regression":
        if not np.isfinite(y).all():
            return "a true value is missing or infinite"
        if metric == "r2" and (len(y) < 2 or np.ptp(y) == 0):
            return "r2 needs at least two different true values; use rmse or mae"
        if metric == "mape" and (y == 0).any():
            return "mape divides by the true value and some are 0; use mae or rmsle"
        if metric == "rmsle" and (y < 0).any():
            return "rmsle takes log(1 + value) and some true values are negative; use rmse or mae"
        return None
    if metric in ("roc_auc", "average_precision", "mcc", "kappa") and len(np.unique(y)) < 2:
        return f"{metric} needs at least two classes among the true values, found one; use accuracy or log_loss"
    return None


def score(metric: str, task: Task, y: Array, predictions: Array) -> float:
    """Score predictions. Label metrics take the most probable class.

    Raises:
        ValueError: when shapes do not fit, a prediction is not finite, or the metric is undefined on `y`.
    """
    import numpy as np

    chosen = metric_for(metric, task)
    y, ready = shaped(chosen, task, y, predictions)
    value = chosen.function(y, ready)
    if not np.isfinite(value):
        raise ValueError(f"{metric} is undefined on these {len(y)} rows (it came out as {value})")
    return value


def bootstrap_interval(
    metric: str, task: Task, y: Array, predictions: Array, *, resamples: int = 500, level: float = 0.95, seed: int = 0
) -> Interval:
    """Percentile bootstrap interval of a score (Efron and Tibshirani 1993, chapter 13).

    Rows are resampled with replacement, within each class for classification, so that every resample has every class
    in its observed share and the metric is always defined. The interval covers the chance of the scored rows alone,
    not that of the training rows or of the seed.

    Args:
        resamples: how many resamples at most; ROC AUC over many classes and rows takes fewer, at least 100.
        level: nominal coverage, between 0 and 1.

    Raises:
        ValueError: as `score` does.
    """
    import numpy as np

    from tools.resampling import bootstrap_scores

    value = score(metric, task, y, predictions)
    y, ready = shaped(metric_for(metric, task), task, y, predictions)
    scores = bootstrap_scores(METRICS[metric], task, y, ready, resamples, np.random.default_rng(seed))
    tail = (1 - level) / 2
    low, high = np.quantile(scores, [tail, 1 - tail])
    return Interval(score=value, low=float(low), high=float(high), std_error=float(scores.std(ddof=1)), level=level, n=len(y))


def shaped(metric: Metric, task: Task, y: Array, predictions: Array) -> tuple[Array, Array]:
    """Check shapes and values; give `y` and what the metric's function takes.

    Raises:
        ValueError: as `score` does.
    """
    import numpy as np

    y, predictions = np.asarray(y), np.asarray(predictions, dtype=np.float64)
    wanted = "(n,)" if task == "regression" else "(n, 2)" if task == "binary" else "(n, k)"
    shape_fits = predictions.ndim == (1 if task == "regression" else 2) and (task != "binary" or predictions.shape[1] == 2)
    if y.ndim != 1 or len(y) != len(predictions) or not shape_fits:
        raise ValueError(f"{metric.name}: y has shape {y.shape} and predictions {predictions.shape}; expected (n,) and {wanted}")
    if not np.isfinite(predictions).all():
        raise ValueError(f"{metric.name}: {(~np.isfinite(predictions)).sum()} predictions are missing or infinite")
    reason = undefined_reason(metric.name, task, y)
    if reason:
        raise ValueError(f"{metric.name} is undefined here: {reason}")
    if task == "regression":
        return y.astype(np.float64), predictions
    if y.min() < 0 or y.max() >= predictions.shape[1]:
        raise ValueError(f"{metric.name}: y holds codes {y.min()} to {y.max()}, but there are {predictions.shape[1]} probability columns")
    y = y.astype(np.int64)
    if metric.needs == "label":
        return y, predictions.argmax(axis=1)
    totals = predictions.sum(axis=1, keepdims=True)
    if (predictions < 0).any() or (totals <= 0).any():
        raise ValueError(f"{metric.name}: probabilities must be 0 or more and each row must have a positive sum")
    return y, predictions / totals
