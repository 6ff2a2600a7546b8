"""How an eval is told while it goes: lines in a pipe, and a terminal that is given back as it was."""

from __future__ import annotations

import fcntl
import os
import re
import struct
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest

from evals.launching import Job
from evals.suite import load_suite
from evals.systems import find_systems
from team.eval_view import EvalView
from tests.evals.attempted import attempt

HOSTILE = "said\x1b]0;mine\x07 \x1b[2J\u202eword\nsecond line"


def job(tmp_path: Path) -> Job:
    return Job("smoke", load_suite("smoke").tasks[0], find_systems(["dummy"])[0], 0, 0, 5.0, tmp_path, tmp_path)


def go(view: EvalView, tmp_path: Path) -> None:
    """Two attempts, the first of which fails in hostile words."""
    with view:
        view.planned(2, 3)
        view.began(job(tmp_path))
        view.ended(1, 2, job(tmp_path), attempt("iris", "dummy", None, reason=HOSTILE))
        view.began(job(tmp_path))
        view.ended(2, 2, job(tmp_path), "no such source")


def test_a_pipe_gets_a_line_for_the_plan_and_one_an_attempt(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    go(EvalView("smoke, 1 system on 4 tasks", str(tmp_path)), tmp_path)
    out, err = capsys.readouterr()
    assert out == ""
    assert "\x1b" not in err
    assert "\u202e" not in err
    lines = err.splitlines()
    assert lines[0] == f"smoke, 1 system on 4 tasks: 2 attempts to make; 3 were there before. Rows: {tmp_path}"
    assert lines[1].startswith("1/2 iris: dummy, seed 0: failed, 12.0 s: said")
    assert lines[-1] == "2/2 iris: dummy, seed 0: not made: no such source"
    assert len(lines) == 3


@pytest.fixture
def terminal() -> Iterator[tuple[int, TextIO]]:
    """A terminal of 60 columns: what shows it, and what writes to it."""
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
    with os.fdopen(slave, "w") as file:
        yield master, file
    os.close(master)


def test_a_terminal_shows_what_is_being_made_and_wraps_what_ended(
    terminal: tuple[int, TextIO], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    master, file = terminal
    go(EvalView("smoke", str(tmp_path), file), tmp_path)
    file.flush()
    shown = ""
    while "\x1b[?25h" not in shown:  # the kernel hands on what was written when it gets to it
        shown += os.read(master, 65536).decode()
    assert "\x1b]0;" not in shown
    assert "\x1b[2J" not in shown
    assert shown.endswith("\x1b[?25h") or shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l"), "the cursor is there again"
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    assert "… iris: dummy, seed 0: 0 s" in plain
    assert re.search(r"1/2 iris: dummy, seed 0: failed, 12\.0 s: said.* word second line", " ".join(plain.split()))


def test_an_eval_that_is_stopped_says_what_is_kept(tmp_path: Path) -> None:
    view = EvalView("smoke", "rows")
    assert view.kept() == "no attempt was begun"
    view.planned(12, 0)
    view.ended(1, 12, job(tmp_path), attempt("iris", "dummy", 0.5))
    assert view.kept() == "1 of 12 attempts are kept in rows"
