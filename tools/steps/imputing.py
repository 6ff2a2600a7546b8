"""Fill what is missing, or say where it was: by a value, by neighbours, by the other columns, along time."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tools.steps.base import Array, Step, some_rows
from tools.steps.error import StepError

if TYPE_CHECKING:
    import pandas as pd

DONORS = 2_000
"""Rows that a gap's neighbours are looked for among: the search grows with rows times donors."""
LEARNT_ROWS = 5_000
NEIGHBOURS = 5
HELPERS = 15
"""Columns that predict a gap in iterative imputation."""
GAP = "missing"
"""The category of no category."""


class Indicate(Step):
    """A column of 0 and 1 beside each that has gaps in the rows that it was fitted on."""

    kinds: ClassVar[tuple[str, ...]] = ("numeric", "categorical", "datetime", "text")

    def _plan(self, X: pd.DataFrame, y: Array | None) -> None:
        share = X[self.on_].isna().mean()
        self.marked_ = {self.free(f"{name} is missing"): name for name in self.on_ if 0 < share[name] < 1}
        self.made_ = {made: [name] for made, name in self.marked_.items()}

    def _make(self, X: pd.DataFrame, state: Any) -> dict[str, Any]:
        return {made: X[name].isna().to_numpy().astype(np.float64) for made, name in self.marked_.items()}


class Impute(Step):
    """Numbers by `simple` (the median), `knn` (the mean of the nearest rows; Troyanskaya et al. 2001) or `iterative` (each column from
    the others, round after round; van Buuren 2011, as scikit-learn's `IterativeImputer`); categories as one of their own, dates by the
    middle one.
    """

    kinds: ClassVar[tuple[str, ...]] = ("numeric", "categorical", "datetime")

    def _plan(self, X: pd.DataFrame, y: Array | None) -> None:
        self.numeric_ = [name for name in self.on_ if self.kinds_[name] == "numeric"]
        self.others_ = [name for name in self.on_ if self.kinds_[name] == "categorical"]
        self.dates_ = {name: X[name].median() for name in self.on_ if self.kinds_[name] == "datetime" and X[name].notna().any()}
        share = X[self.numeric_].isna().mean()
        alone = self.way == "simple"
        self.made_ = {
            name: [name] if alone or share[name] == 0 else [name, *(n for n in self.numeric_ if n != name)] for name in self.numeric_
        }
        self.made_ |= {name: [name] for name in (*self.others_, *self.dates_)}

    def _state(self, X: pd.DataFrame, y: Array | None) -> Any:
        from sklearn.impute import KNNImputer, SimpleImputer

        if not self.numeric_:
            return None
        matrix = self.matrix(X, self.numeric_)
        if self.way == "simple":
            return None, SimpleImputer(strategy="median", keep_empty_features=True).fit(matrix)
        known = np.isfinite(matrix).any(axis=0)
        centre, spread = np.zeros(matrix.shape[1]), np.ones(matrix.shape[1])
        centre[known], spread[known] = np.nanmean(matrix[:, known], axis=0), np.nanstd(matrix[:, known], axis=0)
        scale = (centre, np.where(spread > 0, spread, 1.0))
        rows = some_rows(len(matrix), DONORS if self.way == "knn" else LEARNT_ROWS, self.random_state)
        scaled = (matrix[rows] - scale[0]) / scale[1]
        if self.way == "knn":
            return scale, KNNImputer(n_neighbors=NEIGHBOURS, keep_empty_features=True).fit(scaled)
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.experimental import enable_iterative_imputer  # noqa: F401
        from sklearn.impute import IterativeImputer

        imputer = IterativeImputer(
            max_iter=10,
            tol=1e-2,
            n_nearest_features=HELPERS if scaled.shape[1] > HELPERS else None,
            keep_empty_features=True,
            min_value=-10.0,  # of standardised columns: a linear extrapolation must not run away
            max_value=10.0,
            random_state=self.random_state,
        )
        with warnings.catch_warnings():
            # It stops after its rounds whether or not it has settled, which nobody could mend here.
            warnings.simplefilter("ignore", ConvergenceWarning)
            return scale, imputer.fit(scaled)

    def _make(self, X: pd.DataFrame, state: Any) -> dict[str, Any]:
        made: dict[str, Any] = {name: X[name].where(X[name].notna(), GAP).to_numpy() for name in self.others_}
        made |= {name: X[name].fillna(middle).to_numpy() for name, middle in self.dates_.items()}
        if state is None or not len(X):
            return made | {name: X[name].to_numpy() for name in self.numeric_}
        scale, imputer = state
        matrix = self.matrix(X, self.numeric_)
        missing = np.isnan(matrix)
        if missing.any():
            filled = imputer.transform(matrix if scale is None else (matrix - scale[0]) / scale[1])
            matrix = np.where(missing, filled if scale is None else filled * scale[1] + scale[0], matrix)
        return made | {name: matrix[:, place] for place, name in enumerate(self.numeric_)}


class Interpolate(Step):
    """Numbers along time, on the straight line between the fitted rows before and after, series by series; beyond them the nearest.

    `columns` are the time column and, behind it, those that name a series. A series that was not there takes the course of all.
    """

    kinds: ClassVar[tuple[str, ...]] = ("numeric", "datetime", "categorical")

    def _plan(self, X: pd.DataFrame, y: Array | None) -> None:
        if not self.columns:
            raise StepError("interpolation needs the column that orders the rows: name it, as in impute=interpolate:when")
        self.time_, self.series_ = self.columns[0], list(self.columns[1:])
        if self.kinds_[self.time_] not in ("numeric", "datetime"):
            raise StepError(f"column {self.time_!r} is {self.kinds_[self.time_]} and orders no rows; expected dates or numbers")
        numeric = [name for name, kind in self.kinds_.items() if kind == "numeric" and name not in self.columns]
        self.filled_ = [name for name in numeric if X[name].isna().any()]
        self.made_ = {name: [name, *self.columns] for name in self.filled_}

    def _keys(self, X: pd.DataFrame) -> Array:
        if not self.series_:
            return np.full(len(X), "", dtype=object)
        return np.array(["\x1f".join(map(str, row)) for row in X[self.series_].itertuples(index=False)], dtype=object)

    def _state(self, X: pd.DataFrame, y: Array | None) -> Any:
        from tools.folds import as_numbers

        when, keys = as_numbers(X[self.time_]), self._keys(X)
        rows_of: dict[str | None, Array] = {str(key): np.flatnonzero(keys == key) for key in np.unique(keys)}
        rows_of[None] = np.arange(len(X))  # the course of all
        return {(key, name): _course(when[rows], self.matrix(X, [name])[rows, 0]) for key, rows in rows_of.items() for name in self.filled_}

    def _make(self, X: pd.DataFrame, state: Any) -> dict[str, Any]:
        from tools.folds import as_numbers

        when, keys = as_numbers(X[self.time_]), self._keys(X)
        made: dict[str, Any] = {}
        for name in self.filled_:
            values = self.matrix(X, [name])[:, 0]
            for row in np.flatnonzero(np.isnan(values)):
                times, course = state.get((str(keys[row]), name), ((), ()))
                if not len(times):
                    times, course = state[(None, name)]
                if len(times):
                    values[row] = np.interp(when[row], times, course) if np.isfinite(when[row]) else np.median(course)
            made[name] = values
        return made


def _course(when: Array, values: Array) -> tuple[Array, Array]:
    """Times, ascending and each once, and the mean value at each."""
    known = np.isfinite(when) & np.isfinite(values)
    times, at = np.unique(when[known], return_inverse=True)
    return times, np.bincount(at, weights=values[known]) / np.maximum(np.bincount(at), 1) if len(times) else times
