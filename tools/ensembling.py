"""Kernel tool: average candidates with weights, and find out honestly whether that helps."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge, Le
from pydantic import BaseModel

from tools.candidates import (
    ENSEMBLE,
    Candidate,
    CandidateFacts,
    Member,
    facts,
    leaderboard,
    load_candidate,
    load_repeats,
    paired_error,
    standard_error,
    write_candidate,
)
from tools.show import progress
from tools.spec import ToolRefused, tool
from tools.workspace import Workspace, workspace

if TYPE_CHECKING:
    import numpy as np

    from tools.constraints import Constraints
    from tools.deadline import Deadline
    from tools.problem import Problem

MOST_MEMBERS = 25
MOST_ROWS = 20_000
"""Out-of-fold rows that decide the weights; beyond, a sample does."""


class EnsembleResult(BaseModel):
    """The ensemble beside the best single candidate."""

    candidate: CandidateFacts
    members: list[Member]
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
    """The candidate to go on with: the ensemble, unless it is worse than the best single one by more than noise. The
    best of many is flattered by having been picked on these folds; the ensemble's weights never saw theirs."""
    refit_seconds: float
    """About how long fitting all members once on all rows takes."""
    left_out: list[str]
    """Candidates that got no weight."""
    seconds: float


@tool(where="kernel", timeout_s=600, searches=True)
def ensemble(
    candidates: Annotated[list[str] | None, "Candidates to choose from; leave out for the best 25."] = None,
    time_s: Annotated[float, "Wall-clock seconds for the call.", Ge(1), Le(3600)] = 20.0,
    refit_s: Annotated[float | None, "Most seconds that fitting all members once more may take; leave out for no limit.", Ge(0)] = None,
) -> EnsembleResult:
    """Average candidates with greedily chosen weights and compare with the best single one on folds the weights never saw."""
    import numpy as np

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
    predictions = np.stack([load_repeats(space, record.name, problem) for record in records])
    weights, crossed = _fit_weights(predictions, problem, deadline)
    shared_ms = min(table_ms(problem, list(problem.X.columns)), min(r.latency_ms or 0.0 for r in records))
    while (heavy := _too_heavy(records, weights, refit_s, constraints, shared_ms)) is not None:
        records, predictions = records[:heavy] + records[heavy + 1 :], np.delete(predictions, heavy, axis=0)
        weights, crossed = _fit_weights(predictions, problem, deadline)
    calibration, oof = problem.calibrate(crossed)
    decision, decided = problem.decide(oof)
    scores = problem.fold_scores(decided)
    sign = 1.0 if problem.contract.direction == "maximize" else -1.0
    members = [Member(name=r.name, weight=round(float(w), 6)) for r, w in zip(records, weights, strict=True) if w > 0]
    made = Candidate(
        name=_free_name(space, members),
        family=ENSEMBLE,
        params={},
        preparation="",
        metric=problem.contract.metric,
        score=problem.score(decided),
        std_error=standard_error(scores, problem.scheme.repeats),
        fold_scores=scores,
        n_folds=len(problem.parts),
        repeats=problem.scheme.repeats,
        fit_seconds=deadline.elapsed(),
        predict_ms_per_row=sum(r.predict_ms_per_row for r, w in zip(records, weights, strict=True) if w > 0),
        latency_ms=shared_ms + sum(_own_ms(r, shared_ms) for r, w in zip(records, weights, strict=True) if w > 0),
        size_mb=sum(r.size_mb or 0.0 for r, w in zip(records, weights, strict=True) if w > 0),
        members=members,
        calibration=calibration,
        decision=decision,
    )
    write_candidate(space, made, problem, oof, crossed)
    gain = sign * (sum(scores) / len(scores) - sum(single.fold_scores) / len(scores)) if scores else 0.0
    noise = paired_error(scores, single.fold_scores, problem.scheme.repeats)
    progress(candidate=made.name, score=made.score, gain=gain)
    return EnsembleResult(
        candidate=facts(made),
        members=sorted(members, key=lambda m: -m.weight),
        best_single=single.name,
        best_single_score=single.score,
        gain=gain,
        gain_std_error=noise,
        real=gain > noise and gain > 0,
        recommended=made.name if len(members) > 1 and (gain > 0 or gain > -noise) else single.name,
        refit_seconds=sum(r.refit_seconds for r, w in zip(records, weights, strict=True) if w > 0),
        left_out=[name for name in known if name not in {m.name for m in members}],
        seconds=round(deadline.elapsed(), 2),
    )


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
    records = (real or [record for record in records if record.family == "dummy"])[:MOST_MEMBERS]
    if not records:
        raise ToolRefused("there are no candidates to average; call train first.")
    return records


def _fit_weights(predictions: np.ndarray, problem: Problem, deadline: Deadline) -> tuple[np.ndarray, np.ndarray]:
    """Weights over all folds of all repeats, and out-of-fold predictions whose weights were chosen on the other folds of their repeat.

    Args:
        predictions: out of fold, (m, repeats · n, k) or (m, repeats · n).
    """
    import numpy as np

    from tools.folds import fold_ids
    from tools.metrics import find_metric
    from tools.selection import by_fold, greedy_weights, loss_function, weighed_by, weighted

    task = problem.contract.task
    loss = loss_function(weighed_by(problem.contract.metric, task), task)
    ranks = find_metric(problem.contract.metric).compares_rows
    repeats, n = problem.scheme.repeats, problem.n_rows
    said, truth = predictions, np.tile(problem.y, repeats)
    if problem.units is not None and find_metric(problem.contract.metric).in_units:
        said, truth = predictions / np.tile(problem.units, repeats), truth / np.tile(problem.units, repeats)
    # Folds of different repeats are no one fold, so each gets a number of its own.
    folds = np.concatenate([np.where(f >= 0, f + r * n, -1) for r, f in enumerate(problem.scheme.folds)])
    rows, ids = np.flatnonzero(folds >= 0), fold_ids(folds)
    crossed = problem.empty_oof()

    def fit(learn: np.ndarray, share: float) -> np.ndarray:
        if len(learn) > MOST_ROWS:
            learn = np.sort(np.random.default_rng(problem.contract.seed).choice(learn, MOST_ROWS, replace=False))
        chosen = by_fold(loss, folds[learn]) if ranks else loss
        return greedy_weights(said[:, learn], truth[learn], chosen, deadline.share(share))

    weights = fit(rows, deadline.remaining() / (len(ids) + 1))
    for i, fold in enumerate(ids):
        inside = np.flatnonzero(folds == fold)
        others = rows[(rows // n == fold // n) & (folds[rows] != fold)]
        usable = len(others) > 0 and (problem.n_classes == 0 or len(np.unique(truth[others])) == len(np.unique(truth[rows])))
        chosen = fit(others, deadline.remaining() / (len(ids) - i)) if usable else weights
        crossed[inside] = weighted(predictions[:, inside], chosen)
    return weights, crossed


def _free_name(space: Workspace, members: list[Member]) -> str:
    """The first name that no ensemble has; one of the same members is made once more, as after a call that was cut off."""
    there = {record.name: record for record in leaderboard(space) if record.family == ENSEMBLE}
    names = (ENSEMBLE if n == 1 else f"{ENSEMBLE}-{n}" for n in count(1))
    return next(name for name in names if name not in there or there[name].members == members)
