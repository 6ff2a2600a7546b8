"""Text from data and models as inert Markdown."""

from __future__ import annotations

import re

# Character references cannot stand for Markdown's structure, and MathJax, which looks for `$` before Markdown is
# parsed, does not see them either.
_INLINE = re.compile(r"[\\`*_\[\]<>&$~|{}@^\"]")
_LINKS = re.compile(r"://|www\.", re.IGNORECASE)
_LINE_START = re.compile(r"^(?:[#+=:-]|\d+(?=[.)]))")
_UNSEEN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028\u2029\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\ud800-\udfff]"
)


def escape(text: str) -> str:
    """`text` so that Markdown shows it as it is: no markup, HTML, link, image or formula; line breaks become spaces."""
    line = " ".join(_UNSEEN.sub("", text).split())
    line = _INLINE.sub(lambda found: _reference(found[0]), line)
    line = _LINKS.sub(lambda found: found[0].replace("/", "&#47;").replace(".", "&#46;"), line)
    return _LINE_START.sub(lambda found: "".join(map(_reference, found[0])), line)


def paragraphs(text: str) -> str:
    """Like `escape`, with paragraphs kept apart."""
    return "\n\n".join(escape(part) for part in re.split(r"\n\s*\n", text) if part.strip())


def _reference(character: str) -> str:
    return f"&#{ord(character)};"
