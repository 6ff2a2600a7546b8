"""Kernel tool: fit a candidate on all training rows, predict the holdout, and describe it by its out-of-fold predictions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge, Le
from pydantic import BaseModel

from tools.candidates import Candidate, Member, load_candidate, load_oof
from tools.degradation import Degradation
from tools.extras import Extras
from tools.show import progress
from tools.spec import ToolRefused, tool
from tools.workspace import Workspace, workspace

if TYPE_CHECKING:
    import numpy as np

    from tools.deadline import Deadline
    from tools.model import FittedModel
    from tools.problem import Problem

IMPORTANT = 15
IMPORTANCE_ROWS = 2000
IMPORTANCE_COLUMNS = 40
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
    importance: list[ColumnImportance]
    importance_kind: str
    """What `importance` is measured in."""
    plots: list[str]
    fit_seconds: float
    predict_ms_per_row: float
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
    from tools.model import fit_model
    from tools.predictions import write_predictions
    from tools.problem import load_problem
    from tools.saving import save_model

    deadline = Deadline(time_s)
    space = workspace()
    record = load_candidate(space, candidate)
    problem = load_problem(space)
    try:
        with Attempts(space, "evaluate", {"candidate": candidate, "time_s": time_s}) as attempts, deadline.alarm(grace=0.25 * time_s):
            share = deadline.share(0.75 * time_s)
            model = fit_model(space, record, problem, share, attempts=attempts, after=lambda name: progress(fitted=name))
            fit_seconds = deadline.elapsed()
            holdout = space.table("holdout")
            started = time.monotonic()
            predictions = model.predict_table(holdout)
            predicting = time.monotonic() - started
    except DeadlineReached:
        raise ToolRefused(
            f"{candidate!r} could not be fitted in {time_s:g} s; give evaluate a larger time_s, or choose a lighter candidate."
        ) from None
    shutil.rmtree(space.fitted / candidate, ignore_errors=True)  # what lies there and what is scored must be one model
    path = space.predictions / f"{candidate}.parquet"
    write_predictions(path, problem.contract, predictions)
    # From here on the candidate can be scored, and what follows is worth less than that.
    extras = Extras(within_s=deadline.remaining() + max(LATE_S, 0.25 * time_s))
    extras.make("the fitted model", lambda: save_model(space.fitted / candidate, model, candidate, refitted=False), needs_mb=0)
    oof = load_oof(space, candidate, problem)
    # The deciding metric may be somebody else's function.
    metrics = extras.make("the intervals of the metrics", lambda: _metrics(problem, oof), needs_mb=0) or []
    importance, kind = extras.make("the importance of columns", lambda: _importance(model, problem, deadline)) or ([], "")
    return EvaluationResult(
        candidate=candidate,
        predictions=f"predictions/{candidate}.parquet",
        rows_predicted=len(predictions),
        metrics=metrics,
        fold_scores=record.fold_scores,
        members=record.members,
        importance=importance,
        importance_kind=kind,
        plots=_plots(extras, space, record, problem, oof, importance, kind),
        fit_seconds=round(fit_seconds, 2),
        predict_ms_per_row=round(1000 * predicting / max(1, len(predictions)), 4),
        cut_short=any(fitted.cut_short for member in model.members for fitted in member.fits),
        seconds=round(deadline.elapsed(), 2),
        degraded=extras.left_out,
    )


def _metrics(problem: Problem, oof: np.ndarray) -> list[MetricFacts]:
    from tools.metrics import METRICS, bootstrap_intervals, undefined_reason

    task, deciding = problem.contract.task, problem.contract.metric
    names = [
        deciding,
        *(
            m.name
            for m in METRICS.values()
            if task in m.tasks and m.name != deciding and not (m.same_as and problem.contract.predicts == "classes")
        ),
    ]
    y, predictions = problem.y[problem.validated], oof[problem.validated]
    names = [name for name in names if undefined_reason(name, task, y) is None]
    split = problem.contract.split
    groups = problem.X[split.column][problem.validated].astype(str).to_numpy(dtype=object).astype(str) if split.kind == "group" else None
    try:
        found = bootstrap_intervals(names, task, y, predictions, groups=groups, resamples=300, seed=problem.contract.seed)
    except ValueError:  # too few groups for that
        found = bootstrap_intervals(names, task, y, predictions, resamples=300, seed=problem.contract.seed)
    return [
        MetricFacts(metric=name, score=each.score, low=each.low, high=each.high, level=each.level)
        for name, each in zip(names, found, strict=True)
    ]


def _importance(model: FittedModel, problem: Problem, deadline: Deadline) -> tuple[list[ColumnImportance], str]:
    """Permutation importance on a sample of rows while time is left, else the models' own.

    The rows are those of the fit, so it tells what the model relies on, not what helps on unseen rows.
    """
    import time

    import numpy as np

    from tools.importance import loss_of_metric, permutation_importance

    own = [ColumnImportance(column=name, importance=round(value, 5)) for name, value in list(model.importance.items())[:IMPORTANT]]
    rng = np.random.default_rng(problem.contract.seed)
    rows = rng.permutation(problem.n_rows)[:IMPORTANCE_ROWS]
    X, y = problem.X.iloc[rows].reset_index(drop=True), problem.y[rows]
    used = list(dict.fromkeys(column.name for member in model.members for column in member.preparation.columns))
    ranked = [name for name in model.importance if name in used]
    columns = (ranked + [name for name in used if name not in ranked])[:IMPORTANCE_COLUMNS]
    started = time.monotonic()
    try:
        model.predict_table(X)
        each = time.monotonic() - started
        if each * len(columns) > min(20.0, 0.5 * deadline.remaining()):
            return own, "share of the model's own gain"
        shuffled = permutation_importance(model.predict_table, X, lambda p: loss_of_metric(problem, y, p), columns, rng)
        found = [ColumnImportance(column=name, importance=round(losses[0], 6)) for name, losses in shuffled.items()]
    except ValueError:  # the metric is undefined on the sample
        return own, "share of the model's own gain"
    found.sort(key=lambda c: -c.importance)
    return found[:IMPORTANT], f"worsening of {problem.contract.metric} when the column is shuffled"


def _plots(
    extras: Extras,
    space: Workspace,
    record: Candidate,
    problem: Problem,
    oof: np.ndarray,
    importance: list[ColumnImportance],
    kind: str,
) -> list[str]:
    from tools import plots

    rows, contract = problem.validated, problem.contract
    y, values = problem.y[rows], oof[rows]
    if contract.predicts == "values":
        kinds: dict[str, Callable[..., None]] = {"predicted-actual": plots.predicted_actual, "residuals": plots.residuals}
    elif contract.predicts == "labels":
        kinds = {}
    else:
        kinds = {
            "confusion": plots.confusion,
            "roc": plots.roc,
            "precision-recall": plots.precision_recall,
            "calibration": plots.calibration,
        }

    def draw(name: str) -> str:
        path = space.plots / f"{record.name}-{name}.png"
        if name in kinds:
            kinds[name](path, contract, y, values)
        else:
            names, heights = [c.column for c in importance], [c.importance for c in importance]
            plots.bars(path, f"What {record.name} relies on", names, heights, kind.capitalize())
        return f"plots/{path.name}"

    wanted = [*kinds, *(["importance"] if importance else [])]
    made = [extras.make(f"the plot {name!r}", lambda name=name: draw(name)) for name in wanted]  # type: ignore[misc]
    return [path for path in made if path is not None]
