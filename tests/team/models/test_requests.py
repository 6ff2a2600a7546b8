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

from team.models.requests import asked, difference

BRIEFING = '[stage train · visit 1 · turn 2]\nTrain.\n{"search_seconds_left": 41.2}'
TRAIN = {"name": "train", "description": "", "parameters": {}}


def conversation(briefing: str = BRIEFING, result: str = "lightgbm-1 0.84 in 3.1 s") -> list[LLMMessage]:
    called = FunctionExecutionResult(content=result, name="train", call_id="1", is_error=False)
    return [
        SystemMessage(content="# Engineer"),
        UserMessage(content=briefing, source="conductor"),
        AssistantMessage(content=[FunctionCall(id="1", name="train", arguments='{"time_s": 20}')], source="engineer"),
        FunctionExecutionResultMessage(content=[called]),
    ]


def test_what_clocks_say_makes_no_difference() -> None:
    other = conversation(BRIEFING.replace("41.2", "3.05"), "lightgbm-1 0.85 in 12.9 s")
    assert difference(asked(conversation(), [TRAIN]), asked(other, [TRAIN])) is None


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (conversation(result="lightgbm-1 failed"), r"lightgbm-# failed'…, it was …"),
        (conversation("[stage train · visit 1 · turn 2]\nTrain well."), "message 2, by 'conductor', has other words"),
        (conversation()[:3], "there are 3 messages, there were 4"),
        ([*conversation()[1:], *conversation()[:1]], "message 1 is by 'conductor', it was by 'system'"),
    ],
)
def test_the_first_difference_is_named(now: list[LLMMessage], told: str) -> None:
    found = difference(asked(conversation(), [TRAIN]), asked(now, [TRAIN]))
    assert found is not None
    assert told in found


def test_other_tools_are_named() -> None:
    tune = {**TRAIN, "name": "tune"}
    assert difference(asked([], [TRAIN]), asked([], [tune])) == "the tools offered: train no more, tune new"
