"""What the tools found out, read back from their results in the event log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, model_validator

from team.events import Event, ToolReturned
from tools.understanding.findings import Understanding


class Fact(BaseModel):
    """Base of all facts. What a newer tool adds to its result is passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Plan(Fact):
    approach: str
    steps: tuple[str, ...] = ()
    families: tuple[str, ...] = ()
    risks: tuple[str, ...] = ()


class TargetShare(Fact):
    """A class with its share of the rows, or a quantile of a numeric target with its value."""

    label: str
    value: float


class ProfiledColumn(Fact):
    column: str
    kind: str
    missing: float
    """Share, 0 to 1."""
    unique: int
    low: str = ""
    middle: str = ""
    high: str = ""
    top: str = ""
    association: float | None = None
    """How well the column alone predicts the target: ROC AUC for classes, R² for numbers."""


class DataWarning(Fact):
    kind: str
    columns: tuple[str, ...] = ()
    message: str


class Profile(Fact):
    """The training table as `profile_table` saw it."""

    rows: int
    columns: int
    target_distribution: tuple[TargetShare, ...] = ()
    profiles: tuple[ProfiledColumn, ...] = ()
    not_shown: int = 0
    warnings: tuple[DataWarning, ...] = ()
    sampled_rows: int = 0
    understanding: Understanding = Understanding()
    """Gates, grades and statistics; empty in older runs."""
    event: int

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, result: dict[str, Any]) -> dict[str, Any]:
        """The tool's result has these facts beside its own."""
        found = {name: result[name] for name in Understanding.model_fields if name in result}
        return {**result, "understanding": found} if "understanding" not in result else result


class Dropped(Fact):
    column: str
    reason: str


class Preparation(Fact):
    """Which columns models see."""

    name: str
    columns_in: int
    columns_used: int
    features_out: int
    dropped: tuple[Dropped, ...] = ()
    steps: tuple[str, ...] = ()
    """Fitted inside each fold, in the order in which they run."""
    event: int


class MadeColumn(Fact):
    """A column that a step made or changed."""

    column: str
    step: int
    sources: tuple[str, ...]


class Lineage(Fact):
    """Every prepared column, back to the raw ones; see `tools.lineage`."""

    raw: tuple[str, ...]
    steps: tuple[str, ...]
    made: tuple[MadeColumn, ...]
    prepared: dict[str, tuple[str, ...]]


class TriedStep(Fact):
    step: str
    score: float | None
    gain: float
    std_error: float
    margin: float
    kept: bool
    why: str = ""


class StepsTried(Fact):
    """Steps of a preparation that were tried, and which of them gained more than chance."""

    steps: tuple[str, ...]
    tried: tuple[TriedStep, ...]
    not_tried: tuple[str, ...] = ()
    family: str
    metric: str
    before: float | None
    event: int


class Metric(Fact):
    """A metric of out-of-fold predictions with its bootstrap interval."""

    metric: str
    score: float
    low: float
    high: float
    level: float


class Importance(Fact):
    column: str
    importance: float


class Member(Fact):
    """A member of a blend."""

    name: str
    weight: float


class Stack(Fact):
    """The second layer of a blend: a model over what candidates predict."""

    family: str
    inputs: tuple[str, ...]
    share: float
    """Its part in the prediction; the average of the members has the rest."""


class Calibration(Fact):
    """What the probabilities of a candidate go through."""

    kind: Literal["temperature", "sigmoid", "isotonic"]
    scale: float = 1.0
    """Factor of their logarithms: the inverse of the temperature."""
    shift: tuple[float, ...] = ()
    knots: tuple[tuple[float, float], ...] = ()


class Evaluation(Fact):
    """A candidate described by its out-of-fold predictions and its fit on all training rows."""

    candidate: str
    metrics: tuple[Metric, ...] = ()
    members: tuple[Member, ...] = ()
    stack: Stack | None = None
    calibration: Calibration | None = None
    uncalibrated: float | None = None
    """The deciding metric before that."""
    importance: tuple[Importance, ...] = ()
    importance_kind: str = ""
    predict_ms_per_row: float | None = None
    event: int


class Slice(Fact):
    """Part of the table where a candidate errs more than elsewhere, by rows that had no part in finding it."""

    conditions: tuple[str, ...]
    rows: int
    share: float
    """Of all validated rows, 0 to 1."""
    loss: float
    loss_elsewhere: float
    low: float
    high: float
    """95 % interval of the difference."""
    p_value: float
    score: float | None = None


class Slices(Fact):
    """What `find_slices` found out about a candidate."""

    candidate: str
    loss: str
    rows_tested: int
    loss_overall: float
    score_overall: float | None = None
    looked_at: int
    tested: int
    level: float
    slices: tuple[Slice, ...] = ()
    event: int


class StandingTest(Fact):
    test: str
    over: str
    p_corrected: float | None = None


class Rival(Fact):
    """A candidate beside the leader; `p` is corrected."""

    name: str
    score: float
    p: float | None = None
    apart: bool
    tests: tuple[StandingTest, ...] = ()

    def p_of(self, *tests: str) -> float | None:
        """Corrected p of the first of these tests over rows that was made."""
        made = {test.test: test.p_corrected for test in self.tests if test.over == "rows"}
        return next((made[test] for test in tests if test in made), None)


class Standings(Fact):
    """Which candidates can be told apart from the leader, by `compare_models`."""

    leader: str
    level: float
    correction: str
    pairs: int
    rivals: tuple[Rival, ...]
    alike: tuple[str, ...] = ()
    untested: tuple[str, ...] = ()
    event: int


class NestedPick(Fact):
    fold: int
    family: str
    inner: float
    outer: float | None = None


class Nested(Fact):
    """What a search is worth on rows that had no part in it, by `nested_score`."""

    families: tuple[str, ...]
    folds: int
    folds_in_all: int
    nested: float
    std_error: float
    flat: float
    optimism: float
    estimated: float | None = None
    picks: tuple[NestedPick, ...] = ()
    event: int


class CurvePoint(Fact):
    rows: int
    score: float
    std_error: float


class LearningCurve(Fact):
    """Whether more rows would help, by `learning_curve`."""

    candidate: str
    fitted: str
    points: tuple[CurvePoint, ...]
    folds: int
    doubled: float
    gain: float
    low: float
    high: float
    level: float
    noise: float
    verdict: Literal["likely", "hardly", "unclear"]
    event: int


class ColumnReliance(Fact):
    column: str
    importance: float | None = None
    std_error: float | None = None
    contribution: float | None = None


class Part(Fact):
    column: str
    value: str
    contribution: float


class Example(Fact):
    """One prediction taken apart: base, parts and rest add up to the score."""

    row: int
    why: str
    unseen: bool
    actual: str
    predicted: str
    output: str = ""
    score: float
    base: float
    parts: tuple[Part, ...]
    rest: float


class Rule(Fact):
    conditions: tuple[str, ...]
    group: int
    share: float
    right: float | None


class Explanation(Fact):
    """What a candidate relies on, by `explain`."""

    candidate: str
    unseen: bool
    rows: int
    metric: str = ""
    """What importance is a worsening of; empty in older runs, where it is the contract's."""
    reliance: tuple[ColumnReliance, ...] = ()
    not_shown: int = 0
    method: Literal["exact", "sampled"]
    scale: str
    examples: tuple[Example, ...] = ()
    rules: tuple[Rule, ...] = ()
    fidelity: float | None = None
    fidelity_floor: float | None = None
    event: int


class Difference(Fact):
    column: str
    here: str
    elsewhere: str
    size: float


class Group(Fact):
    name: str
    rows: int
    share: float
    differs: tuple[Difference, ...] = ()


class Structure(Fact):
    """What groups or anomalies are, by `examine_structure`."""

    candidate: str
    predicts: Literal["groups", "scores"]
    groups: tuple[Group, ...] = ()
    stability: float
    stability_std: float
    chance: float
    pairs: int
    score: float | None = None
    null_mean: float | None = None
    null_highest: float | None = None
    nulls: int = 0
    verdict: str
    event: int


class Skipped(Fact):
    """A candidate that was not trained, and why."""

    name: str
    reason: str


def last_result(events: Sequence[Event], tool: str, **having: Any) -> tuple[int, dict[str, Any]] | None:
    """The last good result of `tool` whose fields equal `having`, after the number of its event."""
    for event in reversed(events):
        if isinstance(event, ToolReturned) and event.tool == tool and event.status == "ok" and event.result is not None:
            result = event.result
            if all(result.get(key) == value for key, value in having.items()):
                return event.seq, result
    return None


def read_skipped(events: Sequence[Event]) -> tuple[Skipped, ...]:
    """Candidates that searches left out, each once, with the last reason."""
    found: dict[str, Skipped] = {}
    for event in events:
        if isinstance(event, ToolReturned) and event.result is not None and isinstance(event.result.get("skipped"), list):
            for entry in event.result["skipped"]:
                skipped = Skipped.model_validate(entry)
                found[skipped.name] = skipped
    return tuple(found.values())
