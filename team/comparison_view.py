"""A comparison of runs for a terminal: scores, tests, what differs, cost; one column a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from reports.comparison import TEST_TITLES, Comparison, Pair, Row, cost_rows, difference_tables, winner_text, work_rows
from reports.figures import metric_title, p_value, score_format, signed
from reports.visible import visible

MOST_ROWS = 15
"""Rows of a table of candidates or parameters; `--json` has them all."""
WIDTH_WITHOUT_TERMINAL = 120


def print_comparison(comparison: Comparison, file: TextIO) -> None:
    """Write the comparison as text, as wide as the terminal, without colours where there is none."""
    console = Console(file=file, highlight=False, width=None if file.isatty() else WIDTH_WITHOUT_TERMINAL)
    for part in _parts(comparison):
        console.print(part)


def _parts(comparison: Comparison) -> list[RenderableType]:
    parts: list[RenderableType] = [_runs(comparison)]
    if comparison.comparable:
        parts += [_heading(_question(comparison)), _scores(comparison)]
    else:
        parts += [
            _heading("Scores: not comparable"),
            *(_line(why, style="red") for why in comparison.why),
            _scores(comparison),
        ]
    if comparison.pairs:
        parts += [_heading("Paired tests"), _tests(comparison)]
    parts += [_line(note) for note in comparison.notes]
    for _, title, rows in difference_tables(comparison):
        parts += [_heading(title), _side_by_side(comparison, rows[:MOST_ROWS])]
        if len(rows) > MOST_ROWS:
            parts.append(_line(f"{len(rows) - MOST_ROWS} more are in --json"))
    parts += [_heading("What each did"), _side_by_side(comparison, work_rows(comparison.runs))]
    parts += [_heading("Cost"), _side_by_side(comparison, cost_rows(comparison.runs))]
    return parts


def _runs(comparison: Comparison) -> Table:
    table = _table("", "run", "status", "data")
    for side in comparison.runs:
        reason = f": {side.reason}" if side.reason else ""
        table.add_row(Text(side.label, style="bold"), _shown(side.name), _shown(side.status + reason), _shown(side.source or ""))
    return table


def _question(comparison: Comparison) -> str:
    better = "higher" if comparison.direction == "maximize" else "lower"
    return visible(f"Scores: {metric_title(comparison.metric or '')} of {comparison.target}, {better} is better")


def _scores(comparison: Comparison) -> Table:
    table = _table("", "holdout", "interval", "rows", "best in cross-validation", "chosen")
    for side in comparison.runs:
        holdout, cv = side.holdout, side.cv
        figure = score_format(holdout.score if holdout else cv.score if cv else 1.0)
        metric = "" if comparison.metric or side.contract is None else f" {metric_title(side.contract.metric)}"
        table.add_row(
            Text(side.label, style="bold"),
            figure(holdout.score) + metric if holdout else "not scored",
            f"{figure(holdout.low)} to {figure(holdout.high)}" if holdout else "",
            f"{holdout.n:,}" if holdout else "",
            f"{figure(cv.score)} ± {figure(cv.std_error)}" if cv else "no candidate",
            _shown(winner_text(side.winner)),
        )
    return table


def _tests(comparison: Comparison) -> Group:
    several = len(comparison.pairs) > 1
    holdouts = [side.holdout.score for side in comparison.runs if side.holdout]
    figure = score_format(holdouts[0] if holdouts else 1.0)
    blocks: list[RenderableType] = []
    for pair in comparison.pairs:
        verdict = Text(f"  {pair.verdict}", style="bold green" if pair.better else "")
        blocks += [Text.assemble((f"{pair.first} − {pair.second}", "bold"), verdict), _tests_of(pair, several, figure)]
        notes = [f"{TEST_TITLES[test.test]}: {test.note}" for test in pair.tests if test.note]
        blocks += [_line(note, 3) for note in [*notes, *pair.untested]]
    return Group(*blocks)


def _tests_of(pair: Pair, several: bool, figure: Callable[[float], str]) -> Table:
    table = _table(" ", "test", "over", "difference", "95 % interval", "p", *(["p, Holm"] if several else []))
    for test in pair.tests:
        of_rows = " (right rows)" if test.test == "mcnemar" else ""
        table.add_row(
            "",
            TEST_TITLES[test.test] + of_rows,
            f"{test.n} {test.over}",
            signed(test.difference, figure),
            "" if test.low is None or test.high is None else f"{signed(test.low, figure)} to {signed(test.high, figure)}",
            p_value(test.p),
            *([p_value(test.p_holm)] if several else []),
            style="" if test.test == pair.decisive else "dim",
        )
    return table


def _side_by_side(comparison: Comparison, rows: Sequence[Row]) -> Table:
    table = _table("", *(side.label for side in comparison.runs))
    for title, texts in rows:
        table.add_row(_shown(title), *(_shown(text) for text in texts))
    return table


def _table(*titles: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for title in titles:
        table.add_column(title, overflow="fold")
    return table


def _line(text: str, indent: int = 2, style: str = "dim") -> Padding:
    return Padding(_shown(text, style), (0, 0, 0, indent), expand=False)


def _heading(title: str) -> Text:
    return Text(f"\n{title}", style="bold")


def _shown(text: str, style: str = "") -> Text:
    """What models, data and kernels wrote, as text alone: no markup, no control characters."""
    return Text(visible(text), style=style)
