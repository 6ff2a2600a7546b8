"""The event log as the conductor writes to it, in a run that may have been cut off.

A run is taken up at its newest checkpoint, and the turns after it are gone through again. What they had done already is in the log
behind the checkpoint: it is found there instead of being done, paid for and written again. So a tool call that has ended keeps its
result, an answer of a model is not bought twice, and no event stands in the log twice. What was under way is done again.
"""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from team.events import (
    CandidateScored,
    CellExecuted,
    Event,
    FellBack,
    KernelChanged,
    MessageSpoken,
    ModelCalled,
    OptimismEstimated,
    ProgressMade,
    ResourcesUsed,
    RunContinued,
    RunPaused,
    RunStarted,
    ToolCalled,
    ToolReturned,
    TurnStarted,
    WorkTimed,
)
from team.log import EventLog, Subscriber, drop_torn_line

_COPIES = (KernelChanged, ProgressMade, ResourcesUsed, RunPaused, RunContinued, WorkTimed)
"""Told anew each time: they speak of a process, not of the run."""


class Journal:
    """Appends events, or finds them where they were appended before.

    Args:
        log: the run's log.
        replies: file of the models' answers.
        tail: events behind the checkpoint, in order.
        turn: the last turn of the checkpoint; answers of later ones are given again.
    """

    def __init__(self, log: EventLog, replies: Path, tail: Sequence[Event] = (), turn: int = 0) -> None:
        self._log = log
        self._replies = replies
        drop_torn_line(replies)
        self._tail = [event for event in tail if not isinstance(event, _COPIES)]
        self._answers: dict[tuple[int, str, str], deque[dict[str, Any]]] = {}
        for line in _read(replies):
            if line["turn"] > turn and line.get("answer") is not None:
                self._answers.setdefault((line["turn"], line["role"], line["model"]), deque()).append(line["answer"])

    @property
    def recovering(self) -> bool:
        """Whether anything that was done before is still to be met again."""
        return bool(self._tail)

    def append(self, event: Event) -> Event:
        """Append an event, or give back the one that said the same before the run was cut off."""
        found = next((one for one in self._tail if _same(one, event)), None)
        if found is None:
            return self._log.append(event)
        self._tail.remove(found)
        if isinstance(found, (TurnStarted, ToolCalled)):
            self._log.tell(found)  # views of this process have not seen it yet
        return found

    def briefing(self, turn: int) -> str | None:
        """What the role was told in a turn that is gone through again: the same, so that it decides the same."""
        return next((one.briefing for one in self._tail if isinstance(one, TurnStarted) and one.turn == turn), None)

    def returned(self, call: str) -> ToolReturned | None:
        """How a call ended that is not to be made again. What else was told of it is put away."""
        found = next((one for one in self._tail if isinstance(one, ToolReturned) and one.call == call), None)
        if found is not None:
            self._tail = [one for one in self._tail if not (isinstance(one, CellExecuted) and one.call == call)]
        return found

    def scored_before(self, returned: ToolReturned) -> list[CandidateScored]:
        """Candidates that were scored before a call returned, and are not to be scored again."""
        found = [one for one in self._tail if isinstance(one, CandidateScored) and one.seq < returned.seq]
        self._tail = [one for one in self._tail if one not in found]
        return found

    def answer(self, turn: int, role: str, model: str) -> dict[str, Any] | None:
        """The next answer of a model that was paid for before, or None."""
        waiting = self._answers.get((turn, role, model))
        return waiting.popleft() if waiting else None

    def keep_answer(self, turn: int, role: str, model: str, kept: dict[str, Any]) -> None:
        """Write an answer, or how a request failed, down with the request before anybody acts on it."""
        with self._replies.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"turn": turn, "role": role, "model": model, **kept}) + "\n")

    def settle(self, turn: int) -> None:
        """A turn has ended: what is left of it was said of something that went another way this time."""
        following = (at for at, one in enumerate(self._tail) if isinstance(one, TurnStarted) and one.turn > turn)
        self._tail = self._tail[next(following, len(self._tail)) :]

    @property
    def length(self) -> int:
        """The number that the next event gets."""
        return self._log.length

    def subscribe(self, subscriber: Subscriber) -> None:
        self._log.subscribe(subscriber)

    def sync(self) -> None:
        """Force the log and the answers to the disk."""
        self._log.sync()
        if self._replies.exists():
            with self._replies.open("rb") as file:
                os.fsync(file.fileno())

    def close(self) -> None:
        self._log.close()


class KeptAnswers:
    """The answers of one model in one role; see `models.metering.Answers`."""

    def __init__(self, journal: Journal, turn: Callable[[], int], role: str, model: str) -> None:
        self._journal, self._turn, self._role, self._model = journal, turn, role, model
        self._at = (0, 0)

    @property
    def place(self) -> str:
        turn, call = self._at
        return f"{turn}/{self._role}/{call}"

    def next(self) -> dict[str, Any] | None:
        turn = self._turn()
        self._at = (turn, self._at[1] + 1 if self._at[0] == turn else 1)
        return self._journal.answer(turn, self._role, self._model)

    def keep(self, request: dict[str, Any], *, answer: dict[str, Any] | None = None, error: str | None = None) -> None:
        kept = {"place": self.place, "request": request} | ({"error": error} if answer is None else {"answer": answer})
        self._journal.keep_answer(self._turn(), self._role, self._model, kept)


def under_way(tail: Sequence[Event]) -> ToolCalled | None:
    """The call that was under way when the log ended, or None."""
    returned = {one.call for one in tail if isinstance(one, ToolReturned)}
    return next((one for one in reversed(tail) if isinstance(one, ToolCalled) and one.call not in returned), None)


_KEYS: dict[type, Callable[[Any], tuple[Any, ...]]] = {
    TurnStarted: lambda e: (e.turn, e.role),
    MessageSpoken: lambda e: (e.turn, e.role, e.text),
    ModelCalled: lambda e: (e.turn, e.role, e.model, e.error is None),
    RunStarted: lambda e: (e.run,),
    ToolCalled: lambda e: (e.turn, e.role, e.tool, json.dumps(e.arguments, sort_keys=True)),
    ToolReturned: lambda e: (e.call,),
    CellExecuted: lambda e: (e.call, e.cell),
    CandidateScored: lambda e: (e.name,),
    OptimismEstimated: lambda e: (e.candidate,),
    FellBack: lambda e: (e.stage, e.role, e.reason),
}
_VARYING = {"seq", "at", "seconds", "search_seconds"}


def _same(recorded: Event, event: Event) -> bool:
    if type(recorded) is not type(event):
        return False
    key = _KEYS.get(type(event))
    if key is not None:
        return key(recorded) == key(event)
    return recorded.model_dump(exclude=_VARYING) == event.model_dump(exclude=_VARYING)


def _read(path: Path) -> list[dict[str, Any]]:
    """Complete lines; one that a crash tore off was not acted on."""
    lines = path.read_text(encoding="utf-8").split("\n")[:-1] if path.exists() else []
    found = []
    for line in lines:
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found
