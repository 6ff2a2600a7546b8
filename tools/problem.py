"""What every fit needs to know: the training rows in their schema, the target as numbers, the folds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.contract import Contract, TableSchema
from tools.folds import fold_ids, make_folds
from tools.labels import indicators
from tools.spec import ToolRefused
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
    """Codes into `contract.classes` (int64) or values (float64), shape (n,); 0 and 1 for each label (int64), shape (n, labels)."""
    folds: Array
    """Fold id per row, -1 for never validated."""

    @property
    def n_rows(self) -> int:
        return len(self.y)

    @property
    def n_classes(self) -> int:
        """Number of classes, or of labels; 0 for values."""
        return len(self.contract.classes)

    def of_label(self, place: int) -> Problem:
        """The problem of one label alone, of two classes: false and true."""
        of_two = {"task": "binary", "classes": ["0", "1"], "positive": "1", "metric": "roc_auc", "direction": "maximize"}
        return replace(self, contract=self.contract.model_copy(update=of_two), y=self.y[:, place])

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


def encode_target(target: pd.Series, contract: Contract) -> Array:
    """The target as codes into `contract.classes` (int64), as float64, or as 0 and 1 for each label, shape (n, labels).

    Raises:
        ToolRefused: when a label is missing or no class of the contract.
    """
    import pandas as pd

    if contract.predicts == "values":
        values = pd.to_numeric(target, errors="coerce").to_numpy(dtype=np.float64)
        if not np.isfinite(values).all():
            raise ToolRefused(f"target {contract.target!r} has {(~np.isfinite(values)).sum()} values that are no finite number.")
        return values
    if contract.predicts == "labels":
        try:
            return indicators(target, contract.classes)
        except ValueError as error:
            raise ToolRefused(f"target {contract.target!r}: {error}.") from None
    codes = pd.Index(contract.classes, dtype=object).get_indexer(pd.Index(label_text(target), dtype=object)).astype(np.int64)
    if (codes < 0).any():
        strange = target[codes < 0].iloc[0]
        raise ToolRefused(
            f"target {contract.target!r} has {(codes < 0).sum()} labels outside {contract.classes[:20]}, such as {strange!r}."
        )
    return codes


def load_problem(space: Workspace, table: str = "train") -> Problem:
    """Read a labelled table of the workspace. `all` comes without folds: it is for the final fit alone."""
    contract, schema = space.contract, space.schema
    frame = space.table(table)
    folds = make_folds(frame, contract) if table == "train" else np.full(len(frame), -1, dtype=np.int64)
    return Problem(contract, schema, coerce(frame, schema), encode_target(frame[contract.target], contract), folds)
