"""AIDE as a system: what its model's replies took, calls that stand in text, and an end to its time. The search itself needs AIDE."""

from __future__ import annotations

import json
import signal
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from evals.quality_aide import Counted, TimeOver, call_in, ended_after, parts_of

REVIEW = {"is_bug": False, "summary": "it {works}", "metric": 0.5, "lower_is_better": True}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(REVIEW),
        f"Here you are:\n```json\n{json.dumps({'name': 'submit_review', 'arguments': REVIEW}, indent=1)}\n```\nDone.",
        f"{{braces}} of no object, {json.dumps({'metric': 1.0})} of too few names, then {json.dumps(REVIEW)}",
    ],
)
def test_a_call_that_stands_in_text_is_read(text: str) -> None:
    assert call_in(text, list(REVIEW)) == REVIEW


@pytest.mark.parametrize("text", ["", "no call", json.dumps({"metric": 0.5}), '{"arguments": "x"}', "{" * 5000, '{"a":' * 5000])
def test_what_is_no_call_is_none(text: str) -> None:
    assert call_in(text, list(REVIEW)) is None


def test_tokens_are_kept_after_every_reply(tmp_path: Path) -> None:
    file = tmp_path / "usage.json"
    counted = Counted(file)
    assert json.loads(file.read_text()) == {"tokens_in": 0, "tokens_out": 0}
    spec = SimpleNamespace(json_schema={"required": list(REVIEW)})

    def query(text: str, **_: Any) -> tuple[Any, float, int, int, dict[str, Any]]:
        return text, 0.1, 100, 7, {}

    ask = counted(query)
    assert ask("a program", func_spec=None)[0] == "a program"
    assert ask(json.dumps(REVIEW), func_spec=spec)[0] == REVIEW
    assert ask("fine, I think", func_spec=spec)[0] == "fine, I think"
    assert json.loads(file.read_text()) == {"tokens_in": 300, "tokens_out": 21}
    assert counted.replies == 3


def test_time_ends_once_there_is_something_to_give() -> None:
    asked: list[bool] = []

    def given() -> bool:
        asked.append(len(asked) > 0)
        return asked[-1]

    with pytest.raises(TimeOver), ended_after(0.05, given, again_s=0.05):
        threading.Event().wait(60)
    assert asked == [False, True]
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    with ended_after(60, lambda: True):
        pass
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_specs_are_read_as_the_team_reads_them() -> None:
    environ = {"OPENAI_BASE_URL": ""}
    assert parts_of("openai:gpt-x", environ) == ("openai", "gpt-x", None)
    assert environ == {"OPENAI_BASE_URL": ""}
    assert parts_of("anthropic:m@2024@http://10.0.0.5:1/x", environ) == ("anthropic", "m@2024", "http://10.0.0.5:1/x")
    assert environ == {"OPENAI_BASE_URL": "", "ANTHROPIC_BASE_URL": "http://10.0.0.5:1/x", "ANTHROPIC_API_KEY": "none"}
    assert parts_of("anthropic:m", environ)[2] == "http://10.0.0.5:1/x"
    with pytest.raises(SystemExit, match="'qwen' is no model"):
        parts_of("qwen", environ)
