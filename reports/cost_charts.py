"""Charts of what a better score costs: score against the time for a row, and against the size on file."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from reports.charts import Axis, axis_over, focused_axis
from reports.facts import RunFacts
from reports.figures import metric_title
from reports.interactive import Chart
from reports.plane import Mark, Series, plane
from tools.tradeoffs import Option

LEAST = 1e-6
"""Milliseconds or MB that stand for none on a logarithmic axis."""


def cost_charts(facts: RunFacts, figure: Callable[[float], str]) -> Iterator[Chart]:
    """One chart a cost; none for fewer than two candidates that were measured."""
    found = facts.tradeoffs
    if found is None or len(found.front) + len(found.beaten) < 2:
        return
    metric = metric_title(facts.contract.metric) if facts.contract else "Score"
    up = focused_axis([o.score for o in (*found.front, *found.beaten)], whole=[o.score for o in found.front])
    kinds = [("on the front", found.front), ("beaten", found.beaten)]
    better = "up" if facts.contract is None or facts.contract.direction == "maximize" else "down"
    named = {found.knee: "the knee", found.recommended: "recommended"}
    for title, unit, cost in (("time for a row", "ms", _latency), ("size on file", "MB", _size)):
        across = axis_over([_logarithm(cost(o)) for _, options in kinds for o in options])
        series = [
            Series(
                kind,
                [Mark(_logarithm(cost(o)), o.score, _told(o, figure(o.score), f"{cost(o):.3g} {unit}", named)) for o in options],
                line=False,
            )
            for kind, options in kinds
            if options
        ]
        yield Chart(
            f"Score and {title}",
            f"What stands further {better} and to the left gives more for less.",
            plane(
                series,
                f"{metric} of candidates by {title}",
                across=across,
                up=up,
                across_texts=_ticks(across),
            ),
            f"{title[:1].upper()}{title[1:]}, {unit}",
            metric,
            tuple(one.label for one in series) if len(series) > 1 else (),
        )


def _told(option: Option, score: str, cost: str, named: dict[str, str]) -> str:
    return f"{option.name}{f', {named[option.name]}' if option.name in named else ''}: {score}, {cost}"


def _latency(option: Option) -> float:
    return option.latency_ms


def _size(option: Option) -> float:
    return option.size_mb


def _logarithm(value: float) -> float:
    return math.log10(max(value, LEAST))


def _ticks(axis: Axis) -> list[str]:
    return [f"{float(f'{10**value:.2g}'):,.12g}" for value in axis.ticks()]
