"""How a user has a say in a run that is going on: words, more time, a pause, the end. One object, shared by whoever listens to the
user (the chat, a notebook, a signal) and the conductor, which asks it at safe points: between turns, and before each tool call.

Everything of the user's side may be called from any thread. A pause waits for the next safe point; an end does not: it cancels the
run's task, so that a cell that is going on is ended by the ladder of the sandbox, and everything up to the last turn is saved.
"""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass, field

from team.constraint import Constraint
from team.events import ModelCalled, RoleAsked

Note = ModelCalled | RoleAsked
"""What happened beside the turns, and belongs into the log."""


@dataclass
class Asked:
    """What the user wants from the next turn on."""

    words: list[str] = field(default_factory=list)
    seconds: float = 0.0
    """To be added to the time of the search."""
    constraints: list[Constraint] = field(default_factory=list)
    """To be kept from the next turn on."""
    notes: list[Note] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.words or self.seconds or self.notes or self.constraints)


class Steering:
    """The user's say in one run."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked = Asked()
        self._held = self._stopped = self._waiting = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[object] | None = None
        self._free: asyncio.Event | None = None

    # The user's side.

    def say(self, words: str) -> None:
        """Keep words for the roles: they stand in every briefing from the next turn on."""
        with self._lock:
            self._asked.words.append(words)

    def add_time(self, seconds: float) -> None:
        """Give the search more time, in seconds."""
        with self._lock:
            self._asked.seconds += seconds

    def constrain(self, *constraints: Constraint) -> None:
        """Have something kept from the next turn on, as `team.sentences.read_constraints` reads it; a `constraint_added` event tells what
        followed, or, where it can no longer be kept, why not."""
        with self._lock:
            self._asked.constraints.extend(constraints)

    def note(self, *notes: Note) -> None:
        """Have something logged that happened beside the turns; what a model call cost is charged."""
        with self._lock:
            self._asked.notes.extend(notes)

    def pause(self) -> None:
        """Wait at the next safe point until `go_on` or `stop`."""
        with self._lock:
            self._held = True

    def go_on(self) -> None:
        """Take a pause back."""
        with self._lock:
            self._held = False
            self._release()

    def stop(self) -> None:
        """End the run now, with everything saved; it can be resumed."""
        with self._lock:
            self._stopped = True
            self._release()
            if self._loop is not None and self._task is not None and not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._task.cancel)

    @property
    def pausing(self) -> bool:
        """Whether a pause is asked for."""
        return self._held

    @property
    def paused(self) -> bool:
        """Whether the run stands at a safe point and waits."""
        return self._waiting

    @property
    def stopped(self) -> bool:
        return self._stopped

    def _release(self) -> None:
        if self._loop is not None and self._free is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._free.set)

    # The conductor's side.

    def attach(self) -> None:
        """Be heard by the task that runs now, which is the run's.

        Raises:
            CancelledError: when the user stopped it before it began.
        """
        with self._lock:
            self._loop, self._task, self._free = asyncio.get_running_loop(), asyncio.current_task(), asyncio.Event()
            if self._stopped:
                raise asyncio.CancelledError

    def detach(self) -> None:
        """The run has ended: from here on nothing can be stopped."""
        with self._lock:
            self._loop = self._task = self._free = None

    def take(self) -> Asked:
        """What was asked for since the last time."""
        with self._lock:
            asked, self._asked = self._asked, Asked()
            return asked

    async def hold(self) -> float:
        """Wait while a pause is asked for.

        Returns:
            Seconds that it took.
        """
        began = time.perf_counter()
        while True:
            with self._lock:
                if not self._held or self._free is None:
                    self._waiting = False
                    return time.perf_counter() - began
                self._waiting = True
                self._free.clear()
                free = self._free
            try:
                await free.wait()
            finally:
                self._waiting = False
