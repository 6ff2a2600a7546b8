"""A run while it goes on, as server-sent events: each carries the number of the last event of the log that it takes in.

Who comes back with that number (`Last-Event-ID`) gets what came after it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Literal

from team.events import EVENT
from team.live import printed
from team.rundir import RunDir
from team.ui.rendering import Rendering
from team.ui.tail import StartOver, Tail
from team.ui.watched import Watched

POLL_S = 0.25
CATCHING_UP_S = 0.02
REDRAWN_S = 2.0
"""What depends on the clock alone, and a timeline, is drawn anew no more often."""
HEARTBEAT_S = 15.0
"""Something is said at least so often, so that a line that is cut is noticed."""
RETRY = "retry: 1000\n\n"
View = Literal["run", "trace"]
Step = Literal["fresh", "quiet", "over", "reset"]


def message(kind: str, data: str, number: int | None = None) -> str:
    """One server-sent event."""
    lines = [f"id: {number}"] if number is not None and number >= 0 else []
    lines += [f"event: {kind}", *(f"data: {line}" for line in data.replace("\r\n", "\n").replace("\r", "\n").split("\n"))]
    return "\n".join(lines) + "\n\n"


@dataclass
class Feeds:
    """How many are open, and whether they are to end."""

    most: int = 64
    open: int = 0
    leaving: asyncio.Event = field(default_factory=asyncio.Event)

    async def pause(self, seconds: float) -> bool:
        """Wait; whether the server is about to end."""
        try:
            await asyncio.wait_for(self.leaving.wait(), seconds)
        except TimeoutError:
            return False
        return True


class Following:
    """One reader of one run."""

    def __init__(self, run: RunDir) -> None:
        self.run = run
        self.watched = Watched(run.name)
        self._tail = Tail(run.events, run.path.parent)
        self._turned: set[int] = set()

    def read(self) -> int:
        """Take in what is new in the log, and tell how many events those are.

        Raises:
            StartOver: when the log was written anew.
            OSError: when it cannot be read.
        """
        events = self._tail.read()
        self._turned |= self.watched.add(events)
        return len(events)

    def read_all(self) -> Following:
        """Take in all that stands in the log now."""
        while self.read():
            pass
        return self

    @property
    def going_on(self) -> bool:
        """Whether a process works on the run."""
        return self.run.in_use

    @property
    def printed(self) -> str:
        """What the cell that is running has printed."""
        call = self.watched.call
        return printed(self.run.live, call.call, self.run.path.parent) if call else ""

    async def raw(self, after: int, feeds: Feeds) -> AsyncIterator[str]:
        """The events of the log as JSON, those after number `after`, each named by its kind; then `over` when the run has ended."""
        yield RETRY
        told, spoke = 0, time.monotonic()
        async for step in self._steps(feeds):
            for event in self.watched.events[told:]:
                if event.seq > after:
                    spoke = time.monotonic()
                    yield message(event.kind, EVENT.dump_json(event).decode(), event.seq)
            told = len(self.watched.events)
            if step in ("over", "reset"):
                yield message(step, self.watched.status[0])
            elif time.monotonic() - spoke > HEARTBEAT_S:
                spoke = time.monotonic()
                yield ": still here\n\n"

    async def parts(self, view: View, rendering: Rendering, address: str, after: int, feeds: Feeds) -> AsyncIterator[str]:
        """Parts of the page as they change, turns at first those that events after number `after` changed; then `over`."""
        yield RETRY
        shown: dict[str, str] = {}
        seen, drawn, spoke = "", 0.0, time.monotonic()
        async for step in self._steps(feeds):
            now, printed = time.monotonic(), self.printed
            due = now - drawn > REDRAWN_S
            changed = step == "fresh" or printed != seen
            if not shown or step == "over" or due or (changed and view == "run"):
                if not shown:
                    self._turned = {turn for turn in self._turned if self.watched.newest_of(turn) > after}
                drawn, seen = now, printed
                fresh = await asyncio.to_thread(self._draw, view, rendering, address, printed)
                fresh = {name: text for name, text in fresh.items() if shown.get(name) != text}
                shown |= fresh
                for number, text in enumerate(fresh.values(), 1):
                    # The number comes with the last of them: a line that is cut before is taken up where nothing was.
                    yield message("part", text, self.watched.last if number == len(fresh) else None)
                spoke = now if fresh else spoke
            if step in ("over", "reset"):
                yield message(step, self.watched.status[0])
            elif now - spoke > HEARTBEAT_S:
                spoke = now
                yield ": still here\n\n"

    def _draw(self, view: View, rendering: Rendering, address: str, printed: str) -> dict[str, str]:
        going_on = self.going_on
        if view == "trace":
            return {"trace": rendering.spans(self.watched, going_on=going_on)}
        turned, self._turned = self._turned, set()
        turns = rendering.turns(self.watched, address, turned)
        return turns | rendering.parts(self.watched, self.run, address, going_on=going_on, printed=printed)

    async def _steps(self, feeds: Feeds) -> AsyncIterator[Step]:
        """Until the run has ended, or the server does."""
        while True:
            on = self.going_on  # asked first: what a process wrote before it let go is read after that
            try:
                fresh = await asyncio.to_thread(self.read)
            except (StartOver, OSError):
                yield "reset"
                return
            if fresh:
                yield "fresh"
            elif not on and self.watched.status[0] != "unfinished":
                yield "over"
                return
            else:
                yield "quiet"
            if await feeds.pause(CATCHING_UP_S if fresh else POLL_S):
                return
