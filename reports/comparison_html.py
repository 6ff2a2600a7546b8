"""A comparison as one self-contained HTML page, in the style of the report: no network, no script."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reports import charts, pages
from reports.comparison import TEST_TITLES, Comparison, cost_rows, difference_tables, value_text, winner_text, work_rows
from reports.figures import score_format, signed
from reports.side import Side
from team.rundir import write_atomic

MOST_ROWS = 60
"""Rows of a table of candidates or parameters."""


def write_comparison(comparison: Comparison, path: Path) -> Path:
    """Write the page to `path` and return it. The same comparison gives the same bytes.

    Raises:
        OSError: when `path` cannot be written.
    """
    write_atomic(path, render(comparison))
    return path


def render(comparison: Comparison) -> str:
    """The page as text."""
    scores = [side.holdout.score for side in comparison.runs if side.holdout] or [side.cv.score for side in comparison.runs if side.cv]
    figure = score_format(scores[0] if scores else 1.0)
    environment = pages.environment(figure)
    environment.filters |= {
        "signed": lambda value: signed(value, figure),
        "value": value_text,
        "winner": winner_text,
        "test": lambda name: TEST_TITLES[name],
    }
    return environment.get_template("comparison.html").render(
        comparison=comparison,
        css=pages.stylesheet("report.css", "comparison.css"),
        glance=_glance(comparison.runs) if comparison.comparable else None,
        work=work_rows(comparison.runs),
        cost=cost_rows(comparison.runs),
        tables=difference_tables(comparison),
        most_rows=MOST_ROWS,
    )


def _glance(runs: Sequence[Side]) -> dict[str, Any]:
    """Holdout scores with their intervals, and what the chosen candidates had in cross-validation, over one axis."""
    rows: list[dict[str, Any]] = []
    for side in runs:
        if side.holdout:
            rows.append({"side": side, "kind": "holdout", "score": side.holdout.score, "low": side.holdout.low, "high": side.holdout.high})
        if side.winner:
            low, high = side.winner.score - side.winner.std_error, side.winner.score + side.winner.std_error
            rows.append({"side": side, "kind": "cv", "score": side.winner.score, "low": low, "high": high})
    axis = charts.axis_over([value for row in rows for value in (row["low"], row["high"])])
    for row in rows:
        row["chart"] = charts.interval(axis, row["score"], row["low"], row["high"], row["kind"])
    return {"rows": rows, "ticks": charts.ticks(axis, axis.tick_texts())}
