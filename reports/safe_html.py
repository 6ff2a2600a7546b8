"""HTML that a kernel put out, cut down to tables and plain text."""

from __future__ import annotations

from html import escape
from html.parser import HTMLParser

ALLOWED = frozenset(
    {"table", "thead", "tbody", "tfoot", "tr", "th", "td", "caption", "p", "b", "strong", "i", "em", "code", "pre", "ul", "ol", "li", "br"}
)
_DROPPED_WITH_CONTENT = frozenset({"script", "style", "template", "iframe", "object", "svg", "math", "noscript", "title", "textarea"})
_SPANS = ("colspan", "rowspan")


def sanitise(html: str) -> str:
    """Keep the elements in ALLOWED without attributes but row and column spans; of all others only the text stays.

    What scripts, styles and embedded documents contain goes with them. Every open element is closed at the end.
    """
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader.result()


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._parts: list[str] = []
        self._open: list[str] = []
        self._dropping: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._dropping or tag in _DROPPED_WITH_CONTENT:
            self._dropping.append(tag)
        elif tag in ALLOWED:
            spans = "".join(
                f' {name}="{value}"' for name, value in attrs if name in _SPANS and value and value.isdecimal() and value.isascii()
            )
            self._parts.append(f"<{tag}{spans}>")
            if tag != "br":
                self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "br" and not self._dropping:
            self._parts.append("<br>")

    def handle_endtag(self, tag: str) -> None:
        if self._dropping:
            if tag in self._dropping:
                while self._dropping.pop() != tag:
                    pass
        elif tag in self._open:
            while (last := self._open.pop()) != tag:
                self._parts.append(f"</{last}>")
            self._parts.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        if not self._dropping:
            self._parts.append(escape(data))

    def result(self) -> str:
        return "".join(self._parts) + "".join(f"</{tag}>" for tag in reversed(self._open))
