"""A run as a glance takes it in, kept from its events: where it stands, who leads, what was said last. Views draw it."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from team.events import (
    CandidateScored,
    ConstraintAdded,
    Event,
    FellBack,
    HoldoutScored,
    MessageSpoken,
    ModelCalled,
    ProgressMade,
    RunContinued,
    RunEnded,
    RunForked,
    RunPaused,
    RunResumed,
    RunStarted,
    SandboxChosen,
    StageEnded,
    StageEntered,
    TimeAdded,
    ToolCalled,
    ToolReturned,
    TurnStarted,
)
from team.stages import ORDER, Stage

SHOWN_LEADERS = 5
WORDS_KEPT = 4
_SEARCHES = (Stage.TRAIN, Stage.OPTIMISE)
_WEIGHTS: dict[Stage, float] = {
    Stage.PLAN: 1,
    Stage.ACQUIRE: 3,
    Stage.ANALYSE: 5,
    Stage.PREPARE: 3,
    Stage.BASELINE: 4,
    Stage.TRAIN: 36,
    Stage.OPTIMISE: 26,
    Stage.SELECT: 10,
    Stage.DOCUMENT: 2,
    Stage.RELEASE: 10,
}
"""Share of a run that each stage takes, roughly, in per cent: of a bar that only has to move forward."""


@dataclass(frozen=True)
class Words:
    """What a role said."""

    role: str
    text: str


@dataclass
class Glance:
    """What a view draws. Seconds are wall-clock."""

    run: str = ""
    source: str = ""
    target: str | None = None
    metric: str = ""
    maximize: bool = True
    sandbox: str = ""
    stage: str = ""
    visit: int = 1
    role: str = ""
    turns: int = 0
    paused: bool = False
    call: ToolCalled | None = None
    call_s: float = 0.0
    progress: dict[str, Any] = field(default_factory=dict)
    candidates: int = 0
    leaders: list[CandidateScored] = field(default_factory=list)
    """Best first."""
    words: list[Words] = field(default_factory=list)
    """The last few, the newest last."""
    trouble: list[str] = field(default_factory=list)
    searched_s: float = 0.0
    budget_s: float = 0.0
    tokens: int = 0
    usd: Decimal | None = field(default_factory=Decimal)
    """What models have cost; None as soon as one call had no known price."""
    least_usd: Decimal = field(default_factory=Decimal)
    """Of the calls with a known price."""
    done: float = 0.0
    """How far the run has come, from 0 to 1; an estimate that never falls."""
    holdout: HoldoutScored | None = None
    status: str = ""
    """How it ended; empty while it goes on."""
    seconds: float = 0.0

    @property
    def left_s(self) -> float:
        """Seconds of the search that are left."""
        return max(0.0, self.budget_s - self.searched_s)

    @property
    def cost(self) -> str:
        """Dollars, or the tokens where no price is known."""
        if self.usd is not None:
            return f"${self.usd:.2f}"
        return f"{self.tokens:,} tokens, " + (f"at least ${self.least_usd:.2f}" if self.least_usd else "price unknown")


class Board:
    """Subscribe it to an event log; `glance` may be asked from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now = Glance()
        self._began = time.monotonic()
        self._call_began = 0.0
        self._scored: dict[str, CandidateScored] = {}
        self._words: deque[Words] = deque(maxlen=WORDS_KEPT)
        self._stages_done = 0.0
        self._searched_before = 0.0

    def __call__(self, event: Event) -> None:
        with self._lock:
            self._take(event)

    def give_up(self, status: str = "failed") -> None:
        """A run without an end in its log ended so: one whose input was refused has failed, one that was killed is unfinished."""
        with self._lock:
            self._now.status, self._now.call = self._now.status or status, None

    def named(self, run: str) -> None:
        """Go by this name: the log of a fork begins with its parent's."""
        with self._lock:
            self._now.run = run

    def glance(self) -> Glance:
        """How things stand now."""
        with self._lock:
            now = self._now
            now.call_s = time.monotonic() - self._call_began if now.call else 0.0
            now.leaders = sorted(self._scored.values(), key=lambda c: c.score, reverse=now.maximize)[:SHOWN_LEADERS]
            now.candidates, now.words = len(self._scored), list(self._words)
            if not now.status:
                now.seconds = time.monotonic() - self._began
            now.done = max(now.done, self._estimate())
            return Glance(**{**vars(now), "trouble": list(now.trouble), "progress": dict(now.progress)})

    def _take(self, event: Event) -> None:
        now = self._now
        match event:
            case RunStarted():
                now.run, now.target = event.run, event.settings["target"]
                now.source = str(event.settings["source"]).partition("#sha256=")[0]
                now.budget_s = float(event.settings["time"])
            case RunForked():
                now.status, now.paused, now.budget_s = "", False, float(event.changed.get("time", now.budget_s))
            case RunResumed() | RunContinued():
                now.status, now.paused = "", False
            case RunPaused():
                now.paused = True
            case TimeAdded():
                now.budget_s = event.search_s
            case ModelCalled():
                now.tokens += event.input_tokens + event.output_tokens
                now.least_usd += Decimal(str(event.usd or 0))
                now.usd = None if event.usd is None or now.usd is None else now.usd + Decimal(str(event.usd))
            case SandboxChosen():
                now.sandbox = event.sandbox
            case StageEntered():
                now.stage, now.visit, self._searched_before = event.stage, event.visit, now.searched_s
            case StageEnded():
                self._stages_done = sum(_WEIGHTS[stage] for stage in ORDER[: ORDER.index(Stage(event.stage)) + 1])
            case TurnStarted():
                now.role, now.turns, now.status = event.role, event.turn, ""
            case MessageSpoken():
                self._words.append(Words(event.role, event.text))
            case ToolCalled():
                now.call, self._call_began, now.progress = event, time.monotonic(), {}
            case ProgressMade():
                now.progress = event.facts
            case ToolReturned():
                now.call, now.searched_s = None, now.searched_s + event.search_seconds
                if event.result and event.tool == "seal_holdout":
                    now.metric, now.maximize = str(event.result["metric"]), event.result["direction"] == "maximize"
            case CandidateScored():
                self._scored[event.name] = event
            case ConstraintAdded():
                self._scored = {name: scored for name, scored in self._scored.items() if name not in event.excluded}
                if event.refused:
                    now.trouble.append(f"{'; '.join(event.told)} cannot be kept: {event.refused}")
            case HoldoutScored():
                now.holdout, now.metric = event, event.metric
            case FellBack():
                now.trouble.append(f"{event.role}: {event.reason}")
            case RunEnded():
                now.status, now.seconds, now.call, now.paused = event.status, event.seconds, None, False
            case _:
                pass

    def _estimate(self) -> float:
        now = self._now
        if now.status == "done":
            return 1.0
        within = 0.0
        if now.stage in _SEARCHES and now.budget_s:
            here = now.searched_s - self._searched_before + now.call_s
            within = min(0.95, here / (now.budget_s * _WEIGHTS[Stage(now.stage)] / sum(_WEIGHTS[s] for s in _SEARCHES)))
        weight = _WEIGHTS[Stage(now.stage)] if now.stage else 0.0
        return min(0.99, (self._stages_done + within * weight) / 100)
