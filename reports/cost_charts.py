"""Charts of what a better score costs: score against the time for a row, and against the size on file."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from reports.charts import focused_axis
from reports.facts import RunFacts
from reports.figures import metric_title
from reports.plotly_figures import Mark, Scale, Series, plane
from reports.plotly_page import Chart
from tools.tradeoffs import Option

LEAST = 1e-6
"""Milliseconds or MB that stand for none on a logarithmic axis."""
ROOM = 1.3
"""How many times further an axis goes than its outer marks."""


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
        series = [
            Series(
                kind,
                [Mark(max(cost(o), LEAST), o.score, _told(o, figure(o.score), f"{cost(o):.3g} {unit}", named)) for o in options],
                line=False,
            )
            for kind, options in kinds
            if options
        ]
        costs = [mark.x for one in series for mark in one.marks]
        yield Chart(
            f"Score and {title}",
            f"What stands further {better} and to the left gives more for less.",
            plane(
                series,
                Scale(f"{title[:1].upper()}{title[1:]}, {unit}", (min(costs) / ROOM, max(costs) * ROOM), log=True),
                Scale(metric, (up.low, up.high)),
            ),
            f"{metric} of candidates by {title}",
        )


def _told(option: Option, score: str, cost: str, named: dict[str, str]) -> str:
    return f"{option.name}{f', {named[option.name]}' if option.name in named else ''}: {score}, {cost}"


def _latency(option: Option) -> float:
    return option.latency_ms


def _size(option: Option) -> float:
    return option.size_mb
