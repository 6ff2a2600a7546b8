"""Fit a candidate fold by fold and keep what it predicts for the rows it did not see."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tools.abreast import abreast, lanes_for
from tools.alignment import as_in
from tools.candidates import Candidate, CandidateSpec, standard_error
from tools.deadline import Deadline
from tools.device import Device, asked
from tools.families import family
from tools.families.fitted import Fitted
from tools.families.setting import FitContext, Setting
from tools.folds import Part, share_of
from tools.measuring import latency_of, size_of, table_ms
from tools.preparation import Preparation
from tools.preparers import fit_prepared
from tools.problem import Problem
from tools.spans import timed

if TYPE_CHECKING:
    import pandas as pd

    from tools.families.base import Family

Array = np.ndarray[Any, np.dtype[Any]]

PILOT_ITERATIONS = 12
MOST_BAGS = 5
LENGTH_ROWS = 1000
"""Rows whose texts are measured."""


@dataclass(frozen=True)
class Evaluated:
    """A candidate's record with its out-of-fold predictions."""

    candidate: Candidate
    oof: Array
    before: Array | None = None
    """Out-of-fold predictions before they were calibrated."""
    starved: bool = False
    """Whether the fit of a fold is smaller than asked for because memory ran short."""
    off_cuda: str = ""
    """Why a fold was not fitted on a graphics processor though that was asked for."""


class PrunedTrial(Exception):
    """A search gave the candidate up after some folds."""


def threads() -> int:
    """Cores this process may use: CPU affinity, control group and OMP_NUM_THREADS, whichever is smallest."""
    from joblib import cpu_count

    limit = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    cores = int(cpu_count())
    return max(1, min(cores, int(limit)) if limit.isdigit() and int(limit) > 0 else cores)


def setting_for(problem: Problem, preparation: Preparation) -> Setting:
    """What families need to know of a problem under a preparation."""
    values, without = problem.contract.plain_numbers, problem.contract.constraints.without
    labels = problem.n_classes if problem.contract.predicts == "labels" else 0
    spread = float(problem.y.std()) if values else 0.0
    skew = float((((problem.y - problem.y.mean()) / spread) ** 3).mean()) if spread > 0 else 0.0
    return Setting(
        columns=preparation.seen,
        n_rows=problem.n_rows,
        n_classes=2 if labels else problem.n_classes,
        labels=labels,
        metric=problem.contract.metric,
        predicts=problem.contract.predicts,
        counts=problem.contract.task == "count",
        quantiles=tuple(problem.contract.quantiles),
        ordered=problem.contract.task == "ordinal",
        text=preparation.text and "texts" not in without,
        readable=problem.contract.constraints.interpretable,
        dates=preparation.dates,
        seed=problem.contract.seed,
        forecast=problem.contract.forecast,
        threads=threads(),
        device=asked(),
        monotone=dict(problem.contract.constraints.monotone),
        text_chars=sum(_mean_length(problem.X[column.name]) for column in preparation.columns if column.kind == "text"),
        target_min=float(problem.y.min()) if values else 0.0,
        target_skew=skew,
        without=without,
    )


def _mean_length(values: pd.Series) -> float:
    """Mean number of characters of a text column, missing ones counted as none."""
    return float(values.head(LENGTH_ROWS).astype("str").str.len().where(values.head(LENGTH_ROWS).notna(), 0).mean())


def evaluate_candidate(
    spec: CandidateSpec,
    problem: Problem,
    preparation: Preparation,
    deadline: Deadline,
    *,
    target: Deadline | None = None,
    pace: bool = True,
    after_fold: Callable[[int, float | None], None] | None = None,
) -> Evaluated:
    """Cross-validate one configuration over the contract's folds, in all repeats; leave-one-out has a fit for each row or group.

    A candidate is complete or it is not kept. Iterative families stop adding iterations when a fold's share of the
    time is over, which the record tells as `cut_short`; with `pace`, a short pilot fit first chooses a learning rate
    that can converge in that share, which the record's params tell.

    Args:
        deadline: must not be passed.
        target: when the evaluation should be done; iterations are shared out by it. `deadline` when left out.
        after_fold: called with the number of the fit and the score of its fold (None where undefined, and of single rows) after
            each fit; what it raises ends the evaluation.

    Raises:
        DeadlineReached: when the time was over before every fold was done.
    """
    model_family = family(spec.family)
    setting = replace(setting_for(problem, preparation), n_rows=max(1, round(spec.share * problem.n_rows)))
    params = dict(spec.params)
    target = target or deadline
    parts = problem.parts
    lanes = lanes_for(model_family, problem.fold_rows, setting, len(parts))
    waves = math.ceil(len(parts) / lanes)
    setting = replace(setting, threads=max(1, setting.threads // lanes))
    if pace and "pilot" not in setting.without and model_family.iterative and not math.isinf(target.remaining()):
        params = _paced(model_family, params, spec.share, problem, preparation, setting, target, waves)
    pooled = Pooled(spec, params, problem)
    begun = count()

    def job(part: Part) -> Callable[[Deadline], Outcome]:
        def fit(whole: Deadline) -> Outcome:
            whole.check()
            to_come = waves - next(begun) // lanes
            until = whole.share(target.remaining() * 0.93 / to_come) if model_family.iterative else whole
            return fit_part(part, spec.share, params, problem, preparation, setting, model_family, until, spec.name)

        return fit

    with closing(abreast([job(part) for part in parts], lanes, deadline)) as outcomes_in_order:
        for number, (part, outcome) in enumerate(zip(parts, outcomes_in_order, strict=True)):
            pooled.add(part, outcome)
            if after_fold is not None:
                after_fold(number, pooled.last_score())
    return pooled.evaluated()


def fit_part(
    part: Part,
    share: float,
    params: dict[str, Any],
    problem: Problem,
    preparation: Preparation,
    setting: Setting,
    model_family: Family,
    until: Deadline,
    candidate: str | None = None,
) -> Outcome:
    """One fit of a cross-validation, and what it predicts for the rows that it did not see.

    Args:
        share: of the part's rows, that the fit learns from.
        until: when an iterative family stops adding iterations.
        candidate: whose fit it is, for the trace.
    """
    X = problem.X[[column.name for column in preparation.columns]]
    learn, check = _rows(problem, part, share)
    began = time.monotonic()
    context = FitContext(deadline=until, seed=setting.seed)
    rows = problem.ahead(X.iloc[check])
    unseen = X.iloc[check], problem.y[check]
    place = {"fold": part.fold, "repeat": part.repeat, "unit": part.unit}
    with timed("fit", family=model_family.name, candidate=candidate, **place, rows=len(learn)) as timing:
        fitted = fit_prepared(model_family, preparation.preparers, X.iloc[learn], problem.y[learn], *unseen, params, setting, context)
        timing.tell(iterations=fitted.iterations, cut_short=fitted.cut_short, device=fitted.device)
    tick = time.monotonic()
    predicted = _checked(fitted.predict(rows), len(rows), problem)
    took = (tick - began, time.monotonic() - tick)
    everywhere = fitted.predict(X).astype(np.int64) if problem.contract.predicts == "groups" else None
    latency_ms = size_mb = 0.0
    if part == problem.parts[-1]:
        bags = bags_of(model_family, len(learn), problem)
        latency_ms = table_ms(problem, list(X.columns)) + bags * latency_of(fitted.predict, rows)
        size_mb = bags * size_of(fitted)
    how = How(fitted.iterations, fitted.cut_short, fitted.starved, fitted.device, fitted.off_cuda)
    return Outcome(check, predicted, *took, how, latency_ms, size_mb, everywhere)


def _checked(predicted: Array, rows: int, problem: Problem) -> Array:
    """Predictions that can be scored: what a package brings may give anything, and everything behind this takes it for granted.

    Raises:
        ValueError: naming their shape, or how many have no finite value.
    """
    wanted = problem.empty_predictions(rows).shape
    if predicted.shape != wanted:
        raise ValueError(f"the model predicts in the shape {predicted.shape}, expected {wanted}")
    if missing := int((~np.isfinite(predicted).reshape(rows, -1)).any(axis=1).sum()):
        raise ValueError(f"{missing} of {rows} predictions are missing or infinite")
    return predicted


class Pooled:
    """The fits of a cross-validation, put together as they come, in the order of its parts."""

    def __init__(self, spec: CandidateSpec, params: dict[str, Any], problem: Problem) -> None:
        self._spec, self._params, self._problem = spec, params, problem
        self._oof = problem.empty_oof()
        self._parts: list[Part] = []
        self._outcomes: list[Outcome] = []

    def add(self, part: Part, outcome: Outcome) -> None:
        self._parts.append(part)
        self._outcomes.append(outcome)
        self._of_last()[outcome.rows] = _renumbered(self._outcomes[0], outcome)

    def last_score(self) -> float | None:
        """The score of the last fit's fold; None where it is undefined, and of single rows."""
        single = self._parts[-1].unit is not None
        return None if single else _score_or_none(self._problem, self._of_last(), self._outcomes[-1].rows)

    def _of_last(self) -> Array:
        """Predictions of the repeat that the last fit is part of."""
        rows, repeat = self._problem.n_rows, self._parts[-1].repeat
        return self._oof[repeat * rows : (repeat + 1) * rows]

    def evaluated(self) -> Evaluated:
        """The candidate, once all are there."""
        outcomes = self._outcomes
        calibration, calibrated = self._problem.calibrate(self._oof)
        record = _record(self._spec, self._params, self._problem, calibrated, outcomes)
        last = outcomes[-1]
        record = record.model_copy(update={"calibration": calibration, "latency_ms": last.latency_ms, "size_mb": last.size_mb})
        off_cuda = next((outcome.how.off_cuda for outcome in outcomes if outcome.how.off_cuda), "")
        return Evaluated(record, calibrated, self._oof, any(outcome.how.starved for outcome in outcomes), off_cuda)


class How(NamedTuple):
    """What a fitted model tells of its making."""

    iterations: int | None
    cut_short: bool
    starved: bool
    device: Device
    off_cuda: str


@dataclass(frozen=True)
class Outcome:
    """What is kept of a fit: the model itself would lie in memory beside the next one."""

    rows: Array
    predicted: Array
    fitting: float
    predicting: float
    """Seconds."""
    how: How
    latency_ms: float
    size_mb: float
    """Of the model that a refit gives, 0 but for the last fold."""
    everywhere: Array | None = None
    """Numbers of the groups that it puts all rows into, int64; None where no groups are found."""


def _renumbered(first: Outcome, outcome: Outcome) -> Array:
    """What a fold predicts, groups with the numbers that the first fold gives them."""
    if first.everywhere is None or outcome.everywhere is None or first is outcome:
        return outcome.predicted
    return as_in(first.everywhere, outcome.everywhere)[outcome.predicted.astype(np.int64)].astype(np.float64)


def numbered_as(other: Fitted, fitted: Fitted, X: pd.DataFrame) -> Fitted:
    """A fit of groups with the numbers of another, by the rows that both put together."""
    renamed = as_in(other.predict(X).astype(np.int64), fitted.predict(X).astype(np.int64))
    assert fitted.renamed is not None
    return replace(fitted, renamed=renamed[fitted.renamed])


def _rows(problem: Problem, part: Part, share: float) -> tuple[Array, Array]:
    """Positions of the rows that a fit is shown, and of those that it predicts."""
    learn, check = problem.scheme.rows(part)
    return share_of(learn, share, problem.y, problem.contract), check


def _score_or_none(problem: Problem, oof: Array, rows: Array) -> float | None:
    from tools.deciding import provisional

    contract, shown = problem.contract, oof.copy()
    shown[rows] = provisional(contract.metric, contract.task, problem.y[rows], oof[rows])
    try:
        return problem.score(shown, rows)
    except ValueError:
        return None


def _record(spec: CandidateSpec, params: dict[str, Any], problem: Problem, oof: Array, outcomes: list[Outcome]) -> Candidate:
    decision, decided = problem.decide(oof)
    scores = problem.fold_scores(decided)
    return Candidate(
        name=spec.name,
        family=spec.family,
        params=params,
        preparation=spec.preparation,
        share=spec.share,
        metric=problem.contract.metric,
        score=problem.score(decided),
        std_error=standard_error(scores, problem.scheme.repeats),
        fold_scores=scores,
        n_folds=len(outcomes),
        repeats=problem.scheme.repeats,
        fit_seconds=sum(outcome.fitting for outcome in outcomes),
        predict_ms_per_row=1000 * sum(outcome.predicting for outcome in outcomes) / max(1, sum(len(outcome.rows) for outcome in outcomes)),
        iterations=[outcome.how.iterations for outcome in outcomes if outcome.how.iterations is not None],
        cut_short=any(outcome.how.cut_short for outcome in outcomes),
        device="cuda" if all(outcome.how.device == "cuda" for outcome in outcomes) else "cpu",
        decision=decision,
    )


def _paced(
    model_family: Family,
    params: dict[str, Any],
    share: float,
    problem: Problem,
    preparation: Preparation,
    setting: Setting,
    deadline: Deadline,
    waves: int,
) -> dict[str, Any]:
    """A few iterations, or steps of a network, on the first fold tell how many the deadline has room for, with `waves` fits in a row."""
    learn, check = _rows(problem, problem.parts[0], share)
    context = FitContext(deadline=deadline.share(deadline.remaining() / 8), iterations=PILOT_ITERATIONS, seed=setting.seed, probe=True)
    started = time.monotonic()
    X, y = problem.X[[column.name for column in preparation.columns]], problem.y
    unseen = X.iloc[check], y[check]
    with timed("pilot", family=model_family.name, rows=len(learn)):
        fitted = fit_prepared(model_family, preparation.preparers, X.iloc[learn], y[learn], *unseen, params, setting, context)
    if fitted.iterations is None:
        return params
    elapsed = time.monotonic() - started
    pace = fitted.pace if fitted.pace is not None else elapsed / max(1, fitted.iterations)
    setup = max(0.0, elapsed - pace * fitted.iterations)
    seconds = max(0.0, deadline.remaining() * 0.93 / waves - setup)
    return model_family.paced(params, pace, seconds, setting)


def bags_of(model_family: Family, rows: int, problem: Problem) -> int:
    """How many fits are averaged at most: one where the contract bounds what a model may take, or has no use for more."""
    constraints = problem.contract.constraints
    return 1 if constraints.bounded or "seeds" in constraints.without else min(model_family.bags, MOST_BAGS, max(1, 40_000 // max(1, rows)))
