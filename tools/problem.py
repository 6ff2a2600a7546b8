"""What every fit needs to know: the training rows in their schema, the target as numbers, the folds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.contract import Contract, TableSchema
from tools.folds import fold_ids, make_folds
from tools.spec import ToolRefused
from tools.survival import null_residuals, signed_times
from tools.tables import coerce, label_text
from tools.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Problem:
    """A learning problem over labelled rows."""

    contract: Contract
    schema: TableSchema
    X: pd.DataFrame
    """Features in the schema's columns and dtypes, see `tools.tables.coerce`."""
    y: Array
    """Codes into `contract.classes` (int64), values or signed times (float64), shape (n,). Without a target, what predictions are
    scored against: labels (int64), shape (n,), or the contract's reference columns (float64), shape (n, d)."""
    folds: Array
    """Fold id per row, -1 for never validated."""

    @property
    def n_rows(self) -> int:
        return len(self.y)

    @property
    def n_classes(self) -> int:
        """Number of classes; 0 where none are predicted."""
        return len(self.contract.classes)

    @cached_property
    def plain_target(self) -> Array:
        """The target as codes or numbers that go with what is predicted, shape (n,): of signed times, their residuals; without a
        target, zeros."""
        if self.contract.predicts in ("groups", "scores"):
            return np.zeros(self.n_rows)
        return null_residuals(self.y) if self.contract.predicts == "risk" else self.y

    @cached_property
    def fold_ids(self) -> list[int]:
        return fold_ids(self.folds)

    @property
    def fold_rows(self) -> int:
        """About how many rows the fit of a fold is shown, at most."""
        return round(self.n_rows * (1 - 1 / max(2, len(self.fold_ids))))

    @property
    def validated(self) -> Array:
        """Mask of the rows that some fold validates."""
        return self.folds >= 0

    def empty_predictions(self, rows: int) -> Array:
        """NaN in the shape of predictions for `rows` rows."""
        return np.full(rows if self.n_classes == 0 else (rows, self.n_classes), np.nan)

    def score(self, predictions: Array, rows: Array | None = None) -> float:
        """The contract's metric of predictions for all validated rows, or for `rows` of the table alone.

        Raises:
            ValueError: when the metric is undefined there.
        """
        from tools.metrics import score

        rows = np.flatnonzero(self.validated) if rows is None else rows
        return score(self.contract.metric, self.contract.task, self.y[rows], predictions[rows])

    def fold_scores(self, predictions: Array) -> list[float]:
        """One score a fold; folds on which the metric is undefined are left out."""
        scores = []
        for fold in self.fold_ids:
            try:
                scores.append(self.score(predictions, np.flatnonzero(self.folds == fold)))
            except ValueError:
                continue
        return scores


def encode_target(rows: pd.DataFrame, contract: Contract) -> Array:
    """The sealed columns of rows as codes into `contract.classes` (int64), as values or signed times (float64), shape (n,), or as
    the numbers of the reference columns, shape (n, d).

    Raises:
        ToolRefused: when a label is missing or no class of the contract, or a number is missing or infinite.
    """
    import pandas as pd

    if contract.reference:
        return np.column_stack([_numbers(rows[name]) for name in contract.reference])
    target = rows[contract.target]
    if contract.predicts == "scores":
        return _numbers(target).astype(np.int64)
    if contract.predicts != "classes":
        values = _numbers(target)
        return values if contract.event is None else signed_times(np.abs(values), _numbers(rows[contract.event]))
    codes = pd.Index(contract.classes, dtype=object).get_indexer(pd.Index(label_text(target), dtype=object)).astype(np.int64)
    if (codes < 0).any():
        strange = target[codes < 0].iloc[0]
        raise ToolRefused(
            f"target {contract.target!r} has {(codes < 0).sum()} labels outside {contract.classes[:20]}, such as {strange!r}."
        )
    return codes


def _numbers(column: pd.Series) -> Array:
    import pandas as pd

    values = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64)
    if not np.isfinite(values).all():
        raise ToolRefused(f"target {column.name!r} has {(~np.isfinite(values)).sum()} values that are no finite number.")
    return values


def load_problem(space: Workspace, table: str = "train") -> Problem:
    """Read a labelled table of the workspace. `all` comes without folds: it is for the final fit alone."""
    contract, schema = space.contract, space.schema
    frame = space.table(table)
    folds = make_folds(frame, contract) if table == "train" else np.full(len(frame), -1, dtype=np.int64)
    return Problem(contract, schema, coerce(frame, schema), encode_target(frame, contract), folds)
