"""What a command is: a small function whose docstring is its help, and what it may do to a session."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from rich.console import RenderableType

from team.board import Board
from team.errors import UsageError
from team.rundir import RunDir
from team.settings import Settings
from team.stages import ORDER
from team.steering import Steering

STAGES = [stage.value for stage in ORDER]


class Talk(Protocol):
    """What commands may do to a session."""

    aside_usd: Decimal | None
    """What questions beside the turns have cost."""

    @property
    def run(self) -> RunDir | None: ...
    @property
    def settings(self) -> Settings | None: ...
    @property
    def board(self) -> Board: ...
    @property
    def steering(self) -> Steering | None:
        """Of the run that is going on; None where none is."""

    def tell(self, text: str | RenderableType, *, cut: bool = False) -> None:
        """Say something, with lines wrapped to the terminal's width, or cut where their columns must stay below each other."""

    async def ask(self, question: str) -> str: ...
    async def branch(self, at: str, changes: dict[str, Any]) -> None:
        """Leave the run as it is and go on with a fork of it from `at`."""

    async def take_up(self) -> None:
        """Go on with a run that is not going on."""

    async def question(self, role: str | None, text: str) -> None: ...
    async def constrain(self, text: str) -> None: ...
    def decide(self, approved: bool, why: str) -> bool:
        """Answer what waits for approval; False where nothing does."""

    async def quit(self) -> None: ...
    def transcript(self) -> str: ...


Do = Callable[[Talk, str], Awaitable[None] | None]


@dataclass(frozen=True)
class Command:
    """A command; `usage` shows its arguments, of which `options` can be completed."""

    name: str
    usage: str
    help: str
    do: Do
    options: Sequence[str] = ()


COMMANDS: dict[str, Command] = {}


def command(usage: str, options: Sequence[str] = ()) -> Callable[[Do], Do]:
    """Register a function as the command that `usage` begins with."""

    def register(do: Do) -> Do:
        name = usage.split()[0]
        COMMANDS[name] = Command(name, usage, " ".join(inspect.getdoc(do).split()) if do.__doc__ else "", do, options)  # type: ignore[union-attr]  # it has one
        return do

    return register


def run_of(talk: Talk) -> RunDir:
    if talk.run is None or not talk.run.events.exists():
        raise UsageError("there is no run yet: say what you want to predict, and from which table.")
    return talk.run


def going_of(talk: Talk) -> Steering:
    if talk.steering is None:
        raise UsageError("no run is going on. /resume goes on with one that was stopped, /fork STAGE begins a new one from a stage of it.")
    return talk.steering


__all__ = ["COMMANDS", "STAGES", "Command", "Talk", "command", "going_of", "run_of"]
