"""Jobs that engines are held to: each a function of one argument, importable in the process that does it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from team.errors import BudgetExceeded
from tests.evals.engines.waiting import wait_for


def double(number: int) -> int:
    print("what a job prints is no answer")
    return 2 * number


def nothing(_: int) -> None:
    """Some jobs have no result."""


def where(_: int) -> int:
    return os.getpid()


def die(how: str) -> None:
    if how == "exit":
        os._exit(7)
    os.kill(os.getpid(), signal.SIGKILL)


def die_at_first(marks: Path) -> str:
    """Kill the process that does this until two marks stand in a folder."""
    mine = marks / str(os.getpid())
    if len(list(marks.iterdir())) < 2:
        mine.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "done"


def raise_one(kind: str) -> None:
    if kind == "plain":
        raise ValueError("not that")
    if kind == "exit":
        sys.exit("gone")
    raise BudgetExceeded("time", 2, 1, "s")  # its pickle cannot be read


def sleep_with_a_child(note: Path) -> None:
    """Start a process that outlives this one if nobody sees to it, and wait for what never comes."""
    child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    note.with_suffix(".tmp").write_text(f"{os.getpid()} {child.pid}")
    note.with_suffix(".tmp").replace(note)
    signal.pause()


def hold(at: tuple[Path, int]) -> int:
    """Leave a mark of where this was begun, and wait until a file lets it go on."""
    folder, number = at
    (folder / f"begun-{number}-{os.environ.get('PLACE', '')}-{os.getpid()}").touch()
    wait_for((folder / f"go-{number}").exists, f"job {number} may go on")
    return 10 * number
