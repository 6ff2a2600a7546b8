"""A fitted candidate that predicts tables: what `evaluate` scores and `finish` saves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.calibration import Calibration
from tools.candidates import CODE, ENSEMBLE, Candidate, load_candidate, load_code, load_oof
from tools.columns import coerce
from tools.contract import Column, Contract, TableSchema
from tools.deadline import Deadline
from tools.families.fitted import Fitted, FittedMedian
from tools.few_rows import FEW, FewRows
from tools.preparation import Preparation, every_column, load_preparation
from tools.problem import Problem, load_problem
from tools.spans import timed
from tools.spec import ToolRefused
from tools.stack import Stack
from tools.stacking import FittedStack
from tools.tables import TableError
from tools.timeline import Irregular
from tools.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd

    from tools.attempt import Attempts

Array = np.ndarray[Any, np.dtype[Any]]

BATCH_ROWS = 100_000
GRACE, GRACE_S = 0.25, 8.0
"""What cannot be cut short may take so much of its time more, or so many seconds: a first fit in a new kernel imports its library."""
PATIENCE, PATIENCE_S = 1.5, 10.0
"""A fit that takes so many times the time there is, and so many seconds more, will not come back."""


@dataclass
class FittedMember:
    """One candidate, fitted on all rows with one or more seeds."""

    candidate: Candidate
    preparation: Preparation
    weight: float
    fits: list[Fitted]

    def predict(self, X: pd.DataFrame | FewRows) -> Array:
        """The mean of its fits, calibrated where the candidate was."""
        from tools.refitting import average

        mean = average(self.fits, X[[column.name for column in self.preparation.columns if column.name in X]])
        return self.candidate.calibration.apply(mean) if self.candidate.calibration else mean


@dataclass
class FittedModel:
    """Weighted average of fitted members, and the second layer over them where there is one."""

    contract: Contract
    schema: TableSchema
    members: list[FittedMember]
    rows: int
    """Number of rows it was fitted on."""
    calibration: Calibration | None = None
    """Of the average; members have their own."""
    decision: tuple[float, ...] = ()
    """One multiplier a class that decides which is called; empty for the most probable class."""
    last: dict[str, int] | None = None
    """Last step of each series, by key; None where nothing is forecast."""
    stack: FittedStack | None = None

    def predict_table(self, frame: pd.DataFrame) -> Array:
        """Predict rows of any table that has the columns which the members use.

        Returns:
            Probabilities (n, k) in the order of `contract.classes`, quantiles (n, q) ascending in each row, or values (n,). float64.

        Raises:
            TableError: when columns are missing.
        """
        X = coerce(frame, TableSchema(columns=self.used))
        if len(X) == 0:
            return np.empty(0) if self.contract.one_number else np.empty((0, len(self.contract.prediction_columns)))
        parts = [self._predict(X.iloc[start : start + BATCH_ROWS]) for start in range(0, len(X), BATCH_ROWS)]
        return np.concatenate(parts)

    def predict_few(self, rows: Sequence[Mapping[str, Any]]) -> Array | None:
        """What `predict_table` says of a few rows of plain values by column, without a table's own cost.

        Returns:
            As `predict_table`; None where these rows, or this model, need a table.
        """
        if self.contract.forecast is not None or not 0 < len(rows) <= FEW or (self.stack and self.stack.forests):
            return None
        X = FewRows.read(rows, self.used)
        return None if X is None else self._predict(X)

    @property
    def used(self) -> list[Column]:
        """Columns that a member asks for."""
        used = {column.name for member in self.members for column in member.preparation.columns}
        used |= set(self.stack.columns) if self.stack else set()
        used -= set(self.contract.sealed_columns)
        return [column for column in self.schema.columns if column.name in used]

    def called(self, predictions: Array, decision: Sequence[float] | None = None) -> list[str]:
        """The class, or the labels, that are called for each row of probabilities, by the model's own decision or another."""
        from tools.deciding import tilted
        from tools.labels import told
        from tools.metrics.decision import called

        several = self.contract.predicts == "labels"
        weighed = tilted(predictions, self.decision if decision is None else decision, labels=several)
        return told(weighed, self.contract.classes) if several else [self.contract.classes[code] for code in called(self.contract, weighed)]

    def refuse_beyond(self, frame: pd.DataFrame) -> None:
        """Refuse rows that lie further ahead than the model was made and measured for.

        Raises:
            TableError: naming the first such row. What else is wrong with the rows `predict_table` says.
        """
        forecast = self.contract.forecast
        if forecast is None or self.last is None or not set(forecast.keys) <= set(frame.columns):
            return
        try:
            ahead = forecast.steps_of(frame) - np.array([self.last.get(key, 0) for key in forecast.series_of(frame)], dtype=np.int64)
        except Irregular as error:
            raise TableError(str(error)) from None
        known = np.isin(forecast.series_of(frame).astype(str), list(self.last))
        if (far := known & (ahead > forecast.horizon)).any():
            row = int(far.argmax())
            raise TableError(
                f"row {row + 1} lies {int(ahead[row])} steps after the last that the model has learnt from; it was made and measured for"
                f" {forecast.horizon}. Leave such rows out, or run the team again with --horizon {int(ahead[far].max())}"
            )

    def of_median(self) -> FittedModel:
        """The median alone of a model of quantiles, as a model of values."""
        place = self.contract.median
        members = [replace(member, fits=[FittedMedian.of(fitted, place) for fitted in member.fits]) for member in self.members]
        return replace(self, contract=self.contract.model_copy(update={"task": "regression", "quantiles": []}), members=members)

    def _predict(self, X: pd.DataFrame | FewRows) -> Array:
        said = {member.candidate.name: member.predict(X) for member in self.members}
        values = np.asarray(sum(m.weight * said[m.candidate.name] for m in self.members), dtype=np.float64)
        classes = self.contract.predicts == "classes"
        if classes:
            values = values / values.sum(axis=1, keepdims=True)
        if self.stack:
            values = self.stack.mixed(values, said, None if isinstance(X, FewRows) else X)
        if self.contract.predicts == "quantiles":
            return np.sort(values, axis=1)  # which they are already but for what rounding did to an average
        if not classes:
            return values
        return self.calibration.apply(values) if self.calibration else values

    @property
    def importance(self) -> dict[str, float]:
        """Each column's share in the members' own importances, weighted; columns of members without any left out."""
        totals: dict[str, float] = {}
        for member in self.members:
            for fitted in member.fits:
                for name, share in fitted.importance.items():
                    totals[name] = totals.get(name, 0.0) + member.weight * share / len(member.fits)
        whole = sum(totals.values())
        ranked = sorted(totals.items(), key=lambda item: -item[1])
        return {name: value / whole for name, value in ranked} if whole > 0 else {}


def grace(time_s: float) -> float:
    """Seconds that a fit on all rows may go on beyond its time where it cannot be cut short."""
    return max(GRACE * time_s, GRACE_S)


def members_of(space: Workspace, candidate: Candidate) -> list[tuple[Candidate, float]]:
    """The candidates to fit with their weights: an ensemble's members, those that only its second layer asks with 0, or the candidate
    alone."""
    if candidate.family != ENSEMBLE:
        return [(candidate, 1.0)]
    weights = {member.name: member.weight for member in candidate.members}
    asked = candidate.stack.inputs if candidate.stack else []
    return [(load_candidate(space, name), weights.get(name, 0.0)) for name in dict.fromkeys([*weights, *asked])]


def _check_family(record: Candidate, problem: Problem) -> None:
    """Refuse what the contract bars, whatever a record that lies in the work folder has become since it was scored."""
    if reason := problem.contract.constraints.refuses(record.family):
        raise ToolRefused(f"{record.name!r} is a model of {record.family}: {reason}.")


def fit_model(
    space: Workspace,
    candidate: Candidate,
    problem: Problem,
    deadline: Deadline,
    *,
    most: Deadline | None = None,
    attempts: Attempts | None = None,
    after: Any = None,
    learn: Array | None = None,
    scored: FittedModel | None = None,
) -> FittedModel:
    """Fit a candidate, or each member of an ensemble, on all rows of `problem`.

    Each member gets a share of the time by what its folds took. What an iterative member cannot finish is cut short.

    Args:
        most: when members that cannot be cut short have to be done, see `grace`; None for `deadline`.
        attempts: told of each fit before it begins.
        after: called with each member's name when it is fitted.
        learn: which of the training rows `problem` holds, where it holds a part of them, int64.
        scored: the same fitted on the training rows alone, where `problem` holds further rows behind them.

    Raises:
        DeadlineReached: when a member could not be fitted at all.
        ToolFailed: when a member's own code fails.
    """
    parts = members_of(space, candidate)
    places = {part[0].name: place for place, part in enumerate(parts)}
    # Heaviest last, so that time left over by the others is its own.
    parts.sort(key=lambda part: part[0].fit_seconds)
    costs = [max(0.05, part[0].fit_seconds) for part in parts]
    last = _layer_seconds(candidate, parts)
    members = []
    for i, (record, weight) in enumerate(parts):
        _check_family(record, problem)
        share = deadline.share(deadline.remaining() * costs[i] / (sum(costs[i:]) + last))
        most_s = PATIENCE * deadline.remaining() + PATIENCE_S
        with attempts.fitting(record.spec, most_s) if attempts else nullcontext():
            members.append(_fit_member(space, record, weight, problem, share, most))
        if after is not None:
            after(record.name)
    # Seconds must not decide in which order predictions are added up, or equal runs would differ in their last digits.
    members.sort(key=lambda member: places[member.candidate.name])
    calibration = candidate.calibration if candidate.family == ENSEMBLE else None
    stack = _fit_stack(space, candidate.stack, problem, deadline, learn, scored) if candidate.stack else None
    return FittedModel(
        problem.contract, problem.schema, members, problem.n_rows, calibration, tuple(candidate.decision), last=_last(problem), stack=stack
    )


def _layer_seconds(candidate: Candidate, parts: list[tuple[Candidate, float]]) -> float:
    """What the second layer costs, on the scale on which members are told by the seconds of their folds."""
    if candidate.stack is None:
        return 0.0
    once = sum(max(0.01, part[0].refit_seconds) for part in parts)
    return candidate.stack.refit_seconds * sum(max(0.05, part[0].fit_seconds) for part in parts) / once


def _fit_stack(
    space: Workspace, stack: Stack, problem: Problem, deadline: Deadline, learn: Array | None, scored: FittedModel | None
) -> FittedStack:
    """Fit a second layer on what its inputs said of rows that they had not seen: of training rows out of fold, of those of the holdout as
    they were fitted when it was scored; where that model is gone, on the training rows alone. Arguments as of `fit_model`."""
    from tools.stacking import refit_stack

    train = load_problem(space)
    read = load_preparation(space, stack.preparation, train) if stack.preparation else None
    said = np.stack([load_oof(space, name, train) for name in stack.inputs])
    if learn is not None:
        return refit_stack(stack, said[:, learn], problem, read, deadline)
    if scored is None or problem.n_rows <= train.n_rows:
        return refit_stack(stack, said, train, read, deadline)
    fitted, beyond = {member.candidate.name: member for member in scored.members}, problem.X.iloc[train.n_rows :]
    said = np.concatenate([said, np.stack([fitted[name].predict(beyond) for name in stack.inputs])], axis=1)
    return refit_stack(stack, said, problem, read, deadline)


def _last(problem: Problem) -> dict[str, int] | None:
    from tools.panel import Panel

    if problem.contract.forecast is None:
        return None
    panel = Panel.of(problem.X, problem.y, problem.contract.forecast)
    return dict(zip(panel.keys, panel.ends.tolist(), strict=True))


def _fit_member(
    space: Workspace, record: Candidate, weight: float, problem: Problem, deadline: Deadline, most: Deadline | None
) -> FittedMember:
    if record.family == CODE:
        from tools.modelcode import fit_code

        (most or deadline).check()
        with timed("refit", family=CODE, candidate=record.name, rows=problem.n_rows):
            fitted: Fitted = fit_code(load_code(space, record), problem.ahead(problem.X).copy(), problem.y.copy(), problem.n_classes)
        return FittedMember(record, every_column(problem.schema), weight, [fitted])
    from tools.refitting import refit

    preparation = load_preparation(space, record.preparation, problem)
    return FittedMember(record, preparation, weight, refit(record, problem, preparation, deadline, most))
