"""What a model is shown of a turn stays bounded, and tool calls are never parted from their results."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import pytest
from autogen_core import FunctionCall
from autogen_core.models import AssistantMessage, FunctionExecutionResult, FunctionExecutionResultMessage, LLMMessage, UserMessage

from team.model_context import CONDUCTOR, GIST_CHARS, NEW_RESULT_CHARS, ROUNDS_SHOWN, bounded, current, observed
from tests.team.test_briefing import HOSTILE


def turn(number: int, rounds: int = 1, result: str = "{}", arguments: str = "{}") -> list[LLMMessage]:
    traffic: list[LLMMessage] = []
    for place in range(rounds):
        call = FunctionCall(id=f"c{number}-{place}", name="train", arguments=arguments)
        answer = FunctionExecutionResult(content=result, name="train", call_id=call.id, is_error=False)
        traffic += [AssistantMessage(content=[call], source="engineer"), FunctionExecutionResultMessage(content=[answer])]
    return [
        UserMessage(content=f"[stage train] {number}", source=CONDUCTOR),
        *traffic,
        UserMessage(content=f"words {number} " + "x" * 2000, source="critic"),
    ]


def size(messages: list[LLMMessage]) -> int:
    return len(json.dumps([m.model_dump(mode="json") for m in messages]))


@pytest.mark.parametrize("shown_by", [current, bounded])
def test_a_request_holds_the_turn_that_is_going_on_and_no_other(shown_by: Callable[[Sequence[LLMMessage]], list[LLMMessage]]) -> None:
    messages = [m for n in range(40) for m in turn(n)][:-1]
    assert shown_by(messages) == messages[-3:]


@pytest.mark.parametrize("rounds", range(1, 9))
def test_every_call_that_is_shown_has_its_result(rounds: int) -> None:
    messages = [m for n in range(3) for m in turn(n, rounds)][:-1]
    for length in range(1, len(messages) + 1):
        shown = bounded(messages[:length])
        calls = [c.id for m in shown if isinstance(m, AssistantMessage) for c in m.content if isinstance(c, FunctionCall)]
        results = [r.call_id for m in shown if isinstance(m, FunctionExecutionResultMessage) for r in m.content]
        assert results == calls or (results == calls[:-1] and isinstance(shown[-1], AssistantMessage))


def test_a_long_turn_is_told_in_bounded_length_and_what_is_left_out_is_named() -> None:
    long = json.dumps({"best": "a-1", "candidates": [{"name": f"a-{i}", "score": i / 7, "params": {"depth": i}} for i in range(400)]})
    code = json.dumps({"code": "print(1)\n" * 2_000})
    sizes = [size(bounded(turn(1, rounds, long, code)[:-1])) for rounds in (4, 8, 16)]
    assert max(sizes) < 2_000 * 9 + 4 * NEW_RESULT_CHARS  # the newest call stands there whole
    assert sizes[2] - sizes[0] < 2 * GIST_CHARS
    shown = bounded(turn(1, 16, long, code)[:-1])
    assert str(shown[0].content).startswith("[stage train] 1\n\nEarlier in this turn: train ok; train ok;")
    results = [m.content[0].content for m in shown if isinstance(m, FunctionExecutionResultMessage)]
    assert len(results) == ROUNDS_SHOWN
    newest = json.loads(results[-1])
    assert newest["best"] == "a-1"
    assert newest["candidates"][-1].startswith("… ")
    assert all(
        isinstance(json.loads(c.arguments), dict)
        for m in shown
        if isinstance(m, AssistantMessage)
        for c in m.content
        if isinstance(c, FunctionCall)
    )


def test_text_that_is_no_json_keeps_head_and_tail() -> None:
    shown = observed("a" * 5_000 + "b" * 5_000, 300)
    assert shown.startswith("aaa")
    assert shown.endswith("bbb")
    assert len(shown) < 400


def test_nothing_hides_in_what_a_model_is_shown_of_a_result() -> None:
    for content in (HOSTILE, json.dumps({"text": HOSTILE}, ensure_ascii=False), json.dumps({"text": HOSTILE * 500}, ensure_ascii=False)):
        shown = observed(content, 600)
        assert [character for character in HOSTILE[-5:] if character in shown] == []
    assert json.loads(observed(json.dumps({"text": HOSTILE}, ensure_ascii=False), 600)) == {"text": HOSTILE}
