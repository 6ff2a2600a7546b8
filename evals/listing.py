"""Rows of an eval as lines: a table with a line an attempt, for files and pipes, and by task, for a screen of some width."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from evals.attempts import Attempt
from evals.columns import aligned
from reports.figures import duration, metric_said

REASON = 120
"""Characters of a reason in a table; on a screen it has lines of its own, and `SCREEN_REASON` of them."""
SCREEN_REASON = 400
HEAD = ("task", "system", "seed", "fold", "status", "metric", "score", "95 % interval", "wall s", "cpu s", "peak MiB", "why")
SCREEN_HEAD = ("", "seed", "fold", "ended", "score", "95 % interval", "took", "CPU", "peak")


def listing(attempts: Iterable[Attempt]) -> str:
    """Rows as aligned lines, by task and system."""
    return aligned([HEAD, *(_line(row) for row in sorted(attempts, key=lambda row: row.key))])


def screen(attempts: Iterable[Attempt], width: int) -> str:
    """The same for a person: a part for each task, in the order in which tasks and systems came, and reasons below their rows.

    Args:
        width: of the screen, in characters; figures take 70 to 80 of them where names are short.
    """
    rows = list(attempts)
    leave_out = {SCREEN_HEAD.index(name) for name in ("seed", "fold") if len({getattr(row, name) for row in rows}) < 2}
    cells = [tuple(cell for k, cell in enumerate(line) if k not in leave_out) for line in (SCREEN_HEAD, *map(_cells, rows))]
    head, *lines = aligned(cells).splitlines() if rows else [""]
    by_task: dict[str, list[tuple[Attempt, str]]] = {}
    for row, line in zip(rows, lines, strict=True):
        by_task.setdefault(row.task, []).append((row, line))
    parts = []
    for task, mine in by_task.items():
        about = next((_about(row) for row, _ in mine if row.metric), "")
        told = [textwrap.fill(f"{task}{about}", width)]
        for row, line in mine:
            told.append(f"  {line}")
            if row.reason:
                told.append(textwrap.fill(row.reason[:SCREEN_REASON], width, initial_indent="    ", subsequent_indent="    "))
        parts.append("\n".join(told))
    return "\n\n".join([f"  {head}", *parts])


def outcome(row: Attempt) -> str:
    """How an attempt ended, and whether its task asks for that."""
    ended = row.status.replace("_", " ")
    return ended if row.right is None else f"{ended}, right" if row.right else f"{ended}, not right"


def _about(row: Attempt) -> str:
    better = "higher" if row.direction == "max" else "lower"
    rows = f"{row.rows_train:,} rows to learn from, {row.rows_test:,} to predict" if row.rows_test else ""
    return f": {metric_said(row.metric)}, {better} is better" + (f"; {rows}" if rows else "")


def _cells(row: Attempt) -> Sequence[str]:
    return (
        row.system,
        str(row.seed),
        str(row.fold),
        outcome(row),
        "" if row.score is None else f"{row.score:.5g}",
        "" if row.low is None or row.high is None else f"{row.low:.4g} to {row.high:.4g}",
        duration(row.wall_s),
        duration(row.cpu_s),
        f"{row.peak_mb:,.0f} MiB",
    )


def _line(row: Attempt) -> tuple[str, ...]:
    told = "" if row.right is None else " (as it should be)" if row.right else " (not as it should be)"
    return (
        row.task,
        row.system,
        str(row.seed),
        str(row.fold),
        row.status + told,
        row.metric,
        "-" if row.score is None else f"{row.score:.5g}",
        "-" if row.low is None or row.high is None else f"{row.low:.4g} to {row.high:.4g}",
        f"{row.wall_s:.1f}",
        f"{row.cpu_s:.1f}",
        f"{row.peak_mb:.0f}",
        row.reason[:REASON],
    )
