"""Charts of what a score costs: normalised score by wall-clock seconds and by dollars, a line a system over its budgets."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from evals.figures import Cost, Place, Standing
from reports.figures import dollars, duration
from reports.plotly_figures import Mark, Scale, Series, plane
from reports.plotly_page import Chart
from reports.visible import visible


def cost_charts(standings: Sequence[Standing]) -> list[Chart]:
    """By time, and by dollars where any attempt cost some.

    Args:
        standings: of one suite, a budget each.
    """
    found = [
        _chart(
            standings,
            "Score by time",
            "Mean seconds of an attempt, from start to predictions, on a scale of powers of ten. 0 is as good as the dummy, 1 as the best.",
            lambda cost: max(cost.wall_s, 1e-3),
            lambda cost: duration(cost.wall_s),
            Scale("Wall clock, seconds", log=True),
        )
    ]
    if any(place.cost.dollars for standing in standings for place in standing.places):
        found.append(
            _chart(
                standings,
                "Score by dollars",
                "Mean dollars of an attempt for language models. Systems whose price is not known are not drawn.",
                lambda cost: cost.dollars,
                lambda cost: dollars(cost.dollars),
                Scale("Dollars"),
            )
        )
    return [chart for chart in found if chart is not None]


def _chart(
    standings: Sequence[Standing],
    title: str,
    note: str,
    across: Callable[[Cost], float | None],
    told: Callable[[Cost], str],
    scale: Scale,
) -> Chart | None:
    series = []
    for system in dict.fromkeys(place.system for standing in standings for place in standing.places):
        places = [(standing, place) for standing in standings for place in standing.places if place.system == system]
        marks = [mark for standing, place in places if (mark := _mark(standing, place, across, told)) is not None]
        if marks:
            series.append(Series(visible(system), marks))
    if not series:
        return None
    return Chart(title, note, plane(series, scale, Scale("Normalised score")), f"{title}: {len(series)} systems")


def _mark(standing: Standing, place: Place, across: Callable[[Cost], float | None], told: Callable[[Cost], str]) -> Mark | None:
    x, y = across(place.cost), place.normalised
    if x is None or y is None:
        return None
    between = f" ({y.low:.3f} to {y.high:.3f})" if y.low is not None and y.high is not None else ""
    text = f"{visible(place.system)}: {y.value:.3f}{between}, {told(place.cost)}, given {duration(standing.budget_s)}"
    return Mark(x, y.value, text, y.low, y.high)
