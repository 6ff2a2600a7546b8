"""The events of a small run, for whoever folds them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from team.events import (
    ApprovalAsked,
    ApprovalDecided,
    BudgetWarned,
    CandidateScored,
    CellExecuted,
    CostForecast,
    Event,
    FellBack,
    HoldoutScored,
    KernelChanged,
    MessageSpoken,
    ModelCalled,
    RepairAsked,
    ResourcesUsed,
    RunEnded,
    RunStarted,
    SandboxChosen,
    StageEnded,
    StageEntered,
    ToolCalled,
    ToolReturned,
    TurnEnded,
    TurnStarted,
    WorkTimed,
)
from team.log import EventLog
from tools.spans import TimedSpan


def model_called(**changed: object) -> ModelCalled:
    given: dict[str, object] = {
        "turn": 1, "role": "engineer", "provider": "openai", "model": "m", "input_tokens": 700, "output_tokens": 30, "usd": 0.25,
        "seconds": 1.5, "finish_reason": "stop", "cache_read_tokens": 500, "retries": 2,
    }  # fmt: skip
    return ModelCalled.model_validate(given | changed)


def returned(call: str, status: str = "ok", tool: str = "train", **changed: object) -> ToolReturned:
    return ToolReturned.model_validate({"call": call, "tool": tool, "status": status, "seconds": 3.0, "search_seconds": 2.5, **changed})


def called(call: str, tool: str = "train") -> ToolCalled:
    return ToolCalled(call=call, turn=1, role="engineer", tool=tool, where="kernel", arguments={"time_s": 3})


STARTED = RunStarted(run="a-run", settings={"time": 60.0}, versions={"mlteam": "0.1.0"})
ENDED = RunEnded(status="done", seconds=9.0)
WHOLE: tuple[Event, ...] = (
    STARTED,
    SandboxChosen(sandbox="bubblewrap", why="it works here"),
    CostForecast(seconds=[30.0, 90.0], tokens=2_000, usd=0.5, runs=0),
    StageEntered(stage="train", visit=1),
    TurnStarted(turn=1, role="engineer", stage="train", briefing="what to do"),
    model_called(),
    model_called(usd=None, error="the server hung up", finish_reason="error", input_tokens=5, output_tokens=0, retries=0),
    RepairAsked(turn=1, role="engineer", problem="no call"),
    MessageSpoken(turn=1, role="engineer", text="I train."),
    called("c1"),
    CellExecuted(call="c1", cell=0, status="ok", seconds=2.0),
    WorkTimed(
        call="c1",
        cell=0,
        spans=[
            TimedSpan(id="a" * 16, parent="b" * 16, kind="fit", start=5.0, end=6.5),
            TimedSpan(id="c" * 16, parent="b" * 16, kind="fit", start=6.5, end=7.0, error="MemoryError"),
        ],
    ),
    returned("c1"),
    BudgetWarned(cap="max_cost", share=0.5, spent=0.25, limit=0.5),
    ResourcesUsed(turn=1, role="engineer", stage="train", seconds=4.0, cpu_seconds=6.0, gpu_seconds=0.5, memory_gb_seconds=2.0),
    CandidateScored(name="linear-1", family="linear", score=0.9, std_error=0.01, fold_scores=[0.9, 0.9], stage="train", seconds=1.0),
    called("c2"),
    CellExecuted(call="c2", cell=1, status="died", seconds=40.0, cause="out of memory"),
    KernelChanged(change="died", facts={"cause": "out of memory"}),
    returned("c2", "died", seconds=41.0, search_seconds=0.0),
    called("c3", "publish"),
    ApprovalAsked(call="c3", tool="publish", role="engineer", stage="train", what="push", outside=True),
    ApprovalDecided(call="c3", tool="publish", allowed=False, by="nobody"),
    returned("c3", "refused", "publish", seconds=0.1, search_seconds=0.0),
    FellBack(stage="train", role="engineer", reason="the model did not answer"),
    FellBack(stage="train", role="engineer", reason="linear is left out", what="linear"),
    TurnEnded(turn=1, role="engineer", status="failed", seconds=8.0, error="no answer"),
    HoldoutScored(candidate="linear-1", metric="roc_auc", score=0.875, low=0.8, high=0.9, level=0.95, n=68, looks=1),
    StageEnded(stage="train", visit=1, outcome="a candidate is there", seconds=8.5, search_seconds=2.5),
    ENDED,
)
"""A run of one stage in which most things that can happen do happen, once."""


def logged(path: Path, events: Iterable[Event] = WHOLE) -> list[Event]:
    """Write events to a log, and give them as they stand there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    log = EventLog(path)
    try:
        return [log.append(event) for event in events]
    finally:
        log.close()


def made_run(out: Path, name: str = "a-run", events: Iterable[Event] = WHOLE) -> Path:
    """A run directory with a log, and nothing else."""
    folder = out / name
    logged(folder / "events.jsonl", events)
    return folder
