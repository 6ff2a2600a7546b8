"""Where a run stands, kept from its events: what the status line and the commands go by."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from team.events import (
    CandidateScored,
    Event,
    HoldoutScored,
    ModelCalled,
    RunContinued,
    RunEnded,
    RunPaused,
    RunResumed,
    RunStarted,
    StageEntered,
    TimeAdded,
    ToolCalled,
    ToolReturned,
    TurnStarted,
)
from team.overview import figure
from team.terminal import one_line


@dataclass
class Standing:
    """Subscribe it to an event log, or give it the events of one."""

    run: str = ""
    stage: str = ""
    role: str = ""
    tool: str = ""
    metric: str = ""
    maximize: bool = True
    budget_s: float = 0.0
    searched_s: float = 0.0
    turns: int = 0
    paused: bool = False
    ended: str = ""
    """How the run ended; empty while it has not."""
    tokens: int = 0
    usd: Decimal | None = field(default_factory=Decimal)
    """None as soon as one call had no known price."""
    holdout: HoldoutScored | None = None
    best: CandidateScored | None = None
    sealed: bool = False

    def __call__(self, event: Event) -> None:
        match event:
            case RunStarted():
                self.run, self.budget_s = event.run, float(event.settings["time"])
            case RunResumed() | RunContinued():
                self.paused, self.ended = False, ""
            case StageEntered():
                self.stage = event.stage
            case TurnStarted():
                self.role, self.turns, self.ended = event.role, event.turn, ""
            case ToolCalled():
                self.tool = event.tool
            case ToolReturned():
                self.tool = ""
                self.searched_s += event.search_seconds
                if event.tool == "seal_holdout" and event.result:
                    self.sealed, self.metric = True, str(event.result["metric"])
                    self.maximize = event.result["direction"] == "maximize"
            case CandidateScored() if self.best is None or (event.score > self.best.score) == self.maximize:
                self.best = event
            case ModelCalled():
                self.tokens += event.input_tokens + event.output_tokens
                self.usd = None if event.usd is None or self.usd is None else self.usd + Decimal(str(event.usd))
            case HoldoutScored():
                self.holdout = event
            case TimeAdded():
                self.budget_s = event.search_s
            case RunPaused():
                self.paused = True
            case RunEnded():
                self.ended, self.tool = event.status, ""
            case _:
                pass

    @property
    def left_s(self) -> float:
        return max(0.0, self.budget_s - self.searched_s)

    @property
    def cost(self) -> str:
        """Dollars, or the tokens where no price is known."""
        return f"{self.tokens:,} tokens, price unknown" if self.usd is None else f"${self.usd:.2f}"

    def line(self) -> str:
        """The status line, most important first, so that a narrow terminal cuts the least."""
        if self.ended:
            score = f"holdout {figure(self.holdout.score)}" if self.holdout else "no final score"
            return one_line(f"{self.run} · {self.ended} · {score} · {self.cost}")
        if not self.stage:
            return "no run yet · /help"
        doing = "paused" if self.paused else f"{self.role.replace('_', ' ')}{f': {self.tool}' if self.tool else ''}"
        best = f"best {figure(self.best.score)} ± {self.best.std_error:.2g}" if self.best else "no score yet"
        return one_line(f"{self.stage} · {doing} · {best} · {self.left_s:.0f} s left · {self.cost}")
