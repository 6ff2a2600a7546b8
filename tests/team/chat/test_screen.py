"""The one writer: past nothing that stands in for standard output, between words, and never through a link."""

from __future__ import annotations

import io
import sys

import pytest

from team.chat.screen import Screen

LINK = "file:///a/folder/with/a/name/that/is/longer/than/forty/columns/report.html"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_it_writes_to_whatever_stands_in_for_standard_output(monkeypatch: pytest.MonkeyPatch) -> None:
    screen, stand_in = Screen(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", stand_in)
    screen.say("while a line is being typed")
    assert stand_in.getvalue() == "while a line is being typed\n"


def test_a_terminal_gets_whole_words_and_whole_links(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    out = Terminal()
    Screen(out).say(f"The report says more than one line of this terminal can hold: {LINK}")
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    assert lines == ["The report says more than one line of", "this terminal can hold:", LINK]


def test_what_stands_behind_a_label_stays_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    out = Terminal()
    Screen(out).say(f"without    nothing was tuned, since there was no time left for it\nreport     {LINK}")
    assert [line.rstrip() for line in out.getvalue().splitlines()] == [
        "without    nothing was tuned, since",
        "           there was no time left for it",
        f"report     {LINK}",
    ]


def test_lines_whose_columns_stand_below_each_other_are_cut_and_numbered_ones_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    out = Terminal()
    Screen(out).say(f"名前 {'wide ' * 20}\n{LINK}", cut=True)
    Screen(out).say(f"[event 7] {'word ' * 12}\n1. {'word ' * 12}".strip())
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    assert lines[0] == "名前 " + "wide " * 6 + "wide…"
    assert lines[1] == LINK
    assert lines[2:] == [
        "[event 7] word word word word word word",
        "          word word word word word word",
        "1. word word word word word word word",
        "   word word word word word",
    ]


def test_a_pipe_gets_the_line_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    out = io.StringIO()
    Screen(out).say("a sentence that is a good deal longer than forty columns are wide")
    assert out.getvalue() == "a sentence that is a good deal longer than forty columns are wide\n"


def test_an_encoding_that_lacks_a_character_and_a_terminal_that_is_gone_end_nothing() -> None:
    latin = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    screen = Screen(latin)
    screen.say("● stage → done · 3 \ud800")
    latin.flush()
    assert latin.buffer.getvalue().decode("latin-1") == "? stage ? done · 3 ?\n"  # type: ignore[attr-defined]  # a BytesIO
    latin.close()
    screen.say("said to nobody")
    assert screen.transcript.endswith("said to nobody\n")
