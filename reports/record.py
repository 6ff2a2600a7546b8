"""What the host put on record, as facts. `event` is the place in the event log that a fact rests on."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from reports.findings import Fact
from tools.coverage import Coverage
from tools.deciding import threshold


class Manifest(Fact):
    """Where the data came from."""

    source: str
    rows: int
    columns: int
    bytes: int
    sha256: str
    licence: str | None = None
    format: str | None = None
    notes: tuple[str, ...] = ()
    """What was guessed, chosen or repaired when it was read."""


class StageFact(Fact):
    """One visit of a stage; `outcome` is None while it goes on."""

    stage: str
    visit: int
    outcome: str | None
    seconds: float
    search_seconds: float
    event: int


class CandidateRow(Fact):
    """A line of the leaderboard. `event` is the place of the score in the event log."""

    name: str
    family: str
    score: float
    std_error: float
    fold_scores: tuple[float, ...]
    seconds: float
    stage: str
    share: float = 1.0
    """Share of the rows that it was fitted on."""
    decision: tuple[float, ...] = ()
    """One multiplier a class that decides which is called; empty for the most probable class."""
    latency_ms: float | None = None
    size_mb: float | None = None
    disparity: dict[str, float] = Field(default_factory=dict)
    """Between the groups of a sensitive column, by name of the measure."""
    event: int

    @property
    def threshold(self) -> float | None:
        """The probability of the second of two classes from which it is called; None without a decision, and for more classes."""
        return threshold(self.decision) if self.decision else None


class Attempt(Fact):
    """A model that a role wrote as code, and what came of it; see `team.solutions`."""

    name: str
    move: Literal["draft", "improve", "debug"]
    parent: str | None
    idea: str
    score: float | None
    std_error: float | None
    gain: float | None
    gain_std_error: float | None
    against: str | None
    real: bool
    lesson: str
    event: int


class Round(Fact):
    """A round of the optimise loop, with the families that were tuned in it."""

    round: int
    gain: float
    noise: float
    families: tuple[str, ...]
    margin: float | None = None
    """What the gain must exceed to be more than chance; None in runs that took the noise for it."""
    candidates: int = 0
    event: int

    @property
    def real(self) -> bool:
        return self.gain > (self.noise if self.margin is None else self.margin)


class Objection(Fact):
    """What the critic sent work back for, and how that was answered; `open` where the run ended before."""

    id: str
    findings: tuple[str, ...]
    back_to: str
    event: int
    status: str = "open"
    by: str = ""
    answer: str = ""
    evidence: tuple[str, ...] = ()
    answered: int | None = None


class ReviewFact(Fact):
    stage: str
    verdict: str
    findings: tuple[str, ...]
    back_to: str | None
    event: int


class Holdout(Fact):
    """The final score with its bootstrap interval."""

    candidate: str
    metric: str
    score: float
    low: float
    high: float
    level: float
    n: int
    looks: int
    groups: int | None = None
    """Number of groups that the interval resampled whole; None where it resampled rows."""
    intervals: tuple[Coverage, ...] = ()
    """Where values are predicted: how many of the holdout's lay inside the intervals around them."""
    others: dict[str, float] = Field(default_factory=dict)
    """Other metrics of the same predictions, by name."""
    other_ends: dict[str, tuple[float, float]] = Field(default_factory=dict)
    """Ends of their bootstrap intervals, of those that have one."""
    event: int


class Optimism(Fact):
    """What the cross-validated score of the candidate that was taken owes to having been picked from `candidates`."""

    candidate: str
    score: float
    corrected: float
    optimism: float
    candidates: int
    event: int


class Look(Fact):
    """A line of the vault's ledger."""

    candidate: str
    score: float
    n: int
    final: bool
    run: str | None = None
    """Another run whose look a fork inherited."""


class Fallback(Fact):
    """Somebody else took over, or the run went on with less; `what` says without what, and is empty for the first."""

    stage: str
    role: str
    reason: str
    what: str = ""
    event: int


class Package(Fact):
    """The packaged model: fitted on all rows after its score was taken, or the very model that was scored."""

    refitted: bool = True
    rows: int | None = None
    """Number of rows that it was fitted on, where it is on record."""
    beyond: int = 0
    """Rows beyond a sample, which members that take rows piece by piece were fitted on too."""
    event: int


class Grown(Fact):
    """What came of fitting the final model on all rows of a table that only a sample of was in memory."""

    rows: int = Field(0, alias="all_rows")
    """Of the whole table; 0 where all were in memory, and in older runs."""
    members: list[str] = Field([], alias="grown")
    """Those that were fitted on all of them, piece by piece."""
    event: int


class Resume(Fact):
    """A run that was cut off and went on."""

    turn: int
    stage: str
    away_s: float
    in_flight: str | None
    damage: list[str]
    event: int


class RoleTime(Fact):
    """What a role did in all its turns, and how long they took in seconds, tools included."""

    role: str
    turns: int
    calls: int
    """Of tools."""
    seconds: float


class MachineUse(Fact):
    """What the machine gave a run and its sandboxes until its documents were written: seconds; memory in GB of 2**30 bytes times hours."""

    wall_seconds: float
    cpu_seconds: float
    gpu_seconds: float | None
    """None where nobody could tell how busy they were."""
    memory_gb_hours: float


class Warned(Fact):
    """A share of a cap on models was reached; `told` says which, and what follows."""

    told: str
    event: int


class Foreseen(Fact):
    """What the run was said to take before it began: seconds, least and most."""

    low: float
    high: float
    tokens: int | None
    usd: float | None
    event: int


class ListPrice(Fact):
    """Dollars per million tokens that the calls of a model were counted by, as texts with all their digits."""

    model: str
    input: str
    output: str
    by: str
    """Which list says so; empty where the user does."""


class StageUse(Fact):
    """Calls of models in all visits of a stage. `usd` is None when the price of any call is not known."""

    stage: str
    calls: int
    input_tokens: int
    output_tokens: int
    usd: float | None
    seconds: float
    """Seconds that the models took to answer."""


class ModelUse(Fact):
    """Calls of one model by one role. `usd` is None when the price of any call is not known."""

    role: str
    model: str
    calls: int
    failed: int
    estimated: int = 0
    """Calls whose tokens were told by the length of texts, since the server counted none."""
    input_tokens: int
    output_tokens: int
    usd: float | None
    seconds: float
    """Seconds that it took to answer."""

    @property
    def program(self) -> bool:
        """Whether it is the playbook, which has no tokens and no price."""
        return self.model in ("playbook", "")
