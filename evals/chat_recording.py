"""Record a real session of `mlteam chat` as text, on a terminal that can do nothing but lines, into docs/chat.md.

    python -m evals.chat_recording [--file docs/chat.md]

What is typed waits for what it answers and is marked with `>`; all else is what stood on the screen, with the run's folder shortened.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

WISH = "predict the sex in evals/data/penguins.csv, linear models only, you have 3 minutes"
STEPS = (
    ("Ctrl-C pauses.", WISH),
    ("such as: you have 5 minutes.", "never use column Island"),
    ("Start?", ""),
    ("● acquire", "/pause"),
    ("or say what to change.", "/budget +1m"),
    ("from the next turn on", "/status"),
    ("turn", ""),
    ("/quit leaves.", "which model is best?"),
    ("leaderboard.json", "/why seal"),
    ("events: file", "/quit"),
)
"""The words that end what is waited for, and what is typed then."""
ENVIRONMENT = {"MLTEAM_TRIALS": "1"}
"""So that the recording is of the same length on every machine: what is left to do decides when the search ends, not the clock."""
COMMAND = ("chat", "--sandbox", "bubblewrap")
COLUMNS = 80
WAIT_S = 600
BEGIN, END = "<!-- recording -->\n", "<!-- end of the recording -->"


def record(program: Sequence[str], steps: Sequence[tuple[str, str]]) -> str:
    """The screen of a session of a program in which something is typed after each of these words."""
    import pexpect  # type: ignore[import-untyped]  # it has no types

    terminal = {**os.environ, **ENVIRONMENT, "TERM": "dumb"}
    command, *words = program
    child = pexpect.spawn(command, words, env=terminal, dimensions=(24, COLUMNS), timeout=WAIT_S, encoding="utf-8", echo=False)
    seen = []
    try:
        for awaited, typed in steps:
            # Up to the end of the line, and wherever lines were broken: what is typed must not stand within a sentence.
            child.expect(r"\s+".join(map(re.escape, awaited.split())) + "[^\n]*\n")
            seen += [str(child.before), str(child.after), f"> {typed}\n"]
            child.sendline(typed)
        child.expect(pexpect.EOF)
        seen.append(str(child.before))
    finally:
        child.close(force=True)
    screen = re.sub("\x1b\\[[0-9;?]*[a-zA-Z]", "", "".join(seen).replace("\r\n", "\n"))
    return "\n".join(line.rstrip() for line in screen.split("\n")).strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--file", type=Path, default=Path("docs/chat.md"))
    path = parser.parse_args().file
    with tempfile.TemporaryDirectory() as folder:
        screen = record([sys.executable, "-m", "team.cli", *COMMAND, "--out", folder], STEPS).replace(folder, "runs")
    text = path.read_text(encoding="utf-8")
    head, rest = text.split(BEGIN, 1)
    tail = rest.split(END, 1)[1]
    typed = " ".join([*(f"{name}={value}" for name, value in ENVIRONMENT.items()), "mlteam", *COMMAND])
    path.write_text(f"{head}{BEGIN}\n```\n$ {typed}\n{screen}\n```\n\n{END}{tail}", encoding="utf-8")


if __name__ == "__main__":
    main()
