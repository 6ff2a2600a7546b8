"""Fit a candidate fold by fold and keep what it predicts for the rows it did not see."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.candidates import Candidate, CandidateSpec, standard_error
from tools.deadline import Deadline
from tools.families import family
from tools.families.base import FitContext, Fitted, Setting
from tools.folds import fit_rows, share_of
from tools.measuring import latency_of, size_of, table_ms
from tools.preparation import Preparation
from tools.problem import Problem

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
    regression = problem.n_classes == 0
    spread = float(problem.y.std()) if regression else 0.0
    skew = float((((problem.y - problem.y.mean()) / spread) ** 3).mean()) if spread > 0 else 0.0
    return Setting(
        columns=preparation.columns,
        n_rows=problem.n_rows,
        n_classes=problem.n_classes,
        metric=problem.contract.metric,
        text=preparation.text,
        dates=preparation.dates,
        seed=problem.contract.seed,
        threads=threads(),
        monotone=dict(problem.contract.constraints.monotone),
        text_chars=sum(_mean_length(problem.X[column.name]) for column in preparation.columns if column.kind == "text"),
        target_min=float(problem.y.min()) if regression else 0.0,
        target_skew=skew,
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
    """Cross-validate one configuration over the contract's folds.

    A candidate is complete or it is not kept. Iterative families stop adding iterations when a fold's share of the
    time is over, which the record tells as `cut_short`; with `pace`, a short pilot fit first chooses a learning rate
    that can converge in that share, which the record's params tell.

    Args:
        deadline: must not be passed.
        target: when the evaluation should be done; iterations are shared out by it. `deadline` when left out.
        after_fold: called with the fold and its score (None where undefined) after each fold; what it raises ends
            the evaluation.

    Raises:
        DeadlineReached: when the time was over before every fold was done.
    """
    model_family = family(spec.family)
    setting = replace(setting_for(problem, preparation), n_rows=max(1, round(spec.share * problem.n_rows)))
    columns = [column.name for column in preparation.columns]
    X = problem.X[columns]
    started = time.monotonic()
    params = dict(spec.params)
    target = target or deadline
    if pace and model_family.iterative and not math.isinf(target.remaining()):
        params = _paced(model_family, params, spec.share, problem, X, setting, target)
    oof = problem.empty_predictions(problem.n_rows)
    iterations: list[int] = []
    cut_short = starved = False
    predicting = 0.0
    latency_ms = size_mb = 0.0
    for i, fold in enumerate(problem.fold_ids):
        deadline.check()
        learn, check = _rows(problem, fold, spec.share)
        share = deadline.share(target.remaining() * 0.93 / (len(problem.fold_ids) - i))
        context = FitContext(deadline=share if model_family.iterative else deadline, seed=setting.seed)
        fitted = model_family.fit(X.iloc[learn], problem.y[learn], X.iloc[check], problem.y[check], params, setting, context)
        tick = time.monotonic()
        oof[check] = fitted.predict(X.iloc[check])
        predicting += time.monotonic() - tick
        cut_short |= fitted.cut_short
        starved |= fitted.starved
        if fitted.iterations is not None:
            iterations.append(fitted.iterations)
        if i == len(problem.fold_ids) - 1:
            bags = _bags(model_family, len(learn), problem)
            latency_ms = table_ms(problem, columns) + bags * latency_of(fitted.predict, X.iloc[check])
            size_mb = bags * size_of(fitted)
        del fitted  # or it would lie in memory beside the next one
        if after_fold is not None:
            after_fold(fold, _score_or_none(problem, oof, check))
    calibration, calibrated = problem.calibrate(oof)
    record = _record(spec, params, problem, calibrated, iterations, cut_short, time.monotonic() - started, predicting)
    record = record.model_copy(update={"calibration": calibration, "latency_ms": latency_ms, "size_mb": size_mb})
    return Evaluated(record, calibrated, oof, starved)


def _rows(problem: Problem, fold: int, share: float) -> tuple[Array, Array]:
    """Positions of the rows that a fold's fit is shown, and of those that it predicts."""
    learn = share_of(fit_rows(problem.folds, fold, problem.contract), share, problem.y, problem.contract)
    return learn, np.flatnonzero(problem.folds == fold)


def _score_or_none(problem: Problem, oof: Array, rows: Array) -> float | None:
    from tools.deciding import provisional

    contract, shown = problem.contract, oof.copy()
    shown[rows] = provisional(contract.metric, contract.task, problem.y[rows], oof[rows])
    try:
        return problem.score(shown, rows)
    except ValueError:
        return None


def _record(
    spec: CandidateSpec,
    params: dict[str, Any],
    problem: Problem,
    oof: Array,
    iterations: list[int],
    cut_short: bool,
    seconds: float,
    predicting: float,
) -> Candidate:
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
        std_error=standard_error(scores),
        fold_scores=scores,
        n_folds=len(problem.fold_ids),
        fit_seconds=seconds,
        predict_ms_per_row=1000 * predicting / max(1, int(problem.validated.sum())),
        iterations=iterations,
        cut_short=cut_short,
        decision=decision,
    )


def _paced(
    model_family: Family, params: dict[str, Any], share: float, problem: Problem, X: pd.DataFrame, setting: Setting, deadline: Deadline
) -> dict[str, Any]:
    """A few iterations on the first fold tell how many the deadline has room for."""
    learn, check = _rows(problem, problem.fold_ids[0], share)
    short = {**params, "epochs": 3} if "epochs" in params else params
    context = FitContext(deadline=deadline.share(deadline.remaining() / 8), iterations=PILOT_ITERATIONS, seed=setting.seed)
    started = time.monotonic()
    fitted = model_family.fit(X.iloc[learn], problem.y[learn], X.iloc[check], problem.y[check], short, setting, context)
    if fitted.iterations is None:
        return params
    elapsed = time.monotonic() - started
    pace = fitted.pace if fitted.pace is not None else elapsed / max(1, fitted.iterations)
    setup = max(0.0, elapsed - pace * fitted.iterations)
    seconds = max(0.0, deadline.remaining() * 0.93 / len(problem.fold_ids) - setup)
    return model_family.paced(params, pace, seconds, setting)


def refit(candidate: Candidate, problem: Problem, preparation: Preparation, deadline: Deadline) -> list[Fitted]:
    """Fit a candidate's configuration on all rows of `problem`, or on its share, once or with several seeds to be averaged.

    The number of iterations is the folds' mean, raised by half of what the rows grew by, since more rows carry more
    iterations. Families that profit are fitted with up to `Family.bags` seeds, fewer on many rows, and only while
    another fit is sure to end in time.

    Raises:
        DeadlineReached: when not even one fit was done in time.
    """
    model_family = family(candidate.family)
    rows = share_of(np.arange(problem.n_rows), candidate.share, problem.y, problem.contract)
    setting = replace(setting_for(problem, preparation), n_rows=len(rows))
    X, y = problem.X[[column.name for column in preparation.columns]], problem.y
    if len(rows) < problem.n_rows:
        X, y = X.iloc[rows], y[rows]
    rounds = refit_iterations(candidate)
    bags = _bags(model_family, len(rows), problem)
    fits: list[Fitted] = []
    longest = 0.0
    for bag in range(bags):
        if bag and deadline.remaining() < 1.5 * longest:
            break
        started = time.monotonic()
        context = FitContext(deadline=deadline.share(deadline.remaining() * 0.9), iterations=rounds, seed=setting.seed + bag)
        fits.append(model_family.fit(X, y, None, None, dict(candidate.params), setting, context))
        longest = max(longest, time.monotonic() - started)
    return fits


def _bags(model_family: Family, rows: int, problem: Problem) -> int:
    """How many fits are averaged at most: one where the contract bounds what a model may take."""
    return 1 if problem.contract.constraints.bounded else min(model_family.bags, MOST_BAGS, max(1, 40_000 // max(1, rows)))


def refit_iterations(candidate: Candidate) -> int | None:
    """How many iterations a fit on all rows gets; None for families without."""
    if not candidate.iterations:
        return None
    growth = 1 + 0.5 / max(1, candidate.n_folds - 1)
    if candidate.family in ("random_forest", "extra_trees", "mlp"):
        growth = 1.0
    return max(1, round(float(np.mean(candidate.iterations)) * growth))


def average(fits: list[Fitted], X: pd.DataFrame) -> Array:
    """Mean prediction of several fits."""
    mean: Array = np.mean([fitted.predict(X) for fitted in fits], axis=0)
    return mean
