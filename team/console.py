"""The event log as a live view in a terminal: turns, tool calls, leaderboard, budget. Plain lines where there is none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from team.board import Board, Glance
from team.caps import warning
from team.events import (
    ApprovalAsked,
    ApprovalDecided,
    BudgetWarned,
    ConstraintAdded,
    Event,
    FellBack,
    MessageSpoken,
    RepairAsked,
    RunEnded,
    RunStarted,
    SandboxChosen,
    StageEnded,
    StageEntered,
    ToolCalled,
    ToolReturned,
)
from team.terminal import clean, one_line
from team.terminal_console import PROBLEM, TerminalConsole

ROLE_WIDTH = 17
TOOL_INDENT = 19
ATTENTION = "color(130)"
COLOURS = {
    "planner": "color(30)",
    "data_scientist": "color(28)",
    "engineer": ATTENTION,
    "critic": "color(163)",
    "writer": "color(63)",
    "release_manager": "color(243)",
}
"""Of the 256 that no theme changes, those that stand out from black and from white alike, with a contrast of 4 and more."""


class LiveView:
    """Subscribe it to an event log. Use it as a context manager, so that the terminal is given back in every case.

    Args:
        board: what it is drawn from; None for one of its own.
    """

    def __init__(self, file: TextIO, board: Board | None = None) -> None:
        self._console = TerminalConsole(file=file, highlight=False, soft_wrap=False)
        self._live: Live | None = None
        self._board = board or Board()
        self._call: ToolCalled | None = None

    def __enter__(self) -> LiveView:
        if self._console.is_terminal:
            self._live = Live(console=self._console, refresh_per_second=4, transient=True, get_renderable=self._footer)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None
        self._console.print()

    @contextmanager
    def still(self) -> Iterator[Console]:
        """The terminal for somebody who asks a person: nothing is drawn meanwhile."""
        if self._live is not None:
            self._live.stop()
        try:
            yield self._console
        finally:
            if self._live is not None:
                self._live.start()

    def __call__(self, event: Event) -> None:
        self._board(event)
        match event:
            case RunStarted():
                settings = event.settings
                wish = self._board.glance().source + (f" → {settings['target']}" if settings["target"] else "")
                self._print(Text.assemble(("mlteam ", "bold"), one_line(wish), (f"   {one_line(event.run)}", "dim")))
            case SandboxChosen():
                self._print(Text(f"sandbox {event.sandbox}: {event.why}", style="dim"))
            case StageEntered():
                again = f" (visit {event.visit})" if event.visit > 1 else ""
                self._print(Text.assemble(("\n● ", "bold"), (f"{event.stage}{again}", "bold")))
            case StageEnded():
                self._hang(2, "✓", f"{one_line(event.outcome)}, {event.seconds:.1f} s", "dim")
            case MessageSpoken():
                self.say(event.role, event.text)
            case ToolCalled():
                self._call = event
            case ToolReturned():
                self._returned(event)
            case RepairAsked():
                self._hang(TOOL_INDENT, "?", f"asked again: {one_line(event.problem)[:160]}", "dim")
            case ApprovalAsked():
                self._hang(2, "?", one_line(f"{event.role} asks whether {event.tool} may {event.what}"), ATTENTION)
            case ApprovalDecided():
                said = "allowed" if event.allowed else "refused"
                why = f" ({one_line(event.reason)})" if event.reason else ""
                self._print(Text(f"    {event.tool}: {said} by {one_line(event.by)}{why}", style="dim" if event.allowed else PROBLEM))
            case ConstraintAdded():
                if event.refused:
                    self._hang(2, "!", one_line(f"{'; '.join(event.told)} cannot be kept: {event.refused}"), PROBLEM)
                    return
                self._hang(2, "+", one_line(f"from here on: {'; '.join(event.told)}"), ATTENTION)
                if event.excluded:
                    self._print(Text(f"    these do not count any more: {one_line(', '.join(event.excluded))}", style="dim"))
                if event.back_to:
                    self._print(Text(f"    the work goes back to {event.back_to}", style="dim"))
            case BudgetWarned():
                self._hang(2, "!", warning(event), PROBLEM if event.share >= 0.9 else ATTENTION)
            case FellBack():
                self._hang(2, "!", one_line(f"{event.role.replace('_', ' ')}: {event.reason}"), PROBLEM)
            case RunEnded() if event.status != "done":
                self._print(Text(f"\nended: {event.status}", style=PROBLEM))
            case _:
                pass

    @property
    def words_width(self) -> int:
        """Columns for what a role says."""
        return self._console.width - ROLE_WIDTH - 1

    def say(self, role: str, text: str) -> None:
        """Print words of a role; without a name they go on from the line above."""
        grid = Table.grid(padding=(0, 1))
        grid.add_column(width=ROLE_WIDTH, no_wrap=True)
        grid.add_column(overflow="fold")
        grid.add_row(Text("  " + role.replace("_", " "), style=COLOURS.get(role, "")), Text(clean(text)))
        self._print(grid)

    def _hang(self, indent: int, mark: str, text: str, style: str) -> None:
        """Print a text behind a mark; where it is long, its lines stand below each other."""
        grid = Table.grid(padding=(0, 1))
        grid.add_column(width=indent - 1)
        grid.add_column(width=1)
        grid.add_column(overflow="fold")
        grid.add_row("", Text(mark, style=style), Text(text, style=style))
        self._print(grid)

    def _returned(self, event: ToolReturned) -> None:
        arguments = ", ".join(f"{k}={v!r}" for k, v in (self._call.arguments if self._call else {}).items())
        self._call = None
        mark, style = ("→", "dim") if event.status == "ok" else ("✗", PROBLEM)
        call = one_line(f"{event.tool}({arguments})")
        width = max(30, self._console.width - 40)
        shown = call if len(call) <= width else call[: width - 1] + "…"
        line = f"{shown}  {event.seconds:.1f} s"
        if event.status != "ok":
            line += (
                f"  {event.status}: {one_line(event.text.strip().splitlines()[-1])[:160]}" if event.text.strip() else f"  {event.status}"
            )
        self._hang(TOOL_INDENT, mark, line, style)
        if event.search_seconds and not self._live:
            self._print(self._leaders(self._board.glance()))

    def _footer(self) -> RenderableType:
        now = self._board.glance()
        parts: list[RenderableType] = [Text("")]
        if now.leaders:
            parts.append(self._leaders(now))
        status = Text("  ")
        if now.call:
            status.append(f"{one_line(now.call.tool)[:80]} {now.call_s:.0f} s", style="bold")
            if now.progress:
                status.append("  " + one_line("  ".join(f"{k} {_brief(v)}" for k, v in now.progress.items()))[:80], style="dim")
            status.append("   ")
        status.append(f"search {now.searched_s:.0f} of {now.budget_s:g} s used", style="dim")
        return Group(*parts, status)

    def _leaders(self, now: Glance) -> Table:
        table = Table.grid(padding=(0, 2))
        for _ in range(4):
            table.add_column()
        for rank, c in enumerate(now.leaders, 1):
            first = f"{'':{TOOL_INDENT}}{rank}" if not self._live else f"  {rank}"
            table.add_row(
                Text(first, style="dim"),
                Text(one_line(c.name)),
                Text(f"{_brief(c.score)} ± {c.std_error:.2g}"),
                Text(one_line(now.metric), style="dim"),
            )
        return table

    def _print(self, renderable: RenderableType) -> None:
        (self._live.console if self._live else self._console).print(renderable)


def _brief(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"
