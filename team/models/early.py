"""When enough of a reply has come: its call stands and what follows is talk, or it only repeats what the model was told.

A weak model seldom stops behind its call: it explains it, or makes up what the tool answers, for minutes on a processor. The call is
what counts, and the real answer comes anyway.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from team.models.offers import offer_of
from team.models.textcalls import read_calls

TALK_CHARS = 160
"""Behind a call, with nothing in them that may become another one."""
EVERY_CHARS = 40
"""How often what has come is looked at."""
_ECHO = re.compile(r"\s*(?:```(?:json)?\s*)?\{\s*\"run\":\s*\"[^\"]*\",\s*\"stage\":")
"""The facts of the briefing, which a model says again instead of doing something."""
_MAY_BECOME_A_CALL = re.compile(r"[\[{(<`]")


class Watch:
    """Looks at a reply while it comes.

    Args:
        tools: schemas of what the model was offered.
    """

    def __init__(self, tools: Sequence[Mapping[str, Any]]) -> None:
        self._offers = [offer_of(tool) for tool in tools]
        self._pieces: list[str] = []
        self._new = 0

    @property
    def text(self) -> str:
        """What has come."""
        return "".join(self._pieces)

    def enough(self, piece: str) -> bool:
        """Add a piece, and say whether the reply may end here."""
        self._pieces.append(piece)
        self._new += len(piece)
        if not self._offers or self._new < EVERY_CHARS:
            return False
        self._new = 0
        if _ECHO.match(self.text):
            return True
        reading = read_calls(self.text, self._offers, complete=False)
        if not reading.calls or reading.problem is not None:
            return False
        behind = re.sub(r"\A\s*(?:```|</\w+>)?", "", reading.behind)
        return reading.made_up or (len(behind) >= TALK_CHARS and _MAY_BECOME_A_CALL.search(behind) is None)
