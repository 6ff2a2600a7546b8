"""Metrics by name, for which task, which way is better and what values they take, and bootstrap intervals for them.

Throughout, `y` is an array of shape (n,): integer codes into `contract.classes` for classification, floats for regression,
signed times for survival. `predictions` are probabilities of shape (n, k) in the order of `contract.classes`, or values or risks
of shape (n,), or quantiles of shape (n, q).
"""

from tools.metrics.catalogue import METRICS, default_metric, find_metric, metric_for, metric_name, undefined_reason
from tools.metrics.metric import Interval, Metric, Needs
from tools.metrics.scoring import bootstrap_interval, bootstrap_intervals, intervals_of, score, shaped

__all__ = [
    "METRICS",
    "Interval",
    "Metric",
    "Needs",
    "bootstrap_interval",
    "bootstrap_intervals",
    "default_metric",
    "find_metric",
    "intervals_of",
    "metric_for",
    "metric_name",
    "score",
    "shaped",
    "undefined_reason",
]
