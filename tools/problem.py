"""What every fit needs to know: the training rows in their schema, the target as numbers, the folds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.columns import coerce, label_text
from tools.contract import Contract, TableSchema
from tools.folds import Part, Validation, fit_rows, fold_ids, make_validation
from tools.labels import indicators
from tools.spec import ToolRefused
from tools.survival import null_residuals, signed_times
from tools.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd

    from tools.calibration import Calibration

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Problem:
    """A learning problem over labelled rows."""

    contract: Contract
    schema: TableSchema
    X: pd.DataFrame
    """Features in the schema's columns and dtypes, see `tools.columns.coerce`."""
    y: Array
    """Codes into `contract.classes` (int64), values or signed times (float64), shape (n,); 0 and 1 for each label
    (int64), shape (n, labels). Without a target, what predictions are
    scored against: labels (int64), shape (n,), or the contract's reference columns (float64), shape (n, d)."""
    folds: Array
    """Fold id per row, -1 for never validated; of the first repeat, where there are more."""
    validation: Validation | None = None
    """The whole of the cross-validation; None where its folds are all there is to it. Who takes rows out of a problem takes new
    folds, and leaves it out."""

    def __post_init__(self) -> None:
        if self.validation is not None and not np.array_equal(self.validation.folds[0], self.folds):
            raise ValueError("the folds are not those of the validation; a problem of other rows or folds has validation=None")

    @property
    def n_rows(self) -> int:
        return len(self.y)

    @property
    def n_classes(self) -> int:
        """Number of classes, or of labels; 0 where neither is predicted."""
        return len(self.contract.classes)

    def of_median(self) -> Problem:
        """The problem of the median alone, a number that is judged by its absolute error."""
        of_one = {"task": "regression", "quantiles": [], "metric": "mae", "direction": "minimize"}
        return replace(self, contract=self.contract.model_copy(update=of_one), validation=None)

    def of_label(self, place: int) -> Problem:
        """The problem of one label alone, of two classes: false and true."""
        of_two = {"task": "binary", "classes": ["0", "1"], "positive": "1", "metric": "roc_auc", "direction": "maximize"}
        return replace(self, contract=self.contract.model_copy(update=of_two), y=self.y[:, place])

    @cached_property
    def plain_target(self) -> Array:
        """The target as codes or numbers that go with what is predicted, shape (n,): of signed times, their residuals; without a
        target, zeros."""
        if self.contract.predicts in ("groups", "scores"):
            return np.zeros(self.n_rows)
        return null_residuals(self.y) if self.contract.predicts == "risk" else self.y

    @cached_property
    def measured_ms(self) -> dict[tuple[str, ...], float]:
        """By columns, what was measured of bringing them into the schema, see `tools.measuring`."""
        return {}

    @cached_property
    def fold_ids(self) -> list[int]:
        return fold_ids(self.folds)

    @property
    def fold_rows(self) -> int:
        """About how many rows the fit of a fold is shown, at most."""
        return round(self.n_rows * (1 - 1 / max(2, self.contract.folds)))

    @property
    def validated(self) -> Array:
        """Mask of the rows that some fold validates."""
        return self.folds >= 0

    @cached_property
    def scheme(self) -> Validation:
        return self.validation or Validation(self.contract, (self.folds,))

    @property
    def parts(self) -> list[Part]:
        """The fits of a cross-validation: one a fold, of every repeat; one a row or group under leave-one-out."""
        return self.scheme.parts

    def learn(self, fold: int) -> Array:
        """Positions of the rows that a model validated on `fold` may learn from; of the first repeat."""
        return fit_rows(self.folds, fold, self.contract, self.scheme.moments)

    def empty_oof(self) -> Array:
        """NaN in the shape of predictions out of fold: a row a repeat for each row of the table."""
        return self.empty_predictions(self.n_rows * self.scheme.repeats)

    @cached_property
    def units(self) -> Array | None:
        """What metrics need to know of each row beside truth and prediction: the unit that its error is counted in, shape (n,), or the
        levels of its quantiles, shape (n, q); None where they need nothing."""
        if self.contract.forecast is not None:
            return self.contract.forecast.units_of(self.X)
        return levels_of_rows(self.contract, self.n_rows)

    @cached_property
    def groups(self) -> Array | None:
        """What makes rows belong together, as text, shape (n,): the group column of the split, or the series; else None."""
        split, forecast = self.contract.split, self.contract.forecast
        if forecast is not None:
            return forecast.series_of(self.X).astype(str) if forecast.series else None
        if split.kind != "group" or split.column not in self.X:
            return None
        return self.X[split.column].astype(str).to_numpy(dtype=object).astype(str)

    def some(self, rows: int) -> Array:
        """Positions of about so many rows, drawn at random; of a forecast whole series, one at least."""
        rng = np.random.default_rng(0)
        if self.contract.forecast is None:
            return rng.permutation(self.n_rows)[:rows]
        _, codes, counts = np.unique(self.contract.forecast.series_of(self.X).astype(str), return_inverse=True, return_counts=True)
        order = rng.permutation(len(counts))
        taken = order[: max(1, int((np.cumsum(counts[order]) <= rows).sum()))]
        return np.flatnonzero(np.isin(codes, taken))

    def ahead(self, X: pd.DataFrame) -> pd.DataFrame:
        """Rows as they look when they are to be predicted: without the columns that nobody knows ahead."""
        hidden = self.contract.forecast.past if self.contract.forecast else []
        return X.drop(columns=[name for name in hidden if name in X])

    def empty_predictions(self, rows: int) -> Array:
        """NaN in the shape of predictions for `rows` rows."""
        return np.full(rows if self.contract.one_number else (rows, len(self.contract.prediction_columns)), np.nan)

    def calibrate(self, proba: Array) -> tuple[Calibration | None, Array]:
        """The calibration of out-of-fold predictions, of all repeats or one a row, and these calibrated, each fold's by the others."""
        from tools.corrections import calibrated

        return calibrated(self.contract, self.y, proba, self.folds)

    def decide(self, oof: Array) -> tuple[list[float], Array]:
        """How a candidate with these out-of-fold predictions calls classes, and the predictions as they are scored.

        For metrics of labels each fold's are tilted by multipliers of the other folds, see `tools.deciding.decide`; for others
        there are no multipliers and nothing changes. Predictions are those of all repeats, or one a row.
        """
        from tools.corrections import decided

        return decided(self.contract, self.y, oof, self.folds)

    def score(self, predictions: Array, rows: Array | None = None) -> float:
        """The contract's metric of predictions for all validated rows, in the mean over repeats, or for `rows` of the table alone, by the
        largest probability.

        Args:
            predictions: of all repeats, (repeats · n, k) or (repeats · n,); of the table's n rows, they are scored by themselves.

        Raises:
            ValueError: when the metric is undefined there.
        """
        if rows is None and len(predictions) != self.n_rows:
            return float(np.mean([self.score(each) for each in self.scheme.by_repeat(predictions)]))
        from tools.metrics import score

        rows = np.flatnonzero(self.validated) if rows is None else rows
        units = None if self.units is None else self.units[rows]
        return score(self.contract.metric, self.contract.task, self.y[rows], predictions[rows], units=units)

    def fold_scores(self, predictions: Array) -> list[float]:
        """One score a fold, repeat by repeat; folds on which the metric is undefined are left out."""
        scores = []
        for folds, each in zip(self.scheme.folds, self.scheme.by_repeat(predictions), strict=False):
            for fold in fold_ids(folds):
                try:
                    scores.append(self.score(each, np.flatnonzero(folds == fold)))
                except ValueError:
                    continue
        return scores


def encode_target(rows: pd.DataFrame, contract: Contract) -> Array:
    """The sealed columns of rows as codes into `contract.classes` (int64), as values or signed times (float64), shape (n,), as 0 and
    1 for each label (int64), shape (n, labels), or as the numbers of the reference columns, shape (n, d).

    Raises:
        ToolRefused: when a label is missing or no class of the contract, or a number is missing or infinite.
    """
    import pandas as pd

    if contract.reference:
        return np.column_stack([_numbers(rows[name]) for name in contract.reference])
    target = rows[contract.target]
    if contract.predicts == "scores":
        return _numbers(target).astype(np.int64)
    if contract.predicts == "labels":
        try:
            return indicators(target, contract.classes)
        except ValueError as error:
            raise ToolRefused(f"target {contract.target!r}: {error}.") from None
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


def levels_of_rows(contract: Contract, rows: int) -> Array | None:
    """The levels that each row's quantiles are predicted at, shape (rows, q), all rows alike; None where there are none."""
    levels = np.asarray(contract.quantiles)
    return np.broadcast_to(levels, (rows, len(levels))) if contract.quantiles else None


def _check_metric(name: str) -> None:
    """Tell once what every score would fail by: the host had the package when the contract was sealed."""
    from tools.metrics import find_metric
    from tools.metrics.custom import brought

    try:
        find_metric(name)
    except ValueError as error:
        here = "no package that is installed where this code runs brings it" if name not in brought() else str(error)
        cure = "docs/extending.md says where it must be."
        raise ToolRefused(f"the metric of the contract, {name!r}, cannot be used: {here}. {cure}") from None


def load_problem(space: Workspace, table: str = "train") -> Problem:
    """Read a labelled table of the workspace. `all` comes without folds: it is for the final fit alone.

    Raises:
        ToolRefused: where the metric of the contract is a package's that is not installed, or cannot be used, where this runs.
    """
    contract, schema = space.contract, space.schema
    _check_metric(contract.metric)
    frame = space.table(table)
    validation = make_validation(frame, contract) if table == "train" else None
    folds = validation.folds[0] if validation else np.full(len(frame), -1, dtype=np.int64)
    return Problem(contract, schema, coerce(frame, schema), encode_target(frame, contract), folds, validation)
