"""What the clients that make usable calls of a model's replies ask of a run, and tell it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from team.events import CallsRecovered, Event, RepairAsked
from team.guidance import Invitation, Terms, example, invitation
from team.stages import State, missing

MOST_CHARS = 300
"""Of what was wrong, as it is logged."""


class RepairDesk:
    """See `team.models.recovering.Desk`.

    Args:
        emit: appends an event to the log.
        state: where the run stands.
        turn: number of the turn that is going on.
        terms: what contract and budget say now.
    """

    def __init__(
        self, emit: Callable[[Event], Event], state: Callable[[], State], turn: Callable[[], int], terms: Callable[[], Terms] = Terms
    ) -> None:
        self._emit, self._state, self._turn, self._terms = emit, state, turn, terms
        self._given_up: str | None = None

    def missing(self, role: str) -> str | None:
        return missing(self._state(), role)

    def example(self, role: str) -> tuple[str, dict[str, Any]] | None:
        return example(self._state(), role, self._terms())

    def invitation(self, role: str) -> Invitation | None:
        return invitation(self._state(), role, self._terms())

    def recovered(self, role: str, tools: list[str], form: str) -> None:
        self._emit(CallsRecovered(turn=self._turn(), role=role, tools=tools, form=form))

    def asked_again(self, role: str, problem: str) -> None:
        self._emit(RepairAsked(turn=self._turn(), role=role, problem=problem[:MOST_CHARS]))

    def gave_up(self, role: str, problem: str) -> None:
        self._given_up = problem[:MOST_CHARS]

    def take_given_up(self) -> str | None:
        """Why the last turn's calls were given up, once; AutoGen keeps the text of an exception, but not its type."""
        given_up, self._given_up = self._given_up, None
        return given_up
