"""The charts of the HTML report, chosen by what the run predicted and found."""

from __future__ import annotations

from collections.abc import Callable

from reports.cost_charts import cost_charts
from reports.error_charts import error_charts
from reports.error_facts import Diagnosis
from reports.facts import RunFacts
from reports.plotly_page import Chart
from reports.reliance_charts import importance_charts, learning_charts, reliance_charts
from reports.search_charts import search_charts
from reports.solution_tree import tree_chart
from reports.work_charts import timeline_chart, work_charts

REPLACED = {
    "diagnosis": ("-roc", "-precision-recall", "-calibration", "-confusion", "-predicted-actual", "-residuals", "-predicted-median"),
    "risk_groups": ("-survival",),
    "importance": ("-importance",),
    "curve": ("-learning-curve",),
}
"""Endings of the names of images that a chart here stands for."""


def charts_of(facts: RunFacts, diagnosis: Diagnosis | None, figure: Callable[[float], str]) -> dict[str, list[Chart]]:
    """Charts by the part of the report they stand in.

    Args:
        figure: prints scores.
    """
    return {
        "importance": list(importance_charts(facts)),
        "errors": list(error_charts(facts, diagnosis)),
        "costs": list(cost_charts(facts, figure)),
        "reliance": list(reliance_charts(facts)),
        "curve": list(learning_charts(facts)),
        "search": list(search_charts(facts)),
        "tree": list(tree_chart(facts, figure)),
        "team": list(timeline_chart(facts)),
        "work": list(work_charts(facts)),
    }


def stands_for(name: str, diagnosis: Diagnosis | None, charts: dict[str, list[Chart]]) -> bool:
    """Whether a chart here shows what the image of this name does."""
    endings = REPLACED["diagnosis"] if diagnosis is not None else ()
    endings += REPLACED["risk_groups"] if diagnosis is not None and diagnosis.risk_groups else ()
    endings += REPLACED["curve"] if charts["curve"] else ()
    return name.endswith((*endings, *REPLACED["importance"]))
