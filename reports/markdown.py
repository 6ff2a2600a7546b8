"""Text from data and models as inert Markdown."""

from __future__ import annotations

import re

from reports.visible import visible

# Character references cannot stand for Markdown's structure.
_INLINE = re.compile(r"[\\`*\[\]<>&$~|{}@^]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_LINKS = re.compile(r"://|www\.", re.IGNORECASE)
_LINE_START = re.compile(r"^(?:[#+=:-]|\d+(?=[.)]))")


def escape(text: str) -> str:
    """`text` so that Markdown shows it as it is: no markup, HTML, link, image or formula; line breaks become spaces."""
    line = " ".join(visible(text).split())
    line = _INLINE.sub(lambda found: _reference(found[0]), line)
    line = _LINKS.sub(lambda found: found[0].replace("/", "&#47;").replace(".", "&#46;"), line)
    return _LINE_START.sub(lambda found: "".join(map(_reference, found[0])), line)


def paragraphs(text: str) -> str:
    """Like `escape`, with paragraphs kept apart."""
    return "\n\n".join(escape(part) for part in re.split(r"\n\s*\n", text) if part.strip())


def _reference(character: str) -> str:
    # MathJax runs once more over the page and takes no formula that an element divides.
    return "<span>&#36;</span>" if character == "$" else f"&#{ord(character)};"
