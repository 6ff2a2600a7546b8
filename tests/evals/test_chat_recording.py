"""A recording reads as the session went: what was typed stands behind all of what it answers."""

from __future__ import annotations

import sys

from evals.chat_recording import record

ASKING = "print('Which table? Say it in\\nyour own words.', flush=True); print('got', input(), flush=True)"


def test_what_is_typed_stands_behind_the_whole_question_wherever_its_lines_are_broken() -> None:
    screen = record([sys.executable, "-c", ASKING], [("Say it in your own", "a.csv")])
    assert screen.splitlines() == ["Which table? Say it in", "your own words.", "> a.csv", "got a.csv"]
