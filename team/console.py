"""The event log as a live view in a terminal: turns, tool calls, leaderboard, budget. Plain lines where there is none."""

from __future__ import annotations

import time
from typing import Any, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from team.events import (
    CandidateScored,
    Event,
    FellBack,
    HoldoutScored,
    MessageSpoken,
    ProgressMade,
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

SHOWN_LEADERS = 5

_COLOURS = {
    "planner": "cyan",
    "data_scientist": "green",
    "engineer": "yellow",
    "critic": "magenta",
    "writer": "blue",
    "release_manager": "bright_black",
}


class LiveView:
    """Subscribe it to an event log. Use it as a context manager, so that the terminal is given back in every case."""

    def __init__(self, file: TextIO) -> None:
        self._console = Console(file=file, highlight=False, soft_wrap=False)
        self._live: Live | None = None
        self._candidates: list[CandidateScored] = []
        self._maximize = True
        self._metric = ""
        self._budget = 0.0
        self._searched = 0.0
        self._call: ToolCalled | None = None
        self._call_began = 0.0
        self._progress: dict[str, Any] = {}

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

    def __call__(self, event: Event) -> None:
        match event:
            case RunStarted():
                settings = event.settings
                self._budget = float(settings["time"])
                wish = f"{settings['source']}" + (f" → {settings['target']}" if settings["target"] else "")
                self._print(Text.assemble(("mlteam ", "bold"), one_line(wish), (f"   {one_line(event.run)}", "dim")))
            case SandboxChosen():
                self._print(Text(f"sandbox {event.sandbox}: {event.why}", style="dim"))
            case StageEntered():
                again = f" (visit {event.visit})" if event.visit > 1 else ""
                self._print(Text.assemble(("\n● ", "bold"), (f"{event.stage}{again}", "bold")))
            case StageEnded():
                self._print(Text(f"  ✓ {one_line(event.outcome)}, {event.seconds:.1f} s", style="dim"))
            case MessageSpoken():
                self._say(event.role, event.text)
            case ToolCalled():
                self._call, self._call_began, self._progress = event, time.monotonic(), {}
            case ProgressMade():
                self._progress = event.facts
            case ToolReturned():
                self._returned(event)
            case CandidateScored():
                self._candidates.append(event)
            case HoldoutScored():
                self._metric = event.metric
            case RepairAsked():
                self._print(Text(f"{'':19}? asked again: {one_line(event.problem)[:160]}", style="dim"))
            case FellBack():
                self._print(Text(f"  ! {event.role}: {one_line(event.reason)}", style="red"))
            case RunEnded() if event.status != "done":
                self._print(Text(f"\nended: {event.status}", style="red"))
            case _:
                pass

    def _say(self, role: str, text: str) -> None:
        grid = Table.grid(padding=(0, 1))
        grid.add_column(width=17, no_wrap=True)
        grid.add_column(overflow="fold")
        grid.add_row(Text("  " + role.replace("_", " "), style=_COLOURS.get(role, "")), Text(clean(text)))
        self._print(grid)

    def _returned(self, event: ToolReturned) -> None:
        arguments = ", ".join(f"{k}={v!r}" for k, v in (self._call.arguments if self._call else {}).items())
        self._call = None
        self._searched += event.search_seconds
        if event.result and event.tool == "seal_holdout":
            self._metric, self._maximize = str(event.result["metric"]), event.result["direction"] == "maximize"
        mark, style = ("→", "dim") if event.status == "ok" else ("✗", "red")
        call = one_line(f"{event.tool}({arguments})")
        width = max(30, self._console.width - 40)
        shown = call if len(call) <= width else call[: width - 1] + "…"
        line = f"{'':19}{mark} {shown}  {event.seconds:.1f} s"
        if event.status != "ok":
            line += (
                f"  {event.status}: {one_line(event.text.strip().splitlines()[-1])[:160]}" if event.text.strip() else f"  {event.status}"
            )
        self._print(Text(line, style=style))
        if event.search_seconds and not self._live:
            self._print(self._leaders())

    def _footer(self) -> RenderableType:
        parts: list[RenderableType] = [Text("")]
        if self._candidates:
            parts.append(self._leaders())
        running = time.monotonic() - self._call_began if self._call else 0.0
        searched = self._searched
        status = Text("  ")
        if self._call:
            status.append(f"{one_line(self._call.tool)[:80]} {running:.0f} s", style="bold")
            if self._progress:
                status.append("  " + one_line("  ".join(f"{k} {_brief(v)}" for k, v in self._progress.items()))[:80], style="dim")
            status.append("   ")
        status.append(f"search {searched:.0f} of {self._budget:g} s used", style="dim")
        return Group(*parts, status)

    def _leaders(self) -> Table:
        order = sorted(self._candidates, key=lambda c: c.score, reverse=self._maximize)[:SHOWN_LEADERS]
        table = Table.grid(padding=(0, 2))
        for _ in range(4):
            table.add_column()
        for rank, c in enumerate(order, 1):
            first = f"{'':19}{rank}" if not self._live else f"  {rank}"
            table.add_row(
                Text(first, style="dim"),
                Text(one_line(c.name)),
                Text(f"{_brief(c.score)} ± {c.std_error:.2g}"),
                Text(one_line(self._metric), style="dim"),
            )
        return table

    def _print(self, renderable: RenderableType) -> None:
        (self._live.console if self._live else self._console).print(renderable)


def _brief(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"
