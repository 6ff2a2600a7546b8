"""The course of a run as spans one below the other: stages, turns, calls of models and tools, cells, and fits and trials within these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from team.events import (
    CellExecuted,
    Event,
    ModelCalled,
    RunEnded,
    RunForked,
    RunResumed,
    StageEnded,
    StageEntered,
    ToolCalled,
    ToolReturned,
    TurnEnded,
    TurnStarted,
    WorkTimed,
)
from tools.spans import TimedSpan

MOST_SPANS = 3_000
DEPTHS = {"stage": 0, "turn": 1, "model": 2, "tool": 2, "cell": 3, "fit": 4}


@dataclass
class Span:
    """Something that took time. Times are seconds since the epoch; `end` is None while it goes on."""

    kind: str
    name: str
    start: float
    end: float | None = None
    status: str = "ok"
    detail: str = ""
    role: str = ""

    @property
    def depth(self) -> int:
        return DEPTHS[self.kind]


def read_spans(events: Sequence[Event]) -> list[Span]:
    """Spans in the order that they are drawn in: each before those it holds, then by their start.

    What a process left open that was killed is `cut off`, and ends where the log went on.
    """
    spans: list[Span] = []
    stage: Span | None = None
    turn: Span | None = None
    calls: dict[str, Span] = {}

    def cut(at: float) -> None:
        for span in (stage, turn, *calls.values()):
            if span is not None and span.end is None:
                span.end, span.status = at, "cut off"

    before = events[0].at if events else 0.0
    for event in events:
        match event:
            case RunResumed() | RunForked():
                cut(before)
                turn, calls = None, {}
                if isinstance(event, RunResumed):
                    stage = Span("stage", event.stage, event.at, detail="taken up again")
                    spans.append(stage)
            case StageEntered():
                detail = f"visit {event.visit}" if event.visit > 1 else ""
                stage = Span("stage", event.stage, event.at, detail=detail)
                spans.append(stage)
            case StageEnded() if stage:
                stage.end, stage.detail = event.at, event.outcome
            case TurnStarted():
                turn = Span("turn", event.role.replace("_", " "), event.at, detail=f"turn {event.turn}", role=event.role)
                spans.append(turn)
            case TurnEnded() if turn:
                turn.end, turn.status = event.at, event.status
                turn.detail += f": {event.error}" if event.error else ""
            case ModelCalled() if event.provider != "playbook":  # which is a part of this program, and answers at once
                tokens = f"{event.input_tokens:,} tokens in, {event.output_tokens:,} out"
                status = "error" if event.error else "ok"
                span = Span("model", event.model, event.at - event.seconds, event.at, status, event.error or tokens, event.role)
                spans.append(span)
            case ToolCalled():
                calls[event.call] = Span("tool", event.tool, event.at, role=event.role, detail=event.where)
                spans.append(calls[event.call])
            case CellExecuted():
                status, detail = event.status, event.cause or ""
                spans.append(Span("cell", f"cell {event.cell}", event.at - event.seconds, event.at, status, detail))
            case WorkTimed():
                spans += [_within(timed) for timed in sorted(event.spans, key=lambda timed: timed.start)]
            case ToolReturned() if event.call in calls:
                ended = calls.pop(event.call)
                ended.end, ended.status = event.at, event.status
            case RunEnded():
                cut(event.at)
            case _:
                pass
        before = event.at
    return spans[-MOST_SPANS:]


def _within(timed: TimedSpan) -> Span:
    """A fit, a refit or a trial, by what its facts call it."""
    name = next((str(timed.facts[fact]) for fact in ("candidate", "name", "family", "trial") if fact in timed.facts), "")
    detail = ", ".join(f"{fact} {value}" for fact, value in timed.facts.items())
    return Span("fit", f"{timed.kind} {name}".strip(), timed.start, timed.end, timed.error or "ok", detail)
