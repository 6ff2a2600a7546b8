"""The events of a run as they come: turns while they are spoken, calls on one line each, cells and plots as links, what the user did."""

from __future__ import annotations

from collections.abc import Callable

from team.board import Board
from team.chat.draft import Draft
from team.chat.screen import Screen
from team.console import LiveView
from team.events import (
    BudgetWarned,
    CellExecuted,
    Event,
    MessageSpoken,
    ModelCalled,
    RunContinued,
    RunForked,
    RunPaused,
    RunResumed,
    TimeAdded,
    ToolReturned,
    UserSpoken,
)
from team.rundir import RunDir
from team.terminal import one_line


class Watch:
    """Subscribe it to an event log; `hear` takes the words of models while they come. Both belong to the run's thread.

    Args:
        changed: called when the unfinished line of a reply has grown.
    """

    def __init__(self, screen: Screen, board: Board, changed: Callable[[], None] = lambda: None) -> None:
        self._screen, self._board = screen, board
        self._view = LiveView(screen.as_file, board)
        self._draft = Draft(lambda: self._view.words_width, self._line, changed)
        self.run: RunDir | None = None
        self._cell: int | None = None
        self._plots: set[str] = set()

    @property
    def unfinished(self) -> str:
        """The line that a model is writing, for the bottom of the screen; empty where none is."""
        return self._draft.line

    def hear(self, piece: str) -> None:
        """Take a piece of a reply; an empty one says that a reply begins."""
        self._draft.hear(piece)

    def __call__(self, event: Event) -> None:
        match event:
            case ModelCalled():  # comes between a reply and what is said of it
                self._board(event)
            case BudgetWarned():  # and so does this
                self._view(event)
            case MessageSpoken():
                self._board(event)
                if missing := self._draft.missing(event.text):
                    self._view.say(event.role, missing)
            case _:
                self._draft.close()
                self._view(event)
        self._beside(event)

    def _beside(self, event: Event) -> None:
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

    def _line(self, line: str, first: bool) -> None:
        self._view.say(self._board.glance().role if first else "", line)

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
                self._screen.say(f"    plot {(self.run.work / 'plots' / plot.name).absolute().as_uri()}.png", "dim", whole=True)
