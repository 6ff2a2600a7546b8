"""What people say, ask and decide while a run goes on."""

from __future__ import annotations

from typing import Any, Literal

from team.events.event import BaseEvent


class ApprovalAsked(BaseEvent):
    """A call waits for a person's word, or is refused because nobody can be asked."""

    kind: Literal["approval_asked"] = "approval_asked"
    call: str
    tool: str
    role: str
    stage: str
    what: str
    outside: bool


class ApprovalDecided(BaseEvent):
    kind: Literal["approval_decided"] = "approval_decided"
    call: str
    tool: str
    allowed: bool
    by: str
    """Who decided: `terminal`, `chat`, `notebook`, the setting that named it, or `nobody`."""
    reason: str = ""
    key: str = ""
    """What it is a word on: the same call is not asked about again."""
    waited_s: float = 0.0


class ConstraintAdded(BaseEvent):
    """Something must be kept from the next turn on."""

    kind: Literal["constraint_added"] = "constraint_added"
    constraints: list[dict[str, Any]]
    """As `team.constraint` knows them."""
    told: list[str]
    """The same in words."""
    excluded: list[str] = []
    """Candidates that break it, or were made from what it takes away: they do not count any more."""
    gone: list[str] = []
    """Columns that are taken out of what the sandbox sees."""
    back_to: str | None = None
    """The stage that the work goes back to, where what was done rests on what it takes away."""
    refused: str = ""
    """Why it cannot be kept; then nothing has changed."""


class UserSpoken(BaseEvent):
    """The user said something to the team; from `turn` on it stands in every briefing."""

    kind: Literal["user_spoken"] = "user_spoken"
    turn: int
    text: str


class RoleAsked(BaseEvent):
    """The user asked a role something beside its turns, and got an answer that changes nothing."""

    kind: Literal["role_asked"] = "role_asked"
    role: str
    question: str
    answer: str


class RunPaused(BaseEvent):
    """The run stands at a safe point because the user wants it to."""

    kind: Literal["run_paused"] = "run_paused"
    turn: int
    """The turn that is going on, or that has ended."""
    stage: str


class RunContinued(BaseEvent):
    kind: Literal["run_continued"] = "run_continued"
    seconds: float
    """That it stood; they count as nobody's work."""


class TimeAdded(BaseEvent):
    """The user gave the search more time."""

    kind: Literal["time_added"] = "time_added"
    seconds: float
    search_s: float
    """Seconds of search that the run has in all from here on."""
