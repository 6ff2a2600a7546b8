"""A comparison of two evals as lines for a terminal."""

from __future__ import annotations

import textwrap

from evals.columns import fitted
from evals.regression import Regression, SystemChange, TaskChange
from reports.figures import dollars, duration, metric_title, p_value, score_format, signed

MOST_LINES = 60
TASK_NAMED_BY, SYSTEM_NAMED_BY = 3, 2
"""So many of the first cells say which change it is."""


def told(found: Regression, width: int | None = None) -> str:
    """What got worse and better, then the systems as a whole, then what cannot be told.

    Args:
        width: of the screen, in characters; None where there is none.
    """
    changed = [change for change in found.tasks if change.verdict in ("worse", "better")]
    quiet = [change for change in found.tasks if change.verdict in ("same", "untested")]
    open_ = [change for change in quiet if change.verdict == "untested" or change.failed_old != change.failed_new]
    level = f"{100 * found.level:g} %"
    parts = [
        f"{found.pairs} attempts of {found.old} and {found.new}, paired by task, system, seed, fold and budget; level {level} after Holm."
    ]
    if found.only_old or found.only_new:
        parts.append(f"{found.only_old} attempts are in {found.old} only, and {found.only_new} in {found.new} only.")
    parts.append(
        fitted([_TASK_HEAD, *map(_task, changed[:MOST_LINES])], width, TASK_NAMED_BY) if changed else "No task changed beyond noise."
    )
    if len(changed) > MOST_LINES:
        parts.append(f"{len(changed) - MOST_LINES} more tasks changed; --json has all.")
    parts.append(fitted([_SYSTEM_HEAD, *map(_system, found.systems)], width, SYSTEM_NAMED_BY))
    if open_:
        parts.append("Not told apart from noise, but not the same:")
        parts.append(fitted([_TASK_HEAD, *map(_task, open_[:MOST_LINES])], width, TASK_NAMED_BY))
    if found.versions:
        parts.append("Versions: " + ", ".join(f"{name} {old or 'none'} -> {new or 'none'}" for name, (old, new) in found.versions.items()))
    return "\n\n".join(
        "\n".join(textwrap.fill(line, width) if width and len(line) > width else line for line in part.splitlines())
        for part in [*parts, *found.notes]
    )


_TASK_HEAD = ("", "system", "task", "metric", "old", "new", "change", "95 % interval", "p, Holm", "")
_SYSTEM_HEAD = ("as a whole", "system", "tasks", "change of error", "95 % interval", "p, Holm", "failed", "mean time", "mean cost")


def _task(change: TaskChange) -> tuple[str, ...]:
    figure = score_format(change.new or change.old or 1.0)
    spread = change.change
    return (
        change.verdict,
        change.system,
        change.task,
        f"{metric_title(change.metric)} ({change.direction})",
        "-" if change.old is None else figure(change.old),
        "-" if change.new is None else figure(change.new),
        "-" if spread is None else signed(spread.value, figure),
        ""
        if spread is None or spread.low is None or spread.high is None
        else f"{signed(spread.low, figure)} to {signed(spread.high, figure)}",
        p_value(change.p_holm),
        change.why,
    )


def _system(change: SystemChange) -> tuple[str, ...]:
    spread = change.change
    return (
        change.verdict,
        change.system,
        str(change.tasks),
        "-" if spread is None else _percent(spread.value),
        "" if spread is None or spread.low is None or spread.high is None else f"{_percent(spread.low)} to {_percent(spread.high)}",
        p_value(change.p_holm),
        f"{change.failed_old} -> {change.failed_new}",
        " -> ".join(map(duration, change.wall_s)),
        " -> ".join(map(dollars, change.dollars)) if change.dollars else "unknown",
    )


def _percent(share: float) -> str:
    return f"{signed(100 * share, '{:.1f}'.format)} %"
