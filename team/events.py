"""Everything that is said and done in a run, as one union of event types told apart by `kind`.

Console, reports, tracker and traces are views of these. Times are seconds since the epoch, durations seconds.
Changing the meaning or the order of fields means raising `SCHEMA_VERSION`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from tools.coverage import Coverage
from tools.spans import TimedSpan

SCHEMA_VERSION = 6
"""2 added `run_resumed` and `run_forked`, 3 `optimism_estimated`, 4 `calls_recovered` and `repair_asked`, 5 `user_spoken`, `role_asked`,
`run_paused`, `run_continued`, `time_added`, `approval_asked`, `approval_decided`, `constraint_added`, `objection_raised` and
`objection_answered`, 6 `work_timed`, `cost_forecast`, `budget_warned` and `resources_used`; logs of earlier versions are read as they
are."""


class _Event(BaseModel):
    model_config = ConfigDict(extra="forbid")

    seq: int = -1
    """Position in the log, from 0; set when the event is appended."""
    at: float = 0.0
    """Wall-clock time of the append, seconds since the epoch."""


class RunStarted(_Event):
    kind: Literal["run_started"] = "run_started"
    schema_version: int = SCHEMA_VERSION
    run: str
    settings: dict[str, Any]
    versions: dict[str, str]
    """Versions of Python, mlteam and the libraries that decide results."""


class RunResumed(_Event):
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


class RunForked(_Event):
    """This run began as another one's; the events before this one are that run's."""

    kind: Literal["run_forked"] = "run_forked"
    parent: str
    turn: int
    changed: dict[str, Any]
    """Settings that differ from the parent's."""


class SandboxChosen(_Event):
    kind: Literal["sandbox_chosen"] = "sandbox_chosen"
    sandbox: str
    why: str


class StageEntered(_Event):
    kind: Literal["stage_entered"] = "stage_entered"
    stage: str
    visit: int


class StageEnded(_Event):
    kind: Literal["stage_ended"] = "stage_ended"
    stage: str
    visit: int
    outcome: str
    """Which fact ended the stage, in words."""
    seconds: float
    search_seconds: float
    """Part of the seconds that counted against `--time`."""


class TurnStarted(_Event):
    kind: Literal["turn_started"] = "turn_started"
    turn: int
    role: str
    stage: str
    briefing: str


class MessageSpoken(_Event):
    kind: Literal["message_spoken"] = "message_spoken"
    turn: int
    role: str
    text: str


class TurnEnded(_Event):
    kind: Literal["turn_ended"] = "turn_ended"
    turn: int
    role: str
    status: Literal["ok", "failed"]
    seconds: float
    error: str | None = None


class ModelCalled(_Event):
    kind: Literal["model_called"] = "model_called"
    turn: int
    role: str
    provider: str
    model: str
    input_tokens: int
    output_tokens: int
    usd: float | None
    """Dollars, or None when the price is not known."""
    seconds: float
    finish_reason: str
    error: str | None = None
    cache_read_tokens: int = 0
    """Of the input tokens, those that came from a prompt cache."""
    cache_write_tokens: int = 0
    retries: int = 0
    """Requests that were made before the one that was answered; their tokens are in the counts."""
    estimated: bool = False
    """Whether the counts were told by the length of texts, since the server gave none."""


class CallsRecovered(_Event):
    """A model wrote its calls so that they had to be read out of its text, or mended."""

    kind: Literal["calls_recovered"] = "calls_recovered"
    turn: int
    role: str
    tools: list[str]
    form: str
    """How they were written: `fenced`, `bare`, `tags`, `written out`, or `mended`."""


class RepairAsked(_Event):
    """A model was told that its reply holds no call that can be made, and asked again."""

    kind: Literal["repair_asked"] = "repair_asked"
    turn: int
    role: str
    problem: str


class ToolCalled(_Event):
    kind: Literal["tool_called"] = "tool_called"
    call: str
    turn: int
    role: str
    tool: str
    where: Literal["kernel", "host"]
    arguments: dict[str, Any]


class ToolReturned(_Event):
    kind: Literal["tool_returned"] = "tool_returned"
    call: str
    tool: str
    status: Literal["ok", "refused", "error", "timeout", "died"]
    seconds: float
    search_seconds: float = 0.0
    result: dict[str, Any] | None = None
    """The validated result; None for free-form cells and for failures."""
    text: str = ""
    """What the role was shown, head and tail."""
    facts: dict[str, Any] = {}
    """What it can go on by after a call that did not work, such as which family took the kernel along."""


class ApprovalAsked(_Event):
    """A call waits for a person's word, or is refused because nobody can be asked."""

    kind: Literal["approval_asked"] = "approval_asked"
    call: str
    tool: str
    role: str
    stage: str
    what: str
    outside: bool


class ApprovalDecided(_Event):
    kind: Literal["approval_decided"] = "approval_decided"
    call: str
    tool: str
    allowed: bool
    by: str
    """Who decided: `terminal`, `chat`, `notebook`, the setting that named it, or `nobody`."""
    reason: str = ""
    key: str = ""
    """What it is a word on: the same call is not asked about again."""
    waited_s: float = 0.0


class ConstraintAdded(_Event):
    """Something must be kept from the next turn on."""

    kind: Literal["constraint_added"] = "constraint_added"
    constraints: list[dict[str, Any]]
    """As `team.constraint` knows them."""
    told: list[str]
    """The same in words."""
    excluded: list[str] = []
    """Candidates that break it, or were made from what it takes away: they do not count any more."""
    gone: list[str] = []
    """Columns that are taken out of what the sandbox sees."""
    back_to: str | None = None
    """The stage that the work goes back to, where what was done rests on what it takes away."""
    refused: str = ""
    """Why it cannot be kept; then nothing has changed."""


class CellExecuted(_Event):
    kind: Literal["cell_executed"] = "cell_executed"
    call: str
    cell: int
    """Position in `cells.jsonl`, from 0."""
    status: Literal["ok", "error", "timeout", "died"]
    seconds: float
    cause: str | None = None


class WorkTimed(_Event):
    """What took the time within a cell that has ended: fits, refits and trials, by the clock of its sandbox."""

    kind: Literal["work_timed"] = "work_timed"
    call: str
    cell: int
    spans: list[TimedSpan]
    """In the order in which they ended; those without another one above them have the cell's span as their parent."""
    left_out: int = 0
    """How many there were beside, more than are kept or none that can be read."""


class KernelChanged(_Event):
    kind: Literal["kernel_changed"] = "kernel_changed"
    change: str
    facts: dict[str, Any] = {}


class ProgressMade(_Event):
    kind: Literal["progress_made"] = "progress_made"
    call: str
    facts: dict[str, Any]


class AttemptMade(_Event):
    """A role wrote a model as code; a node of the tree of such models, see `team.solutions`."""

    kind: Literal["attempt_made"] = "attempt_made"
    name: str
    move: Literal["draft", "improve", "debug"]
    parent: str | None
    idea: str
    score: float | None = None
    std_error: float | None = None
    against: str | None = None
    gain: float | None = None
    gain_std_error: float | None = None
    real: bool = False
    lesson: str


class CandidateScored(_Event):
    """The host scored a candidate's out-of-fold predictions."""

    kind: Literal["candidate_scored"] = "candidate_scored"
    name: str
    family: str
    score: float
    std_error: float
    """Standard deviation of the fold scores over the square root of their number."""
    fold_scores: list[float]
    stage: str
    seconds: float
    """Fit time of all folds as the kernel measured it."""
    share: float = 1.0
    """Share of the rows that it was fitted on; below 1 where memory did not reach."""
    device: str = "cpu"
    """What it was fitted on, as the kernel tells: cpu or cuda."""
    decision: list[float] = []
    """One multiplier a class that decides which is called; empty for the most probable class."""
    latency_ms: float | None = None
    """Milliseconds of predicting a single row, as the kernel measured it."""
    size_mb: float | None = None
    """MB on file, as the kernel measured it."""
    disparity: dict[str, float] = {}
    """Differences between the groups of the sensitive column, by `tools.fairness`, where one was named."""


class RoundEnded(_Event):
    """One round of the optimise loop."""

    kind: Literal["round_ended"] = "round_ended"
    round: int
    gain: float
    """Improvement of the best candidate over the round, positive is better."""
    noise: float
    """Standard error of that improvement, paired over folds, corrected for training sets that overlap."""
    margin: float | None = None
    """What the improvement must exceed to be more than chance gives the best of so many; None where it was the noise."""
    candidates: int = 0
    """How many were tried in the round: trials, or finished candidates where those are more."""


class Reviewed(_Event):
    kind: Literal["reviewed"] = "reviewed"
    stage: str
    verdict: Literal["accept", "send_back"]
    findings: list[str]
    back_to: str | None = None


class ObjectionRaised(_Event):
    """The critic sent work back: the stage that gets it does not end before this is answered."""

    kind: Literal["objection_raised"] = "objection_raised"
    id: str
    stage: str
    findings: list[str]
    back_to: str


class ObjectionAnswered(_Event):
    """An objection is closed: by evidence, by a reason, or by the playbook since nobody answered it."""

    kind: Literal["objection_answered"] = "objection_answered"
    id: str
    status: Literal["evidence", "rejected", "overruled"]
    by: str
    answer: str
    evidence: list[str] = []
    """Tools whose calls went well in the turn that answered."""


class OptimismEstimated(_Event):
    """How much the cross-validated score of the candidate that was taken flatters it, as the best of many on the same folds."""

    kind: Literal["optimism_estimated"] = "optimism_estimated"
    candidate: str
    score: float
    """In cross-validation."""
    corrected: float
    """The score without the optimism."""
    optimism: float
    """In the metric's units, 0 or more."""
    candidates: int
    """How many it was the pick of. Trials that handed in no predictions are not among them, so this can be too little."""
    resamples: int


class HoldoutScored(_Event):
    kind: Literal["holdout_scored"] = "holdout_scored"
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
    intervals: list[Coverage] = []
    """Where values are predicted: how many of the holdout's lay inside the intervals around them."""
    others: dict[str, float] = {}
    """Other metrics of the same predictions, by name."""


class FellBack(_Event):
    """The playbook took over from a model, or something optional was left out."""

    kind: Literal["fell_back"] = "fell_back"
    stage: str
    role: str
    reason: str
    what: str = ""
    """What was made smaller or given up so that the run could go on: a family, a candidate, a tool, a stage, a part of a
    result. Empty where somebody else took over."""


class UserSpoken(_Event):
    """The user said something to the team; from `turn` on it stands in every briefing."""

    kind: Literal["user_spoken"] = "user_spoken"
    turn: int
    text: str


class RoleAsked(_Event):
    """The user asked a role something beside its turns, and got an answer that changes nothing."""

    kind: Literal["role_asked"] = "role_asked"
    role: str
    question: str
    answer: str


class RunPaused(_Event):
    """The run stands at a safe point because the user wants it to."""

    kind: Literal["run_paused"] = "run_paused"
    turn: int
    """The turn that is going on, or that has ended."""
    stage: str


class RunContinued(_Event):
    kind: Literal["run_continued"] = "run_continued"
    seconds: float
    """That it stood; they count as nobody's work."""


class TimeAdded(_Event):
    """The user gave the search more time."""

    kind: Literal["time_added"] = "time_added"
    seconds: float
    search_s: float
    """Seconds of search that the run has in all from here on."""


class CostForecast(_Event):
    """What the run was said to take before it began."""

    kind: Literal["cost_forecast"] = "cost_forecast"
    seconds: list[float]
    """Least and most, in all."""
    tokens: int | None
    usd: float | None
    """None where a price is not known."""
    runs: int
    """Earlier runs that it rests on."""
    probes: list[dict[str, Any]] = []
    """What a small question to each model measured, as `team.models.probing.Probe` has it."""


class BudgetWarned(_Event):
    """What models took has reached a share of a cap; told once for each share of each cap."""

    kind: Literal["budget_warned"] = "budget_warned"
    cap: Literal["max_cost", "max_tokens", "warn_cost", "warn_tokens"]
    """The setting; the first two are hard, the others only tell."""
    share: float
    """Of the cap, that was reached: 0.5, 0.75, 0.9, and 1 of a soft one."""
    spent: float
    """Dollars or tokens by then."""
    limit: float


class ResourcesUsed(_Event):
    """What the machine gave since the last event of this kind: this process and everything in the run's sandboxes."""

    kind: Literal["resources_used"] = "resources_used"
    turn: int
    role: str
    """Whose turn it was; empty outside of turns."""
    stage: str
    seconds: float
    """Of wall-clock time."""
    cpu_seconds: float
    """Of processor time, all cores added up."""
    gpu_seconds: float | None
    """Of busy graphics processors; None where that cannot be known."""
    memory_gb_seconds: float
    """Memory held, in GB of 2**30 bytes, times the seconds it was held for."""


class RunEnded(_Event):
    kind: Literal["run_ended"] = "run_ended"
    status: Literal["done", "failed", "interrupted"]
    reason: str = ""
    seconds: float
    summary: dict[str, Any] = {}


Event = Annotated[
    RunStarted
    | RunResumed
    | RunForked
    | SandboxChosen
    | StageEntered
    | StageEnded
    | TurnStarted
    | MessageSpoken
    | TurnEnded
    | ModelCalled
    | CallsRecovered
    | RepairAsked
    | ToolCalled
    | ToolReturned
    | ApprovalAsked
    | ApprovalDecided
    | ConstraintAdded
    | CellExecuted
    | WorkTimed
    | KernelChanged
    | ProgressMade
    | AttemptMade
    | CandidateScored
    | RoundEnded
    | Reviewed
    | ObjectionRaised
    | ObjectionAnswered
    | OptimismEstimated
    | HoldoutScored
    | FellBack
    | UserSpoken
    | RoleAsked
    | RunPaused
    | RunContinued
    | TimeAdded
    | CostForecast
    | BudgetWarned
    | ResourcesUsed
    | RunEnded,
    Field(discriminator="kind"),
]

EVENT: TypeAdapter[Event] = TypeAdapter(Event)
