"""What parts of the engine are worth, from pairs of runs: one with everything, one without the part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from evals.errors import error_of
from evals.resampling import Resampling
from evals.results import Result

RESAMPLES = 4000


@dataclass(frozen=True)
class Worth:
    """What becomes of the score without a part."""

    part: str
    instead: str
    tables: int
    pairs: int
    """Of runs that both have a score."""
    failed: int
    """Pairs in which one has none."""
    change: float | None
    """Mean relative change of the error without the part, above 0 where the part helps; None without a pair."""
    low: float | None
    high: float | None
    """Between which it lies in 95 % of resamples of tables and, within them, seeds; None with a single pair."""
    worse: int
    """Pairs in which the run without the part was worse."""
    better: int
    seconds: float | None
    """Mean difference in seconds of wall clock without the part, prediction of the rows included."""
    by_table: dict[str, float]
    """Mean relative change of the error on each table."""


def worth(part: str, instead: str, pairs: Sequence[tuple[Result, Result]], directions: Mapping[str, str]) -> Worth:
    """Compare the errors of pairs of runs of the same table, metric and seed.

    The error is the metric where that is minimised, and one minus it where it is maximised up to 1. Means are of logarithms of
    ratios, so that twice the error and half of it cancel out, and each table counts alike however many seeds it has.

    Args:
        pairs: the run with everything, and the run without the part.
        directions: `maximize` or `minimize` by metric.
    """
    scored = [(a, b) for a, b in pairs if a.score is not None and b.score is not None]
    ratios: dict[str, list[float]] = {}
    for a, b in scored:
        ratios.setdefault(a.table, []).append(float(np.log(_error(b, directions) / _error(a, directions))))
    logs = [value for values in ratios.values() for value in values]
    between = Resampling([len(values) for values in ratios.values()], RESAMPLES).interval(list(ratios.values()))
    walls = [b.wall_s - a.wall_s for a, b in scored if a.wall_s is not None and b.wall_s is not None]
    return Worth(
        part,
        instead,
        tables=len(ratios),
        pairs=len(scored),
        failed=len(pairs) - len(scored),
        change=_relative(float(np.mean([np.mean(values) for values in ratios.values()]))) if ratios else None,
        low=_relative(between[0]) if between else None,
        high=_relative(between[1]) if between else None,
        worse=sum(value > 0 for value in logs),
        better=sum(value < 0 for value in logs),
        seconds=float(np.mean(walls)) if walls else None,
        by_table={name: _relative(float(np.mean(values))) for name, values in ratios.items()},
    )


def _error(result: Result, directions: Mapping[str, str]) -> float:
    assert result.score is not None
    return error_of(result.score, lower_is_better=directions[result.metric] == "minimize")


def _relative(log: float) -> float:
    return float(np.expm1(log))


def table(found: Sequence[Worth]) -> str:
    """Markdown: one row a part."""
    rows = [
        "| without | in its place | error | 95 % interval | worse, better | tables | seconds |",
        "|--|--|--|--|--|--|--|",
    ]
    for one in found:
        if one.change is None:
            rows.append(f"| {one.part} | {one.instead} | {'failed' if one.failed else 'no table that it matters to'} | | | | |")
            continue
        between = f"{_percent(one.low)} to {_percent(one.high)}" if one.low is not None and one.high is not None else ""
        failed = f", {one.failed} failed" if one.failed else ""
        took = f"{one.seconds:+.0f}" if one.seconds is not None else ""
        counts = f"{one.worse}, {one.better}{failed}"
        rows.append(f"| {one.part} | {one.instead} | {_percent(one.change)} | {between} | {counts} | {one.tables} | {took} |")
    return "\n".join(rows)


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:+.1f} %"
