"""Ids of a run's trace and of its spans, which follow from what they are of.

A run that was killed and taken up is one trace, and a span that another process has written already is known by its id: so both are
made from what the event log keeps, the run's name and the time of its first event, and never drawn.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True)
class TraceIds:
    """The ids of one run."""

    trace: int
    """128 bits, not 0."""

    @classmethod
    def of(cls, run: str, began: float) -> TraceIds:
        """Those of the run with this name whose first event was logged then, in seconds since the epoch.

        The name alone would not do: runs of two folders or machines can have one.
        """
        return cls(_number(16, run, repr(began)))

    def span(self, *key: str | int) -> int:
        """The 64-bit id, not 0, of what `key` names within the run."""
        return _number(8, f"{self.trace:032x}", *map(str, key))

    def cell(self, call: str, number: int) -> int:
        """The id of a cell's span, which the kernel is told before the cell runs."""
        return self.span("cell", call, number)

    def traceparent(self, span: int) -> str:
        """A span as W3C Trace Context names it to others."""
        return f"00-{self.trace:032x}-{span:016x}-01"


def _number(size: int, *parts: str) -> int:
    digest = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:size], "big") or 1
