"""How a prediction moves with one column: partial dependence and accumulated local effects.

Partial dependence (Friedman 2001) sets the column to a value in all rows and averages, whatever the other columns say; where columns
go together it asks the model of rows that do not exist. Accumulated local effects (Apley and Zhu 2020) move the column only within
the bin that a row lies in and add the mean steps up, so they stay near the data. Where the two part, columns depend on each other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray[Any, np.dtype[Any]]
Predict = Callable[["pd.DataFrame"], Array]

BINS = 12
MOST_LEVELS = 10


@dataclass(frozen=True)
class Curve:
    """The effect of one column at some of its values."""

    at: Array
    """Values of the column, ascending; levels for categories, the commonest first."""
    partial: Array
    """Mean prediction with the column set there, shape (values, outputs)."""
    accumulated: Array | None
    """Accumulated local effects, with mean 0 over the rows, in the same shape; None for categories, which have no order."""


def edges(values: pd.Series, bins: int = BINS) -> Array:
    """Values of an ordered column that cut its rows into bins of about equal size, from the smallest to the largest."""
    present = values.dropna()
    if present.empty:
        return present.to_numpy()
    return np.unique(present.quantile(np.linspace(0, 1, bins + 1), interpolation="lower").to_numpy())


def ordered(predict: Predict, X: pd.DataFrame, column: str, rows: int) -> Curve | None:
    """Both effects of a numeric or date column; None where it has fewer than two values.

    Args:
        predict: gives (n,) or (n, outputs) for a table like X.
        rows: for partial dependence, the first so many of X are used; accumulated local effects take all.
    """
    at = edges(X[column])
    if len(at) < 2:
        return None
    return Curve(at, partial_dependence(predict, X.iloc[:rows], column, at), accumulated_effects(predict, X, column, at))


def categorical(predict: Predict, X: pd.DataFrame, column: str, rows: int) -> Curve | None:
    """Partial dependence of a category or truth value; None where it has fewer than two levels."""
    at = X[column].value_counts().index[:MOST_LEVELS].to_numpy()
    return Curve(at, partial_dependence(predict, X.iloc[:rows], column, at), None) if len(at) > 1 else None


def partial_dependence(predict: Predict, X: pd.DataFrame, column: str, at: Array) -> Array:
    """Mean prediction with the column set to each of `at`, shape (len(at), outputs)."""
    tables = X.iloc[np.tile(np.arange(len(X)), len(at))].reset_index(drop=True)
    tables[column] = np.repeat(at, len(X))
    return predict(tables).reshape(len(at), len(X), -1).mean(axis=1)


def accumulated_effects(predict: Predict, X: pd.DataFrame, column: str, at: Array) -> Array:
    """Accumulated local effects at bin edges, shape (len(at), outputs); rows without a value take no part.

    Args:
        at: ascending, from the smallest value among the rows to the largest, so that every bin has rows.
    """
    rows = X[X[column].notna()].reset_index(drop=True)
    # Bins are open below and closed above; the smallest value belongs to the first.
    bins = np.clip(np.searchsorted(at, rows[column].to_numpy(), side="left"), 1, len(at) - 1)
    ends = rows.iloc[np.tile(np.arange(len(rows)), 2)].reset_index(drop=True)
    ends[column] = np.concatenate([at[bins - 1], at[bins]])
    low, high = predict(ends).reshape(2, len(rows), -1)
    steps = high - low
    counts = np.bincount(bins, minlength=len(at))[1:]
    means = np.zeros((len(at) - 1, steps.shape[1]))
    np.add.at(means, bins - 1, steps)
    path = np.concatenate([np.zeros((1, steps.shape[1])), np.cumsum(means / np.maximum(counts, 1)[:, None], axis=0)])
    centre = (counts[:, None] * (path[1:] + path[:-1]) / 2).sum(axis=0) / counts.sum()
    return path - centre
