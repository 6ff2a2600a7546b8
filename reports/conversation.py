"""The team's turns as facts: who spoke in which stage, what was called and why, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reports.figures import compact
from reports.findings import Fact
from team.events import (
    CallsRecovered,
    CandidateScored,
    Event,
    FellBack,
    HoldoutScored,
    KernelChanged,
    MessageSpoken,
    ObjectionAnswered,
    ObjectionRaised,
    OptimismEstimated,
    RepairAsked,
    Reviewed,
    RoundEnded,
    StageEntered,
    ToolCalled,
    ToolReturned,
    TurnEnded,
    TurnStarted,
)

MOST_GIST_CHARS = 220


class Record(Fact):
    """Something that the host put on record during a turn."""

    event: int
    text: str


class ToolCall(Fact):
    """One call of a tool. `status` is `unfinished` when the log ends, or goes on elsewhere, before it returned."""

    call: str
    tool: str
    where: str
    arguments: dict[str, Any]
    why: str
    """What the role said with the call."""
    status: str
    seconds: float
    search_seconds: float
    gist: str
    """The result in a line, or what went wrong."""
    records: tuple[Record, ...]
    event: int
    """Place of the return in the event log, or of the call while it has not returned."""
    after_s: float = 0.0
    """Seconds from the beginning of the turn until it was called."""


class Turn(Fact):
    """One turn of one role."""

    turn: int
    role: str
    stage: str
    visit: int
    texts: tuple[str, ...]
    """What the role said, apart from its words to single calls."""
    calls: tuple[ToolCall, ...]
    records: tuple[Record, ...]
    status: str
    seconds: float
    error: str | None
    event: int


def read_turns(events: Sequence[Event]) -> tuple[Turn, ...]:
    """Turns in the order they began; a turn that a crash cut off stands beside its repetition."""
    turns: list[_TurnSoFar] = []
    visits: dict[str, int] = {}
    for event in events:
        if isinstance(event, StageEntered):
            visits[event.stage] = event.visit
        elif isinstance(event, TurnStarted):
            turns.append(_TurnSoFar(event, visits.get(event.stage, 1)))
        elif turns:
            turns[-1].take(event)
    return tuple(turn.done() for turn in turns)


class _CallSoFar:
    def __init__(self, event: ToolCalled, why: str) -> None:
        self.called = event
        self.why = why
        self.returned: ToolReturned | None = None
        self.records: list[Record] = []

    def done(self, began: float) -> ToolCall:
        back = self.returned
        return ToolCall(
            call=self.called.call,
            tool=self.called.tool,
            where=self.called.where,
            arguments=self.called.arguments,
            why=self.why,
            status=back.status if back else "unfinished",
            seconds=back.seconds if back else 0.0,
            search_seconds=back.search_seconds if back else 0.0,
            gist=_gist(back) if back else "",
            records=tuple(self.records),
            event=back.seq if back else self.called.seq,
            after_s=max(0.0, self.called.at - began),
        )


class _TurnSoFar:
    def __init__(self, event: TurnStarted, visit: int) -> None:
        self.started = event
        self.visit = visit
        self.ended: TurnEnded | None = None
        self.calls: list[_CallSoFar] = []
        self.texts: list[str] = []
        self.records: list[Record] = []

    def take(self, event: Event) -> None:
        if isinstance(event, MessageSpoken):
            self._hear(event.text)
        elif isinstance(event, ToolCalled):
            # Words and call are logged by two listeners: the words of a call come right before or right after it.
            self.calls.append(_CallSoFar(event, self.texts.pop() if self.texts else ""))
        elif isinstance(event, ToolReturned):
            for call in self.calls:
                if call.called.call == event.call:
                    call.returned = event
        elif isinstance(event, TurnEnded):
            self.ended = event
        elif text := _record(event):
            waiting = self._open()
            (waiting.records if waiting else self.records).append(Record(event=event.seq, text=text))

    def _hear(self, text: str) -> None:
        waiting = self._open()
        if waiting and not waiting.why:
            waiting.why = text
        else:
            self.texts.append(text)

    def _open(self) -> _CallSoFar | None:
        return next((call for call in self.calls if call.returned is None), None)

    def done(self) -> Turn:
        return Turn(
            turn=self.started.turn,
            role=self.started.role,
            stage=self.started.stage,
            visit=self.visit,
            texts=tuple(self.texts),
            calls=tuple(call.done(self.started.at) for call in self.calls),
            records=tuple(self.records),
            status=self.ended.status if self.ended else "unfinished",
            seconds=self.ended.seconds if self.ended else 0.0,
            error=self.ended.error if self.ended else None,
            event=self.started.seq,
        )


def _record(event: Event) -> str:
    """What the host noted, in a line; empty for events that are told elsewhere."""
    match event:
        case CandidateScored():
            return f"{event.name} scored {compact(event.score)} ± {event.std_error:.2g}"
        case OptimismEstimated():
            return f"cross-validation flatters {event.candidate} by about {compact(event.optimism)}, as the pick of {event.candidates}"
        case HoldoutScored():
            return f"holdout: {event.candidate} has {event.metric} {compact(event.score)} ({compact(event.low)} to {compact(event.high)})"
        case RoundEnded():
            return f"round {event.round} gained {compact(event.gain)} ± {event.noise:.2g}"
        case Reviewed():
            return "work accepted" if event.verdict == "accept" else f"work sent back to {event.back_to}"
        case ObjectionRaised():
            return f"{event.id}: {' '.join(event.findings)}"
        case ObjectionAnswered():
            return f"{event.id} {'answered by evidence' if event.status == 'evidence' else event.status} by the {event.by}: {event.answer}"
        case CallsRecovered():
            return f"{', '.join(event.tools)} read out of what the model wrote ({event.form})"
        case RepairAsked():
            return f"asked again: {event.problem}"
        case FellBack():
            return f"{'degraded' if event.what else 'fallback'}: {event.reason}"
        case KernelChanged(change="replayed"):
            back, gone = (", ".join(event.facts[part]) or "nothing" for part in ("back", "gone"))
            return f"{event.facts['cells']} of {event.facts['of']} typed cells were executed again: {back} came back, {gone} is gone"
        case KernelChanged():
            own = f" for fold {event.facts['fold']}" if "fold" in event.facts else ""
            return f"kernel {event.change}{own}" + (f" ({event.facts['sandbox']})" if "sandbox" in event.facts else "")
    return ""


def _gist(back: ToolReturned) -> str:
    if back.status != "ok" or back.result is None:
        lines = back.text.strip().splitlines()
        line = (lines[0] if back.status == "ok" else lines[-1]) if lines else ""
        return line if len(line) <= MOST_GIST_CHARS else line[: MOST_GIST_CHARS - 1] + "…"
    parts: list[str] = []
    for key, value in back.result.items():
        if isinstance(value, bool) or not isinstance(value, (int, float, str)) or value == "" or key == "seconds":
            continue
        text = value if isinstance(value, str) else compact(value)
        parts.append(f"{key.replace('_', ' ')} {text if len(text) <= 48 else text[:47] + '…'}")
        if sum(map(len, parts)) > MOST_GIST_CHARS // 2:
            break
    return " · ".join(parts)
