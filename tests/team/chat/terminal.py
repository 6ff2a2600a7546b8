"""The real program: on a pseudo-terminal of its own, as wide as a test wants it, or with pipes."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pexpect

PENGUINS = Path(__file__).parents[3] / "evals" / "data" / "penguins.csv"
WAIT_S = 180
# Cursor positions are asked for, which no pseudo-terminal of a test answers; one family of models keeps runs short.
ENVIRONMENT = {**os.environ, "TERM": "xterm-256color", "PROMPT_TOOLKIT_NO_CPR": "1", "MLTEAM_FAMILIES": "linear"}
for _size in ("COLUMNS", "LINES"):
    ENVIRONMENT.pop(_size, None)  # of the tester's terminal; the program has one of its own
CTRL_C = "\x03"
SEQUENCE = r"\x1b\[[0-9;?]*[a-zA-Z]"


@contextmanager
def talking(*arguments: str | Path, columns: int = 80, log: Path | None = None, **variables: str) -> Iterator[pexpect.spawn]:
    """`mlteam chat` on a terminal of its own; whatever happens, it is ended.

    Args:
        log: gets what the program writes to standard error, in place of the terminal.
    """
    words = ["-m", "team.cli", "chat", *map(str, arguments)]
    environment = {**ENVIRONMENT, **variables}
    program = sys.executable
    if log is not None:
        words, program = ["-c", f'exec "$0" "$@" 2>{shlex.quote(str(log))}', program, *words], "/bin/sh"
    child = pexpect.spawn(program, words, env=environment, dimensions=(24, columns), timeout=WAIT_S, encoding="utf-8", echo=False)
    try:
        yield child
    finally:
        child.close(force=True)


def see(child: pexpect.spawn, *told: str) -> None:
    """Wait for texts, one after the other, wherever a terminal of this width breaks their lines."""
    for text in told:
        child.expect(rf"(?:\s|{SEQUENCE})+".join(map(re.escape, text.split())))


def printed(child: pexpect.spawn, typed: str, last: str) -> list[str]:
    """Type a line; the lines that stand on the screen until the words are there that end the answer, links left out."""
    child.send(f"{typed}\r")
    see(child, last)
    return lines_of(f"{child.before}{child.after}")


def lines_of(screen: str) -> list[str]:
    """What was written to a terminal, as lines: without prompts, over which it is written, and links, which no width breaks."""
    text = re.sub("[^\b]\b", "", re.sub(SEQUENCE, "", screen))
    lines = (re.sub("^(?:(?:paused|answer)?> ?)+", "", line) for line in re.split(r"[\r\n]+", text))
    return [line for line in lines if "file://" not in line]


def ended(child: pexpect.spawn) -> int:
    """The exit code, when the program has ended."""
    child.expect(pexpect.EOF)
    child.close()
    return int(child.exitstatus)


def piped(spoken: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """`mlteam chat` with its input from a pipe and its output to one."""
    words = [sys.executable, "-m", "team.cli", "chat", *map(str, arguments)]
    return subprocess.run(words, input=spoken, capture_output=True, text=True, timeout=WAIT_S, env=ENVIRONMENT, check=False)
