"""Score predictions by a metric's name, with checks of what is scored and intervals around it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tools.contract import Task, one_number, predicts
from tools.deadline import DeadlineReached
from tools.metrics.catalogue import metric_for, undefined_reason
from tools.metrics.decision import decided
from tools.metrics.metric import Interval, Metric
from tools.metrics.quantile import ready as of_quantiles

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]


def score(metric: str, task: Task, y: Array, predictions: Array, *, units: Array | None = None) -> float:
    """Score predictions. Label metrics take the class that their decision calls, which is the most probable one of classes without order.

    Args:
        units: the unit of each row's error, shape (n,), for metrics that count in units; of quantiles the levels that each row is
            predicted at, shape (n, q).

    Raises:
        ValueError: when shapes do not fit, a prediction is not finite, the metric is undefined on `y`, or the function that a
            package brought fails.
    """
    chosen = metric_for(metric, task)
    return _value(chosen, *shaped(chosen, task, y, predictions, units))


def _value(metric: Metric, y: Array, ready: Array) -> float:
    import numpy as np

    try:
        value = float(metric.function(y, ready))
    except DeadlineReached:  # an alarm that struck in there is none of its failures
        raise
    except (Exception, SystemExit) as error:
        if not metric.package:
            raise
        raise ValueError(f"metric {metric.name!r} of package {metric.package!r} failed: {type(error).__name__}: {error}") from error
    if not np.isfinite(value):
        raise ValueError(f"{metric.name} is undefined on these {len(y)} rows (it came out as {value})")
    return value


def bootstrap_interval(
    metric: str,
    task: Task,
    y: Array,
    predictions: Array,
    *,
    groups: Array | None = None,
    units: Array | None = None,
    resamples: int = 500,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Bootstrap interval of a score: percentiles of the scores of resamples (Efron and Tibshirani 1993, chapter 13), of rates and rankings
    their standard error on the scale of log-odds (`tools.bounded_intervals`).

    Rows are resampled with replacement, within each class for classification, so that every resample has every class
    in its observed share and the metric is always defined; of more than two classes those of few rows are resampled together, since
    within one of them there is too little chance, or none. With `groups`, whole groups are resampled instead, since rows of
    one group are alike (Field and Welsh 2007, the cluster bootstrap); resamples without a score are left out then. Few rows, few rows
    of a class that is ranked against the other, and few groups have wider intervals (`tools.resampling.tail_of`). The
    interval covers the chance of the scored rows alone, not that of the training rows or of the seed.

    The calibration error has an interval of its own, see `tools.resampling.calibration_interval`, and so has what nothing but right
    calls or a ranking without an error can score, of which all resamples are alike, see `tools.resampling.faultless_end` and
    `tools.bounded_intervals.perfect_ranking_end`.

    Args:
        groups: the group of each row, shape (n,), two different ones at least.
        units: as in `score`.
        resamples: how many resamples at most; ROC AUC over many classes and rows takes fewer, at least 100.
        level: nominal coverage, between 0 and 1.

    Raises:
        ValueError: as `score` does; when `groups` are too few, or so few that most resamples have no score.
    """
    return bootstrap_intervals([metric], task, y, predictions, groups=groups, units=units, resamples=resamples, level=level, seed=seed)[0]


def bootstrap_intervals(
    metrics: Sequence[str],
    task: Task,
    y: Array,
    predictions: Array,
    *,
    groups: Array | None = None,
    units: Array | None = None,
    resamples: int = 500,
    level: float = 0.95,
    seed: int = 0,
) -> list[Interval]:
    """The intervals that `bootstrap_interval` gives for each metric, over the same resamples, which are drawn once."""
    import numpy as np

    from tools.bounded_intervals import ROUNDING, bounded, bounded_ends, perfect_ranking_end
    from tools.resampling import bootstrap_scores, calibration_interval, draws_of, faultless_end, tail_of

    chosen = [metric_for(name, task) for name in metrics]
    ready = [shaped(metric, task, y, predictions, units) for metric in chosen]
    values = [_value(metric, *each) for metric, each in zip(chosen, ready, strict=True)]
    scores = bootstrap_scores(chosen, task, ready[0][0], [each for _, each in ready], resamples, seed, groups) if ready else []
    found = []
    for metric, (codes, each), value, resampled in zip(chosen, ready, values, scores, strict=True):
        draws = draws_of(metric, task, codes, groups)
        tail = tail_of(level, draws)
        low, high = np.quantile(resampled, [tail, 1 - tail])
        if metric.name == "ece":
            low, high = calibration_interval(value, resampled, each, tail, seed)
        elif (
            metric.needs == "label" and codes.ndim == 1 and not metric.package and abs(value - _best(metric)) + np.ptp(resampled) < ROUNDING
        ):
            far = faultless_end(metric, codes, each, level, groups)
            low, high = min(value, far), max(value, far)
        elif metric.name == "roc_auc" and value == 1.0 and each.shape[1] == 2 and codes.ndim == 1:
            low = perfect_ranking_end(codes, level, groups)
        elif bounded(metric) and (ends := bounded_ends(metric, value, float(resampled.std(ddof=1)), level, draws)):
            low, high = ends
        interval = Interval(
            score=value,
            low=float(low),
            high=float(high),
            std_error=float(resampled.std(ddof=1)),
            level=level,
            n=len(y),
            groups=None if groups is None else len(np.unique(groups)),
        )
        found.append(interval)
    return found


def intervals_of(
    metrics: Sequence[str], task: Task, y: Array, predictions: Array, groups: Array | None = None, **options: Any
) -> dict[str, Interval]:
    """The interval of each metric over whole groups; over rows where the groups are too few for it, which is no reason to take them
    for the metrics that have one.

    Args:
        options: of `bootstrap_interval`.

    Raises:
        ValueError: as `score` does.
    """
    try:
        found = bootstrap_intervals(metrics, task, y, predictions, groups=groups, **options)
    except ValueError:
        if groups is None:
            raise
        if len(metrics) > 1:
            return {one: intervals_of([one], task, y, predictions, groups, **options)[one] for one in metrics}
        found = bootstrap_intervals(metrics, task, y, predictions, **options)
    return dict(zip(metrics, found, strict=True))


def _best(metric: Metric) -> float:
    return metric.range[1] if metric.direction == "maximize" else metric.range[0]


def shaped(metric: Metric, task: Task, y: Array, predictions: Array, units: Array | None = None) -> tuple[Array, Array]:
    """Check shapes and values; give `y` and what the metric's function takes.

    For a metric that counts in units those are values whose distance from `y` is the error in units.

    Raises:
        ValueError: as `score` does.
    """
    import numpy as np

    y, predictions = np.asarray(y), np.asarray(predictions, dtype=np.float64)
    flat, quantiles = one_number(task), predicts(task) == "quantiles"
    wanted = "(n,)" if flat else "(n, 2)" if task == "binary" else "(n, q)" if quantiles else "(n, k)"
    shape_fits = predictions.ndim == (1 if flat else 2) and (task != "binary" or predictions.shape[1] == 2)
    wide = {"labels": (2,), "groups": (1, 2), "scores": (1, 2)}.get(predicts(task), (1,))
    alike = y.shape == predictions.shape if predicts(task) == "labels" else len(y) == len(predictions)
    if y.ndim not in wide or not alike or not shape_fits:
        like = wanted if predicts(task) == "labels" else "(n,)"
        raise ValueError(f"{metric.name}: y has shape {y.shape} and predictions {predictions.shape}; expected {like} and {wanted}")
    if not np.isfinite(predictions).all():
        raise ValueError(f"{metric.name}: {(~np.isfinite(predictions)).sum()} predictions are missing or infinite")
    reason = undefined_reason(metric.name, task, y)
    if reason:
        raise ValueError(f"{metric.name} is undefined here: {reason}")
    if quantiles:
        if units is None or units.shape != predictions.shape:
            raise ValueError(f"{metric.name} needs the level of each of {predictions.shape[1]} predicted quantiles, and none were given")
        return y.astype(np.float64), of_quantiles(metric.name, y.astype(np.float64), predictions, units)
    if metric.in_units:
        if units is None:
            raise ValueError(f"{metric.name} counts errors in units, and no units were given")
        return y.astype(np.float64), y + (predictions - y) / units
    if predicts(task) == "groups":
        return y.astype(np.float64), predictions.astype(np.int64)
    if metric.needs == "proba" and flat:  # a score as the probability of the label, which only its order is asked of
        share = np.clip(predictions, 0.0, 1.0)
        return y.astype(np.int64), np.column_stack([1 - share, share])
    if flat:
        return y.astype(np.float64), predictions
    if predicts(task) == "labels":
        return y.astype(np.int64), (predictions >= 0.5).astype(np.int64) if metric.needs == "label" else predictions
    if y.min() < 0 or y.max() >= predictions.shape[1]:
        raise ValueError(f"{metric.name}: y holds codes {y.min()} to {y.max()}, but there are {predictions.shape[1]} probability columns")
    y = y.astype(np.int64)
    if metric.needs == "label":
        return y, decided(predictions, metric.decision)
    totals = predictions.sum(axis=1, keepdims=True)
    if (predictions < 0).any() or (totals <= 0).any():
        raise ValueError(f"{metric.name}: probabilities must be 0 or more and each row must have a positive sum")
    return y, predictions / totals
