"""Columns that are computed from others: between dates, ratios and products of numbers, aggregates of the rows that share a key."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tools.steps.base import Array, Step, indicators, some_rows
from tools.steps.error import StepError

if TYPE_CHECKING:
    import pandas as pd

SEARCHED_ROWS = 4_000
SEARCHED_COLUMNS = 12
MOST_MADE = 8
LEAST_PARTIAL = 3.0
"""Standard errors, 1/√n, that the correlation with the target must be from zero, given both columns that a new one is made of, and
further by what the number of those that were tried makes likely."""
MOST_KEYS, MOST_AGGREGATED = 4, 6
LEAST_A_KEY = 3.0
"""Rows that a key has in the mean, at least: the mean of one row is the row."""


class BetweenDates(Step):
    """Days between each pair of dates, and whether one comes before the other follows from their sign."""

    kinds: ClassVar[tuple[str, ...]] = ("datetime",)

    def _plan(self, X: pd.DataFrame, y: Array | None) -> None:
        self.pairs_ = {self.free(f"days from {a} to {b}"): (a, b) for a, b in list(combinations(self.on_, 2))[:MOST_MADE]}
        self.made_ = {made: [a, b] for made, (a, b) in self.pairs_.items()}

    def _make(self, X: pd.DataFrame, state: Any) -> dict[str, Any]:
        return {made: (X[b] - X[a]).dt.total_seconds().to_numpy(np.float64) / 86_400 for made, (a, b) in self.pairs_.items()}


class Pairs(Step):
    """`ratios` of two number columns, or their `interactions` (products and differences), of which those stay that go with the target
    beyond what the two do by themselves: by their partial correlation, among the rows of the fit alone."""

    @property
    def reads_target(self) -> bool:
        return True

    @property
    def cross_fits(self) -> bool:
        return False  # the target decides which columns are made, not what stands in them

    def _plan(self, X: pd.DataFrame, y: Array | None) -> None:
        assert y is not None
        rows = some_rows(len(X), SEARCHED_ROWS, self.random_state)
        matrix, truth = self.matrix(X)[rows], indicators(y[rows], self.target)
        truth = truth if self.target == "codes" else _filled(truth)
        known = [place for place in range(matrix.shape[1]) if np.unique(matrix[np.isfinite(matrix[:, place]), place]).size > 2]
        strength = {place: _correlation(_filled(matrix[:, [place]]), truth) for place in known}
        chosen = sorted(sorted(known, key=lambda place: -strength[place])[:SEARCHED_COLUMNS])
        found: list[tuple[float, str, int, int]] = []
        for a, b in combinations(chosen, 2):
            two = np.column_stack([np.ones(len(rows)), _filled(matrix[:, [a, b]])])
            left = truth - two @ np.linalg.lstsq(two, truth, rcond=None)[0]
            for sign, one, other in (("/", a, b), ("/", b, a)) if self.way == "ratios" else (("·", a, b), ("-", a, b)):
                made = _filled(_combined(sign, matrix[:, one], matrix[:, other])[:, None])
                rest = made - two @ np.linalg.lstsq(two, made, rcond=None)[0]
                if rest.std() > 1e-9 * max(1e-12, float(np.abs(made).max())):
                    found.append((_correlation(rest, left), sign, one, other))
        least = (LEAST_PARTIAL + np.sqrt(2 * np.log(max(1, len(found))))) / np.sqrt(max(1, len(rows)))
        best = sorted((each for each in found if each[0] > least), key=lambda each: (-each[0], *each[1:]))[:MOST_MADE]
        self.pairs_ = {}
        for _, sign, one, other in best:
            a_name, b_name = self.on_[one], self.on_[other]
            made_name = self.free(f"|{a_name} - {b_name}|" if sign == "-" else f"{a_name} {sign} {b_name}")
            self.pairs_[made_name], self.made_[made_name] = (sign, a_name, b_name), [a_name, b_name]

    def _make(self, X: pd.DataFrame, state: Any) -> dict[str, Any]:
        made = {}
        for name, (sign, a, b) in self.pairs_.items():
            made[name] = _combined(sign, *self.matrix(X, [a, b]).T)
        return made


def _combined(sign: str, one: Array, other: Array) -> Array:
    if sign != "/":
        # A difference says nothing new to a line, but its size does.
        return one * other if sign == "·" else np.abs(one - other)
    # By nothing is nothing known.
    return np.divide(one, other, out=np.full(len(one), np.nan), where=np.abs(other) > 1e-12)


def _filled(matrix: Array) -> Array:
    """Columns ranked and standardised, gaps in the middle: tails must not decide a correlation."""
    from scipy.stats import rankdata

    ranks = rankdata(matrix, axis=0, nan_policy="omit")
    centred = np.nan_to_num(ranks - np.nanmean(ranks, axis=0)) if np.isfinite(ranks).any() else np.zeros_like(matrix)
    spread = centred.std(axis=0)
    scaled: Array = centred / np.where(spread > 0, spread, 1.0)
    return scaled


def _correlation(column: Array, truth: Array) -> float:
    """Largest absolute correlation of a column (n, 1) with one of the truth's."""
    column, truth = column - column.mean(axis=0), truth - truth.mean(axis=0)
    size = np.sqrt((column**2).sum() * (truth**2).sum(axis=0))
    return float(np.max(np.abs((column * truth).sum(axis=0)) / np.where(size > 0, size, np.inf)))


class Aggregates(Step):
    """For each key column and number column: the mean of the rows that share the key, and how far the row is from it; the key's share
    of the rows. `columns` are the keys. The rows of the fit get theirs from other rows, as later ones do."""

    kinds: ClassVar[tuple[str, ...]] = ("categorical", "numeric")

    @property
    def cross_fits(self) -> bool:
        return True

    def _plan(self, X: pd.DataFrame, y: Array | None) -> None:
        asked = list(self.columns)
        keys = asked or [name for name in self.on_ if self.kinds_[name] == "categorical"]
        if not keys:
            raise StepError("there is no column of categories to aggregate by; name a key, as in make=aggregates:shop")
        fitting = [name for name in keys if asked or 2 <= X[name].nunique() <= len(X) / LEAST_A_KEY]
        self.keys_ = sorted(fitting, key=lambda name: -X[name].nunique())[:MOST_KEYS]
        numeric = [name for name, kind in self.kinds_.items() if kind == "numeric" and name not in keys and X[name].nunique() > 2]
        self.numeric_ = sorted(numeric, key=lambda name: -X[name].nunique())[:MOST_AGGREGATED]
        self.columns_: dict[str, tuple[str, str, str]] = {}
        for key in self.keys_:
            self._add(f"share of {key}", key, "", "share")
            for name in self.numeric_:
                self._add(f"{name}: mean by {key}", key, name, "mean")
                self._add(f"{name}: from mean by {key}", key, name, "from")

    def _add(self, called: str, key: str, name: str, what: str) -> None:
        made = self.free(called)
        self.columns_[made], self.made_[made] = (key, name, what), [key, name] if name else [key]

    def _state(self, X: pd.DataFrame, y: Array | None) -> Any:
        found: dict[Any, Any] = {
            name: float(np.nanmean(values)) if np.isfinite(values := self.matrix(X, [name])).any() else 0.0 for name in self.numeric_
        }
        for key in self.keys_:
            texts = X[key].astype(str)
            found[key, ""] = (texts.value_counts() / len(X)).to_dict()
            for name in self.numeric_:
                known = X[name].where(np.isfinite(X[name]))
                found[key, name] = known.groupby(texts.to_numpy()).mean().dropna().to_dict()
        return found

    def _make(self, X: pd.DataFrame, state: Any) -> dict[str, Any]:
        texts = {key: X[key].astype(str) for key in self.keys_}
        made: dict[str, Any] = {}
        for column, (key, name, what) in self.columns_.items():
            if what == "share":
                made[column] = texts[key].map(state[key, ""]).fillna(0.0).to_numpy(np.float64)
            else:
                mean = texts[key].map(state[key, name]).to_numpy(np.float64)
                mean = np.where(np.isnan(mean), state[name], mean)
                made[column] = mean if what == "mean" else self.matrix(X, [name])[:, 0] - mean
        return made
