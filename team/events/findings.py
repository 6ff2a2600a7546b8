"""What the work came to: candidates, rounds, reviews, and the look at the holdout."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from team.events.event import BaseEvent
from tools.holdout_score import HoldoutScore


class Attempt(BaseModel):
    """A model that a role wrote, and what came of it."""

    name: str
    move: Literal["draft", "improve", "debug"]
    """draft: something new; improve: a change of a candidate; debug: a failed attempt mended."""
    parent: str | None
    """What it changes or mends."""
    idea: str
    """In the role's words."""
    score: float | None = None
    """None where it could not be scored."""
    std_error: float | None = None
    against: str | None = None
    """What it is compared with: its parent, or the best candidate before it."""
    gain: float | None = None
    """How much better than that, above 0 is better, in the metric's units."""
    gain_std_error: float | None = None
    real: bool = False
    """Whether the gain is more than chance gives the best of so many attempts."""
    lesson: str
    """What to go on by, in a line."""


class AttemptMade(Attempt, BaseEvent):
    """A role wrote a model as code; a node of the tree of such models, see `team.solutions`."""

    kind: Literal["attempt_made"] = "attempt_made"


class ScoredCandidate(BaseModel):
    """A candidate whose out-of-fold predictions the host has scored."""

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
    """One multiplier a class that decides which is called, as the host found them; empty for the most probable class."""
    latency_ms: float | None = None
    """Milliseconds of predicting a single row, as the kernel measured it."""
    size_mb: float | None = None
    """MB on file, as the kernel measured it."""
    disparity: dict[str, float] = {}
    """Differences between the groups of the sensitive column, by `tools.fairness`, where one was named."""


class CandidateScored(ScoredCandidate, BaseEvent):
    """The host scored a candidate's out-of-fold predictions."""

    kind: Literal["candidate_scored"] = "candidate_scored"


class RoundEnded(BaseEvent):
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


class Reviewed(BaseEvent):
    kind: Literal["reviewed"] = "reviewed"
    stage: str
    verdict: Literal["accept", "send_back"]
    findings: list[str]
    back_to: str | None = None


class ObjectionRaised(BaseEvent):
    """The critic sent work back: the stage that gets it does not end before this is answered."""

    kind: Literal["objection_raised"] = "objection_raised"
    id: str
    stage: str
    findings: list[str]
    back_to: str


class ObjectionAnswered(BaseEvent):
    """An objection is closed: by evidence, by a reason, or by the playbook since nobody answered it."""

    kind: Literal["objection_answered"] = "objection_answered"
    id: str
    status: Literal["evidence", "rejected", "overruled"]
    by: str
    answer: str
    evidence: list[str] = []
    """Tools whose calls went well in the turn that answered."""


class OptimismEstimated(BaseEvent):
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


class HoldoutScored(HoldoutScore, BaseEvent):
    """The host looked at the holdout."""

    kind: Literal["holdout_scored"] = "holdout_scored"
