"""Text that comes from data or from others, as it may stand before a model: nothing in it acts, hides or is long."""

from __future__ import annotations

import json
import re

# The fence of the block, line breaks that JSON leaves as they are, and what reorders or hides text.
_UNSEEN = "\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f"
_ACTING, _HIDING = re.compile(f"[`{_UNSEEN}]"), re.compile(f"[\x00-\x08\x0b-\x1f{_UNSEEN}]")


def inert(document: str) -> str:
    """JSON in which no text from the data can end the block, start a line or hide: such characters are escaped."""
    return _ACTING.sub(lambda found: "\\u0060" if found[0] == "`" else json.dumps(found[0])[1:-1], document)


def unhidden(text: str) -> str:
    """The text without control characters and what reorders or hides it."""
    return _HIDING.sub("", text)


def shortened(text: str, most: int) -> str:
    """The first `most` characters, and how many more there are."""
    return text if len(text) <= most else text[:most] + f" … ({len(text) - most} characters left out)"
