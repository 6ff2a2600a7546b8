"""Text without the characters that nobody sees."""

from __future__ import annotations

import re

_CONTROLS = r"\x00-\x08\x0b-\x1f\x7f-\x9f"
_LINE_SEPARATORS = r"\u2028\u2029"
_DIRECTION_AND_WIDTH = r"\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff"
_SURROGATES = r"\ud800-\udfff"
_TAGS = r"\U000e0000-\U000e007f"
_UNSEEN = re.compile(f"[{_CONTROLS}{_LINE_SEPARATORS}{_DIRECTION_AND_WIDTH}{_SURROGATES}{_TAGS}]")


def visible(text: str) -> str:
    """`text` without controls (tab and newline stay), direction marks, zero-width characters and tags.

    They could reorder or hide parts of a line, so that a reader sees something else than what is there.
    """
    return _UNSEEN.sub("", text)
