"""The results of `evals/quality.py` as a table: scores, ranks, and how far each contestant is behind the best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from evals.results import Result


def table(results: Sequence[Result], directions: Mapping[str, str]) -> str:
    """Markdown: one row a table, one column a contestant with its mean over splits and seeds; then mean rank, wins and the largest gap.

    Where contestants were not all measured on the same splits of a table, those that all share count alone; the number of splits
    stands behind the table's name where it is more than one.

    The gap to the best is relative: of the error for metrics that are minimised, of one minus the score for those that are
    maximised up to 1.

    Args:
        directions: `maximize` or `minimize` by metric.
    """
    names = list(dict.fromkeys(result.contestant for result in results))
    if not names:
        return ""
    rows: list[str] = []
    ranks: dict[str, list[float]] = {name: [] for name in names}
    gaps: dict[str, list[float]] = {name: [] for name in names}
    for each in dict.fromkeys(result.table for result in results):
        mine = _shared([result for result in results if result.table == each])
        metric, sign = mine[0].metric, 1.0 if directions[mine[0].metric] == "maximize" else -1.0
        means = {name: _mean([r for r in mine if r.contestant == name]) for name in names}
        there = {name: value for name, value in means.items() if value is not None}
        best = max(there.values(), key=lambda value: sign * value)
        cells = []
        for name in names:
            value = means[name]
            if value is None:
                cells.append("failed" if any(r.contestant == name for r in mine) else "")
                continue
            ranks[name].append(1 + sum(sign * other > sign * value for other in there.values()))
            gaps[name].append(_gap(value, best, sign))
            walls = [r.wall_s for r in mine if r.contestant == name and r.wall_s is not None]
            text = f"{value:.4g} ({np.mean(walls):.0f} s)"
            cells.append(f"**{text}**" if value == best else text)
        splits = len({result.split for result in mine})
        rows.append(f"| {each}{f' ({splits})' if splits > 1 else ''} | {metric} | {' | '.join(cells)} |")
    tail = [
        f"| mean rank | | {' | '.join(f'{np.mean(ranks[name]):.2f}' if ranks[name] else '' for name in names)} |",
        f"| best on | | {' | '.join(str(sum(rank == 1 for rank in ranks[name])) for name in names)} |",
        f"| largest gap to the best | | {' | '.join(f'{100 * max(gaps[name]):.1f} %' if gaps[name] else '' for name in names)} |",
    ]
    head = [f"| table | metric | {' | '.join(names)} |", f"|--|--|{'--|' * len(names)}"]
    return "\n".join([*head, *rows, *tail])


def beside(results: Sequence[Result], directions: Mapping[str, str]) -> str:
    """Markdown: one row a table, its contestants by their means over seeds, the best first."""
    rows = []
    for each in dict.fromkeys(result.table for result in results):
        mine = _shared([result for result in results if result.table == each])
        sign = 1.0 if directions[mine[0].metric] == "maximize" else -1.0
        told: list[tuple[float, str]] = []
        for name in dict.fromkeys(result.contestant for result in mine):
            runs = [r for r in mine if r.contestant == name]
            value, walls = _mean(runs), [r.wall_s for r in runs if r.wall_s is not None]
            text = f"{name} {value:.4g} ({np.mean(walls):.0f} s)" if value is not None else f"{name} failed"
            told.append((-np.inf if value is None else sign * value, text))
        told.sort(key=lambda one: -one[0])
        rows.append(
            f"| {each} | {mine[0].metric} | {' | '.join(text for _, text in told[:1])} | {', '.join(text for _, text in told[1:])} |"
        )
    return "\n".join(["| table | metric | best | then |", "|--|--|--|--|", *rows]) if rows else ""


def _shared(results: Sequence[Result]) -> list[Result]:
    """Results of one table on the splits that all of its contestants were measured on; all of them where they share none."""
    by_contestant: dict[str, set[int]] = {}
    for result in results:
        by_contestant.setdefault(result.contestant, set()).add(result.split)
    shared = set.intersection(*by_contestant.values())
    return [result for result in results if not shared or result.split in shared]


def _mean(results: Sequence[Result]) -> float | None:
    scores = [result.score for result in results if result.score is not None]
    return float(np.mean(scores)) if scores else None


def _gap(value: float, best: float, sign: float) -> float:
    worse, least = (1 - value, 1 - best) if sign > 0 else (value, best)
    return (worse - least) / least if least > 0 else 0.0
