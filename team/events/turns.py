"""What roles and their models do in a turn."""

from __future__ import annotations

from typing import Literal

from team.events.event import BaseEvent


class TurnStarted(BaseEvent):
    kind: Literal["turn_started"] = "turn_started"
    turn: int
    role: str
    stage: str
    briefing: str


class MessageSpoken(BaseEvent):
    kind: Literal["message_spoken"] = "message_spoken"
    turn: int
    role: str
    text: str


class TurnEnded(BaseEvent):
    kind: Literal["turn_ended"] = "turn_ended"
    turn: int
    role: str
    status: Literal["ok", "failed"]
    seconds: float
    error: str | None = None


class ModelCalled(BaseEvent):
    kind: Literal["model_called"] = "model_called"
    turn: int
    role: str
    provider: str
    model: str
    input_tokens: int
    output_tokens: int
    usd: float | None
    """Dollars, or None when the price is not known."""
    seconds: float
    finish_reason: str
    error: str | None = None
    cache_read_tokens: int = 0
    """Of the input tokens, those that came from a prompt cache."""
    cache_write_tokens: int = 0
    retries: int = 0
    """Requests that were made before the one that was answered; their tokens are in the counts."""
    estimated: bool = False
    """Whether the counts were told by the length of texts, since the server gave none."""


class CallsRecovered(BaseEvent):
    """A model wrote its calls so that they had to be read out of its text, or mended."""

    kind: Literal["calls_recovered"] = "calls_recovered"
    turn: int
    role: str
    tools: list[str]
    form: str
    """How they were written: `fenced`, `bare`, `tags`, `written out`, or `mended`."""


class RepairAsked(BaseEvent):
    """A model was told that its reply holds no call that can be made, and asked again."""

    kind: Literal["repair_asked"] = "repair_asked"
    turn: int
    role: str
    problem: str
