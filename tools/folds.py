"""Cross-validation folds from the contract: the same for every candidate, seed and process."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.contract import Contract
from tools.given_split import SIGNS
from tools.label_folds import dealt_by_label
from tools.labels import indicators
from tools.strata import strata

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Part:
    """One fit of a cross-validation: the rows that it predicts are those of a fold, or a single one of its rows or groups."""

    repeat: int
    fold: int
    unit: int | None = None
    """The row or group that is left out alone, under leave-one-out."""


@dataclass(frozen=True)
class Validation:
    """Which rows each fit of a cross-validation learns from, and which it predicts.

    Predictions out of fold are one table of all repeats: those of the second follow those of the first, row by row.
    """

    contract: Contract
    folds: tuple[Array, ...]
    """Fold id of each row, shape (n,), for each repeat; -1 for rows that no fold validates."""
    moments: Array | None = None
    """Time of each row, shape (n,), under a time split: seconds of dates, else the column's own numbers; missing ones come first. Of a
    forecast the backtest that the row's horizon is, whether its series takes part or not."""
    units: Array | None = None
    """What is left out alone under leave-one-out: the row's own position, or the code of its group, shape (n,)."""

    @property
    def repeats(self) -> int:
        return len(self.folds)

    @property
    def parts(self) -> list[Part]:
        """All fits, repeat by repeat, fold by fold."""
        found = []
        for repeat, folds in enumerate(self.folds):
            for fold in fold_ids(folds):
                alone = [None] if self.units is None else [int(unit) for unit in np.unique(self.units[folds == fold])]
                found += [Part(repeat, fold, unit) for unit in alone]
        return found

    def rows(self, part: Part) -> tuple[Array, Array]:
        """Positions of the rows that a fit may learn from, and of those that it predicts."""
        folds = self.folds[part.repeat]
        if part.unit is not None and self.units is not None:
            return np.flatnonzero(self.units != part.unit), np.flatnonzero(self.units == part.unit)
        return fit_rows(folds, part.fold, self.contract, self.moments), np.flatnonzero(folds == part.fold)

    def by_repeat(self, predictions: Array) -> list[Array]:
        """Predictions out of fold, (repeats · n, ...), repeat by repeat; of n rows they are those of the first."""
        n = len(self.folds[0])
        return [predictions[start : start + n] for start in range(0, len(predictions), n)]

    def averaged(self, predictions: Array) -> Array:
        """One prediction a row: the mean over repeats, (n, k) or (n,)."""
        mean: Array = np.mean(self.by_repeat(predictions), axis=0)
        return mean


def make_validation(train: pd.DataFrame, contract: Contract) -> Validation:
    """The contract's cross-validation of the training rows, as they lie in `train.parquet`: the same in every process.

    Raises:
        KeyError: when the column of a group or time split is not in the table.
    """
    folds = tuple(make_folds(train, contract, repeat) for repeat in range(contract.repeats))
    units = None
    if contract.leave_one_out:
        units = np.arange(len(train)) if contract.fold_kind != "group" else _codes(train[contract.split.column].astype(str))
    moments = None
    if contract.forecast is not None:
        moments = contract.folds - 1.0 - contract.forecast.blocks_of(train)
    elif contract.fold_kind == "time":
        moments = _moments(train, contract)
    return Validation(contract, folds, moments, units)


def make_folds(train: pd.DataFrame, contract: Contract, repeat: int = 0) -> Array:
    """Fold id of each training row, shape (n,), int64; -1 for rows that no fold validates. See `_dealt` for how, and what it raises."""
    folds = _dealt(train, contract, repeat)
    return np.where(folds == folds.max(), 0, -1) if "folds" in contract.constraints.without else folds


def _dealt(train: pd.DataFrame, contract: Contract, repeat: int) -> Array:
    """Fold id of each training row, shape (n,), int64; -1 for rows that no fold validates.

    `stratified` deals each class evenly (of survival, events and censored rows), so that one of few rows is spread over as many
    folds as it has rows, labels by `tools.label_folds`, and numbers by their size; `kfold` deals shuffled rows; `group` keeps each
    value of the split's column in one fold; `time` cuts the rows, in order of the split's column, into `contract.folds + 1` blocks of
    which the first is never validated, or, where the window slides, into twice as many blocks as folds, of which the first half is not.
    The folds of a forecast are its last horizons, series by series, of those that have a past. `given` folds are those of the contract.

    Args:
        train: the training rows with the target, as they lie in `train.parquet`.
        repeat: which dealing, from 0; folds in order of time are the same in each.

    Raises:
        KeyError: when the column of a group or time split is not in the table.
    """
    rng = np.random.default_rng([contract.seed, repeat] if repeat else contract.seed)
    n, k, kind = len(train), contract.folds, contract.fold_kind
    if contract.forecast is not None:
        return contract.forecast.folds_of(train, k)
    if kind == "given":
        return np.array([SIGNS.find(sign) for sign in contract.given_folds], dtype=np.int64)
    if kind == "time":
        return _time_folds(_moments(train, contract), k, k if contract.window == "sliding" else 1)
    labels = np.zeros(n, dtype=np.int64)
    if contract.stratum is not None:
        labels = _codes(train[contract.stratum])
    if kind == "group":
        return _group_folds(_codes(train[contract.split.column].astype(str)), labels, k, rng, shuffled=repeat > 0)
    if kind == "stratified" and contract.predicts == "labels":
        return dealt_by_label(indicators(train[contract.target], contract.classes), k, rng)
    if kind == "kfold":
        labels = np.zeros(n, dtype=np.int64)
    elif contract.plain_numbers:
        labels = (train[contract.target].rank(method="first").to_numpy().astype(np.int64) - 1) // k
    order = rng.permutation(n)
    order = order[np.argsort(labels[order], kind="stable")]
    folds = np.empty(n, dtype=np.int64)
    folds[order] = np.arange(n) % k
    return folds


def fit_rows(folds: Array, fold: int, contract: Contract, moments: Array | None = None) -> Array:
    """Positions of the rows that a model validated on `fold` may learn from: for time folds the earlier ones alone.

    Args:
        moments: time of each row, see `Validation`; needed where there is a gap or the window slides.

    Raises:
        ValueError: when they are needed and not given.
    """
    if contract.fold_kind != "time":
        return np.flatnonzero(folds != fold)
    if contract.forecast is not None and moments is not None:
        return np.flatnonzero(moments < moments[folds == fold].min())
    if contract.split.gap == 0 and contract.window == "expanding":
        return np.flatnonzero(folds < fold)
    if moments is None:
        raise ValueError("a gap or a sliding window needs the moments of the rows; take the rows from Problem.learn")
    known = np.flatnonzero(moments < moments[folds == fold].min() - contract.split.gap)
    if contract.window == "sliding":
        # As many rows as the first fold learns from; rows of one moment are not parted.
        size = int((moments < moments[folds == fold_ids(folds)[0]].min() - contract.split.gap).sum())
        known = known[moments[known] >= np.sort(moments[known])[-size]] if size < len(known) and size > 0 else known
    return known


def rows_ratio(folds: Array, contract: Contract, moments: Array | None = None) -> float:
    """Rows that a fold validates over rows that its model learns from, in the mean over folds."""
    ids = fold_ids(folds)
    return sum((folds == fold).sum() for fold in ids) / sum(len(fit_rows(folds, fold, contract, moments)) for fold in ids)


def share_of(rows: Array, share: float, y: Array, contract: Contract) -> Array:
    """A share of `rows`, in their order: drawn at random, and from every stratum alike, so that none is lost.

    Args:
        rows: positions of rows.
        share: above 0, at most 1.
        y: class codes or values of the whole table.
    """
    if share >= 1:
        return rows
    order = np.random.default_rng(contract.seed).permutation(rows)
    if contract.stratum is None:
        return np.sort(order[: max(2, round(share * len(rows)))])
    codes = strata(contract.task, y)
    parts = [order[codes[order] == code] for code in np.unique(codes[rows])]
    return np.sort(np.concatenate([part[: math.ceil(share * len(part))] for part in parts]))


def fold_ids(folds: Array) -> list[int]:
    """The folds that have rows, ascending."""
    return [int(fold) for fold in np.unique(folds) if fold >= 0]


def _codes(values: pd.Series) -> Array:
    """Integer codes by sorted text, so that they do not depend on the order of rows."""
    return np.unique(values.astype(str).to_numpy(dtype=object).astype(str), return_inverse=True)[1].astype(np.int64)


def _group_folds(groups: Array, labels: Array, k: int, rng: np.random.Generator, *, shuffled: bool) -> Array:
    """Give each group, the largest first, to the fold whose class shares it fills most evenly.

    Args:
        shuffled: whether groups of like size change places, or all repeats would deal groups of different sizes alike.
    """
    table = np.zeros((groups.max() + 1, labels.max() + 1))
    np.add.at(table, (groups, labels), 1)
    shares = table / np.maximum(table.sum(axis=0), 1)
    order = rng.permutation(len(table))
    sizes = table[order].sum(axis=1) * (rng.uniform(0.5, 1.5, len(table)) if shuffled else 1.0)
    order = order[np.argsort(-sizes, kind="stable")]
    filled = np.zeros((k, shares.shape[1]))
    chosen = np.empty(len(table), dtype=np.int64)
    for group in order:
        growth = ((filled + shares[group]) ** 2 - filled**2).sum(axis=1)
        chosen[group] = int(np.argmin(growth + 1e-9 * filled.sum(axis=1)))
        filled[chosen[group]] += shares[group]
    # Fold ids must be dense even when there are fewer groups than folds.
    dense = np.unique(chosen, return_inverse=True)[1]
    return dense[groups].astype(np.int64)


def _moments(train: pd.DataFrame, contract: Contract) -> Array:
    """Time of each row as float64, see `Validation.moments`."""
    from tools.columns import moments

    return as_numbers(moments(train[contract.split.column], contract.split.day_first))


def as_numbers(when: pd.Series) -> Array:
    """Moments as float64: seconds of dates, numbers as they are, minus infinity where there is none."""
    import pandas as pd

    if pd.api.types.is_datetime64_any_dtype(when):
        nanoseconds = when.to_numpy(dtype="datetime64[ns]")
        return np.where(np.isnat(nanoseconds), -np.inf, nanoseconds.astype(np.int64) / 1e9)
    numbers = when.to_numpy(dtype=np.float64, na_value=np.nan)
    return np.where(np.isnan(numbers), -np.inf, numbers)


def _time_folds(moments: Array, k: int, first: int) -> Array:
    """Blocks of rows in order of time, numbered from the first that is validated; the `first` ones before it are not."""
    from scipy.stats import rankdata

    ranks = rankdata(moments, method="min") - 1
    blocks = np.floor(ranks * (k + first) / max(len(moments), 1)).astype(np.int64) - first
    validated = blocks >= 0
    folds = np.full(len(moments), -1, dtype=np.int64)
    folds[validated] = np.unique(blocks[validated], return_inverse=True)[1]
    return folds
