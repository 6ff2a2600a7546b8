"""A run from its beginning to its end: its processes, sandbox and stages, and what it went on without."""

from __future__ import annotations

from typing import Any, Literal

from team.events.event import SCHEMA_VERSION, BaseEvent


class RunStarted(BaseEvent):
    kind: Literal["run_started"] = "run_started"
    schema_version: int = SCHEMA_VERSION
    run: str
    settings: dict[str, Any]
    versions: dict[str, str]
    """Versions of Python, mlteam and the libraries that decide results."""


class RunResumed(BaseEvent):
    """A process took a run up that another one left."""

    kind: Literal["run_resumed"] = "run_resumed"
    schema_version: int = SCHEMA_VERSION
    times: int
    """How often the run has been resumed, this time counted."""
    turn: int
    """The last turn whose checkpoint was good; the one after it is gone through again."""
    stage: str
    away_s: float
    """Seconds of wall-clock time between the last event before and this one."""
    in_flight: str | None = None
    """The tool whose call was cut off and is repeated."""
    damage: list[str] = []
    """What was found damaged or torn, and what was done about it, in words."""
    folder: str = ""
    """Where the run directory lies now, when that is not where the settings say; it may have been copied."""


class RunForked(BaseEvent):
    """This run began as another one's; the events before this one are that run's."""

    kind: Literal["run_forked"] = "run_forked"
    parent: str
    turn: int
    changed: dict[str, Any]
    """Settings that differ from the parent's."""


class SandboxChosen(BaseEvent):
    kind: Literal["sandbox_chosen"] = "sandbox_chosen"
    sandbox: str
    why: str


class StageEntered(BaseEvent):
    kind: Literal["stage_entered"] = "stage_entered"
    stage: str
    visit: int


class StageEnded(BaseEvent):
    kind: Literal["stage_ended"] = "stage_ended"
    stage: str
    visit: int
    outcome: str
    """Which fact ended the stage, in words."""
    seconds: float
    search_seconds: float
    """Part of the seconds that counted against `--time`."""


class FellBack(BaseEvent):
    """The playbook took over from a model, or something optional was left out."""

    kind: Literal["fell_back"] = "fell_back"
    stage: str
    role: str
    reason: str
    what: str = ""
    """What was made smaller or given up so that the run could go on: a family, a candidate, a tool, a stage, a part of a
    result. Empty where somebody else took over."""


class RunEnded(BaseEvent):
    kind: Literal["run_ended"] = "run_ended"
    status: Literal["done", "failed", "interrupted"]
    reason: str = ""
    seconds: float
    summary: dict[str, Any] = {}
