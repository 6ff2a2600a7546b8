"""A run as its page shows it, kept from its events as they come: turns, candidates, where it stands."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from reports.chronicle import run_status, seconds_at_work
from reports.conversation import ToolCall, Turn, read_turns
from team.board import Board, Glance
from team.events import (
    BudgetWarned,
    CandidateScored,
    CellExecuted,
    ConstraintAdded,
    Event,
    ModelCalled,
    ProgressMade,
    RunStarted,
    StageEntered,
    ToolCalled,
    ToolReturned,
    TurnStarted,
)
from team.stages import ORDER, Stage

MOST_PROGRESS_FACTS = 6


class Cell(NamedTuple):
    """A cell that was executed for a call."""

    number: int
    status: str
    seconds: float


class Call(NamedTuple):
    """A call of a tool with what came of it so far."""

    call: ToolCall
    text: str
    """What the role was shown."""
    cells: list[Cell]
    progress: str
    """The last that a call told that is going on."""


class Shown(NamedTuple):
    """A turn with its calls."""

    number: int
    """Place among the turns of the log, from 0."""
    turn: Turn
    calls: list[Call]
    tokens: int
    began: float
    first_of_stage: bool


class Watched:
    """Give it events in their order."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.events: list[Event] = []
        self.settings: dict[str, Any] = {}
        self._board = Board()
        self._turns: list[list[Event]] = []
        self._stage: StageEntered | None = None
        self._stages: list[StageEntered | None] = []
        self._scored: dict[str, CandidateScored] = {}
        self._calls: dict[str, ToolCalled] = {}
        self.warned: list[str] = []
        """How near a cap on cost or tokens came, in words."""

    @property
    def last(self) -> int:
        """Number of the newest event; -1 before there is one."""
        return self.events[-1].seq if self.events else -1

    def add(self, events: Iterable[Event]) -> set[int]:
        """Take events in, and tell which turns look different now."""
        changed = set()
        for event in events:
            self.events.append(event)
            self._board(event)
            match event:
                case RunStarted():
                    self.settings = event.settings
                case StageEntered():
                    self._stage = event
                case TurnStarted():
                    self._turns.append([])
                    self._stages.append(self._stage)
                case CandidateScored():
                    self._scored[event.name] = event
                case ConstraintAdded():
                    self._scored = {name: one for name, one in self._scored.items() if name not in event.excluded}
                case BudgetWarned():
                    figures = f"{event.spent:,.6g} of {event.limit:,.6g}"
                    self.warned.append(f"{event.share:.0%} of {event.cap.replace('_', ' ')} reached: {figures}")
                case ToolCalled():
                    self._calls[event.call] = event
                case ToolReturned():
                    self._calls.pop(event.call, None)
                case _:
                    pass
            if self._turns:
                self._turns[-1].append(event)
                changed.add(len(self._turns) - 1)
        return changed

    def turns(self, which: Iterable[int] | None = None) -> list[Shown]:
        """Turns in their order; all of them, or those."""
        return [self._shown(number) for number in (range(len(self._turns)) if which is None else sorted(which))]

    def newest_of(self, turn: int) -> int:
        """Number of the newest event of a turn."""
        return self._turns[turn][-1].seq

    def glance(self) -> Glance:
        """Where it stands. Of a run that goes on, `seconds` is what `began` leaves to a clock."""
        now = self._board.glance()
        now.run = self.name
        if self.events:
            now.seconds = seconds_at_work(self.events)
        return now

    @property
    def began(self) -> float:
        """Seconds since the epoch."""
        return self.events[0].at if self.events else time.time()

    @property
    def status(self) -> tuple[str, str]:
        """How it ended and why; `unfinished` while it has not."""
        return run_status(self.events)

    @property
    def call(self) -> ToolCalled | None:
        """The call that is going on, or was when the run was cut off."""
        return next(reversed(self._calls.values()), None)

    def leaders(self) -> list[CandidateScored]:
        """All candidates, the best first."""
        return sorted(self._scored.values(), key=lambda one: one.score, reverse=self._board.glance().maximize)

    def stages(self) -> list[tuple[str, str]]:
        """Each stage and whether it is `past`, `now` or `next`."""
        at = ORDER.index(Stage(self._stage.stage)) if self._stage else -1
        ended = self.status[0] == "done"
        return [(stage.value, "past" if ended or n < at else "now" if n == at else "next") for n, stage in enumerate(ORDER)]

    def _shown(self, number: int) -> Shown:
        events = self._turns[number]
        stage = self._stages[number]
        turn = read_turns([stage, *events] if stage else events)[0]
        texts = {event.call: event.text for event in events if isinstance(event, ToolReturned)}
        calls = [
            Call(call, texts.get(call.call, ""), _cells(events, call.call), _progress(events, call.call) if call.call not in texts else "")
            for call in turn.calls
        ]
        tokens = sum(event.input_tokens + event.output_tokens for event in events if isinstance(event, ModelCalled))
        return Shown(number, turn, calls, tokens, events[0].at, number == 0 or stage is not self._stages[number - 1])


def _cells(events: Sequence[Event], call: str) -> list[Cell]:
    return [Cell(event.cell, event.status, event.seconds) for event in events if isinstance(event, CellExecuted) and event.call == call]


def _progress(events: Sequence[Event], call: str) -> str:
    last = next((event for event in reversed(events) if isinstance(event, ProgressMade) and event.call == call), None)
    return told(last.facts) if last else ""


def told(facts: dict[str, Any]) -> str:
    """Progress in a line."""
    return " · ".join(
        f"{name.replace('_', ' ')} {f'{value:.4g}' if isinstance(value, float) else value}"
        for name, value in list(facts.items())[:MOST_PROGRESS_FACTS]
    )
