"""What a role is shown of its turn: the briefing that opened it, and its tool traffic, which a model gets in bounded length."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from autogen_core.model_context import ChatCompletionContext
from autogen_core.models import AssistantMessage, FunctionExecutionResultMessage, LLMMessage, SystemMessage, UserMessage

from team.digest import fitted, of_profile
from team.inert import inert, shortened, unhidden
from team.outcome import cut

CONDUCTOR = "conductor"
"""Who a briefing comes from."""
ROUNDS_SHOWN = 3
"""Rounds of calls of the turn that is going on."""
NEW_RESULT_CHARS, OLD_RESULT_CHARS, GIST_CHARS = 1_800, 240, 400
"""Of the results of the newest round together, of each older one, and of all that is told of rounds before."""


class BriefingContext(ChatCompletionContext):
    """Keeps everything, shows the last briefing and what came after it.

    Args:
        short: whether the turn's tool traffic is bounded as well, as it is for language models.
    """

    component_provider_override = "team.model_context.BriefingContext"

    def __init__(self, *, short: bool = False) -> None:
        super().__init__()
        self._short = short

    async def get_messages(self) -> list[LLMMessage]:
        return bounded(self._messages) if self._short else current(self._messages)


def current(messages: Sequence[LLMMessage]) -> list[LLMMessage]:
    """The turn that is going on: the last briefing, which tells what was said before, and what came after it."""
    opening = max((i for i, m in enumerate(messages) if _is_briefing(m)), default=0)
    return [m for m in messages[opening:] if not isinstance(m, SystemMessage)]


def bounded(messages: Sequence[LLMMessage]) -> list[LLMMessage]:
    """The turn that is going on, with its last rounds of calls: of the newest the results at some length, of others their gist.

    Calls and results are never parted: a round is left out whole, and the briefing then ends with what was called in it.
    """
    turn = current(messages)
    rounds = [i for i, m in enumerate(turn) if _calls(m)]
    first = rounds[-ROUNDS_SHOWN] if len(rounds) > ROUNDS_SHOWN else (rounds[0] if rounds else len(turn))
    head = [m for m in turn[:first] if isinstance(m, UserMessage)]
    if head and (left_out := [line for m in turn[:first] for line in _gist(m)]):
        told = f"\n\nEarlier in this turn: {shortened('; '.join(left_out), GIST_CHARS)}."
        head[0] = UserMessage(content=f"{head[0].content}{told}", source=head[0].source)
    newest = rounds[-1] if rounds else len(turn)
    return [*head, *(_at_length(m, i >= newest) for i, m in enumerate(turn[first:], first))]


def _calls(message: LLMMessage) -> bool:
    return isinstance(message, AssistantMessage) and isinstance(message.content, list)


def _gist(message: LLMMessage) -> list[str]:
    if not isinstance(message, FunctionExecutionResultMessage):
        return []
    return [f"{result.name} {'did not work' if result.is_error else 'ok'}" for result in message.content]


def _at_length(message: LLMMessage, newest: bool) -> LLMMessage:
    """A message of the turn at the length that its age gets."""
    if isinstance(message, FunctionExecutionResultMessage):
        most = max(OLD_RESULT_CHARS, NEW_RESULT_CHARS // len(message.content)) if newest else OLD_RESULT_CHARS
        kept = [result.model_copy(update={"content": observed(result.content, most)}) for result in message.content]
        return FunctionExecutionResultMessage(content=kept)
    if newest or not isinstance(message, AssistantMessage) or isinstance(message.content, str):
        return message
    calls = [replace(call, arguments=_short_arguments(call.arguments)) for call in message.content]
    return message.model_copy(update={"content": calls, "thought": message.thought and shortened(message.thought, OLD_RESULT_CHARS)})


def observed(content: str, most: int) -> str:
    """A tool's result in about `most` characters: an object of JSON stays one, of a text head and tail are kept. Nothing hides in it."""
    try:
        facts = json.loads(content)
    except ValueError:
        return unhidden(cut(content, most))
    if len(content) <= most or not isinstance(facts, dict):
        return inert(cut(content, most))
    if "profiles" in facts and "warnings" in facts:
        facts = of_profile(facts)
    return inert(json.dumps(fitted(facts, most), ensure_ascii=False))


def _short_arguments(arguments: str) -> str:
    if len(arguments) <= OLD_RESULT_CHARS:
        return arguments
    return json.dumps(fitted(json.loads(arguments), OLD_RESULT_CHARS), ensure_ascii=False)


def _is_briefing(message: LLMMessage) -> bool:
    return isinstance(message, UserMessage) and message.source == CONDUCTOR
