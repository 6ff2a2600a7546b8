"""What a model was asked, small enough to keep beside its answer and steady enough to compare between two runs.

Two runs of the same team over the same data differ in what clocks say: seconds, and digests of files that hold them. Numbers and
digests are therefore left out of the comparison; words, names, tools and their order are not.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from autogen_core import FunctionCall
from autogen_core.models import FunctionExecutionResultMessage, LLMMessage, SystemMessage
from autogen_core.tools import Tool, ToolSchema
from pydantic import BaseModel, ConfigDict

SHOWN_CHARS = 2_000
"""Of the last part of a request, which is what is new in it."""
_VARYING = re.compile(r"\b[0-9a-f]{12,}\b|(?:(?<!\w)[-+−])?\d+(?:[.,]\d+)*(?:e[-+]?\d+)?%?", re.IGNORECASE)
"""Digests of files, and numbers."""


class Asked(BaseModel):
    """A request, as it is kept."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    parts: list[tuple[str, str]]
    """Who speaks in each message, and a digest of its words."""
    tools: list[str]
    """Names of the tools that were offered, in alphabetical order."""
    last: str
    """The words of the last message, numbers left out, cut."""


def asked(messages: Sequence[LLMMessage], tools: Sequence[Tool | ToolSchema] = ()) -> Asked:
    """The request that `messages` and `tools` make."""
    texts = [(_speaker(message), _VARYING.sub("#", _text(message))) for message in messages]
    return Asked(
        parts=[(who, hashlib.sha256(text.encode()).hexdigest()[:12]) for who, text in texts],
        tools=sorted(tool["name"] if isinstance(tool, dict) else tool.name for tool in tools),
        last=texts[-1][1][:SHOWN_CHARS] if texts else "",
    )


def _speaker(message: LLMMessage) -> str:
    if isinstance(message, SystemMessage):
        return "system"
    if isinstance(message, FunctionExecutionResultMessage):
        return "results of " + ", ".join(result.name for result in message.content)
    return message.source


def _text(message: LLMMessage) -> str:
    if isinstance(message, FunctionExecutionResultMessage):
        return "\n".join(f"{result.name}: {result.content}" for result in message.content)
    if isinstance(message.content, str):
        return message.content
    return "\n".join(f"{part.name}({part.arguments})" if isinstance(part, FunctionCall) else str(part) for part in message.content)


def difference(recorded: Asked, now: Asked) -> str | None:
    """In words, the first thing in which a request differs from the recorded one; None when nothing does."""
    if recorded.tools != now.tools:
        gone, new = sorted(set(recorded.tools) - set(now.tools)), sorted(set(now.tools) - set(recorded.tools))
        return f"the tools offered: {_listed(gone)} no more, {_listed(new)} new"
    for at, (before, after) in enumerate(zip(recorded.parts, now.parts, strict=False)):
        if before[0] != after[0]:
            return f"message {at + 1} is by {after[0]!r}, it was by {before[0]!r}"
        if before[1] != after[1]:
            where = f"message {at + 1}, by {after[0]!r}"
            last = at == len(recorded.parts) - 1 == len(now.parts) - 1
            return f"{where}: {_first_change(recorded.last, now.last)}" if last else f"{where}, has other words"
    if len(recorded.parts) != len(now.parts):
        return f"there are {len(now.parts)} messages, there were {len(recorded.parts)}"
    return None


def _first_change(before: str, now: str) -> str:
    at = next((i for i, (a, b) in enumerate(zip(before, now, strict=False)) if a != b), min(len(before), len(now)))
    start = max(0, at - 40)
    return f"…{now[start : at + 80]!r}…, it was …{before[start : at + 80]!r}…"


def _listed(names: list[str]) -> str:
    return ", ".join(names) or "none"
