"""Metrics that installed packages bring, by entry points of the group `mlteam.metrics`.

A package names an object that is a `tools.metrics.Metric`: a signed function with its direction, its tasks and what it needs.

    [project.entry-points."mlteam.metrics"]
    profit = "ourpackage.metrics:PROFIT"

The entry point's name is the metric's. A package is imported when its metric is asked for and not before, and one that cannot be
used is told by name and package and stands in nobody else's way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import get_args

from tools.brought import Group
from tools.contract import Direction, Predicts, Task, predicts
from tools.metrics.metric import Metric, Needs


def brought() -> Mapping[str, str]:
    """Names of metrics that installed packages say they bring, each with its package; nothing is imported."""
    return METRICS_BROUGHT.brought()


def load(name: str) -> Metric:
    """Import the metric called `name`, which is one of `brought`.

    Raises:
        ValueError: when it cannot be imported, is no metric, has another name, or two packages bring it; names the package.
    """
    return replace(METRICS_BROUGHT.load(name), package=brought()[name])


def _check(name: str, metric: object) -> Metric:
    if not isinstance(metric, Metric):
        raise TypeError(f"it is a {type(metric).__name__}, expected a tools.metrics.Metric")
    if metric.name != name:
        raise ValueError(f"the entry point is called {name!r}, the metric {metric.name!r}; expected one name")
    for what, value, known in (
        ("direction", metric.direction, get_args(Direction)),
        ("needs", metric.needs, get_args(Needs)),
        *(("tasks", task, get_args(Task)) for task in metric.tasks or ("none",)),
    ):
        if value not in known:
            raise ValueError(f"{what}: {value!r} is none of {', '.join(known)}")
    shapes = {predicts(task) for task in metric.tasks}
    if "quantiles" in shapes:
        raise ValueError("tasks: 'quantile' is scored by built-in metrics alone, which know the levels")
    if strange := [shape for shape in sorted(shapes) if metric.needs not in _NEEDS[shape]]:
        expected = " or ".join(map(repr, _NEEDS[strange[0]]))
        raise ValueError(
            f"needs {metric.needs!r} does not go with tasks {', '.join(metric.tasks)}, which predict {strange[0]}; expected {expected}"
        )
    if len(shapes) > 1:
        raise ValueError(f"tasks {', '.join(metric.tasks)}: they predict {' and '.join(sorted(shapes))}; expected one kind of prediction")
    if not metric.range[0] < metric.range[1]:
        raise ValueError(f"range {metric.range}: expected the lower value first")
    return metric


_NEEDS: Mapping[Predicts, tuple[Needs, ...]] = {
    "classes": ("proba", "label"),
    "labels": ("proba", "label"),
    "values": ("value",),
    "risk": ("value",),
    "scores": ("value", "proba"),
    "groups": ("group",),
}
"""What a metric can ask of predictions: probabilities of risks there are none, and a time made a class would lose its censoring."""

METRICS_BROUGHT = Group("mlteam.metrics", "metric", _check)
