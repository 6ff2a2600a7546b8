"""Kernel tool: average candidates with weights, and find out honestly whether that helps."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge, Le
from pydantic import BaseModel

from tools.candidates import (
    CODE,
    ENSEMBLE,
    Candidate,
    CandidateFacts,
    Member,
    facts,
    families_first,
    leaderboard,
    load_candidate,
    load_repeats,
    paired_error,
    standard_error,
    write_candidate,
)
from tools.show import progress
from tools.spec import ToolRefused, tool
from tools.stack import Stack
from tools.workspace import Workspace, workspace

if TYPE_CHECKING:
    import numpy as np

    from tools.calibration import Calibration
    from tools.constraints import Constraints
    from tools.deadline import Deadline
    from tools.preparation import Preparation
    from tools.problem import Problem
    from tools.stacking import Tried

MOST_MEMBERS = 25
WORSE = 4.0
"""Standard errors over folds by which a blend must be worse than the best single candidate for that to be taken instead: so many that its
weights must be at fault, since the best of many was picked on these very folds."""
AT_LEAST = 1.5
"""Times that fitting the best candidate takes, which a blend may take too, whatever its bound."""
PROVEN = 0.5
"""Standard errors over folds that a second layer must gain, at the least, to be kept: one that gains nothing costs nothing but its time."""


class EnsembleResult(BaseModel):
    """The ensemble beside the best single candidate."""

    candidate: CandidateFacts
    members: list[Member]
    """Of the average, which has the part of the prediction that `stack` leaves."""
    best_single: str
    best_single_score: float
    gain: float
    """Mean over folds of how much better than the best single candidate it is, in the metric's units, above 0 is
    better. The weights were chosen on other folds than those that score them."""
    gain_std_error: float
    """Standard error of the gain, paired over folds."""
    real: bool
    """Whether the gain exceeds its standard error."""
    recommended: str
    """The candidate to go on with: the ensemble, unless it is worse than the best single one by more than four standard errors.
    The best of many is flattered by having been picked on these folds; the ensemble's weights never saw theirs."""
    refit_seconds: float
    """About how long fitting all members once on all rows takes, and the second layer where there is one."""
    stack: Stack | None = None
    """The second layer, where one has proved itself."""
    left_out: list[str]
    """Candidates that it does without."""
    seconds: float


@tool(where="kernel", timeout_s=600, searches=True)
def ensemble(
    candidates: Annotated[list[str] | None, "Candidates to choose from; leave out for the best 25."] = None,
    time_s: Annotated[float, "Wall-clock seconds for the call.", Ge(1), Le(3600)] = 20.0,
    refit_s: Annotated[
        float | None,
        "Seconds that fitting all members once more may take, if not half as much again as the best candidate; leave out for no limit.",
        Ge(0),
    ] = None,
) -> EnsembleResult:
    """Average candidates with greedily chosen weights, try a second layer of models over them, and compare with the best single one on
    folds that weights and layer never saw."""
    import numpy as np

    from tools.blending import cross_weighed
    from tools.deadline import Deadline
    from tools.measuring import table_ms
    from tools.problem import load_problem

    deadline = Deadline(time_s)
    space = workspace()
    problem = load_problem(space)
    if problem.contract.predicts == "groups":
        raise ToolRefused("groups cannot be averaged: their numbers mean nothing. Go on with the best candidate.")
    records = _choose(space, candidates)
    constraints = problem.contract.constraints
    if reason := constraints.refuses(ENSEMBLE):
        raise ToolRefused(f"no blend is made: {reason}.")
    # What is too much alone is too much in company; where all are, the smallest excess is left to be told of.
    fitting = [r for r in records if constraints.exceeded(r.latency_ms, r.size_mb) is None]
    records = fitting or [min(records, key=lambda r: constraints.excess(r.latency_ms, r.size_mb))]
    single, known = records[0], [record.name for record in records]
    if refit_s is not None:
        # The best one alone is what would be fitted otherwise: a blend without it, for want of its time, would save none.
        refit_s = max(refit_s, AT_LEAST * single.refit_seconds)
    said = {record.name: load_repeats(space, record.name, problem) for record in records}
    shared_ms = min(table_ms(problem, list(problem.X.columns)), min(r.latency_ms or 0.0 for r in records))
    weights, crossed = cross_weighed(np.stack(list(said.values())), problem, deadline)
    blended = list(records)
    while (heavy := _too_heavy(blended, weights, refit_s, constraints, shared_ms)) is not None:
        del blended[heavy]
        weights, crossed = cross_weighed(np.stack([said[record.name] for record in blended]), problem, deadline)
    members = [Member(name=r.name, weight=round(float(w), 6)) for r, w in zip(blended, weights, strict=True) if w > 0]
    blend = _Scored.of(crossed, problem)
    tried, layered = _second_layer(space, records, members, said, blend, problem, deadline, refit_s)
    blend, stack = layered or blend, tried.stack if tried else None
    needed = [r for r in records if r.name in {m.name for m in members} | set(stack.inputs if stack else [])]
    made = Candidate(
        name=_free_name(space, members, stack),
        family=ENSEMBLE,
        params={},
        preparation="",
        metric=problem.contract.metric,
        score=problem.score(blend.decided),
        std_error=standard_error(blend.scores, problem.scheme.repeats),
        fold_scores=blend.scores,
        n_folds=len(problem.parts),
        repeats=problem.scheme.repeats,
        fit_seconds=deadline.elapsed(),
        predict_ms_per_row=sum(r.predict_ms_per_row for r in needed),
        latency_ms=shared_ms + sum(_own_ms(r, shared_ms) for r in needed) + (tried.latency_ms if tried else 0.0),
        size_mb=sum(r.size_mb or 0.0 for r in needed) + (tried.size_mb if tried else 0.0),
        members=members,
        stack=stack,
        calibration=blend.calibration,
        decision=blend.decision,
    )
    write_candidate(space, made, problem, blend.oof, blend.crossed)
    gain, noise = blend.gain_over(single.fold_scores, problem)
    progress(candidate=made.name, score=made.score, gain=gain)
    return EnsembleResult(
        candidate=facts(made),
        members=sorted(members, key=lambda m: -m.weight),
        stack=stack,
        best_single=single.name,
        best_single_score=single.score,
        gain=gain,
        gain_std_error=noise,
        real=gain > noise and gain > 0,
        recommended=made.name if (len(members) > 1 or stack) and gain >= -WORSE * noise else single.name,
        refit_seconds=sum(r.refit_seconds for r in needed) + (stack.refit_seconds if stack else 0.0),
        left_out=[name for name in known if name not in {r.name for r in needed}],
        seconds=round(deadline.elapsed(), 2),
    )


@dataclass(frozen=True)
class _Scored:
    """Crossed predictions, and what they come to by the contract's metric."""

    crossed: np.ndarray
    calibration: Calibration | None
    oof: np.ndarray
    """The same calibrated."""
    decision: list[float]
    decided: np.ndarray
    scores: list[float]
    """One a fold."""

    @classmethod
    def of(cls, crossed: np.ndarray, problem: Problem) -> _Scored:
        calibration, oof = problem.calibrate(crossed)
        decision, decided = problem.decide(oof)
        return cls(crossed, calibration, oof, decision, decided, problem.fold_scores(decided))

    def gain_over(self, scores: list[float], problem: Problem) -> tuple[float, float]:
        """Mean over folds of how much better than others this is, above 0 is better, and its standard error."""
        if not self.scores:
            return 0.0, 0.0
        sign = 1.0 if problem.contract.direction == "maximize" else -1.0
        gain = sign * (sum(self.scores) / len(self.scores) - sum(scores) / len(self.scores))
        return gain, paired_error(self.scores, scores, problem.scheme.repeats)


def _second_layer(
    space: Workspace,
    records: list[Candidate],
    members: list[Member],
    said: dict[str, np.ndarray],
    blend: _Scored,
    problem: Problem,
    deadline: Deadline,
    refit_s: float | None,
) -> tuple[Tried | None, _Scored | None]:
    """A second layer over the candidates, and what the whole comes to; none where it proves nothing."""
    import numpy as np

    from tools.casualties import load_casualties
    from tools.deadline import DeadlineReached
    from tools.stacking import FEWEST_INPUTS, LEAST_S, READERS, choose_inputs, fit_stack, stackable

    nothing = None, None
    inputs = choose_inputs(records, [m.name for m in members], problem.n_classes, refit_s)
    if not stackable(problem) or len(inputs) < FEWEST_INPUTS or deadline.remaining() < LEAST_S:
        return nothing
    lost, constraints = load_casualties(space), problem.contract.constraints
    barred = [family for family in READERS if constraints.refuses(family) or lost.dropped(family)]
    predictions = np.stack([said[name] for name in inputs])
    try:
        read = _read(space, [record for record in records if record.name in inputs], problem)
        tried = fit_stack(predictions, blend.crossed, inputs, problem, deadline, read, barred)
        if tried is None:
            return nothing
        layered = _Scored.of(tried.mixed, problem)
        gain, noise = layered.gain_over(blend.scores, problem)
        return nothing if gain <= PROVEN * noise or gain <= 0 else (tried, layered)
    except DeadlineReached:
        return nothing


def _read(space: Workspace, inputs: list[Candidate], problem: Problem) -> Preparation | None:
    """The preparation whose columns a second layer may read: that of its best input; what a role wrote has none."""
    from tools.preparation import load_preparation

    name = next((record.preparation for record in inputs if record.family != CODE), None)
    return load_preparation(space, name, problem) if name else None


def _own_ms(record: Candidate, shared_ms: float) -> float:
    """What a member adds to the time of a single row: bringing the row into the schema is done once for all."""
    return max(0.0, (record.latency_ms or 0.0) - shared_ms)


def _too_heavy(
    records: list[Candidate], weights: np.ndarray, refit_s: float | None, constraints: Constraints, shared_ms: float
) -> int | None:
    """Position of the member that brings least for what it costs, while the members together take too long or too much; else None."""
    inside = [i for i, weight in enumerate(weights) if weight > 0]
    if len(inside) < 2:
        return None
    quickest = None if constraints.max_latency_ms is None else max(0.0, constraints.max_latency_ms - shared_ms)
    bounds = (
        (refit_s, [records[i].refit_seconds for i in inside]),
        (quickest, [_own_ms(records[i], shared_ms) for i in inside]),
        (constraints.max_size_mb, [records[i].size_mb or 0.0 for i in inside]),
    )
    for most, costs in bounds:
        if most is not None and sum(costs) > most:
            return min(zip(inside, costs, strict=True), key=lambda pair: weights[pair[0]] / max(pair[1], 1e-6))[0]
    return None


def _choose(space: Workspace, names: list[str] | None) -> list[Candidate]:
    """The candidates to weigh, the best first, ensembles left out."""
    if names is None:
        records = leaderboard(space)
    else:
        wanted = [load_candidate(space, name) for name in dict.fromkeys(names)]
        inside = [record.name for record in wanted if record.family == ENSEMBLE]
        if inside:
            raise ToolRefused(f"{', '.join(inside)} is an ensemble itself; name its members instead.")
        records = [record for record in leaderboard(space) if record in wanted]
    real = [record for record in records if record.family not in (ENSEMBLE, "dummy")]
    records = _most(real or [record for record in records if record.family == "dummy"])
    if not records:
        raise ToolRefused("there are no candidates to average; call train first.")
    return records


def _most(records: list[Candidate]) -> list[Candidate]:
    """As many as are weighed, the best of each family among them; the best first."""
    taken = {record.name for record in families_first(records)[:MOST_MEMBERS]}
    return [record for record in records if record.name in taken]


def _free_name(space: Workspace, members: list[Member], stack: Stack | None) -> str:
    """The first name that no ensemble has; one of the same members is made once more, as after a call that was cut off."""
    there = {record.name: record for record in leaderboard(space) if record.family == ENSEMBLE}
    names = (ENSEMBLE if n == 1 else f"{ENSEMBLE}-{n}" for n in count(1))
    return next(name for name in names if name not in there or (there[name].members, there[name].stack) == (members, stack))
