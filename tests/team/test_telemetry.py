"""Spans: every turn, model call, tool call and cell has one, and its parent is what it happened in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from team.events import (
    CellExecuted,
    MessageSpoken,
    ModelCalled,
    RunEnded,
    RunStarted,
    StageEnded,
    StageEntered,
    ToolCalled,
    ToolReturned,
    TurnEnded,
    TurnStarted,
)
from team.log import EventLog
from team.telemetry import Tracer


def spans(tmp_path: Path, *, fail: bool = False) -> dict[str, dict[str, Any]]:
    log, tracer = EventLog(tmp_path / "events.jsonl"), Tracer(tmp_path / "traces.jsonl")
    log.subscribe(tracer)
    for event in (
        RunStarted(run="r", settings={}, versions={}),
        StageEntered(stage="train", visit=1),
        TurnStarted(turn=1, role="engineer", stage="train", briefing="b"),
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
        ),
        MessageSpoken(turn=1, role="engineer", text="why"),
        ToolCalled(call="c1", turn=1, role="engineer", tool="train", where="kernel", arguments={"time_s": 3}),
        CellExecuted(call="c1", cell=0, status="died" if fail else "ok", seconds=0.2, cause="out of memory" if fail else None),
        ToolReturned(call="c1", tool="train", status="died" if fail else "ok", seconds=0.3, search_seconds=0.3),
        TurnEnded(turn=1, role="engineer", status="ok", seconds=0.5),
        StageEnded(stage="train", visit=1, outcome="done", seconds=1, search_seconds=0.3),
        RunEnded(status="done", seconds=2),
    ):
        log.append(event)
    tracer.close()
    log.close()
    return {s["name"]: s for s in map(json.loads, (tmp_path / "traces.jsonl").read_text().splitlines())}


def test_the_tree(tmp_path: Path) -> None:
    found = spans(tmp_path)
    parents = {
        name: next((n for n, s in found.items() if s["context"]["span_id"] == span["parent_id"]), None) for name, span in found.items()
    }
    assert parents == {
        "run r": None,
        "stage train": "run r",
        "invoke_agent engineer": "stage train",
        "chat m": "invoke_agent engineer",
        "execute_tool train": "invoke_agent engineer",
        "cell 0": "execute_tool train",
    }
    assert len({span["context"]["trace_id"] for span in found.values()}) == 1


def test_attributes_follow_the_genai_conventions(tmp_path: Path) -> None:
    found = spans(tmp_path)
    chat, tool = found["chat m"]["attributes"], found["execute_tool train"]["attributes"]
    assert chat["gen_ai.operation.name"] == "chat"
    assert chat["gen_ai.provider.name"] == "openai"
    assert (chat["gen_ai.usage.input_tokens"], chat["gen_ai.usage.output_tokens"]) == (7, 3)
    assert "mlteam.usd" not in chat, "an unknown price is left out, not zero"
    assert tool["gen_ai.tool.name"] == "train"
    assert json.loads(tool["gen_ai.tool.call.arguments"]) == {"time_s": 3}


def test_what_failed_is_marked(tmp_path: Path) -> None:
    found = spans(tmp_path, fail=True)
    assert found["cell 0"]["status"] == {"status_code": "ERROR", "description": "out of memory"}
    assert found["execute_tool train"]["status"]["status_code"] == "ERROR"
    assert found["run r"]["status"]["status_code"] == "UNSET"
