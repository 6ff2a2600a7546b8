"""Ids in logs are those of the spans that the tracer gives: of a whole run, of one that is taken up, and of a fork."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan

from team.events import Event, RunForked, RunResumed, StageEnded, StageEntered, TurnEnded, TurnStarted
from team.telemetry import Tracer
from team.trace_place import TracePlace
from tests.team.a_run import ENDED, STARTED, WHOLE, called, logged, model_called, returned

INTERRUPTED = ENDED.model_copy(update={"status": "interrupted"})
TURN = TurnStarted(turn=1, role="engineer", stage="train", briefing="what to do")
TRAIN = StageEntered(stage="train", visit=1)
RESUMED = RunResumed(times=1, turn=0, stage="train", away_s=9.0)
GOES_ON: tuple[Event, ...] = (
    TURN,
    model_called(),
    called("c2"),
    returned("c2"),
    TurnEnded(turn=1, role="engineer", status="ok", seconds=1.0),
    StageEnded(stage="train", visit=1, outcome="done", seconds=2.0, search_seconds=1.0),
    ENDED,
)
LOGS: dict[str, tuple[Event, ...]] = {
    "whole": WHOLE,
    "killed and taken up": (STARTED, TRAIN, TURN, model_called(), RESUMED, *GOES_ON),
    "interrupted and taken up": (STARTED, TRAIN, TURN, called("c1"), INTERRUPTED, RESUMED, *GOES_ON),
    "a fork": (STARTED, TRAIN, TURN, RunForked(parent="another", turn=0, changed={}), *GOES_ON),
}


def spans(events: Sequence[Event]) -> dict[int, ReadableSpan]:
    """What the tracer makes of a log, by the ids of the spans."""
    taken: list[ReadableSpan] = []
    tracer = Tracer("a-run", taken.append, Resource({}))
    for event in events:
        tracer(event)
    return {span.context.span_id: span for span in taken if span.context}


@pytest.mark.parametrize("name", LOGS)
def test_every_event_stands_in_a_span_of_the_trace(tmp_path: Path, name: str) -> None:
    events = logged(tmp_path / "events.jsonl", LOGS[name])
    found, place = spans(events), TracePlace("a-run")
    own = len(events) if name != "a fork" else len(GOES_ON) + 1
    told = [(event, *place(event)) for event in events][-own:]
    traces = {f"{span.context.trace_id:032x}" for span in found.values() if span.context}
    assert {trace for _, trace, _ in told} == traces
    assert len(traces) == 1
    kinds = {event.kind: found[int(span, 16)].name.split()[0] for event, _, span in told}
    expected = {
        "run_started": "invoke_workflow", "run_forked": "invoke_workflow", "run_ended": "invoke_workflow", "stage_entered": "stage",
        "stage_ended": "stage", "turn_started": "invoke_agent", "turn_ended": "invoke_agent", "message_spoken": "invoke_agent",
        "model_called": "chat", "tool_called": "execute_tool", "tool_returned": "execute_tool", "approval_asked": "execute_tool",
        "cell_executed": "cell",
    }  # fmt: skip
    assert {kind: span for kind, span in kinds.items() if kind in expected} == {k: v for k, v in expected.items() if k in kinds}


def test_the_place_of_what_is_logged_between_events(tmp_path: Path) -> None:
    place = TracePlace("a-run")
    assert place.here() is None
    begun = logged(tmp_path / "events.jsonl", [STARTED, TRAIN, TURN])
    at = [(place(event), place.here()) for event in begun]
    assert all(told == here for told, here in at)
    assert len({span for (_, span), _ in at}) == 3
