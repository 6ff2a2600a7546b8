"""The score contract and the table schema: fixed once by the host, read by everything that scores or fits."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from tools.constraints import Constraints
from tools.forecast import Forecast, Window
from tools.quantiles import MEDIAN, column_of

Task = Literal[
    "binary", "multiclass", "ordinal", "multilabel", "regression", "count", "quantile", "forecast", "survival", "cluster", "anomaly"
]
Predicts = Literal["classes", "values", "quantiles", "labels", "risk", "groups", "scores"]
"""The shape of predictions: a probability a class, a number, quantiles of one, independent probabilities of labels, a risk (who has
more of it has the event sooner), a group, a score."""
Direction = Literal["maximize", "minimize"]
ColumnKind = Literal["numeric", "boolean", "categorical", "text", "datetime"]
FoldKind = Literal["kfold", "stratified", "group", "time", "given"]

_FOLDS_OF_SPLIT: dict[str, FoldKind] = {"random": "kfold", "stratified": "stratified", "group": "group", "time": "time", "given": "given"}


_PREDICTS: dict[Task, Predicts] = {
    "binary": "classes",
    "multiclass": "classes",
    "ordinal": "classes",
    "multilabel": "labels",
    "regression": "values",
    "count": "values",
    "quantile": "quantiles",
    "forecast": "values",
    "survival": "risk",
    "cluster": "groups",
    "anomaly": "scores",
}


def predicts(task: Task) -> Predicts:
    """The shape of what is predicted in a task, which is what most code needs to know of it."""
    return _PREDICTS[task]


def one_number(task: Task) -> bool:
    """Whether a prediction is one number a row, and not one a class, label or level."""
    return predicts(task) not in ("classes", "labels", "quantiles")


def plain_numbers(task: Task) -> bool:
    """Whether the target's values are what is predicted, themselves or by their quantiles."""
    return predicts(task) in ("values", "quantiles")


class Split(BaseModel):
    """How the holdout was taken from the rows."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["random", "stratified", "group", "time", "given"]
    """`given` is what the source itself brings."""
    column: str | None = None
    """Group or time column, for the kinds that use one."""
    day_first: bool = False
    """Whether 03/04/2024 in a time column means the third of April."""
    dated: bool = False
    """Whether a time column holds dates, so that moments are seconds."""
    gap: float = 0.0
    """Of a time split: how much time must lie between what is learned from and what is predicted, in seconds where the column holds
    dates, else in its own unit. Rows in it are learned from by no fold that they come too close to, and before the holdout by none."""
    holdout_fraction: float
    seed: int


class Contract(BaseModel):
    """What a candidate must predict and how it is scored. Written once, never changed.

    Predictions are a table with one row per input row, in input order, with the columns of `prediction_columns`:
    one `proba_<class>` per class for classes, `prediction` for everything that is one number a row, for labels one
    `proba_<label>` per label, which sum to nothing in particular, and for quantiles one `q_<level>` per level, ascending in each row.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: int = 1
    task: Task
    target: str
    """Column that is predicted; of several labels, the one that `tools.labels` makes of their columns. Empty where there is none; of
    anomalies, a label that serves scoring and no fit."""
    event: str | None = None
    """Column that says whether the time in `target` ended with the event (1) or is censored (0); of survival tasks alone."""
    reference: list[str] = []
    """Columns that the host made of the features, for tasks without a target: what groups and scores are judged against."""
    metric: str
    direction: Direction
    classes: list[str] = []
    """Class labels as text, in the order of the probability columns, which of ordinal classes is their own; the labels of a
    multilabel task; else empty."""
    quantiles: list[float] = []
    """Levels of a quantile task, ascending, the median among them; else empty."""
    positive: str | None = None
    """The positive class of a binary task (always the second of `classes`)."""
    split: Split
    folds: int
    """Number of cross-validation folds over the training rows."""
    validation: FoldKind | None = None
    """How rows are dealt to the folds; None as the holdout was taken."""
    repeats: int = 1
    """How often the rows are dealt to folds anew; scores and errors are over the folds of all repeats."""
    leave_one_out: bool = False
    """Whether each row, or each group, is predicted by a model of its own that learned from all others. The folds are then only what
    is scored together."""
    given_folds: str = ""
    """Of folds that the source brings: a sign a training row, the fold's digit or small letter, `-` where no fold validates it."""
    window: Window = "expanding"
    """Of time folds: whether each learns from all earlier rows, or from as many of the latest as the first one has."""
    rows_train: int
    rows_holdout: int
    sampled_from: int | None = None
    """Rows of the source's table, where those of the training and the holdout are a sample of them; None where they are all."""
    sampled_by: str | None = None
    """The column whose values keep their shares in such a sample; None where it is a plain one."""
    features: list[str]
    seed: int
    constraints: Constraints = Constraints()
    """What every candidate keeps to."""
    forecast: Forecast | None = None
    """Series, time, horizon and covariates of a forecast; None for other tasks."""

    @property
    def predicts(self) -> Predicts:
        return predicts(self.task)

    @property
    def fold_kind(self) -> FoldKind:
        return self.validation or _FOLDS_OF_SPLIT[self.split.kind]

    @property
    def one_number(self) -> bool:
        """Whether a prediction is one number a row, and not one a class, label or level."""
        return one_number(self.task)

    @property
    def plain_numbers(self) -> bool:
        """Whether the target's values are what is predicted, themselves or by their quantiles."""
        return plain_numbers(self.task)

    @property
    def prediction_columns(self) -> list[str]:
        if self.one_number:
            return ["prediction"]
        return [column_of(level) for level in self.quantiles] or [f"proba_{label}" for label in self.classes]

    @property
    def median(self) -> int:
        """Place of the median among the quantiles."""
        return self.quantiles.index(MEDIAN)

    @property
    def answers(self) -> list[str]:
        """Columns that are no features: what predictions are scored against."""
        return [*filter(None, (self.target, self.event)), *self.reference]

    @property
    def sealed_columns(self) -> list[str]:
        """Columns of the holdout that stay in the vault: the answers, and of a forecast what nobody knows ahead."""
        return [*self.answers, *(self.forecast.past if self.forecast else [])]

    @property
    def stratum(self) -> str | None:
        """Column whose values holdout and folds hold in the table's own shares; None where there is none."""
        if self.event is not None:
            return self.event
        return self.target if self.target and self.predicts in ("classes", "scores") else None

    def better(self, a: float, b: float) -> bool:
        """Whether score `a` is strictly better than `b`."""
        return a > b if self.direction == "maximize" else a < b


class Column(BaseModel):
    """What is known of one feature column, from the training rows alone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    kind: ColumnKind
    missing: float
    """Share of missing values, 0 to 1."""
    unique: int
    """Number of distinct values, missing ones not counted."""
    day_first: bool = False
    """Whether dates such as 03/04/2024 mean the third of April, as a 13/04/2024 among the training rows tells."""


class TableSchema(BaseModel):
    """The feature columns in table order."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    columns: list[Column]

    def without(self, names: list[str]) -> TableSchema:
        return TableSchema(columns=[column for column in self.columns if column.name not in names])

    def of_kind(self, *kinds: ColumnKind) -> list[str]:
        return [column.name for column in self.columns if column.kind in kinds]
