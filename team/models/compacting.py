"""A request that is too long for its model, made shorter and asked again.

What is cut is told where it was. The system's text stays whole, calls and results stay together, and the newest message is the last to
be touched, since the briefing holds the facts.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence

from autogen_core import FunctionCall
from autogen_core.models import (
    AssistantMessage,
    ChatCompletionClient,
    CreateResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    SystemMessage,
    UserMessage,
)

from team.errors import ContextOverflow
from team.models.trying import Attempts, TryingClient

MOST_ROUNDS = 4
SHRINKS_TO = 0.6
"""Share of its length that a request is to have when it is asked again."""
TEXT_CHARS = (4_000, 1_500, 500, 150)
"""What is left of a single long text, the mildest cut first."""


class CompactingClient(TryingClient):
    """Cuts what is too long, and remembers what was: later requests are not sent in vain."""

    component_provider_override = "team.models.compacting.CompactingClient"

    def __init__(self, inner: ChatCompletionClient) -> None:
        super().__init__(inner)
        self._fits: int | None = None

    def _attempts(self, messages: Sequence[LLMMessage]) -> Attempts:
        if self._fits is not None and length(messages) > self._fits:
            messages = compact(messages, self._fits)
        return _Shrinking(self, self._inner, messages)

    def learn(self, chars: int) -> None:
        """A request of so many characters was taken after a longer one was not."""
        self._fits = chars


class _Shrinking(Attempts):
    def __init__(self, owner: CompactingClient, client: ChatCompletionClient, messages: Sequence[LLMMessage]) -> None:
        super().__init__(client, messages)
        self._owner, self._rounds = owner, 0

    async def failed(self, error: Exception) -> None:
        if not isinstance(error, ContextOverflow) or self._rounds == MOST_ROUNDS:
            raise error
        before = length(self.messages)
        self.messages = compact(self.messages, int(before * SHRINKS_TO))
        self._rounds += 1
        if length(self.messages) >= before:
            raise error

    def succeeded(self, result: CreateResult) -> CreateResult:
        if self._rounds:
            self._owner.learn(length(self.messages))
        return result


def length(messages: Sequence[LLMMessage]) -> int:
    """Characters of all texts, calls and results."""
    return sum(_length(message) for message in messages)


def compact(messages: Sequence[LLMMessage], most: int) -> list[LLMMessage]:
    """The messages within `most` characters, or as near to it as cutting comes.

    Args:
        messages: left as they are; what is cut is copied.
    """
    newest = max((i for i, m in enumerate(messages) if isinstance(m, UserMessage)), default=-1)
    found = list(messages)
    for chars in TEXT_CHARS:
        if length(found) <= most:
            return found
        found = [m if i == newest else _shortened(m, chars) for i, m in enumerate(messages)]
    found = _without_oldest(found, newest, most)
    if newest >= 0 and (beyond := length(found) - most) > 0:
        found = [_shortened(m, max(1_000, _length(m) - beyond)) if m is messages[newest] else m for m in found]
    return found


def _without_oldest(messages: list[LLMMessage], newest: int, most: int) -> list[LLMMessage]:
    """Leave out old messages before the newest one of the user, and then pairs of calls and results behind it."""
    dropped: set[int] = set()
    left = length(messages)
    for i, message in enumerate(messages):
        paired = isinstance(message, AssistantMessage) and i + 2 < len(messages)
        if left <= most or i == newest or isinstance(message, (SystemMessage, FunctionExecutionResultMessage)):
            continue
        if i > newest and not paired:
            continue
        dropped.add(i)
        if i + 1 < len(messages) and isinstance(messages[i + 1], FunctionExecutionResultMessage):
            dropped.add(i + 1)
        left = length([m for j, m in enumerate(messages) if j not in dropped])
    return [m for i, m in enumerate(messages) if i not in dropped]


def _length(message: LLMMessage) -> int:
    if isinstance(message, FunctionExecutionResultMessage):
        return sum(len(result.content) for result in message.content)
    if isinstance(message.content, str):
        return len(message.content)
    if isinstance(message, AssistantMessage):
        return len(message.thought or "") + sum(len(c.arguments) for c in message.content if isinstance(c, FunctionCall))
    return sum(len(part) for part in message.content if isinstance(part, str))


def _shortened(message: LLMMessage, chars: int) -> LLMMessage:
    if isinstance(message, SystemMessage):
        return message
    if isinstance(message, FunctionExecutionResultMessage):
        cut = [result.model_copy(update={"content": _cut(result.content, chars)}) for result in message.content]
        return FunctionExecutionResultMessage(content=cut)
    if isinstance(message.content, str):
        return message.model_copy(update={"content": _cut(message.content, chars)})
    if isinstance(message, AssistantMessage):
        calls = [_shortened_call(call, chars) for call in message.content if isinstance(call, FunctionCall)]
        return message.model_copy(update={"content": calls, "thought": message.thought and _cut(message.thought, chars)})
    return message.model_copy(update={"content": [_cut(part, chars) if isinstance(part, str) else part for part in message.content]})


def _shortened_call(call: FunctionCall, chars: int) -> FunctionCall:
    if len(call.arguments) <= chars:
        return call
    return dataclasses.replace(call, arguments=json.dumps({"left_out": f"{len(call.arguments)} characters of arguments"}))


def _cut(text: str, chars: int) -> str:
    if len(text) <= chars:
        return text
    head, tail = text[: chars * 2 // 3], text[len(text) - chars // 3 :]
    return f"{head}\n… {len(text) - len(head) - len(tail)} characters left out …\n{tail}"
