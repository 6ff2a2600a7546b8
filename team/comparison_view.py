"""A comparison of runs for a terminal: scores, tests, what differs, cost; one column a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from reports.comparison import ABSENT, TEST_TITLES, Comparison, Pair, Row, cost_rows, difference_tables, winner_text, work_rows
from reports.figures import metric_title, p_value, score_format, signed
from reports.visible import visible

MOST_ROWS = 15
"""Rows of a table of candidates or parameters; `--json` has them all."""
WIDTH_WITHOUT_TERMINAL = 120
MOST_WRAPPED = 3
"""Lines that a text in a column may take; a longer one gets the whole width."""
GAP = 2


def print_comparison(comparison: Comparison, file: TextIO) -> None:
    """Write the comparison as text, as wide as the terminal, without colours where there is none."""
    console = Console(file=file, highlight=False, width=None if file.isatty() else WIDTH_WITHOUT_TERMINAL)
    for part in parts(comparison, console.width):
        console.print(part)


def parts(comparison: Comparison, width: int) -> list[RenderableType]:
    """What is printed, one thing below another, for a terminal of `width` columns."""
    made: list[RenderableType] = [_runs(comparison)]
    if comparison.comparable:
        made += [_heading(_question(comparison)), _scores(comparison)]
    else:
        made += [
            _heading("Scores: not comparable"),
            *(_line(why, style="red") for why in comparison.why),
            _scores(comparison),
        ]
    if comparison.pairs:
        made += [_heading("Paired tests"), _tests(comparison)]
    made += [_line(note) for note in comparison.notes]
    for _, title, rows in difference_tables(comparison):
        made += [_heading(title), _side_by_side(comparison, rows[:MOST_ROWS], width)]
        if len(rows) > MOST_ROWS:
            made.append(_line(f"{len(rows) - MOST_ROWS} more are in --json"))
    made += [_heading("What each did"), _side_by_side(comparison, work_rows(comparison.runs), width)]
    made += [_heading("Cost"), _side_by_side(comparison, cost_rows(comparison.runs), width)]
    return made


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


def _side_by_side(comparison: Comparison, rows: Sequence[Row], width: int) -> Group:
    """A column a run, where the texts leave room for that; else the runs below one another."""
    titles = max((len(title) for title, _ in rows), default=0)
    room = max(8, (width - titles) // len(comparison.runs) - GAP)
    table = _table("", *(side.label for side in comparison.runs))
    lists: list[RenderableType] = []
    for title, texts in rows:
        if max(map(len, texts)) <= MOST_WRAPPED * room:
            table.add_row(_shown(title), *(_shown(text) for text in texts))
            continue
        lists.append(_shown(title))
        below = _table(" ", "", "")
        below.show_header = False
        for side, text in zip(comparison.runs, texts, strict=True):
            if text != ABSENT:
                below.add_row("", Text(side.label, style="bold"), _shown(text))
        lists.append(below)
    return Group(*([table] if table.row_count else []), *lists)


def _table(*titles: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="dim")
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
