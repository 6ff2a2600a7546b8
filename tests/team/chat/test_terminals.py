"""On whatever terminal, and on none: within its width, coloured only where it is asked for, and plain lines through pipes."""

from __future__ import annotations

import re

import pytest

from team.rundir import RunDir
from tests.team.chat.terminal import ended, lines_of, piped, see, talking

pytestmark = pytest.mark.slow
ASKED = {
    "/help": "with everything saved",
    "/plan": "risk:",
    "/leaderboard": "dummy-1",
    "/why": "events: file://",
    "/show 0": "cells.jsonl",
    "which model is best?": "See file://",
    "/nonsense": "/help lists them",
}
"""Tables, long lines, a cell with a table of its own, and what is told of a mistake; with the words that end each."""


def coloured(text: str) -> bool:
    styles = [number for sequence in re.findall("\x1b\\[([0-9;]*)m", text) for number in sequence.split(";") if number]
    return any(30 <= int(number) <= 49 or 90 <= int(number) <= 107 for number in styles)


@pytest.mark.parametrize(
    ("variables", "colours"),
    [({"COLUMNS": "200"}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)],
    ids=["another width exported", "no colour", "dumb"],
)
def test_sixty_columns_hold_every_line_and_colours_come_only_where_they_may(run: RunDir, variables: dict[str, str], colours: bool) -> None:
    with talking("--run", run.path, columns=60, **variables) as child:
        see(child, "lists commands.")
        seen = ""
        for line, last in ASKED.items():
            child.send(f"{line}\r")
            see(child, last)
            seen += f"{child.before}{child.after}"
        child.send("/quit\r")
        assert ended(child) == 0
    assert coloured(seen) is colours
    assert [line for line in lines_of(seen) if len(line) > 60] == []


def test_with_pipes_it_speaks_plain_lines_and_ends_with_its_input(run: RunDir) -> None:
    done = piped("/status\nwhich model is best?\n/nonsense\n/leaderboard\n/help\n", "--run", run.path)
    assert done.returncode == 0
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", done.stdout)
    assert not re.search(" $", done.stdout, re.MULTILINE)
    assert "in cross-validation" in done.stdout
    assert "there is no command /nonsense" in done.stdout
    assert done.stderr == ""
