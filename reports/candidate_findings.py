"""What tools found out about the worth of candidates: metrics, tests between them, where they err, and what more rows would bring."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from reports.findings import Fact
from tools.constraints import INTERPRETABLE
from tools.tradeoffs import ALIKE

if TYPE_CHECKING:
    from reports.record import CandidateRow


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
    preparation: str | None = None
    """Whose columns it reads beside that; None for none."""


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
    decided: bool = True
    """False where the test that decides could not be made."""
    alike: tuple[str, ...] = ()
    untested: tuple[str, ...] = ()
    event: int

    def lighter(self, candidates: Iterable[CandidateRow]) -> tuple[str, ...]:
        """Of those alike, the candidates that are quicker than the leader or, where it is not, readable."""
        rows = {one.name: one for one in candidates}
        leader = rows.get(self.leader)
        if leader is None:
            return ()

        def lighter(one: CandidateRow) -> bool:
            quicker = 0 < (one.latency_ms or 0.0) * ALIKE < (leader.latency_ms or 0.0)
            return quicker or (one.family in INTERPRETABLE and leader.family not in INTERPRETABLE)

        return tuple(name for name in self.alike if name in rows and lighter(rows[name]))


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
