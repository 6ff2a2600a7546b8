"""Rows as points, where no target says what matters: every column counts alike, and distances mean something.

Numbers and dates are centred by their median, scaled by their interquartile range and drawn in smoothly beyond five of them. Two rows of
different categories are one apart. Texts, and categories of very many levels, have no say.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.contract import Column
from tools.features import date_parts, numbers

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray[Any, np.dtype[Any]]

MOST_LEVELS = 30
"""Categories with more have no say."""
KEPT_LEVELS = 10
"""So many of the commonest levels are told apart; the others count as one."""
LIMIT = 5.0
MOST_WIDTH = 40
"""A wider table is brought down to its principal components."""
NORMAL_IQR = 1.349
"""Interquartile range of a normal distribution of variance 1."""


def has_say(column: Column) -> bool:
    """Whether a column counts in distances."""
    return column.kind in ("numeric", "boolean", "datetime") or (column.kind == "categorical" and column.unique <= MOST_LEVELS)


@dataclass
class Space:
    """Turns rows in the schema's dtypes into points, by what it saw of the rows it was fitted on."""

    columns: list[Column]
    """Those with a say are used."""
    levels_: dict[str, list[str]] = field(default_factory=dict)
    median_: Array = field(default_factory=lambda: np.empty(0))
    scale_: Array = field(default_factory=lambda: np.empty(0))
    marked_: Array = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    components_: Any = None

    def fit(self, X: pd.DataFrame) -> Space:
        self.levels_ = {c.name: list(X[c.name].value_counts().index[:KEPT_LEVELS]) for c in self._of("categorical")}
        plain = self._plain(X)
        known = ~np.isnan(plain)
        filled = np.where(known, plain, np.nanmedian(np.where(known.any(axis=0), plain, 0.0), axis=0)) if plain.size else plain
        quartiles = np.quantile(filled, [0.25, 0.5, 0.75], axis=0) if plain.size else np.zeros((3, 0))
        spread = (quartiles[2] - quartiles[0]) / NORMAL_IQR
        # A column whose quartiles agree, such as a count of mostly 0, is scaled by its deviation instead.
        spread = np.where(spread > 0, spread, filled.std(axis=0) if plain.size else spread)
        self.median_, self.scale_ = quartiles[1], np.where(spread > 0, spread, 1.0)
        share = known.mean(axis=0) if plain.size else np.zeros(0)
        self.marked_ = np.flatnonzero((share > 0) & (share < 1))
        points = self._points(X)
        if points.shape[1] > MOST_WIDTH and len(points) > MOST_WIDTH:
            from sklearn.decomposition import PCA

            self.components_ = PCA(MOST_WIDTH, svd_solver="full").fit(points)
        return self

    def transform(self, X: pd.DataFrame) -> Array:
        """Points, shape (n, width), float64, finite."""
        points = self._points(X)
        return points if self.components_ is None else np.asarray(self.components_.transform(points), dtype=np.float64)

    def _of(self, *kinds: str) -> list[Column]:
        return [column for column in self.columns if column.kind in kinds and has_say(column)]

    def _plain(self, X: pd.DataFrame) -> Array:
        parts = [numbers(X[c.name])[:, None] for c in self._of("numeric")] + [date_parts(X[c.name])[0][:, :1] for c in self._of("datetime")]
        return np.hstack(parts) if parts else np.empty((len(X), 0))

    def _points(self, X: pd.DataFrame) -> Array:
        plain = self._plain(X)
        missing = np.isnan(plain)
        scaled = (np.where(missing, self.median_, plain) - self.median_) / self.scale_
        parts = [scaled / np.sqrt(1 + (scaled / LIMIT) ** 2), missing[:, self.marked_] * np.sqrt(0.5)]
        parts += [np.nan_to_num(numbers(X[c.name])[:, None], nan=0.5) for c in self._of("boolean")]
        for name, levels in self.levels_.items():
            # Rows of two levels differ in two places by the root of a half each: they are one apart.
            parts += [(X[name].astype("object").to_numpy() == level)[:, None] * np.sqrt(0.5) for level in levels]
            rest = X[name].notna().to_numpy() & ~X[name].isin(levels).to_numpy()
            parts.append(rest[:, None] * np.sqrt(0.5))
        found = np.hstack([np.asarray(part, dtype=np.float64) for part in parts])
        return found if found.shape[1] else np.zeros((len(X), 1))
