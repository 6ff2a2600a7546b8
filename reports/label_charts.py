"""Charts of how a candidate errs at several labels a row: what calling each gives, and how well rows are ranked by it."""

from __future__ import annotations

from collections.abc import Iterator

import plotly.graph_objects as go

from reports.error_facts import Diagnosis, LabelErrors
from reports.figures import share
from reports.plotly_figures import HEIGHT, ROW, Bar, Document, Scale, bars, document, label, rows_axis, shares_heatmap
from reports.plotly_page import Chart
from reports.visible import visible

SHARES = Scale("", (0.0, 1.16))
"""Of bars of shares, with room for what stands at their ends."""
OUTCOMES = ("Found", "Missed", "False alarm", "Left alone")
"""The tick texts of two words stand on two lines."""


def label_charts(d: Diagnosis) -> Iterator[Chart]:
    """Charts of a diagnosis with labels."""
    shown = f" The commonest {len(d.labels)} of {d.labels_in_all} labels." if len(d.labels) < d.labels_in_all else ""
    yield Chart(
        "Calls of each label",
        "Rows with the label that are found and missed, and rows without it that are called all the same or left alone, with their share of"
        f" those rows. A label is called from a probability of one half on.{shown}",
        _outcomes(d.labels),
        f"Calls of {len(d.labels)} labels",
    )
    yield Chart(
        "Precision and recall of each label",
        f"How many of those that are called are right, how many of those with the label are found, and the harmonic mean of both.{shown}",
        bars({name: [_bar(one, name, getattr(one, field)) for one in d.labels] for name, field in _RATES.items()}, SHARES),
        f"Precision, recall and F1 of {len(d.labels)} labels",
    )
    ranked = [one for one in d.labels if one.average_precision is not None]
    if ranked:
        groups = {
            "Average precision": [_bar(one, "Average precision", one.average_precision) for one in ranked],
            "By guessing": [_bar(one, "share of the rows", one.share) for one in ranked],
        }
        yield Chart(
            "How well rows are ranked by each label",
            f"Average precision over all thresholds; rows in any order would reach the share of the rows that have the label.{shown}",
            bars(groups, SHARES),
            f"Average precision of {len(ranked)} labels",
        )


_RATES = {"Precision": "precision", "Recall": "recall", "F1": "f1"}


def _bar(one: LabelErrors, what: str, value: float | None) -> Bar:
    shown = "–" if value is None else f"{value:.3f}"
    return Bar(label(one.label), value or 0.0, shown, f"{visible(one.label)}: {what} {shown if value is not None else 'is not defined'}")


def _outcomes(labels: tuple[LabelErrors, ...]) -> Document:
    counts = [(one.found, one.missed, one.false_alarms, one.rejected) for one in labels]
    told = [
        [
            f"{visible(one.label)}, {OUTCOMES[place].lower()}: {n:,} rows, {share(one.shares[place])} of those"
            f" {'with' if place < 2 else 'without'} it"
            for place, n in enumerate(row)
        ]
        for one, row in zip(labels, counts, strict=True)
    ]
    heat = shares_heatmap([one.shares for one in labels], counts, told)
    places = list(range(len(OUTCOMES)))
    across = {
        "tickmode": "array",
        "tickvals": places,
        "ticktext": [name.replace(" ", "\n") for name in OUTCOMES],
        "showgrid": False,
        "ticks": "",
        "tickangle": 0,
    }
    layout = {
        "xaxis": across,
        "yaxis": rows_axis([one.label for one in labels]),
        "height": max(HEIGHT, 80 + round(1.5 * ROW) * len(labels)),
    }
    return document(go.Figure(heat, layout))
