"""An eval as it goes, on stderr: a line for each attempt that ended and, in a terminal, what is being made now below them."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any, TextIO

from rich.live import Live
from rich.table import Table
from rich.text import Text

from evals.attempts import Attempt
from evals.blocks import well
from evals.launching import Job
from evals.listing import outcome
from reports.figures import duration, metric_said
from team.json_log import installed, say
from team.terminal import one_line
from team.terminal_console import PROBLEM, TerminalConsole

REASON = 160
"""Characters of a reason in a line; a terminal has room for `SCREEN_REASON`."""
SCREEN_REASON = 400
MOST_JOBS = 4
"""So many of the attempts that are being made are named."""


def tell(message: str, **facts: Any) -> None:
    """A line on stderr, in the format of the logs."""
    if not say(message, logger="mlteam.eval", **facts):
        print(one_line(message), file=sys.stderr, flush=True)


def screen_width() -> int | None:
    """Characters of a line of the terminal that results are written to; None where they go to a file or a pipe."""
    return TerminalConsole(file=sys.stdout).width if sys.stdout.isatty() else None


class EvalView:
    """What `evals.harness.run_plan` tells how it goes. Use it as a context manager, so that the terminal is given back in every case.

    Args:
        what: the suite, and who tries it.
        where: folder of the rows.
        file: what is drawn on where it is a terminal.
    """

    def __init__(self, what: str, where: str, file: TextIO | None = None) -> None:
        self._what, self._where = what, where
        self._console = TerminalConsole(file=file or sys.stderr, highlight=False)
        self._live: Live | None = None
        self._of = self._done = 0
        self._now: dict[Any, tuple[str, float]] = {}

    def __enter__(self) -> EvalView:
        if self._console.is_terminal and not installed():
            self._live = Live(console=self._console, refresh_per_second=2, transient=True, get_renderable=self._footer)
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._live is not None:
            self._live.stop()

    def kept(self) -> str:
        """What stands of an eval that was stopped."""
        return f"{self._done} of {self._of} attempts are kept in {self._where}" if self._of else "no attempt was begun"

    def planned(self, missing: int, skipped: int) -> None:
        self._of = missing
        there = f"; {skipped:,} were there before" if skipped else ""
        tell(
            f"{self._what}: {missing:,} attempt{'' if missing == 1 else 's'} to make{there}. Rows: {self._where}",
            of=missing,
            skipped=skipped,
        )

    def began(self, job: Job) -> None:
        self._now[job.key] = str(job), time.monotonic()
        if self._live is not None:
            self._live.refresh()

    def ended(self, done: int, of: int, job: Job, row: Attempt | str) -> None:
        self._now.pop(job.key, None)
        self._done = done
        if self._live is None:
            tell(f"{done}/{of} {job}: {_told(row, REASON)}", **_facts(done, of, job, row))
            return
        grid = Table.grid(padding=(0, 1))
        grid.add_column(no_wrap=True, justify="right", min_width=2 * len(str(of)) + 1)
        grid.add_column(overflow="fold")
        words = Text(one_line(f"{job}: "))
        words.append(one_line(_told(row, SCREEN_REASON)), style="" if not isinstance(row, str) and well(row) else PROBLEM)
        grid.add_row(Text(f"{done}/{of}", style="dim"), words)
        self._console.print(grid)

    def _footer(self) -> Table:
        grid = Table.grid(padding=(0, 1))
        grid.add_column(no_wrap=True, overflow="ellipsis")
        for what, since in list(self._now.values())[:MOST_JOBS]:
            grid.add_row(Text(one_line(f"… {what}: {_so_far(time.monotonic() - since)}"), style="dim"))
        if len(self._now) > MOST_JOBS:
            grid.add_row(Text(f"… and {len(self._now) - MOST_JOBS} more", style="dim"))
        return grid


def _so_far(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 60 else duration(seconds)


def _told(row: Attempt | str, most: int) -> str:
    """How an attempt ended, in a line."""
    if isinstance(row, str):
        return f"not made: {row}"
    score = "" if row.score is None else f", {metric_said(row.metric)} {row.score:.5g}"
    return f"{outcome(row)}{score}, {duration(row.wall_s)}{f': {row.reason[:most]}' if row.reason else ''}"


def _facts(done: int, of: int, job: Job, row: Attempt | str) -> dict[str, Any]:
    """What stands in a line of JSON beside its message."""
    ended = {} if isinstance(row, str) else row.model_dump(include={"status", "score", "metric", "wall_s", "cpu_s", "peak_mb", "dollars"})
    return {**job.key._asdict(), "done": done, "of": of, **ended}
