"""A recording reads as the session went: what was typed stands behind all of what it answers."""

from __future__ import annotations

import sys
from pathlib import Path

from evals.chat_recording import BEGIN, COLUMNS, END, STEPS, record

ASKING = "print('Which table? Say it in\\nyour own words.', flush=True); print('got', input(), flush=True)"


def test_what_is_typed_stands_behind_the_whole_question_wherever_its_lines_are_broken() -> None:
    screen = record([sys.executable, "-c", ASKING], [("Say it in your own", "a.csv")])
    assert screen.splitlines() == ["Which table? Say it in", "your own words.", "> a.csv", "got a.csv"]


def test_what_the_docs_show_is_a_session_of_these_steps_that_was_done() -> None:
    text = (Path(__file__).parents[2] / "docs" / "chat.md").read_text(encoding="utf-8")
    lines = text.split(BEGIN)[1].split(END)[0].splitlines()
    assert [line[2:] for line in lines if line == ">" or line.startswith("> ")] == [typed for _, typed in STEPS]
    assert "status     done" in lines
    assert [line for line in lines if len(line) > COLUMNS and "file://" not in line and "runs/" not in line and "> " not in line] == []
