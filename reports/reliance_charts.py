"""Charts of what a candidate relies on, and of what more rows would give."""

from __future__ import annotations

from collections.abc import Iterator

from reports.facts import RunFacts
from reports.figures import NOTHING, compact, importance_said, metric_title, score_format
from reports.plotly_figures import Bar, Mark, Scale, Series, bars, plane
from reports.plotly_page import Chart
from reports.visible import visible

MOST_COLUMNS = 15
"""Bars of a chart: the columns that matter most."""


def importance_charts(facts: RunFacts) -> Iterator[Chart]:
    """What the evaluation of the selected candidate says of columns."""
    ev = facts.evaluation
    if ev is None or not ev.importance:
        return
    kind = importance_said(ev.importance_kind, facts.contract.metric if facts.contract else None)
    rows = sorted(ev.importance, key=lambda one: -one.importance)[:MOST_COLUMNS]
    figure = score_format(max([one.importance for one in rows] + [NOTHING / 10]))
    shown = [Bar(one.column, one.importance, figure(one.importance), f"{visible(one.column)}: {figure(one.importance)}") for one in rows]
    yield Chart(
        f"What {visible(ev.candidate)} relies on",
        f"{kind[:1].upper()}{kind[1:]}.".replace("..", "."),
        bars({"importance": shown}, Scale("Importance")),
        f"Importance of columns for {visible(ev.candidate)}",
        event=ev.event,
    )


def reliance_charts(facts: RunFacts) -> Iterator[Chart]:
    """Permutation importance, sizes of Shapley values, and both together."""
    ex = facts.explanation
    if ex is None:
        return
    metric = ex.metric or (facts.contract.metric if facts.contract else "")
    important = [(r.column, r.importance, r.std_error) for r in ex.reliance if r.importance is not None]
    if len(important) > 1:
        rows = [
            Bar(
                column,
                value,
                compact(value),
                f"{visible(column)}: {compact(value)}" + (f" ± {compact(error)}" if error is not None else ""),
                error,
            )
            for column, value, error in sorted(important, key=lambda one: -one[1])[:MOST_COLUMNS]
        ]
        yield Chart(
            "Permutation importance",
            f"Mean worsening of {metric_title(metric) if metric else 'the metric'} when the column is shuffled, with its standard error.",
            bars({"importance": rows}, Scale("Worsening")),
            f"Permutation importance of {len(rows)} columns",
            event=ex.event,
        )
    if ex.without:
        taken = [
            Bar(
                one.named,
                one.loss,
                compact(one.loss),
                f"without {visible(one.named)}: {compact(one.loss)} ({compact(one.low)} to {compact(one.high)})",
                one.half,
            )
            for one in sorted(ex.without, key=lambda one: -one.loss)
        ]
        yield Chart(
            "Fitted again without columns",
            f"Mean loss of {metric_title(metric) if metric else 'the metric'} over {ex.without[0].folds} folds when {ex.ablated} is fitted"
            " without a column, and without those that rise or fall with it, with its 95 % interval. What others say too is not missed.",
            bars({"loss": taken}, Scale("Loss")),
            f"Loss of {len(taken)} fits without columns",
            event=ex.event,
        )
    moved = [(r.column, r.contribution) for r in ex.reliance if r.contribution is not None]
    if len(moved) > 1:
        rows = [
            Bar(column, value, compact(value), f"{visible(column)}: {compact(value)}")
            for column, value in sorted(moved, key=lambda one: -one[1])[:MOST_COLUMNS]
        ]
        yield Chart(
            "SHAP importance",
            f"Mean size of the column's Shapley value in one prediction ({ex.scale}).",
            bars({"contribution": rows}, Scale("Mean size of Shapley values")),
            f"Mean size of Shapley values of {len(rows)} columns",
            event=ex.event,
        )
    both = [(r.column, r.importance, r.contribution) for r in ex.reliance if r.importance is not None and r.contribution is not None]
    if len(both) > 1:
        marks = [Mark(x, y, f"{visible(column)}: importance {compact(x)}, contribution {compact(y)}") for column, x, y in both]
        yield Chart(
            "Permutation importance and SHAP",
            "A column to the right costs score when it is shuffled; one further up moves predictions more. Those that do one without the"
            " other deserve a look.",
            plane([Series("columns", marks, line=False)], Scale("Importance"), Scale("Mean size of Shapley values")),
            "Importance and contribution of columns",
            event=ex.event,
        )


def learning_charts(facts: RunFacts) -> Iterator[Chart]:
    """The learning curve."""
    lc = facts.curve
    if lc is None or len(lc.points) < 2:
        return
    marks = [Mark(p.rows, p.score, f"{p.rows:,} rows: {compact(p.score)} ± {compact(p.std_error)}", error=p.std_error) for p in lc.points]
    yield Chart(
        "Learning curve",
        f"Score of {lc.fitted} by the rows of a fit, with one standard error over {lc.folds} folds.",
        plane(
            [Series(lc.fitted, marks)],
            Scale("Rows of a fit"),
            Scale(metric_title(facts.contract.metric) if facts.contract else "Score"),
        ),
        f"Learning curve of {visible(lc.fitted)} at {len(marks)} sizes",
        event=lc.event,
    )
