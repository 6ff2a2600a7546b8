"""Turn rows in their schema into number matrices for models.

All styles share one reading of the columns. Columns are addressed by position, so names of any kind are harmless.
Missing values and infinities are NaN; categories that were not there in fitting count as missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from tools.contract import Column
from tools.crosses import Crosses
from tools.few_rows import FEW, FewRows
from tools.text_features import TextFeatures as TextFeatures  # packages that were made before name it here
from tools.text_features import text_features

if TYPE_CHECKING:
    import pandas as pd

    from tools.textscore import TextScore

Array = np.ndarray[Any, np.dtype[Any]]

Style = Literal["codes", "target", "dense"]
LARGEST = 1e30
"""Numbers beyond this are clipped: libraries compute in float32."""
DAY_NS = 86_400e9
DATE_PARTS = ("days", "year", "month", "day", "weekday", "day of year", "hour")
ONE_HOT_UP_TO = 10
"""Categories up to this many are one column each where categories become numbers for forests."""
PARTS = 5
"""That rows are dealt into where each is encoded by the target of others."""


def numbers(values: pd.Series | Array) -> Array:
    """Float64 with NaN for infinities, clipped to what float32 computes with."""
    array = np.array(values) if isinstance(values, np.ndarray) else values.to_numpy(dtype=np.float64, copy=True)
    array[~np.isfinite(array)] = np.nan
    return np.clip(array, -LARGEST, LARGEST)


def date_parts(values: pd.Series | Array) -> tuple[Array, list[str]]:
    """Days since 1970, year, month, day of month, day of week, day of year and hour, shape (n, 7)."""
    import pandas as pd

    if isinstance(values, np.ndarray):
        values = pd.Series(values)
    if len(values) <= FEW and values.dtype == "datetime64[ns]":
        return np.array([_parts(stamp) for stamp in values], dtype=np.float64).reshape(-1, len(DATE_PARTS)), list(DATE_PARTS)
    stamps = pd.to_datetime(values)
    parts = stamps.dt
    days = (stamps - pd.Timestamp(0)) / pd.Timedelta(days=1)
    hour = parts.hour + parts.minute / 60
    columns = [days, parts.year, parts.month, parts.day, parts.day_of_week, parts.day_of_year, hour]
    return np.column_stack([np.asarray(column, dtype=np.float64) for column in columns]), list(DATE_PARTS)


def _parts(stamp: Any) -> list[float]:
    """The same of one moment; NaN where it is missing."""
    if stamp != stamp:
        return [np.nan] * len(DATE_PARTS)
    hour = stamp.hour + stamp.minute / 60
    return [float(stamp.value) / DAY_NS, stamp.year, stamp.month, stamp.day, stamp.day_of_week, stamp.day_of_year, hour]


@dataclass(frozen=True)
class ByClass:
    """A splitter of scikit-learn's kind that deals each class evenly over the parts, one of a single row too."""

    n_splits: int
    seed: int

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        return self.n_splits

    def split(self, X: Any, y: Any, groups: Any = None) -> Iterator[tuple[Array, Array]]:
        order = np.random.default_rng(self.seed).permutation(len(y))
        part = np.empty(len(y), dtype=np.int64)
        part[order[np.argsort(np.asarray(y)[order], kind="stable")]] = np.arange(len(y)) % self.n_splits
        for number in range(self.n_splits):
            yield np.flatnonzero(part != number), np.flatnonzero(part == number)


@dataclass
class Block:
    """What one source column became: which columns of the matrix."""

    source: str
    start: int
    stop: int
    beside: str = ""
    """The other column of a pair."""


class TableEncoder:
    """Rows in their schema as a float matrix.

    Args:
        columns: the columns to use.
        style: `codes`: one integer code per category column, marked as categorical, for boosters that split on sets;
            `target`: few categories one column each, many replaced by the mean target of the category, cross-fitted
            (Micci-Barreca 2001; `sklearn.preprocessing.TargetEncoder`), for forests; `dense`: as `target` with all
            columns imputed, marked where missing, and scaled, for linear models.
        text: whether text columns are used.
        dates: whether date columns are used.
        n_classes: 0 for values.
        without: parts that are left out, see `tools.omissions`.
        crossed: columns whose pairs are encoded too where they matter, see `tools.crosses`.
    """

    without: tuple[str, ...] = ()  # of the class too, for encoders that were saved before there was any
    crosses: Crosses | None = None

    def __init__(
        self,
        columns: list[Column],
        style: Style,
        *,
        text: bool = True,
        dates: bool = True,
        n_classes: int = 0,
        seed: int = 0,
        without: tuple[str, ...] = (),
        crossed: Sequence[Column] = (),
    ) -> None:
        self.style = style
        self.crosses = Crosses(list(crossed), n_classes, seed) if crossed else None
        self.without = without
        self.n_classes = n_classes
        self.seed = seed
        self.numeric = [c.name for c in columns if c.kind in ("numeric", "boolean")]
        self.categorical = [c.name for c in columns if c.kind == "categorical"]
        self.texts = [c.name for c in columns if c.kind == "text"] if text else []
        self.dates = [c.name for c in columns if c.kind == "datetime"] if dates else []

    def fit_transform(self, X: pd.DataFrame, y: Array) -> Array:
        """Learn from training rows and give their matrix, shape (n, width), float32. Wide categories and texts are encoded by `y`."""
        from tools.textscore import FEWEST_ROWS, text_score

        self.levels_ = {name: self._levels(X[name]) for name in self.categorical}
        self.text_ = {name: text_features(X[name], self.seed) for name in self.texts}
        self.scores_: dict[str, TextScore] = {}
        scored: dict[str, Array] = {}
        if self.texts and len(X) >= FEWEST_ROWS and "text_reading" not in self.without:
            for name in self.texts:
                self.scores_[name], scored[name] = text_score(X[name], np.asarray(y), self.n_classes, self.seed)
        means = self.style != "codes" and "target_means" not in self.without
        self.wide_ = [name for name in self.categorical if means and len(self.levels_[name]) > ONE_HOT_UP_TO]
        encoded = self._fit_target(X, y) if self.wide_ else None
        crossed = self.crosses.fit_transform(X, y, self._parts(y)) if self.crosses else None
        matrix = self._assemble(X, encoded, scored, crossed)
        if self.style == "dense":
            self.scaler_ = DenseScaler()
            matrix = self.scaler_.fit(matrix).transform(matrix)
        return matrix.astype(np.float32)

    def transform(self, X: pd.DataFrame | FewRows) -> Array:
        """The matrix of other rows, shape (n, width), float32."""
        encoded = self._encoded(X) if self.wide_ and len(X) else None
        if self.wide_ and not len(X):
            encoded = np.empty((0, self.target_width_))
        scored = {name: _once(X, name, score, score.transform) for name, score in self.scores_.items()}
        matrix = self._assemble(X, encoded, scored, self.crosses.transform(X) if self.crosses else None)
        return (self.scaler_.transform(matrix) if self.style == "dense" else matrix).astype(np.float32)

    @property
    def categorical_positions(self) -> list[int]:
        """Positions of code columns in the matrix of style `codes`."""
        return list(range(len(self.categorical))) if self.style == "codes" else []

    def _levels(self, values: pd.Series) -> dict[str, int]:
        counts = sorted(values.value_counts().items(), key=lambda counted: (-counted[1], counted[0]))
        return {str(level): code for code, (level, _) in enumerate(counts)}

    def _codes(self, values: pd.Series | Array, name: str) -> Array:
        if len(values) <= FEW:
            levels = self.levels_[name]
            plain = values if isinstance(values, np.ndarray) else values.to_numpy()
            return np.array([levels.get(value, np.nan) for value in plain], dtype=np.float64)
        assert not isinstance(values, np.ndarray)
        return values.map(self.levels_[name]).to_numpy(dtype=np.float64, na_value=np.nan)

    def _code_table(self, X: pd.DataFrame | FewRows, names: list[str]) -> Array:
        """Codes with -1 for missing and unseen, shape (n, len(names))."""
        return np.column_stack([np.nan_to_num(self._codes(X[name], name), nan=-1.0) for name in names])

    def _encoded(self, X: pd.DataFrame | FewRows) -> Array:
        """Wide categories by the target, shape (n, names times outputs)."""
        codes = self._code_table(X, self.wide_)
        if not isinstance(X, FewRows):
            return np.asarray(self.target_.transform(codes))
        if "_by_code" not in self.__dict__:
            # Every code of every column at once: each is encoded by itself, so that rows are looked up from here on.
            most = max(len(self.levels_[name]) for name in self.wide_)
            known = [np.where(np.arange(-1, most) < len(self.levels_[name]), np.arange(-1, most), -1) for name in self.wide_]
            self._by_code = np.asarray(self.target_.transform(np.column_stack(known).astype(np.float64)))
        each = self._by_code.shape[1] // len(self.wide_)
        places = np.repeat(codes.astype(np.int64) + 1, each, axis=1)
        return cast("Array", self._by_code[places, np.arange(self._by_code.shape[1])])

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_by_code"}  # which is made again

    def _fit_target(self, X: pd.DataFrame, y: Array) -> Array:
        from sklearn.preprocessing import TargetEncoder

        kind = "continuous" if self.n_classes == 0 else "binary" if self.n_classes == 2 else "multiclass"
        self.target_ = TargetEncoder(target_type=kind, cv=self._parts(y))
        encoded = self.target_.fit_transform(self._code_table(X, self.wide_), y)
        self.target_width_ = encoded.shape[1]
        return np.asarray(encoded)

    def _parts(self, y: Array) -> Any:
        """How rows are dealt so that each is encoded by what others say, however rare its class is."""
        from sklearn.model_selection import KFold, StratifiedKFold

        if self.n_classes == 0:
            return KFold(max(2, min(PARTS, len(y))), shuffle=True, random_state=self.seed)
        _, counts = np.unique(y, return_counts=True)
        # Of classes with fewer rows than parts scikit-learn warns, each time and of every fold.
        if counts.min() >= PARTS:
            return StratifiedKFold(PARTS, shuffle=True, random_state=self.seed)
        return ByClass(max(2, min(PARTS, len(y))), self.seed)

    def _assemble(self, X: pd.DataFrame | FewRows, encoded: Array | None, scored: dict[str, Array], crossed: Array | None = None) -> Array:
        n = len(X)
        parts: list[Array] = []
        self.blocks_: list[Block] = []
        width = 0

        def add(source: str, part: Array, beside: str = "") -> None:
            nonlocal width
            parts.append(part)
            self.blocks_.append(Block(source, width, width + part.shape[1], beside))
            width += part.shape[1]

        for name in self.categorical:
            codes = self._codes(X[name], name)
            few = len(self.levels_[name]) <= ONE_HOT_UP_TO
            if self.style == "codes" or (not few and name not in self.wide_):
                add(name, codes[:, None])
            elif few:
                add(name, (codes[:, None] == np.arange(len(self.levels_[name]))).astype(np.float64))
        if encoded is not None:
            each = encoded.shape[1] // len(self.wide_)
            for i, name in enumerate(self.wide_):
                add(name, encoded[:, i * each : (i + 1) * each])
        for name in self.numeric:
            add(name, _once(X, name, numbers, numbers)[:, None])
        for name in self.dates:
            add(name, _once(X, name, date_parts, lambda values: date_parts(values)[0])[:, : 1 if "date_parts" in self.without else None])
        for name in self.texts:
            add(name, _once(X, name, self.text_[name], self.text_[name].transform))
            if name in scored:
                add(name, scored[name])
        if self.crosses is not None and crossed is not None:
            each = self.crosses.width
            for i, pair in enumerate(self.crosses.pairs):
                add(pair.first, crossed[:, i * each : (i + 1) * each], pair.second)
        return np.hstack(parts) if parts else np.zeros((n, 1))


def _once(X: pd.DataFrame | FewRows, name: str, reader: object, read: Callable[[Any], Array]) -> Array:
    """What a reader makes of a column. Members of a model that share it are told of a few rows what it made for the first of them."""
    return X.kept((name, id(reader)), lambda: read(X[name])) if isinstance(X, FewRows) else read(X[name])


@dataclass
class DenseScaler:
    """Impute by the median, mark what was missing, scale robustly and squash outliers.

    Each column is centred by its median, scaled by its interquartile range and squashed smoothly to within 3
    (Holzmüller et al. 2024, "Better by default", section 3).
    """

    limit: float = 3.0
    median_: Array = field(default_factory=lambda: np.empty(0))
    scale_: Array = field(default_factory=lambda: np.empty(0))
    marked_: Array = field(default_factory=lambda: np.empty(0))

    def fit(self, matrix: Array) -> DenseScaler:
        present = ~np.isnan(matrix)
        known = present.any(axis=0)
        quartiles = np.zeros((3, matrix.shape[1]))
        quartiles[:, known] = np.nanquantile(matrix[:, known], [0.25, 0.5, 0.75], axis=0)
        self.median_ = quartiles[1]
        spread = quartiles[2] - quartiles[0]
        reach = np.where(
            known, np.nanmax(np.where(present, matrix, -np.inf), axis=0) - np.nanmin(np.where(present, matrix, np.inf), axis=0), 0.0
        )
        # A column whose quartiles agree (0/1, counts of mostly 0) is scaled by its range instead.
        spread = np.where(spread > 0, spread, np.where(np.isfinite(reach), reach / 2, 0.0))
        self.scale_ = np.where(spread > 0, spread, 1.0)
        share = 1 - present.mean(axis=0)
        self.marked_ = np.flatnonzero((share > 0) & (share < 1))
        return self

    def transform(self, matrix: Array) -> Array:
        missing = np.isnan(matrix)
        scaled = (np.where(missing, self.median_, matrix) - self.median_) / self.scale_
        squashed = scaled / np.sqrt(1 + (scaled / self.limit) ** 2)
        return np.hstack([squashed, missing[:, self.marked_].astype(np.float64)])
