"""Cross-validation folds from the contract: the same for every candidate, seed and process."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.contract import Contract

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray[Any, np.dtype[Any]]


def make_folds(train: pd.DataFrame, contract: Contract) -> Array:
    """Fold id of each training row, shape (n,), int64; -1 for rows that no fold validates.

    `stratified` deals each class evenly, so that a class of few rows is spread over as many folds as it has rows;
    `random` deals shuffled rows; `group` keeps each value of the split's column in one fold; `time` cuts the rows,
    in order of the split's column, into `contract.folds + 1` blocks of which the first is never validated.

    Args:
        train: the training rows with the target, as they lie in `train.parquet`.

    Raises:
        KeyError: when the column of a group or time split is not in the table.
    """
    rng = np.random.default_rng(contract.seed)
    n, k = len(train), contract.folds
    if contract.split.kind == "time":
        return _time_folds(train[contract.split.column], contract.split.day_first, k)
    labels = np.zeros(n, dtype=np.int64)
    if contract.predicts == "classes":
        labels = _codes(train[contract.target])
    if contract.split.kind == "group":
        return _group_folds(_codes(train[contract.split.column].astype(str)), labels, k, rng)
    if contract.split.kind == "random":
        labels = np.zeros(n, dtype=np.int64)
    order = rng.permutation(n)
    order = order[np.argsort(labels[order], kind="stable")]
    folds = np.empty(n, dtype=np.int64)
    folds[order] = np.arange(n) % k
    return folds


def fit_rows(folds: Array, fold: int, contract: Contract) -> Array:
    """Positions of the rows that a model validated on `fold` may learn from: for time splits the earlier ones alone."""
    mask = folds < fold if contract.split.kind == "time" else folds != fold
    return np.flatnonzero(mask)


def rows_ratio(folds: Array, contract: Contract) -> float:
    """Rows that a fold validates over rows that its model learns from, in the mean over folds."""
    ids = fold_ids(folds)
    return sum((folds == fold).sum() for fold in ids) / sum(len(fit_rows(folds, fold, contract)) for fold in ids)


def share_of(rows: Array, share: float, y: Array, contract: Contract) -> Array:
    """A share of `rows`, in their order: drawn at random, and from every class alike, so that none is lost.

    Args:
        rows: positions of rows.
        share: above 0, at most 1.
        y: class codes or values of the whole table.
    """
    if share >= 1:
        return rows
    order = np.random.default_rng(contract.seed).permutation(rows)
    if contract.predicts != "classes":
        return np.sort(order[: max(2, round(share * len(rows)))])
    parts = [order[y[order] == code] for code in np.unique(y[rows])]
    return np.sort(np.concatenate([part[: math.ceil(share * len(part))] for part in parts]))


def fold_ids(folds: Array) -> list[int]:
    """The folds that have rows, ascending."""
    return [int(fold) for fold in np.unique(folds) if fold >= 0]


def _codes(values: pd.Series) -> Array:
    """Integer codes by sorted text, so that they do not depend on the order of rows."""
    return np.unique(values.astype(str).to_numpy(dtype=object).astype(str), return_inverse=True)[1].astype(np.int64)


def _group_folds(groups: Array, labels: Array, k: int, rng: np.random.Generator) -> Array:
    """Give each group, the largest first, to the fold whose class shares it fills most evenly."""
    table = np.zeros((groups.max() + 1, labels.max() + 1))
    np.add.at(table, (groups, labels), 1)
    shares = table / np.maximum(table.sum(axis=0), 1)
    order = rng.permutation(len(table))
    order = order[np.argsort(-table[order].sum(axis=1), kind="stable")]
    filled = np.zeros((k, shares.shape[1]))
    chosen = np.empty(len(table), dtype=np.int64)
    for group in order:
        growth = ((filled + shares[group]) ** 2 - filled**2).sum(axis=1)
        chosen[group] = int(np.argmin(growth + 1e-9 * filled.sum(axis=1)))
        filled[chosen[group]] += shares[group]
    # Fold ids must be dense even when there are fewer groups than folds.
    dense = np.unique(chosen, return_inverse=True)[1]
    return dense[groups].astype(np.int64)


def _time_folds(column: pd.Series, day_first: bool, k: int) -> Array:
    from tools.tables import moments

    ranks = moments(column, day_first).rank(method="min", na_option="top").to_numpy() - 1
    blocks = np.floor(ranks * (k + 1) / max(len(column), 1)).astype(np.int64)
    dense = np.unique(blocks, return_inverse=True)[1]
    return (dense - 1).astype(np.int64)
