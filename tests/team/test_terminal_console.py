"""The width of a terminal is asked of the terminal, each time."""

from __future__ import annotations

import io
import os
import termios

import pytest
from rich.console import Console

from team.terminal_console import TerminalConsole


@pytest.mark.parametrize("term", ["xterm", "dumb"])
def test_it_is_as_wide_as_the_terminal_is_now_whatever_was_exported(term: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", term)
    monkeypatch.setenv("COLUMNS", "200")
    other_end, terminal = os.openpty()
    try:
        with os.fdopen(terminal, "w") as file:
            console = TerminalConsole(file=file)
            for columns in (60, 132):
                termios.tcsetwinsize(terminal, (24, columns))
                assert (console.width, console.height) == (columns, 24)
            termios.tcsetwinsize(terminal, (0, 0))
            assert console.width == Console(file=file).width, "a terminal that does not know leaves it to Rich"
    finally:
        os.close(other_end)


def test_without_a_terminal_the_environment_says_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "50")
    assert TerminalConsole(file=io.StringIO()).width == 50
