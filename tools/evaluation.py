"""Kernel tool: fit a candidate on all training rows, predict the holdout, and describe it by its out-of-fold predictions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge, Le
from pydantic import BaseModel

from tools.calibration import Calibration
from tools.candidates import BEFORE, Candidate, Member, leaderboard, load_candidate, load_repeats
from tools.constraints import FLOORS
from tools.degradation import Degradation
from tools.extras import Extras
from tools.show import progress
from tools.spec import ToolRefused, tool
from tools.stack import Stack
from tools.workspace import Workspace, workspace

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from tools.model import FittedModel
    from tools.problem import Problem

IMPORTANT = 15
IMPORTANCE_ROWS, FEWEST_ROWS = 2000, 300
IMPORTANCE_COLUMNS = 40
IMPORTANCE_SHARE, LEAST_IMPORTANCE_S, MOST_IMPORTANCE_S = 0.15, 3.0, 20.0
"""Of the call's time, and seconds, that shuffling columns may take: with fewer rows where a prediction takes long."""
ESTIMATED = 2.0
"""How many times a bound the measures of a fold's fit may reach for the fit on all rows to be worth a try."""
LATE_S = 20.0
"""How much longer than its time a call may take for importance and plots, which are usually done in two seconds."""


class MetricFacts(BaseModel):
    """One metric of the out-of-fold predictions with its bootstrap interval."""

    metric: str
    score: float
    low: float
    high: float
    level: float


class ColumnImportance(BaseModel):
    """How much a column matters to the fitted model."""

    column: str
    importance: float


class EvaluationResult(BaseModel):
    """A fitted candidate. Its holdout predictions are on file; what they are worth only the host can say."""

    candidate: str
    predictions: str
    """File below the work folder that the host scores."""
    rows_predicted: int
    metrics: list[MetricFacts]
    """Of the out-of-fold predictions, the deciding metric first."""
    fold_scores: list[float]
    members: list[Member]
    stack: Stack | None = None
    """The second layer of an ensemble that has one."""
    calibration: Calibration | None = None
    """What its probabilities go through, None where that gains nothing beyond noise."""
    uncalibrated: float | None = None
    """The deciding metric of its out-of-fold predictions before that."""
    importance: list[ColumnImportance]
    importance_kind: str
    """What `importance` is measured in."""
    plots: list[str]
    fit_seconds: float
    predict_ms_per_row: float
    latency_ms: float | None = None
    """Median milliseconds of predicting a single row."""
    size_mb: float | None = None
    """MB of the fitted model on file, uncompressed."""
    cut_short: bool
    """Whether the deadline ended a fit before it was complete."""
    seconds: float
    degraded: list[Degradation] = []
    """What is missing above because it could not be made."""


@tool(where="kernel", timeout_s=1800)
def evaluate(
    candidate: Annotated[str, "Candidate to fit on all training rows."],
    time_s: Annotated[float, "Wall-clock seconds for the call.", Ge(1), Le(86400)] = 120.0,
) -> EvaluationResult:
    """Fit a candidate on all training rows, write its predictions for the holdout, and describe its out-of-fold quality with plots."""
    import shutil
    import time

    from tools.attempt import Attempts
    from tools.deadline import Deadline, DeadlineReached
    from tools.measuring import least_latency_of, size_of
    from tools.model import fit_model, grace
    from tools.predictions import write_predictions
    from tools.problem import load_problem
    from tools.saving import save_model

    deadline = Deadline(time_s)
    space = workspace()
    record = load_candidate(space, candidate)
    problem = load_problem(space)
    _check_bounds(space, record, record.latency_ms, record.size_mb, slack=ESTIMATED)
    try:
        with Attempts(space, "evaluate", {"candidate": candidate, "time_s": time_s}) as attempts, deadline.alarm(grace(time_s)):
            share, most = deadline.share(0.75 * time_s), Deadline(deadline.remaining() + grace(time_s))
            model = fit_model(space, record, problem, share, most=most, attempts=attempts, after=lambda name: progress(fitted=name))
            fit_seconds = deadline.elapsed()
            holdout = space.table("holdout")
            started = time.monotonic()
            predictions = model.predict_table(holdout)
            predicting = time.monotonic() - started
            latency_ms = least_latency_of(model.predict_table, holdout, problem.contract.constraints.max_latency_ms)
            size_mb = size_of(model)
    except DeadlineReached:
        raise ToolRefused(
            f"{candidate!r} could not be fitted in {time_s:g} s; give evaluate a larger time_s, or choose a lighter candidate."
        ) from None
    _check_bounds(space, record, latency_ms, size_mb)
    shutil.rmtree(space.fitted / candidate, ignore_errors=True)  # what lies there and what is scored must be one model
    path = space.predictions / f"{candidate}.parquet"
    write_predictions(path, problem.contract, predictions)
    # From here on the candidate can be scored, and what follows is worth less than that.
    extras = Extras(within_s=deadline.remaining() + max(LATE_S, 0.25 * time_s))
    extras.make("the fitted model", lambda: save_model(space.fitted / candidate, model, candidate, refitted=False), needs_mb=0)
    # Of the first repeat: the mean over repeats is better, and less sure of itself, than the single model that was fitted.
    oof = problem.scheme.by_repeat(load_repeats(space, candidate, problem))[0]
    # The deciding metric may be somebody else's function.
    metrics = extras.make("the intervals of the metrics", lambda: _metrics(problem, oof), needs_mb=0) or []
    row_s = predicting / max(1, len(predictions))
    within_s = min(MOST_IMPORTANCE_S, max(LEAST_IMPORTANCE_S, IMPORTANCE_SHARE * time_s), 0.5 * deadline.remaining())
    importance: list[ColumnImportance] = []
    kind = ""
    if record.family not in FLOORS:  # which relies on no column
        importance, kind = extras.make("the importance of columns", lambda: _importance(model, problem, within_s, row_s)) or ([], "")
    return EvaluationResult(
        candidate=candidate,
        predictions=f"predictions/{candidate}.parquet",
        rows_predicted=len(predictions),
        metrics=metrics,
        fold_scores=record.fold_scores,
        members=record.members,
        stack=record.stack,
        calibration=record.calibration,
        uncalibrated=_uncalibrated(space, record, problem),
        importance=importance,
        importance_kind=kind,
        plots=_plots(extras, space, record, problem, oof, importance, kind, holdout, predictions),
        fit_seconds=round(fit_seconds, 2),
        predict_ms_per_row=round(1000 * predicting / max(1, len(predictions)), 4),
        latency_ms=round(latency_ms, 4),
        size_mb=round(size_mb, 6),
        cut_short=any(fitted.cut_short for member in model.members for fitted in member.fits),
        seconds=round(deadline.elapsed(), 2),
        degraded=extras.left_out,
    )


def _check_bounds(space: Workspace, record: Candidate, latency_ms: float | None, size_mb: float | None, slack: float = 1.0) -> None:
    """Refuse a candidate that is too slow or too large for the contract, naming the nearest that is not, or nearly is not."""
    constraints = space.contract.constraints
    told = constraints.exceeded(latency_ms, size_mb, slack)
    if told is None:
        return
    others = [c for c in leaderboard(space) if c.name != record.name and c.family != "dummy" and not constraints.refuses(c.family)]
    meeting = [c for c in others if constraints.excess(c.latency_ms, c.size_mb) <= 1]
    if meeting:
        hint = f"The best that keeps to it by its folds is {meeting[0].name!r} ({space.contract.metric} {meeting[0].score:.6g})."
    elif others:
        near = min(others, key=lambda c: constraints.excess(c.latency_ms, c.size_mb))
        by = constraints.exceeded(near.latency_ms, near.size_mb)
        hint = f"No candidate keeps to it; the nearest is {near.name!r} ({space.contract.metric} {near.score:.6g}) with {by}."
    else:
        hint = "There is no other candidate."
    raise ToolRefused(f"{record.name!r} takes {told}. {hint}")


def _uncalibrated(space: Workspace, record: Candidate, problem: Problem) -> float | None:
    path = space.candidates / record.name / BEFORE
    return problem.score(load_repeats(space, record.name, problem, BEFORE)) if record.calibration and path.is_file() else None


def _metrics(problem: Problem, oof: np.ndarray) -> list[MetricFacts]:
    from tools.told_metrics import told_intervals, told_names

    contract, rows = problem.contract, problem.validated
    y, units = problem.y[rows], None if problem.units is None else problem.units[rows]
    groups = None if problem.groups is None else problem.groups[rows]
    called = problem.decide(oof)[1][rows]
    found = told_intervals(contract, told_names(contract, y), y, oof[rows], called, units, groups)
    told = [_metric_facts(name, (each.score, each.low, each.high), each.level) for name, each in found.items()]
    return told + (_of_curves(problem, oof) if contract.predicts == "risk" else [])


def _of_curves(problem: Problem, oof: np.ndarray) -> list[MetricFacts]:
    """The integrated Brier score of curves that other folds taught, and that of one curve for all rows; nothing where there is none."""
    from tools.curves import IBS, ONE_CURVE, brier_interval, cross_fitted, moments_to_score

    rows = problem.validated
    y, groups = problem.y[rows], None if problem.groups is None else problem.groups[rows]
    try:
        at = moments_to_score(y)
        curves = cross_fitted(y, oof[rows], problem.folds[rows], at)
        scored = [brier_interval(y, each, at, y, groups, seed=problem.contract.seed) for each in curves]
    except ValueError:
        return []
    return [_metric_facts(name, (each.score, each.low, each.high), each.level) for name, each in zip((IBS, ONE_CURVE), scored, strict=True)]


def _metric_facts(name: str, ends: Sequence[Any], level: float) -> MetricFacts:
    return MetricFacts(metric=name, score=ends[0], low=ends[1], high=ends[2], level=level)


def _importance(model: FittedModel, problem: Problem, within_s: float, row_s: float) -> tuple[list[ColumnImportance], str]:
    """Permutation importance on a sample of rows, as many as there is time for, else the models' own.

    The rows are those of the fit, so it tells what the model relies on, not what helps on unseen rows.

    Args:
        within_s: seconds that it may take.
        row_s: seconds that a row of a batch took to predict.
    """
    import numpy as np

    from tools.importance import loss_of_metric, permutation_importance

    own = [ColumnImportance(column=name, importance=round(value, 5)) for name, value in list(model.importance.items())[:IMPORTANT]]
    if problem.contract.forecast is not None:  # the rows of the fit are its past, and a column shuffled among moments is no covariate
        return own, "share of the model's own gain"
    used = list(dict.fromkeys(column.name for member in model.members for column in member.preparation.columns))
    ranked = [name for name in model.importance if name in used]
    columns = (ranked + [name for name in used if name not in ranked])[:IMPORTANCE_COLUMNS]
    wanted = min(IMPORTANCE_ROWS, problem.n_rows)
    most = min(wanted, int(within_s / max(1e-9, row_s * (len(columns) + 1))))
    if most < min(wanted, FEWEST_ROWS):
        return own, "share of the model's own gain"
    rng = np.random.default_rng(problem.contract.seed)
    rows = rng.permutation(problem.n_rows)[:most]
    X, y = problem.X.iloc[rows].reset_index(drop=True), problem.y[rows]
    try:
        loss = partial(loss_of_metric, problem, y, decision=model.decision)
        shuffled = permutation_importance(model.predict_table, X, loss, columns, rng)
        found = [ColumnImportance(column=name, importance=round(losses[0], 6)) for name, losses in shuffled.items()]
    except ValueError:  # the metric is undefined on the sample
        return own, "share of the model's own gain"
    found.sort(key=lambda c: -c.importance)
    return found[:IMPORTANT], f"worsening of {problem.contract.metric} when the column is shuffled among rows of the fit"


def _plots(
    extras: Extras,
    space: Workspace,
    record: Candidate,
    problem: Problem,
    oof: np.ndarray,
    importance: list[ColumnImportance],
    kind: str,
    holdout: pd.DataFrame,
    predictions: np.ndarray,
) -> list[str]:
    from tools import plots
    from tools.forecast_lines import series_shown

    rows, contract = problem.validated, problem.contract
    y, values = problem.y[rows], oof[rows]
    kinds = _kinds_of_plots(space, record, problem, oof)

    def draw(name: str) -> str:
        path = space.plots / f"{record.name}-{name}.png"
        if name == "forecast":
            plots.forecasts(path, contract.target, series_shown(problem, oof, holdout, predictions))
            return f"plots/{path.name}"
        if name in kinds:
            kinds[name](path, contract, y, values)
        else:
            names, heights = [c.column for c in importance], [c.importance for c in importance]
            plots.bars(path, f"What {record.name} relies on", names, heights, kind.capitalize())
        return f"plots/{path.name}"

    wanted = [*(["forecast"] if contract.forecast else []), *kinds, *(["importance"] if importance else [])]
    made = [extras.make(f"the plot {name!r}", lambda name=name: draw(name)) for name in wanted]  # type: ignore[misc]
    return [path for path in made if path is not None]


def _kinds_of_plots(space: Workspace, record: Candidate, problem: Problem, oof: np.ndarray) -> dict[str, Callable[..., None]]:
    """What is drawn of truth and out-of-fold predictions, by what is predicted."""
    from tools import plots
    from tools.metrics.decision import called

    contract, rows = problem.contract, problem.validated
    match contract.predicts:
        case "classes":
            before = None
            if (space.candidates / record.name / BEFORE).is_file():
                before = problem.scheme.by_repeat(load_repeats(space, record.name, problem, BEFORE))[0][rows]
            return {
                "confusion": partial(plots.confusion, codes=called(contract, problem.decide(oof)[1][rows])),
                "roc": plots.roc,
                "precision-recall": plots.precision_recall,
                "calibration": partial(plots.calibration, before=before),
            }
        case "values":
            return {"predicted-actual": plots.predicted_actual, "residuals": plots.residuals}
        case "quantiles":
            return {"predicted-actual": plots.predicted_median, "reliability": plots.quantile_reliability}
        case "risk":
            return {"survival": plots.survival_by_risk}
        case _:
            return {}
