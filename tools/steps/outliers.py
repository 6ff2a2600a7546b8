"""Numbers far from all others: flagged, clipped, squashed, or their rows left out of what models learn from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tools.steps.base import Array, Step

if TYPE_CHECKING:
    import pandas as pd

REACH = 3.0
"""Interquartile ranges beyond the quartiles: Tukey's outer fences, "far out" (1977)."""
FEWEST_VALUES = 10
"""Columns with fewer different values are codes or counts, which have no outliers."""
MOST_DROPPED = 0.05
"""Share of the rows that may be left out, the furthest first."""
SMALL_CLASS = 20
"""Classes with fewer rows lose none."""


class Outliers(Step):
    """`flag` adds a column of 0 and 1 beside each with outliers, `clip` moves them to the fences, `transform` draws tails in by the
    inverse hyperbolic sine, and `drop` leaves rows out of the fit; rows that are predicted all stay."""

    def _plan(self, X: pd.DataFrame, y: Array | None) -> None:
        self.on_ = [name for name in self.on_ if X[name].nunique() >= FEWEST_VALUES]
        matrix = self.matrix(X)
        self.low_, self.high_, self.centre_, self.scale_ = _fences(matrix)
        outside = ((matrix < self.low_) | (matrix > self.high_)).sum(axis=0)
        self.found_ = [name for place, name in enumerate(self.on_) if outside[place]]
        if self.way == "flag":
            self.flags_ = {self.free(f"{name} is outlying"): name for name in self.found_}
            self.made_ = {made: [name] for made, name in self.flags_.items()}
        elif self.way != "drop":
            self.made_ = {name: [name] for name in (self.on_ if self.way == "transform" else self.found_)}

    def _make(self, X: pd.DataFrame, state: Any) -> dict[str, Any]:
        matrix = self.matrix(X)
        if self.way == "flag":
            outside = ((matrix < self.low_) | (matrix > self.high_)).astype(np.float64)
            return {made: outside[:, self.on_.index(name)] for made, name in self.flags_.items()}
        changed = np.clip(matrix, self.low_, self.high_) if self.way == "clip" else np.arcsinh((matrix - self.centre_) / self.scale_)
        return {name: changed[:, self.on_.index(name)] for name in self.made_}


class DropOutliers(Outliers):
    """Leaves out of a fit the rows with outliers; `fit_resample` is imbalanced-learn's convention for steps that change rows."""

    def fit_resample(self, X: pd.DataFrame, y: Array) -> tuple[pd.DataFrame, Array]:
        self.fit(X, y)
        matrix = self.matrix(X)
        beyond = np.nan_to_num(np.maximum(self.low_ - matrix, matrix - self.high_) / self.scale_, nan=-1.0)
        furthest = beyond.max(axis=1) if beyond.shape[1] else np.full(len(X), -1.0)
        if self.target == "codes" and y.ndim == 1:
            furthest[np.bincount(y.astype(np.int64))[y.astype(np.int64)] < SMALL_CLASS] = -1.0
        order = np.argsort(-furthest, kind="stable")[: int(MOST_DROPPED * len(X))]
        kept = np.setdiff1d(np.arange(len(X)), order[furthest[order] > 0])
        return X.iloc[kept].reset_index(drop=True), y[kept]


def _fences(matrix: Array) -> tuple[Array, Array, Array, Array]:
    """Lower and upper fence, median and interquartile range of each column; without a range between quartiles nothing is outside."""
    width = matrix.shape[1]
    if not width:
        return np.empty(0), np.empty(0), np.empty(0), np.empty(0)
    low, centre, high = np.nanquantile(matrix, [0.25, 0.5, 0.75], axis=0)
    spread = high - low
    scale = np.where(spread > 0, spread, np.maximum(np.nanstd(matrix, axis=0), 1e-12))
    return np.where(spread > 0, low - REACH * spread, -np.inf), np.where(spread > 0, high + REACH * spread, np.inf), centre, scale
