"""The score contract and the table schema: fixed once by the host, read by everything that scores or fits."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

Task = Literal["binary", "multiclass", "regression", "count", "ordinal", "multilabel"]
Predicts = Literal["classes", "values", "labels", "risk", "groups", "scores"]
"""The shape of predictions: a probability a class, a number, independent probabilities of labels, a risk, a group, a score."""
Direction = Literal["maximize", "minimize"]
ColumnKind = Literal["numeric", "boolean", "categorical", "text", "datetime"]


_PREDICTS: dict[Task, Predicts] = {
    "binary": "classes",
    "multiclass": "classes",
    "ordinal": "classes",
    "regression": "values",
    "count": "values",
    "multilabel": "labels",
}


def predicts(task: Task) -> Predicts:
    """The shape of what is predicted in a task, which is what most code needs to know of it."""
    return _PREDICTS[task]


class Split(BaseModel):
    """How the holdout was taken from the rows."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["random", "stratified", "group", "time"]
    column: str | None = None
    """Group or time column, for the kinds that use one."""
    day_first: bool = False
    """Whether 03/04/2024 in a time column means the third of April."""
    holdout_fraction: float
    seed: int


class Contract(BaseModel):
    """What a candidate must predict and how it is scored. Written once, never changed.

    Predictions are a table with one row per input row, in input order, with the columns of `prediction_columns`:
    `prediction` for values, one `proba_<class>` per class for classes, and for labels
    one `proba_<label>` per label, which sum to nothing in particular.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: int = 1
    task: Task
    target: str
    """Column to predict; of several labels, the one that `tools.labels` makes of their columns."""
    metric: str
    direction: Direction
    classes: list[str] = []
    """Class labels as text, in the order of the probability columns, which of ordinal classes is their own; the labels of a
    multilabel task; empty for values."""
    positive: str | None = None
    """The positive class of a binary task (always the second of `classes`)."""
    split: Split
    folds: int
    """Number of cross-validation folds over the training rows."""
    rows_train: int
    rows_holdout: int
    features: list[str]
    seed: int

    @property
    def predicts(self) -> Predicts:
        return predicts(self.task)

    @property
    def prediction_columns(self) -> list[str]:
        return ["prediction"] if self.predicts == "values" else [f"proba_{label}" for label in self.classes]

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

    def of_kind(self, *kinds: ColumnKind) -> list[str]:
        return [column.name for column in self.columns if column.kind in kinds]
