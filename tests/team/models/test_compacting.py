"""What is left of a conversation that is too long."""

from __future__ import annotations

import pytest
from autogen_core import FunctionCall
from autogen_core.models import (
    AssistantMessage,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    SystemMessage,
    UserMessage,
)

from team.models.compacting import compact, length
from team.models.wire import conversation

BRIEFING = "[stage train] " + "f" * 3_000


def conversation_of(turns: int) -> list[LLMMessage]:
    """Old words, the briefing, and calls of this turn with results and arguments of several thousand characters."""
    messages: list[LLMMessage] = [SystemMessage(content="s" * 2_000)]
    messages += [UserMessage(content=f"old words {k} " + "o" * 700, source="critic") for k in range(6)]
    messages.append(UserMessage(content=BRIEFING, source="conductor"))
    for k in range(turns):
        call = FunctionCall(id=f"c{k}", name="run_python", arguments='{"code": "' + "x" * 3_000 + '"}')
        messages.append(AssistantMessage(content=[call], thought="t" * 500, source="engineer"))
        result = FunctionExecutionResult(content=f"start {k} " + "r" * 8_000 + " end", name="run_python", call_id=f"c{k}")
        messages.append(FunctionExecutionResultMessage(content=[result]))
    return messages


@pytest.mark.parametrize("share", [0.9, 0.6, 0.36, 0.2, 0.1])
def test_it_is_as_short_as_asked_and_nothing_is_parted(share: float) -> None:
    messages = conversation_of(12)
    before = [message.model_dump() for message in messages]
    most = int(length(messages) * share)
    found = compact(messages, most)
    assert length(found) <= most
    assert found[0] == messages[0], "the system's text stays whole"
    assert any(isinstance(m, UserMessage) and m.content == BRIEFING for m in found)
    for place, message in enumerate(found):
        if isinstance(message, AssistantMessage):
            after = found[place + 1]
            assert isinstance(after, FunctionExecutionResultMessage)
            assert [result.call_id for result in after.content] == [c.id for c in message.content if isinstance(c, FunctionCall)]
    assert isinstance(found[-1], FunctionExecutionResultMessage)
    assert found[-1].content[0].call_id == "c11", "what was just done is known"
    assert [message.model_dump() for message in messages] == before, "the history is left alone"
    assert all(len(turn.results) in (0, 1) for turn in conversation(found)[1])


def test_the_briefing_is_the_last_to_be_cut() -> None:
    found = compact(conversation_of(1), 4_000)
    (cut,) = [m for m in found if isinstance(m, UserMessage) and m.source == "conductor"]
    assert str(cut.content).startswith("[stage train]")
    assert "characters left out" in str(cut.content)


def test_what_fits_is_left_alone() -> None:
    messages = conversation_of(1)
    assert compact(messages, length(messages)) == messages
