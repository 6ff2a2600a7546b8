"""Charts of how a candidate errs: of classes, of values, of labels and times (files of their own), and what prediction intervals hold."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence

import plotly.graph_objects as go

from reports.charts import axis_over
from reports.error_facts import Curve, Diagnosis
from reports.facts import RunFacts
from reports.figures import compact, share
from reports.label_charts import label_charts
from reports.plotly_figures import HEIGHT, ROW, Document, Mark, Scale, Series, document, label, plane, shares_heatmap
from reports.plotly_page import Chart
from reports.survival_charts import survival_charts
from reports.visible import visible

WHOLE = (-0.02, 1.02)
"""An axis of shares, with room for marks at its ends."""
DIAGONAL = ((0.0, 0.0), (1.0, 1.0))
MOST_TEXTS = 8
"""Classes of a confusion matrix whose cells have room for texts."""
LETTERS_ACROSS, LETTERS_UPRIGHT, LETTER = 36, 24, 6
"""Letters that the names of all columns have room for side by side, those of one that the page shows, and pixels of a letter."""


def error_charts(facts: RunFacts, diagnosis: Diagnosis | None) -> Iterator[Chart]:
    """What the diagnosis of the candidate allows, and its intervals on the holdout."""
    if diagnosis is not None:
        if diagnosis.labels:
            yield from label_charts(diagnosis)
            yield from _over_thresholds(diagnosis)
        elif diagnosis.risk_groups:
            yield from survival_charts(diagnosis, facts)
        else:
            yield from _of_classes(diagnosis, facts) if diagnosis.classes else _of_values(diagnosis, facts)
    yield from _coverage(facts)


def _of_classes(d: Diagnosis, facts: RunFacts) -> Iterator[Chart]:
    if d.confusion:
        threshold = facts.selected.threshold if facts.selected else None
        own = (
            f" A row is called {visible(d.classes[1])} where its probability is above the threshold that each fold's own choice gave."
            if threshold is not None
            else ""
        )
        yield Chart(
            "Confusion matrix",
            f"Rows of each class, by the class they are called, and their share of the class.{own}",
            _confusion(d),
            f"Confusion matrix of {len(d.classes)} classes",
            steps=json.dumps([list(step.model_dump().values()) for step in d.steps]) if d.steps else "",
            called=0.5 if threshold is None else threshold,
        )
    yield from _over_thresholds(d)


def _over_thresholds(d: Diagnosis) -> Iterator[Chart]:
    """Curves and calibration of two classes, of each of several, or of labels."""
    band = " The band goes from the lowest to the highest of single folds." if any(c.low for c in d.roc) else ""
    if d.roc:
        yield Chart(
            "ROC curve",
            f"Share that is found, by the share of false alarms that are taken along.{band}",
            plane(
                _curves(d.roc, "AUC", "false alarms {}, found {}"),
                Scale("False positive rate", WHOLE),
                Scale("True positive rate", WHOLE),
                guide=DIAGONAL,
            ),
            _areas("ROC AUC", d.roc),
        )
    if d.precision_recall:
        yield Chart(
            "Precision and recall",
            f"How many of those that are called are right, by how many are found.{band}",
            plane(_curves(d.precision_recall, "AP", "found {}, right {}"), Scale("Recall", WHOLE), Scale("Precision", WHOLE)),
            _areas("Average precision", d.precision_recall),
        )
    if d.calibration:
        yield Chart(
            "Calibration",
            "What was said beside what happened, in bins of equal size, with 95 % intervals. On the dotted line both are the same.",
            plane(
                [
                    Series(
                        name,
                        [
                            Mark(b.said, b.happened, f"said {b.said:.3f}, happened {b.happened:.3f} of {b.n:,} rows", b.low, b.high)
                            for b in bins
                        ],
                    )
                    for name, bins in itertools.groupby(d.calibration, key=lambda one: one.label)
                ],
                Scale("Mean predicted probability", WHOLE),
                Scale("Observed share", WHOLE),
                guide=DIAGONAL,
            ),
            "Calibration: what was said and what happened",
        )


def _confusion(d: Diagnosis) -> Document:
    names = [label(name) for name in d.classes]
    few = len(names) <= MOST_TEXTS
    told = [
        [
            f"{visible(d.classes[row])}, called {visible(d.classes[column])}: {n:,} rows, {share(d.shares[row][column])} of the class"
            for column, n in enumerate(counts)
        ]
        for row, counts in enumerate(d.confusion)
    ]
    places = list(range(len(names)))
    heat = shares_heatmap(d.shares, d.confusion, told, written=few)
    ticks = {"tickmode": "array", "tickvals": places, "ticktext": names, "showgrid": False, "ticks": "", "ticklabelstandoff": 4}
    # Long names stand upright below the matrix: at a slant Plotly leaves out those that would touch each other.
    upright = max(map(len, names)) > LETTERS_ACROSS / len(names)
    layout = {
        "xaxis": {**ticks, "title": {"text": "Called"}, **({"tickangle": -90} if upright else {})},
        "yaxis": {**ticks, "title": {"text": "Is"}, "autorange": "reversed"},
        "height": max(HEIGHT, 120 + ROW * len(names)) + (LETTER * min(max(map(len, names)), LETTERS_UPRIGHT) if upright else 0),
    }
    return document(go.Figure(heat, layout))


def _curves(curves: Sequence[Curve], area: str, told: str) -> list[Series]:
    found = []
    for c in curves:
        lows, highs = (c.low or [None] * len(c.x)), (c.high or [None] * len(c.x))
        several = f"{visible(c.label)}: " if len(curves) > 1 else ""
        marks = [
            Mark(x, y, several + told.format(f"{x:.3f}", f"{y:.3f}"), low, high)
            for x, y, low, high in zip(c.x, c.y, lows, highs, strict=True)
        ]
        found.append(Series(f"{area} {c.area:.3f}, {c.label}" if several else f"{area} {c.area:.3f}", marks, dots=False, band=True))
    return found


def _areas(name: str, curves: Sequence[Curve]) -> str:
    return f"{name}: " + ", ".join(f"{visible(c.label)} {c.area:.3f}" for c in curves)


def _of_values(d: Diagnosis, facts: RunFacts) -> Iterator[Chart]:
    target = facts.contract.target if facts.contract and facts.contract.target else "the target"
    if not d.points:
        return
    banded = any(p.low is not None for p in d.points)
    both = axis_over([value for p in d.points for value in (p.actual, p.predicted)])
    span = (both.low, both.high)
    seen = f"{len(d.points):,} of {d.rows:,} rows are drawn, evenly over the table." if len(d.points) < d.rows else "All rows are drawn."
    marks = [
        Mark(p.actual, p.predicted, f"row {p.row}: actual {compact(p.actual)}, predicted {compact(p.predicted)}", p.low, p.high)
        for p in d.points
    ]
    yield Chart(
        "Predicted and actual" if not banded else "Predicted intervals and actual",
        ("Bars go from the lowest to the highest predicted quantile. " if banded else "") + seen,
        plane(
            [Series("rows", marks, line=False)],
            Scale(f"Actual {target}", span),
            Scale(f"Predicted {target}", None if banded else span),
            guide=[(both.low, both.low), (both.high, both.high)],
        ),
        f"Predicted against actual values of {len(d.points)} rows",
    )
    errors = [Mark(p.predicted, p.error, f"row {p.row}: predicted {compact(p.predicted)}, error {compact(p.error)}") for p in d.points]
    yield Chart(
        "Residuals",
        f"Their mean is {compact(d.residual_mean or 0.0)}, their standard deviation {compact(d.residual_std or 0.0)}.",
        plane(
            [Series("rows", errors, line=False)],
            Scale(f"Predicted {target}"),
            Scale("Actual minus predicted"),
            guide=[(min(m.x for m in errors), 0.0), (max(m.x for m in errors), 0.0)],
        ),
        f"Residuals against predictions of {len(d.points)} rows",
    )
    if d.quantiles:
        ends = [d.quantiles[0].normal, d.quantiles[-1].normal]
        told = [Mark(q.normal, q.residual, f"normal {q.normal:.2f}, here {q.residual:.2f}") for q in d.quantiles]
        yield Chart(
            "Q-Q plot of the residuals",
            "In standard deviations. On the dotted line they are as a normal distribution has them; ends that leave it are heavy tails.",
            plane(
                [Series("residuals", told, line=False)],
                Scale("Normal distribution"),
                Scale("Residuals"),
                guide=[(ends[0], ends[0]), (ends[1], ends[1])],
            ),
            f"Quantiles of residuals against those of a normal distribution, at {len(d.quantiles)} places",
        )


def _coverage(facts: RunFacts) -> Iterator[Chart]:
    if not (h := facts.holdout) or not h.intervals:
        return
    marks = [
        Mark(i.level, i.share, f"meant {100 * i.level:g} %, held {100 * i.share:.1f} %, mean width {compact(i.width)}", i.low, i.high)
        for i in h.intervals
    ]
    yield Chart(
        "What prediction intervals hold",
        "Share of the sealed rows inside intervals of each level, with its 95 % interval. On the dotted line they hold what they should.",
        plane(
            [Series("intervals", marks, line=len(marks) > 1)],
            Scale("Meant to hold", WHOLE),
            Scale("Did hold", WHOLE),
            guide=DIAGONAL,
        ),
        f"Prediction intervals of {len(marks)} levels on sealed rows",
        event=h.event,
    )
