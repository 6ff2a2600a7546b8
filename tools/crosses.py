"""Pairs of columns that say together what neither says by itself, and the mean of the target in their cells.

A tree finds that one day of one month was a bad one by a handful of splits, of which all but the last gain nothing; the mean
target in the cells of `month` and `day` tells it at once. A column of dates counts as its days, which are such cells by themselves.
Feature crosses are old (Cheng et al. 2016, "Wide & deep learning"), means of the target for levels as well (Micci-Barreca 2001).
Which pairs are worth it is asked of the rows of each fit alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tools.contract import Column
from tools.few_rows import FewRows

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray[Any, np.dtype[Any]]

FEWEST_ROWS = 500
MOST_ROWS = 30_000
"""Rows that are asked which pairs matter."""
MOST_COLUMNS = 24
"""Columns whose pairs are asked after, the first ones of a table: 276 pairs take about half a second."""
MOST_LEVELS = 64
"""Levels of a column beside the one for all others; numbers of more distinct values are cut at quantiles."""
BINS = 16
FEWEST_IN_CELL = 4.0
"""Rows that a cell has in the mean, at least."""
MOST_OUTPUTS = 24
"""Columns that crosses make of a table, at most: pairs times classes."""
MOST_PAIRS = 8
MOST_CLASSES = 10
SURE = 4.5
"""Standard errors by which a pair must explain rows that its cells were not learnt from; there are hundreds of pairs to be wrong about."""
LEAST_SHARE = 0.003
"""Of what columns leave unexplained by themselves, the share that the pair must explain."""
SHRINKAGE = 10.0
"""Rows of the mean target that are added to each cell when pairs are compared."""
PASSES = 2
"""Rounds of fitting the effects of two columns to what the other leaves (backfitting)."""


@dataclass
class Levels:
    """A column as codes from 0 on. What is missing has one of its own, and so has everything rare or unseen: the last."""

    known: dict[Any, int] = field(default_factory=dict)
    cuts: Array | None = None
    """Where numbers are cut; None where levels are values."""
    days: Array | None = None
    """Days that were there, ascending; None where the column holds no dates."""

    @classmethod
    def of(cls, values: pd.Series, column: Column) -> Levels:
        if column.kind == "datetime":
            days = _days(values)
            return cls(days=np.unique(days[np.isfinite(days)]))
        counts = values.value_counts()
        if column.kind != "categorical" and len(counts) > MOST_LEVELS:
            plain = values.to_numpy(dtype=np.float64, na_value=np.nan)
            return cls(cuts=np.unique(np.quantile(plain[np.isfinite(plain)], np.linspace(0, 1, BINS + 1)[1:-1])))
        kept = sorted(counts.index, key=lambda level: (-counts[level], str(level)))[:MOST_LEVELS]
        return cls({_plain(level): code for code, level in enumerate(kept)})

    def __len__(self) -> int:
        if self.days is not None:
            return 2 + len(self.days)
        return 2 + (len(self.known) if self.cuts is None else len(self.cuts) + 1)

    def codes(self, values: pd.Series | Array) -> Array:
        """int64, shape (n,)."""
        import pandas as pd

        if self.days is not None:
            days = _days(values)
            at = np.searchsorted(self.days, days)
            there = self.days[np.minimum(at, len(self.days) - 1)] == days
            return np.where(np.isfinite(days), np.where(there, at, len(self) - 1), len(self) - 2).astype(np.int64)
        if self.cuts is not None:
            plain = np.asarray(values if isinstance(values, np.ndarray) else values.to_numpy(dtype=np.float64, na_value=np.nan))
            found = np.searchsorted(self.cuts, plain, side="right").astype(np.int64)
            found[~np.isfinite(plain)] = len(self) - 2
            return found
        if isinstance(values, np.ndarray):
            return np.array([self._code(value) for value in values], dtype=np.int64)
        missing = values.isna().to_numpy()
        keys = pd.factorize(values)
        by_key = np.array([self._code(level) for level in keys[1]] or [len(self) - 1], dtype=np.int64)
        return np.where(missing, len(self) - 2, by_key[np.maximum(keys[0], 0)])

    def _code(self, value: Any) -> int:
        return len(self) - 2 if value is None or value != value else self.known.get(_plain(value), len(self) - 1)


def _days(values: pd.Series | Array) -> Array:
    """Whole days since 1970, float64 with NaN for missing moments."""
    stamps = np.asarray(values if isinstance(values, np.ndarray) else values.to_numpy(dtype="datetime64[ns]"))
    days = stamps.astype("datetime64[D]").astype(np.float64)
    return np.where(np.isnat(stamps), np.nan, days)


def _plain(value: Any) -> Any:
    """A level as it is looked up: numbers and truths of any dtype alike."""
    return value if isinstance(value, str) else float(value)


class Pair(NamedTuple):
    """Two columns, or one of dates with itself: its days."""

    first: str
    second: str
    share: float
    """Of the squares that both columns leave unexplained by themselves, what their cells explain of other rows."""


def interacting(X: pd.DataFrame, y: Array, columns: Sequence[Column], n_classes: int, seed: int) -> list[Pair]:
    """The pairs that matter, the most telling first; none where rows are few or classes many.

    For each pair the effects of both columns are fitted to one half of the rows, then the means of what is left in their cells, shrunken;
    a pair is named where these means explain the other half, and by more than chance would have it of the best of hundreds.

    Args:
        y: class codes, or values, shape (n,).
        n_classes: 0 for values.
    """
    if len(X) < FEWEST_ROWS or n_classes > MOST_CLASSES:
        return []
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(X))[:MOST_ROWS]
    used = [column for column in columns if column.kind != "text" and column.unique > 1][:MOST_COLUMNS]
    codes = {}
    for column in used:
        sample = X[column.name].iloc[rows]
        levels = Levels.of(sample, column)
        codes[column.name] = (levels, levels.codes(sample))
    target = np.asarray(y)[rows]
    outputs = [target.astype(np.float64)] if n_classes <= 2 else [(target == k).astype(np.float64) for k in range(n_classes)]
    halves = np.arange(len(rows)) % 2 == 0
    found = []
    dates = [column.name for column in used if column.kind == "datetime"]
    for first, second in [*itertools.combinations(codes, 2), *((name, name) for name in dates)]:
        cells = codes[first][1] * len(codes[second][0]) + codes[second][1]
        kinds, cells = np.unique(cells, return_inverse=True)
        if len(rows) < FEWEST_IN_CELL * len(kinds):
            continue
        # Of days by themselves: what they say beyond the trend of their column.
        effects = [codes[first][1], codes[second][1]] if first != second else [codes[first][1] * BINS // len(codes[first][0])]
        gain, whole = np.zeros(len(rows)), 0.0
        for values in outputs:
            for learnt in (halves, ~halves):
                better, left = _gain(values, effects, cells, learnt)
                gain[~learnt] += better
                whole += left
        error = float(gain.std()) / len(gain) ** 0.5
        if whole > 0 and gain.sum() >= LEAST_SHARE * whole and gain.mean() > SURE * error:
            found.append(Pair(first, second, float(gain.sum() / whole)))
    return sorted(found, key=lambda pair: (-pair.share, pair.first, pair.second))[: min(MOST_PAIRS, MOST_OUTPUTS // max(1, len(outputs)))]


def _gain(values: Array, effects: Sequence[Array], cells: Array, learnt: Array) -> tuple[Array, float]:
    """By how much cells lower the squared error of each of the other rows, and what it is in all without them.

    Args:
        effects: codes of each row, shape (n,), whose effects come before those of the cells.
    """
    left = values - values[learnt].mean()
    for _ in range(PASSES):
        for codes in effects:
            left = left - _means(left, codes, learnt)[codes]
    told = _means(left, cells, learnt)[cells][~learnt]
    other = left[~learnt]
    return other**2 - (other - told) ** 2, float((other**2).sum())


def _means(values: Array, codes: Array, learnt: Array) -> Array:
    size = int(codes.max()) + 1
    sums = np.bincount(codes[learnt], values[learnt], size)
    return np.asarray(sums / (np.bincount(codes[learnt], minlength=size) + SHRINKAGE))


@dataclass
class Crosses:
    """Pairs that matter in the rows of a fit, encoded by the mean target of their cells, as scikit-learn's `TargetEncoder` shrinks it."""

    columns: list[Column]
    n_classes: int
    seed: int
    pairs: list[Pair] = field(default_factory=list)
    width: int = 0
    """Columns that a pair becomes."""
    levels: dict[str, Levels] = field(default_factory=dict)
    cells: list[Array] = field(default_factory=list)
    """Of each pair the cells that were there, ascending."""
    means: list[Array] = field(default_factory=list)
    """Of each pair, shape (cells + 1, width): what a cell says, and last what one says that was not there."""

    def fit_transform(self, X: pd.DataFrame, y: Array, parts: Any) -> Array:
        """Learn from training rows, and give their columns, shape (n, pairs * width), each row by what the others say.

        Args:
            parts: the splitter that deals rows for that.
        """
        from sklearn.preprocessing import TargetEncoder

        self.pairs = interacting(X, y, self.columns, self.n_classes, self.seed)
        if not self.pairs:
            return np.empty((len(X), 0))
        by_name = {column.name: column for column in self.columns}
        self.levels = {name: Levels.of(X[name], by_name[name]) for name in dict.fromkeys(n for pair in self.pairs for n in pair[:2])}
        table = np.column_stack(list(self._cells(X)))
        kind = "continuous" if self.n_classes == 0 else "binary" if self.n_classes == 2 else "multiclass"
        encoder = TargetEncoder(target_type=kind, cv=parts)
        encoded = np.asarray(encoder.fit_transform(table, y))
        self.width = encoded.shape[1] // len(self.pairs)
        other = np.atleast_1d(np.asarray(encoder.target_mean_, dtype=np.float64))
        self.cells = [np.asarray(cells) for cells in encoder.categories_]
        for place in range(len(self.pairs)):
            each = encoder.encodings_[place * self.width : (place + 1) * self.width]
            self.means.append(np.vstack([np.column_stack(each), other]))
        return encoded

    def transform(self, X: pd.DataFrame | FewRows) -> Array:
        """Shape (n, pairs * width)."""
        found = []
        for place, codes in enumerate(self._cells(X)):
            known, means = self.cells[place], self.means[place]
            at = np.minimum(np.searchsorted(known, codes), len(known) - 1)
            found.append(means[np.where(known[at] == codes, at, len(known))])
        return np.hstack(found) if found else np.empty((len(X), 0))

    def _cells(self, X: pd.DataFrame | FewRows) -> Iterator[Array]:
        codes = {name: levels.codes(X[name]) for name, levels in self.levels.items()}
        for pair in self.pairs:
            yield codes[pair.first] * len(self.levels[pair.second]) + codes[pair.second]
