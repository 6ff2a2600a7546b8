"""The live view: plain lines without a terminal, and text from data that cannot act on one."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.color import Color

from team.console import ATTENTION, COLOURS, LiveView
from team.events import (
    CandidateScored,
    Event,
    FellBack,
    HoldoutScored,
    MessageSpoken,
    RepairAsked,
    RunStarted,
    StageEnded,
    StageEntered,
    ToolCalled,
    ToolReturned,
)
from team.terminal_console import PROBLEM


@pytest.fixture(autouse=True)
def eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is printed is otherwise as wide as the tester's own terminal."""
    monkeypatch.setenv("COLUMNS", "80")


def shown(*events: Event) -> str:
    out = io.StringIO()
    with LiveView(out) as view:
        for event in events:
            view(event)
    return out.getvalue()


def contrast(colour: str, background: float) -> float:
    """Contrast ratio of a colour to a grey of a relative luminance, by the formula of WCAG 2."""
    red, green, blue = (part / 255 for part in Color.parse(colour).get_truecolor())
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (red, green, blue)]
    seen = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return (max(seen, background) + 0.05) / (min(seen, background) + 0.05)


@pytest.mark.parametrize("colour", [*COLOURS.values(), ATTENTION, PROBLEM])
def test_colours_stand_out_from_black_and_from_white(colour: str) -> None:
    assert min(contrast(colour, 0.0), contrast(colour, 1.0)) >= 4


STARTED = RunStarted(run="r1", settings={"source": "a.csv", "target": "y", "time": 60.0}, versions={})


def test_turns_tools_and_leaders_are_plain_lines() -> None:
    text = shown(
        STARTED,
        StageEntered(stage="train", visit=2),
        MessageSpoken(turn=1, role="data_scientist", text="Six families [bold]and[/bold] more."),
        ToolCalled(call="c", turn=1, role="engineer", tool="train", where="kernel", arguments={"families": ["linear"]}),
        CandidateScored(name="linear-1", family="linear", score=0.8765, std_error=0.01, fold_scores=[0.8], stage="train", seconds=1),
        ToolReturned(call="c", tool="train", status="ok", seconds=2.5, search_seconds=2.5, result={}),
        StageEnded(stage="train", visit=2, outcome="candidates are scored", seconds=3, search_seconds=2.5),
        HoldoutScored(candidate="linear-1", metric="roc_auc", score=0.8, low=0.7, high=0.9, level=0.95, n=10, looks=1),
    )
    assert "a.csv → y" in text
    assert "train (visit 2)" in text
    assert "data scientist" in text
    assert "[bold]and[/bold]" in text, "markup of a speaker is text"
    assert "train(families=['linear'])  2.5 s" in text
    assert "linear-1" in text
    assert "0.8765 ± 0.01" in text
    assert "✓ candidates are scored, 3.0 s" in text
    assert "\x1b" not in text


def test_a_refusal_is_shown_with_its_reason() -> None:
    text = shown(
        ToolCalled(call="c", turn=1, role="engineer", tool="train", where="kernel", arguments={}),
        ToolReturned(call="c", tool="train", status="refused", seconds=0, text="argument 'families' is missing."),
    )
    assert "✗ train()" in text
    assert "argument 'families' is missing." in text


HOSTILE = "\x1b]52;c;ZXZpbA==\x07\x1b[2J\x9b31m\u202e\u2028\n● release"


def test_nothing_that_an_event_carries_acts_on_the_terminal() -> None:
    text = shown(
        RunStarted(run="r" + HOSTILE, settings={"source": HOSTILE, "target": HOSTILE, "time": 60.0}, versions={}),
        MessageSpoken(turn=1, role="critic", text=HOSTILE),
        ToolCalled(call="c", turn=1, role="engineer", tool=HOSTILE, where="kernel", arguments={HOSTILE: HOSTILE}),
        CandidateScored(name=HOSTILE, family="f", score=1, std_error=0, fold_scores=[], stage="train", seconds=1),
        ToolReturned(call="c", tool=HOSTILE, status="error", seconds=1, search_seconds=1, text=f"first\n{HOSTILE}"),
        RepairAsked(turn=1, role="critic", problem=HOSTILE),
        FellBack(stage="train", role="critic", reason=HOSTILE),
        StageEnded(stage="train", visit=1, outcome=HOSTILE, seconds=3, search_seconds=1),
    )
    assert [character for character in ("\x1b", "\x07", "\x9b", "\u202e", "\u2028") if character in text] == []
    # The critic may write lines of its own, set off from the others; nobody else can.
    assert [line.lstrip() for line in text.splitlines() if line.startswith(("●", "  ✓"))] == ["✓ ]52;c;ZXZpbA==31m ● release, 3.0 s"]


@given(st.text(alphabet=st.sampled_from("\x1b[]0;mJH\x07\x00\x08\x7f\x85\x9b\x9d\u202e\u2066\u2028\r\n\tab")))
def test_no_words_of_a_model_reach_the_terminal_as_commands(words: str) -> None:
    text = shown(
        MessageSpoken(turn=1, role="critic", text=words),
        RepairAsked(turn=1, role="critic", problem=words),
        ToolCalled(call="c", turn=1, role="critic", tool=words, where="host", arguments={words: [words]}),
        ToolReturned(call="c", tool=words, status="refused", seconds=1, text=words),
    )
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029]", text)
