"""Spans: every turn, model call, tool call, cell and fit has one, and its parent is what it happened in."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes

from team.events import (
    CellExecuted,
    Event,
    MessageSpoken,
    ModelCalled,
    RunEnded,
    RunForked,
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
from team.log import EventLog, read_events
from team.telemetry import Tracer
from team.trace_export import SpanFile, resource
from tools.spans import TimedSpan

FIT, TRIAL, STRAY = "a" * 16, "b" * 16, "c" * 16
NEWER = {"gen_ai.workflow.name", "gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_creation.input_tokens"}
"""Names of the conventions that the pinned package may not have yet."""


def story(*, fail: bool = False) -> list[Event]:
    """One turn of a run, with a tuning call whose cell timed a trial, its fit, and one that names nobody as its parent."""
    status: Any = "died" if fail else "ok"
    return [
        RunStarted(run="r", settings={}, versions={}),
        StageEntered(stage="train", visit=1),
        TurnStarted(turn=1, role="engineer", stage="train", briefing="the prompt"),
        ModelCalled(
            turn=1,
            role="engineer",
            provider="openai",
            model="m",
            input_tokens=7,
            output_tokens=3,
            usd=None,
            seconds=0.1,
            finish_reason="stop",
            cache_read_tokens=2,
            retries=1,
        ),
        MessageSpoken(turn=1, role="engineer", text="the reason why"),
        ToolCalled(call="c1", turn=1, role="engineer", tool="tune", where="kernel", arguments={"family": "catboost"}),
        CellExecuted(call="c1", cell=0, status=status, seconds=5.0, cause="out of memory" if fail else None),
        WorkTimed(
            call="c1",
            cell=0,
            spans=[
                TimedSpan(id=FIT, parent=TRIAL, kind="fit", start=1.0, end=2e10, facts={"family": "linear", "fold": 2}, error="ValueError"),
                TimedSpan(id=TRIAL, parent=STRAY, kind="trial", start=0.0, end=2e10, facts={"trial": 3, "score": 0.5}),
            ],
        ),
        ToolReturned(call="c1", tool="tune", status=status, seconds=0.3, search_seconds=0.3, text="the result"),
        TurnEnded(turn=1, role="engineer", status="ok", seconds=0.5),
        StageEnded(stage="train", visit=1, outcome="done", seconds=1, search_seconds=0.3),
        RunEnded(status="done", seconds=2),
    ]


def traced(folder: Path, events: Sequence[Event], before: Sequence[Event] = (), **options: Any) -> list[dict[str, Any]]:
    """What a process of the run writes that is told of `events`; all spans that stand in the file then."""
    log, file = EventLog(folder / "events.jsonl"), SpanFile(folder / "traces.jsonl")
    tracer = Tracer("r", file.take, resource(), ids=file.trace, before=before, written=file.written, **options)
    log.subscribe(tracer)
    for event in events:
        log.append(event)
    log.close()
    file.close()
    return [json.loads(line) for line in (folder / "traces.jsonl").read_text().splitlines()]


def named(spans: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    assert len({span["context"]["span_id"] for span in spans}) == len(spans), "no span stands there twice"
    return {span["name"]: span for span in spans}


def parents(spans: list[dict[str, Any]]) -> dict[str, str | None]:
    ids = {span["context"]["span_id"]: span["name"] for span in spans}
    return {span["name"]: None if span["parent_id"] is None else ids[span["parent_id"]] for span in spans}


def test_the_tree(tmp_path: Path) -> None:
    found = traced(tmp_path, story())
    assert parents(found) == {
        "invoke_workflow mlteam": None,
        "stage train": "invoke_workflow mlteam",
        "invoke_agent engineer": "stage train",
        "chat m": "invoke_agent engineer",
        "execute_tool tune": "invoke_agent engineer",
        "cell 0": "execute_tool tune",
        "trial 3": "cell 0",
        "fit linear": "trial 3",
    }
    assert len({span["context"]["trace_id"] for span in found}) == 1


def test_attributes_follow_the_genai_conventions(tmp_path: Path) -> None:
    found = named(traced(tmp_path, story()))
    known = {value for name, value in vars(gen_ai_attributes).items() if name.startswith("GEN_AI_") and isinstance(value, str)} | NEWER
    used = {name for span in found.values() for name in span["attributes"] if name.startswith("gen_ai.")}
    assert used <= known
    root, turn, chat, tool = (
        found[name]["attributes"] for name in ("invoke_workflow mlteam", "invoke_agent engineer", "chat m", "execute_tool tune")
    )
    assert [one["gen_ai.operation.name"] for one in (root, turn, chat, tool)] == ["invoke_workflow", "invoke_agent", "chat", "execute_tool"]
    assert (chat["gen_ai.provider.name"], chat["gen_ai.request.model"]) == ("openai", "m")
    assert (chat["gen_ai.usage.input_tokens"], chat["gen_ai.usage.output_tokens"]) == (7, 3)
    assert (chat["gen_ai.usage.cache_read.input_tokens"], chat["mlteam.retries"]) == (2, 1)
    assert chat["gen_ai.response.finish_reasons"] == ["stop"]
    assert "mlteam.usd" not in chat, "an unknown price is left out, not zero"
    assert found["chat m"]["kind"] == "SpanKind.CLIENT"
    assert json.loads(turn["gen_ai.input.messages"]) == [{"role": "user", "parts": [{"type": "text", "content": "the prompt"}]}]
    assert json.loads(turn["gen_ai.output.messages"])[0]["parts"] == [{"type": "text", "content": "the reason why"}]
    assert json.loads(tool["gen_ai.tool.call.arguments"]) == {"family": "catboost"}
    assert tool["gen_ai.tool.call.result"] == "the result"


def test_what_a_cell_timed_lies_within_the_cell(tmp_path: Path) -> None:
    found = named(traced(tmp_path, story()))
    cell = found["cell 0"]
    for name in ("trial 3", "fit linear"):
        assert (found[name]["start_time"], found[name]["end_time"]) == (cell["start_time"], cell["end_time"])
    assert found["trial 3"]["attributes"] == {
        "mlteam.trial": 3,
        "mlteam.score": 0.5,
        "mlteam.kind": "trial",
        "openinference.span.kind": "CHAIN",
    }
    assert found["fit linear"]["attributes"]["error.type"] == "ValueError"
    assert found["fit linear"]["status"]["status_code"] == "ERROR"


def test_what_failed_is_marked(tmp_path: Path) -> None:
    found = named(traced(tmp_path, story(fail=True)))
    assert found["cell 0"]["status"] == {"status_code": "ERROR", "description": "died: out of memory"}
    assert found["cell 0"]["attributes"]["error.type"] == "died"
    assert found["execute_tool tune"]["status"]["status_code"] == "ERROR"
    assert found["invoke_workflow mlteam"]["status"]["status_code"] == "UNSET"


def test_without_content_no_text_that_anybody_wrote_is_there(tmp_path: Path) -> None:
    traced(tmp_path, story(fail=True), capture=False)
    written = (tmp_path / "traces.jsonl").read_text()
    for text in ("the prompt", "the reason why", "catboost", "the result", "out of memory"):
        assert text not in written
    assert "execute_tool tune" in written


def test_secrets_stand_in_no_span(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "sesame-0123456789")
    events = story()
    for event in events:
        match event:
            case TurnStarted():
                event.briefing = "use sesame-0123456789"
            case MessageSpoken():
                event.text = "I use sesame-0123456789"
            case ToolCalled():
                event.arguments = {"key": "sesame-0123456789"}
            case ToolReturned():
                event.text = "sesame-0123456789 was refused"
            case WorkTimed():
                event.spans[0].facts["family"] = "sesame-0123456789"
            case TurnEnded():
                event.error = "ValueError: sesame-0123456789"
    traced(tmp_path, events)
    written = (tmp_path / "traces.jsonl").read_text()
    assert "sesame" not in written
    assert written.count("[redacted]") >= 5


@pytest.mark.parametrize("told", range(1, 12))
def test_a_run_that_was_killed_anywhere_is_one_trace_when_it_has_ended(tmp_path: Path, told: int) -> None:
    events = story()
    once = parents(traced(tmp_path / "whole", events)) if (tmp_path / "whole").mkdir() is None else {}
    killed = tmp_path / "killed"
    killed.mkdir()
    traced(killed, events[:told])
    before = list(read_events(killed / "events.jsonl"))
    resumed = RunResumed(times=1, turn=0, stage="train", away_s=1.0)
    found = traced(killed, [resumed, *events[told:]], before)
    assert parents(found) == once
    named(found)
    assert len({span["context"]["trace_id"] for span in found}) == 1
    root = next(span for span in found if span["parent_id"] is None)
    assert [event["name"] for event in root["events"]] == ["resumed"]


def test_spans_that_the_file_lost_are_written_from_the_log(tmp_path: Path) -> None:
    events = story()
    whole = traced(tmp_path, events[:9])
    lines = (tmp_path / "traces.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "traces.jsonl").write_text("".join(lines[:2]) + lines[2][:50])
    found = traced(tmp_path, events[9:], list(read_events(tmp_path / "events.jsonl")))
    assert {span["context"]["span_id"] for span in whole} < {span["context"]["span_id"] for span in found}
    named(found)


def test_a_run_that_was_stopped_goes_on_below_its_first_span(tmp_path: Path) -> None:
    events = story()
    traced(tmp_path, [*events[:6], RunEnded(status="interrupted", reason="stopped from outside", seconds=1.0)])
    before = list(read_events(tmp_path / "events.jsonl"))
    log, file = EventLog(tmp_path / "events.jsonl"), SpanFile(tmp_path / "traces.jsonl")
    tracer = Tracer("r", file.take, resource(), ids=file.trace, before=before, written=file.written)
    log.subscribe(tracer)
    log.append(RunResumed(times=1, turn=0, stage="train", away_s=1.0))
    for event in (before[2], before[5]):  # the turn and the call that were under way are told again, as the journal does
        log.tell(event)
    for event in events[6:]:
        log.append(event)
    log.close()
    file.close()
    spans = [json.loads(line) for line in (tmp_path / "traces.jsonl").read_text().splitlines()]
    assert len({span["context"]["span_id"] for span in spans}) == len(spans)
    roots = [span for span in spans if span["name"] == "invoke_workflow mlteam"]
    assert (roots[0]["parent_id"], roots[1]["parent_id"]) == (None, roots[0]["context"]["span_id"])
    for name in ("stage train", "invoke_agent engineer", "execute_tool tune"):
        first, second = (span for span in spans if span["name"] == name)
        assert (first["status"]["status_code"], second["status"]["status_code"]) == ("ERROR", "UNSET")
        assert second["links"][0]["context"]["span_id"] == first["context"]["span_id"]
    assert len([span for span in spans if span["name"] == "cell 0"]) == 1


def test_a_fork_is_a_trace_of_its_own_that_names_its_parents(tmp_path: Path) -> None:
    parent = tmp_path / "parent"
    fork = tmp_path / "fork"
    parent.mkdir()
    fork.mkdir()
    events = story()
    first = traced(parent, events)
    prefix = list(read_events(parent / "events.jsonl"))[:2]
    (fork / "events.jsonl").write_bytes(b"".join((parent / "events.jsonl").read_bytes().splitlines(keepends=True)[:2]))
    log, made = EventLog(fork / "events.jsonl"), list[ReadableSpan]()
    log.subscribe(Tracer("f", made.append, resource(), before=prefix, forked=True))
    for event in (RunForked(parent="r", turn=0, changed={}), *events[2:]):
        log.append(event)
    log.close()
    root = made[-1]
    assert root.context is not None
    assert root.links[0].context.trace_id == int(first[0]["context"]["trace_id"], 16) != root.context.trace_id
    assert root.links[0].context.span_id == int(first[-1]["context"]["span_id"], 16)
    assert [span.name for span in made][-3:] == ["invoke_agent engineer", "stage train", "invoke_workflow mlteam"]
    for below, above in pairwise(made[-3:]):
        assert below.parent is not None
        assert above.context is not None
        assert below.parent.span_id == above.context.span_id
