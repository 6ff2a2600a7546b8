"""What a cell says that it timed, as far as it can be believed: the sandbox wrote it, so shape, number and size are checked."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter, ValidationError

from tools.spans import MOST_SPANS, SPANS_MIME, TimedSpan

_SPAN: TypeAdapter[TimedSpan] = TypeAdapter(TimedSpan)
MOST_BITS = 63
"""Of a whole number among the facts: what traces can carry."""


class Timings:
    """Collects the spans of one cell from its outputs."""

    def __init__(self) -> None:
        self.spans: list[TimedSpan] = []
        """In the order in which they ended, each id once."""
        self.left_out = 0
        """How many more there were, or cannot be read."""
        self._known: set[str] = set()

    def take(self, output: dict[str, Any]) -> None:
        """Look at one output, which may be of any kind; nothing is raised."""
        data = output.get("data")
        document = data.get(SPANS_MIME) if isinstance(data, dict) else None
        if not isinstance(document, dict):
            return
        said = document.get("left_out")
        self.left_out += min(said, 10**6) if isinstance(said, int) and said > 0 else 0
        spans = document.get("spans")
        for one in spans if isinstance(spans, list) else ():
            self._add(one)

    def _add(self, one: Any) -> None:
        try:
            span = _SPAN.validate_python(one)
        except (ValidationError, RecursionError):
            self.left_out += 1
            return
        sane = all(value.bit_length() <= MOST_BITS for value in span.facts.values() if isinstance(value, int))
        if span.id in self._known or span.end < span.start or not sane or len(self.spans) >= MOST_SPANS:
            self.left_out += 1
            return
        self._known.add(span.id)
        self.spans.append(span)
