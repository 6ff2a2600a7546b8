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
from pathlib import Path

WISH = "predict the sex in evals/data/penguins.csv, linear models only, you have 20 seconds"
STEPS = (
    ("Say what you want", WISH),
    ("Start", "never use column Island"),
    ("Start", ""),
    ("acquire", "/pause"),
    (r"paused\. Enter", "/budget +5s"),
    ("from the next turn on", "/status"),
    ("turn ", ""),
    ("Ask about it", "which model is best?"),
    ("in cross-validation", "/why seal"),
    ("events: file", "/quit"),
)
"""What is waited for, and what is typed then."""
WAIT_S = 600
BEGIN, END = "<!-- recording -->\n", "<!-- end of the recording -->"


def record() -> str:
    """The screen of a session in which `STEPS` are typed."""
    import pexpect  # type: ignore[import-untyped]  # it has no types

    with tempfile.TemporaryDirectory() as folder:
        words = ["-m", "team.cli", "chat", "--out", folder]
        terminal = {**os.environ, "TERM": "dumb", "COLUMNS": "80"}
        child = pexpect.spawn(sys.executable, words, env=terminal, dimensions=(24, 80), timeout=WAIT_S, encoding="utf-8", echo=False)
        seen = []
        try:
            for awaited, typed in STEPS:
                child.expect(f"{awaited}[^\\n]*\\n")
                seen += [str(child.before), str(child.after), f"> {typed}\n"]
                child.sendline(typed)
            child.expect(pexpect.EOF)
            seen.append(str(child.before))
        finally:
            child.close(force=True)
        screen = "".join(seen).replace("\r\n", "\n").replace(folder, "runs")
    return "\n".join(line.rstrip() for line in re.sub("\x1b\\[[0-9;?]*[a-zA-Z]", "", screen).split("\n")).strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--file", type=Path, default=Path("docs/chat.md"))
    path = parser.parse_args().file
    text = path.read_text(encoding="utf-8")
    head, rest = text.split(BEGIN, 1)
    tail = rest.split(END, 1)[1]
    path.write_text(f"{head}{BEGIN}\n```\n$ mlteam chat\n{record()}\n```\n\n{END}{tail}", encoding="utf-8")


if __name__ == "__main__":
    main()
