"""Metrics that installed packages bring, by entry points of the group `mlteam.metrics`.

A package names an object that is a `tools.metrics.Metric`: a signed function with its direction, its tasks and what it needs.

    [project.entry-points."mlteam.metrics"]
    profit = "ourpackage.metrics:PROFIT"

The entry point's name is the metric's. A package is imported when its metric is asked for and not before, and one that cannot be
used is told by name and package and stands in nobody else's way.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import get_args

from tools.contract import Direction, Task, predicts
from tools.metrics.metric import Metric, Needs

GROUP = "mlteam.metrics"


def brought() -> Mapping[str, str]:
    """Names of metrics that installed packages say they bring, each with its package; nothing is imported."""
    return {name: ", ".join(sorted({_package(point) for point in points})) for name, points in _points(tuple(sys.path)).items()}


def load(name: str) -> Metric:
    """Import the metric called `name`, which is one of `brought`.

    Raises:
        ValueError: when it cannot be imported, is no metric, has another name, or two packages bring it; names the package.
    """
    return _load(tuple(sys.path), name)


@lru_cache(maxsize=8)
def _points(path: tuple[str, ...]) -> dict[str, list[EntryPoint]]:
    """Entry points by name. Looking through all packages takes a while, so it is done once for a path."""
    found: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=GROUP):
        found.setdefault(point.name, []).append(point)
    return found


@lru_cache(maxsize=128)
def _load(path: tuple[str, ...], name: str) -> Metric:
    points = _points(path)[name]
    packages = sorted({_package(point) for point in points})
    if len(packages) > 1:
        raise ValueError(f"metric {name!r} is brought by {' and '.join(map(repr, packages))}; uninstall one of them.")
    package = packages[0]
    try:
        metric = points[0].load()
        _check(name, metric)
    except (Exception, SystemExit) as error:  # it is somebody else's code: it may fail in any way
        raise ValueError(f"metric {name!r} of package {package!r} cannot be used: {type(error).__name__}: {error}.") from None
    return replace(metric, package=package)


def _check(name: str, metric: object) -> None:
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
    if len(shapes) > 1 or ("values" in shapes) != (metric.needs == "value"):
        raise ValueError(
            f"needs {metric.needs!r} does not go with tasks {', '.join(metric.tasks)}: 'value' is for regression and count alone"
        )
    if not metric.range[0] < metric.range[1]:
        raise ValueError(f"range {metric.range}: expected the lower value first")


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else point.module
