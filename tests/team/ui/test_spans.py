"""The course of a run as spans, also of one that was cut off and taken up again."""

from __future__ import annotations

from team.events import (
    CellExecuted,
    Event,
    ModelCalled,
    RunEnded,
    RunResumed,
    RunStarted,
    StageEnded,
    StageEntered,
    ToolCalled,
    ToolReturned,
    TurnEnded,
    TurnStarted,
    WorkTimed,
)
from team.ui.spans import read_spans
from tools.spans import TimedSpan


def at(*timed: tuple[float, Event]) -> list[Event]:
    return [event.model_copy(update={"at": when, "seq": n}) for n, (when, event) in enumerate(timed)]


def called(call: str, tool: str) -> ToolCalled:
    return ToolCalled(call=call, turn=1, role="engineer", tool=tool, where="kernel", arguments={})


def model(provider: str) -> ModelCalled:
    facts = {"turn": 1, "role": "engineer", "model": "m", "input_tokens": 1200, "output_tokens": 30, "usd": None, "finish_reason": "stop"}
    return ModelCalled(provider=provider, seconds=2.0, **facts)


def fit(start: float, name: str, error: str = "") -> TimedSpan:
    return TimedSpan(id="a" * 16, parent="b" * 16, kind="fit", start=start, end=start + 0.5, facts={"candidate": name}, error=error)


START = RunStarted(run="r", settings={"target": "y", "source": "s", "time": 1}, versions={})
TURN = TurnStarted(turn=1, role="engineer", stage="train", briefing="")


def test_what_holds_what_and_when() -> None:
    events = at(
        (0, START),
        (1, StageEntered(stage="train", visit=2)),
        (2, TURN),
        (5, model("anthropic")),
        (5, model("playbook")),
        (6, called("c", "tune")),
        (9, CellExecuted(call="c", cell=4, status="error", seconds=2.5)),
        (9, WorkTimed(call="c", cell=4, spans=[fit(8.0, "b"), fit(7.0, "a", error="ValueError")])),
        (10, ToolReturned(call="c", tool="tune", status="timeout", seconds=4)),
        (11, TurnEnded(turn=1, role="engineer", status="ok", seconds=9)),
        (12, StageEnded(stage="train", visit=2, outcome="enough", seconds=11, search_seconds=4)),
        (12, RunEnded(status="done", seconds=12)),
    )
    found = [(span.depth, span.kind, span.name, span.start, span.end, span.status) for span in read_spans(events)]
    assert found == [
        (0, "stage", "train", 1, 12, "ok"),
        (1, "turn", "engineer", 2, 11, "ok"),
        (2, "model", "m", 3, 5, "ok"),
        (2, "tool", "tune", 6, 10, "timeout"),
        (3, "cell", "cell 4", 6.5, 9, "error"),
        (4, "fit", "fit a", 7, 7.5, "ValueError"),
        (4, "fit", "fit b", 8, 8.5, "ok"),
    ]
    assert read_spans(events)[2].detail == "1,200 tokens in, 30 out"


def test_what_goes_on_is_open_and_what_a_killed_process_left_ends_where_it_was_killed() -> None:
    begun = [(0.0, START), (1.0, StageEntered(stage="train", visit=1)), (2.0, TURN), (3.0, called("c", "tune"))]
    assert [(span.end, span.status) for span in read_spans(at(*begun))] == [(None, "ok")] * 3
    resumed = RunResumed(times=1, turn=0, stage="train", away_s=96)
    again = at(*begun, (4.0, model("playbook")), (100.0, resumed), (101.0, TURN))
    assert [(span.kind, span.start, span.end, span.status) for span in read_spans(again)] == [
        ("stage", 1, 4, "cut off"),
        ("turn", 2, 4, "cut off"),
        ("tool", 3, 4, "cut off"),
        ("stage", 100, None, "ok"),
        ("turn", 101, None, "ok"),
    ]


def test_a_log_without_events_has_no_spans() -> None:
    assert read_spans([]) == []
