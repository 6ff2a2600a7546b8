"""What a model writes, on the screen while it comes: full lines as they fill, the last one held back until it is one.

Only prose is shown so. From where a call may begin, a model that writes calls into its text is not understood yet, and what becomes of
it is told when the reply is read.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable

from rich.console import Console
from rich.text import Text

from team.terminal import clean

Say = Callable[[str, bool], None]
"""Prints a line of the reply, saying whether it is the first."""
KEPT = 3
"""Replies that are known to stand on the screen, until the log says that they were spoken."""
MOST_CHARS = 4_000
"""Of a reply that are shown while they come; what is longer is told when it is whole."""
_THOUGHT = re.compile(r"\s*<think(?:ing)?>.*?</think(?:ing)?>\s*", re.DOTALL)
_MAY_BE_A_CALL = re.compile(
    r"`{3}|`{1,2}\Z|\{|<(?=[\w/|｜]|\Z)|\[(?=\s*\{|/?TOOL|\Z)|(?m:^)\s*(?:Action|Call)\b|[A-Za-z]\w*(?:_\w+)+(?:\(|\Z)"
)
"""Names with an underscore at the end may go on as a call of a tool."""


class Draft:
    """The reply that is coming.

    Args:
        width: asked for the columns that a line has.
        say: prints a line.
        changed: called when the unfinished line has grown.
    """

    def __init__(self, width: Callable[[], int], say: Say, changed: Callable[[], None]) -> None:
        self._width, self._say, self._changed = width, say, changed
        self._pieces: list[str] = []
        self._chars = self._printed = 0
        self._shown: deque[str] = deque(maxlen=KEPT)
        self._prose = ""
        self.line = ""
        """The unfinished line."""

    def hear(self, piece: str) -> None:
        """Take a piece; an empty one says that a reply begins."""
        if not piece:
            self.close()
            return
        if self._chars >= MOST_CHARS:
            return
        self._pieces.append(piece)
        self._chars += len(piece)
        self._set(prose("".join(self._pieces)))
        self._changed()

    def close(self) -> None:
        """Print what is left of the last line: the reply has ended, or something else has to be said."""
        if self.line:
            self._say(self.line, not self._printed)
        if self._prose:
            self._shown.append(self._prose)
        self._pieces, self._chars, self._printed, self._prose, self.line = [], 0, 0, "", ""

    def missing(self, spoken: str) -> str:
        """What a message says beyond what stands on the screen already, the unfinished line included."""
        if self._prose and _bare(spoken).startswith(_bare(self._prose)):
            self._set(clean(spoken).strip())
            self.close()
            self._shown.pop()
            return ""
        self.close()
        for shown in [*self._shown]:
            if (bare := _bare(shown)) and bare in _bare(spoken):
                self._shown.remove(shown)
                return "" if bare == _bare(spoken) else spoken.replace(shown, "", 1).strip()
        return spoken

    def _set(self, text: str) -> None:
        self._prose = text
        lines = [line.plain for line in Text(text).wrap(_RULER, max(20, self._width()))] if text else []
        for line in lines[self._printed : -1]:
            self._say(line, not self._printed)
            self._printed += 1
        self.line = lines[-1] if len(lines) > self._printed else ""


def prose(text: str) -> str:
    """Of a reply that is coming, what is prose for certain."""
    text = _THOUGHT.sub("", text).lstrip()
    call = _MAY_BE_A_CALL.search(text)
    return clean(text[: call.start()] if call else text).rstrip("\n")


def _bare(text: str) -> str:
    return "".join(clean(text).split())


_RULER = Console(width=1_000, force_terminal=False)
"""Rich wraps for a console; only how it measures is used."""


__all__ = ["Draft", "prose"]
