"""The one writer to the screen: whatever is said goes through it, a whole text at a time, from any thread, and is kept as plain lines."""

from __future__ import annotations

import threading
from typing import TextIO, cast

from rich.console import Console, RenderableType
from rich.text import Text

from team.console import LiveView
from team.events import CellExecuted, Event, RunContinued, RunForked, RunPaused, RunResumed, TimeAdded, ToolReturned, UserSpoken
from team.rundir import RunDir
from team.terminal import clean, one_line

KEPT_CHARS = 2_000_000
"""Of a conversation, for `/save`."""


class Screen:
    """Looks like a file to rich; colours are the terminal's own, so that light and dark backgrounds both do."""

    def __init__(self, file: TextIO) -> None:
        self._file, self._lock = file, threading.RLock()
        self._kept: list[str] = []
        self._chars = 0
        self.encoding = getattr(file, "encoding", "utf-8")
        self._console = Console(file=self.as_file, highlight=False, soft_wrap=False)

    @property
    def as_file(self) -> TextIO:
        return cast("TextIO", self)

    def write(self, text: str) -> int:
        with self._lock:
            if self._chars < KEPT_CHARS:
                self._kept.append(clean(text))
                self._chars += len(text)
            return self._file.write(text)

    def flush(self) -> None:
        with self._lock:
            self._file.flush()

    def isatty(self) -> bool:
        return self._file.isatty()

    def fileno(self) -> int:
        return self._file.fileno()

    def say(self, what: str | RenderableType, style: str = "") -> None:
        """Print a text, in which nothing is markup and nothing acts on the terminal, or something that rich draws."""
        # Long words, such as links, are not broken: a terminal that wraps them keeps them whole.
        self._console.print(Text(clean(what), style=style) if isinstance(what, str) else what, soft_wrap=isinstance(what, str))

    @property
    def transcript(self) -> str:
        return "".join(self._kept)


class Watch:
    """The events of a run as they come: turns, calls on one line each, cells and plots as links, what the user did."""

    def __init__(self, screen: Screen) -> None:
        self._screen, self._view = screen, LiveView(screen.as_file)
        self.run: RunDir | None = None
        self._cell: int | None = None
        self._plots: set[str] = set()

    def __call__(self, event: Event) -> None:
        self._view(event)
        match event:
            case CellExecuted():
                self._cell = event.cell
            case ToolReturned():
                self._links()
            case UserSpoken():
                self._note(f"you said, from turn {event.turn} on: {event.text}")
            case TimeAdded():
                self._note(f"{event.seconds:g} s more: the search has {event.search_s:g} s in all")
            case RunPaused():
                self._screen.say(
                    "\npaused. Enter or /resume goes on, Ctrl-C or /quit stops with everything saved; or say what to change.", "bold"
                )
            case RunContinued():
                self._note(f"going on after {event.seconds:.0f} s")
            case RunResumed():
                self._note(f"taken up after turn {event.turn}, in stage {event.stage}")
            case RunForked():
                self._note(f"a fork of {event.parent}, from turn {event.turn}")
            case _:
                pass

    def _note(self, text: str) -> None:
        self._screen.say(f"  · {one_line(text)}", "italic")

    def _links(self) -> None:
        """Where the cell of the call stands, and plots that it drew."""
        if self._cell is not None:
            self._screen.say(f"{'':21}cell {self._cell}: /show {self._cell}", "dim")
            self._cell = None
        if self.run is None:
            return
        from reports.plots import list_plots

        for plot in list_plots(self.run):
            if plot.name not in self._plots:
                self._plots.add(plot.name)
                self._screen.say(f"{'':21}plot {(self.run.work / 'plots' / plot.name).absolute().as_uri()}.png", "dim")
