"""The one writer to the screen: whatever is said goes through it, a whole text at a time, from any thread, and is kept as plain lines."""

from __future__ import annotations

import contextlib
import re
import sys
import textwrap
import threading
from collections.abc import Callable
from typing import TextIO, cast

from rich.cells import cell_len, set_cell_size
from rich.console import RenderableType
from rich.text import Text

from team.terminal import clean
from team.terminal_console import TerminalConsole

KEPT_CHARS = 2_000_000
"""Of a conversation, for `/save`."""
_PADDING = re.compile(" +(?=\n)")
"""What rich fills the lines of a table with."""


class Screen:
    """Looks like a file to rich.

    Args:
        file: None for standard output as it is when something is written: while a line is being typed, prompt_toolkit stands in for it, and
            whoever wrote past that would write into the line.
    """

    def __init__(self, file: TextIO | None = None) -> None:
        self._given, self._lock = file, threading.RLock()
        self._kept: list[str] = []
        self._chars = 0
        self.encoding = getattr(self._file, "encoding", "utf-8")
        self._console = TerminalConsole(file=self.as_file, highlight=False, soft_wrap=False)

    @property
    def _file(self) -> TextIO:
        return self._given or sys.stdout

    @property
    def as_file(self) -> TextIO:
        return cast("TextIO", self)

    def write(self, text: str) -> int:
        text, length = _PADDING.sub("", text), len(text)
        with self._lock:
            if self._chars < KEPT_CHARS:
                self._kept.append(clean(text))
                self._chars += len(text)
            encoding = getattr(self._file, "encoding", None) or "utf-8"
            self._tried(lambda: self._file.write(text.encode(encoding, "replace").decode(encoding)))
            return length

    def flush(self) -> None:
        with self._lock:
            self._tried(self._file.flush)

    def _tried(self, write: Callable[[], object]) -> None:
        """A terminal that has gone, as when a connection breaks, takes nothing along: the run is stopped by the signal that tells of it."""
        with contextlib.suppress(OSError, ValueError):
            write()

    def isatty(self) -> bool:
        try:
            return self._file.isatty()
        except ValueError:  # it is closed
            return False

    def fileno(self) -> int:
        return self._file.fileno()

    def say(self, what: str | RenderableType, style: str = "", *, whole: bool = False, cut: bool = False) -> None:
        """Print a text, in which nothing is markup and nothing acts on the terminal, or something that rich draws.

        Args:
            whole: whether it stays one line, which the terminal may break where it wants.
            cut: whether lines end at the edge of a terminal, as those of a table had better; links stay whole.
        """
        if not isinstance(what, str):
            self._console.print(what)
            return
        # Wrapped between words on a terminal, and nowhere else; long words, such as links, are never broken, so that they stay links.
        text = clean(what)
        if not whole and self.isatty():
            fitted = _cut if cut else _wrapped
            text = "\n".join(fitted(line, self._console.width) for line in text.split("\n"))
        self._console.print(Text(text, style=style), soft_wrap=True)

    @property
    def transcript(self) -> str:
        return "".join(self._kept)


def _wrapped(line: str, width: int) -> str:
    """A line in lines of whole words, all as far to the right as it begins, or as what stands behind its label or number.

    A label keeps a word that fits nowhere, such as a path: the terminal breaks it.
    """
    begins = re.match(r"\s*(?:\S+ {2,}|\[[^\]]{1,16}\] |\d+\. )?", line)
    indent = begins[0] if begins else ""
    if len(line) <= width or (indent.strip() and max(map(len, line.split())) > width - len(indent)):
        return line
    whole = textwrap.TextWrapper(
        width,
        subsequent_indent=" " * len(indent),
        break_long_words=False,
        break_on_hyphens=False,
        replace_whitespace=False,
        expand_tabs=False,
    )
    return "\n".join(whole.wrap(line))


def _cut(line: str, width: int) -> str:
    return line if cell_len(line) <= width or "://" in line else set_cell_size(line, width - 1) + "…"
