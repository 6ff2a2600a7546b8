"""Ids of a run's trace and of its spans, which follow from what they are of.

A run that was killed and taken up is one trace, and a span that another process has written already is known by its id: so both are
made from what the event log keeps, the run's name and the time of its first event, and never drawn.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

Key = tuple[str | int, ...]
"""What a span is of, within its run. Whoever needs a span's id derives it from one of these, so nobody asks whoever wrote the span."""
RUN: Key = ("run",)


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

    @property
    def run(self) -> int:
        """The id of the run's own span."""
        return self.span(*RUN)

    def again(self, key: Key, times: int) -> int:
        """The id of what goes on after its span was ended with its run, which was then resumed for the `times`-th time."""
        return self.span(*key, "resumed", times)

    def cell(self, call: str, number: int) -> int:
        """The id of a cell's span, which the kernel is told before the cell runs."""
        return self.span(*cell_key(call, number))

    def traceparent(self, span: int) -> str:
        """A span as W3C Trace Context names it to others."""
        return f"00-{self.trace:032x}-{span:016x}-01"


def stage_key(entered: int) -> Key:
    """A visit of a stage, by the number of the event that entered it."""
    return "stage", entered


def turn_key(started: int) -> Key:
    """A turn, by the number of the event that started it."""
    return "turn", started


def chat_key(called: int) -> Key:
    """A model's call, by the number of its event."""
    return "chat", called


def call_key(call: str) -> Key:
    """A tool's call."""
    return "call", call


def cell_key(call: str, number: int) -> Key:
    """An executed cell of a call."""
    return "cell", call, number


def timed_key(above: int, told: str) -> Key:
    """What was timed elsewhere below a span, by the id that the other side gave it."""
    return "timed", above, told


def search_key(name: str, token: str) -> Key:
    """A search that somebody made for the run outside of it."""
    return "search", name, token


def _number(size: int, *parts: str) -> int:
    digest = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:size], "big") or 1
