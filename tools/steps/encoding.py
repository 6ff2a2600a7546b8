"""Categories, texts and dates as number columns."""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tools.steps.base import Array, Step
from tools.word_orders import natural_order

if TYPE_CHECKING:
    import pandas as pd

MOST_LEVELS = 30
"""Levels that get a column of their own, the commonest ones."""
BUCKETS = 16
SMOOTHING = 10.0
"""Rows of the whole table's mean that every category's mean is mixed with (Micci-Barreca 2001)."""


def _texts(values: pd.Series) -> Array:
    """Strings, shape (n,), empty where missing."""
    return np.array(["" if value is None or value != value else str(value) for value in values], dtype=object)


class OneHot(Step):
    """A column of 0 and 1 for each of the commonest levels; all are 0 for others, and for none."""

    kinds: ClassVar[tuple[str, ...]] = ("categorical",)

    def _plan(self, X: pd.DataFrame, y: Array | None) -> None:
        self.levels_: dict[str, tuple[str, str]] = {}
        for name in self.on_:
            counts = X[name].value_counts()
            for level in sorted(counts.index, key=lambda v: (-counts[v], v))[:MOST_LEVELS]:
                made = self.free(f"{name} = {level}")
                self.levels_[made], self.made_[made] = (name, str(level)), [name]
        self.gone_ = set(self.on_) if self.made_ else set()

    def _make(self, X: pd.DataFrame, state: Any) -> dict[str, Any]:
        texts = {name: _texts(X[name]) for name in self.on_}
        return {made: (texts[name] == level).astype(np.float64) for made, (name, level) in self.levels_.items()}


class Ordinal(Step):
    """The place of each level in an order: that of its numbers, or of words such as low and high, or else the one that the mean of the
    target puts them in, each row's by other rows. Without a target, the order of their frequency."""

    kinds: ClassVar[tuple[str, ...]] = ("categorical",)

    @property
    def reads_target(self) -> bool:
        return self.target != "none"

    def _plan(self, X: pd.DataFrame, y: Array | None) -> None:
        self.natural_ = {name: order for name in self.on_ if (order := natural_order(X[name].dropna().unique()))}
        self.made_ = {name: [name] for name in self.on_}

    def _state(self, X: pd.DataFrame, y: Array | None) -> Any:
        found = {}
        for name in self.on_:
            counts = X[name].value_counts()
            if (order := self.natural_.get(name)) is None:
                if y is None:
                    order = sorted(counts.index, key=lambda v: (counts[v], v))
                else:
                    means = _means(_texts(X[name]), np.asarray(y, dtype=np.float64)[:, None])[0]
                    order = sorted(counts.index, key=lambda v: (float(means[v][0]), v))
            # Shares of the way from the first to the last, so that fits on other rows mean the same by a number.
            found[name] = {level: place / max(1, len(order) - 1) for place, level in enumerate(order)}
        return found

    def _make(self, X: pd.DataFrame, state: Any) -> dict[str, Any]:
        return {name: np.array([state[name].get(text, math.nan) for text in _texts(X[name])], dtype=np.float64) for name in self.on_}


class TargetMeans(Step):
    """The mean of the target, or the share of each class, among the rows of a level, smoothed; each row's by other rows."""

    kinds: ClassVar[tuple[str, ...]] = ("categorical",)

    @property
    def reads_target(self) -> bool:
        return True

    def _plan(self, X: pd.DataFrame, y: Array | None) -> None:
        assert y is not None
        codes = np.unique(y).tolist() if self.target == "codes" else []
        self.codes_ = codes[1:] if len(codes) == 2 else codes
        self.columns_: dict[str, list[str]] = {}
        for name in self.on_:
            many = len(self.codes_) > 1
            for code in self.codes_ if many else [None]:
                made = self.free(f"{name}: share of class {code}" if many else f"{name}: mean of target")
                self.made_[made] = [name]
                self.columns_.setdefault(name, []).append(made)
        self.gone_ = set(self.on_)

    def _state(self, X: pd.DataFrame, y: Array | None) -> Any:
        assert y is not None
        truth = (y[:, None] == np.array(self.codes_)).astype(np.float64) if self.codes_ else np.asarray(y, dtype=np.float64)[:, None]
        return {name: _means(_texts(X[name]), truth) for name in self.on_}

    def _make(self, X: pd.DataFrame, state: Any) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for name, columns in self.columns_.items():
            means, prior = state[name]
            values = np.array([means.get(text, prior) for text in _texts(X[name])]).reshape(len(X), len(columns))
            made |= {column: values[:, place] for place, column in enumerate(columns)}
        return made


def _means(texts: Array, truth: Array) -> tuple[dict[str, Array], Array]:
    """Smoothed mean of the truth's columns at each text, and over all rows."""
    levels, at = np.unique(texts.astype(str), return_inverse=True)
    prior = truth.mean(axis=0)
    sums = np.zeros((len(levels), truth.shape[1]))
    np.add.at(sums, at, truth)
    smoothed = (sums + SMOOTHING * prior) / (np.bincount(at, minlength=len(levels))[:, None] + SMOOTHING)
    return dict(zip(levels.tolist(), smoothed, strict=True)), prior


class Bits(Step):
    """`binary`: the number of the level in base two, a column a digit; `hashing`: 16 columns, one of which is 1 or -1 by the level's
    hash (Weinberger et al. 2009), which takes levels that nobody has seen."""

    kinds: ClassVar[tuple[str, ...]] = ("categorical",)

    def _plan(self, X: pd.DataFrame, y: Array | None) -> None:
        self.codes_: dict[str, dict[str, int]] = {}
        self.columns_: dict[str, list[str]] = {}
        for name in self.on_:
            counts = X[name].value_counts()
            self.codes_[name] = {str(v): code + 1 for code, v in enumerate(sorted(counts.index, key=lambda v: (-counts[v], v)))}
            width = max(1, len(counts).bit_length()) if self.way == "binary" else BUCKETS
            for digit in range(width):
                made = self.free(f"{name}: {'bit' if self.way == 'binary' else 'bucket'} {digit + 1}")
                self.made_[made] = [name]
                self.columns_.setdefault(name, []).append(made)
        self.gone_ = set(self.on_)

    def _make(self, X: pd.DataFrame, state: Any) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for name, columns in self.columns_.items():
            levels, at = np.unique(_texts(X[name]).astype(str), return_inverse=True)
            coded = np.array([self._coded(name, str(level), len(columns)) for level in levels]).reshape(len(levels), len(columns))[at]
            made |= {column: coded[:, place] for place, column in enumerate(columns)}
        return made

    def _coded(self, name: str, text: str, width: int) -> Array:
        if self.way == "binary":
            code = self.codes_[name].get(text, 0)
            return np.array([code >> digit & 1 for digit in range(width)], dtype=np.float64)
        coded = np.zeros(width)
        if text:
            digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
            coded[int.from_bytes(digest[:4], "little") % width] = 1.0 if digest[4] & 1 else -1.0
        return coded


class Strings(Step):
    """Dirty categories and texts by what they look like: `strings`, principal components of their character n-grams (skrub's
    `StringEncoder`); `gap`, shares of latent categories (skrub's `GapEncoder`; Cerda and Varoquaux 2020); `tfidf`, their words."""

    kinds: ClassVar[tuple[str, ...]] = ("categorical", "text")
    COMPONENTS, WORDS = 10, 40

    def _plan(self, X: pd.DataFrame, y: Array | None) -> None:
        # Of few categories each is a word of its own, and families know them as that.
        self.on_ = [name for name in self.on_ if self.columns or self.kinds_[name] == "text" or X[name].nunique() > MOST_LEVELS]
        self.encoders_ = {name: self._encoder(X[name]) for name in self.on_}
        self.columns_: dict[str, list[str]] = {}
        for name, encoder in list(self.encoders_.items()):
            width = self._encoded(encoder, X[name].iloc[:1]).shape[1]
            self.columns_[name] = []
            for place in range(width):
                made = self.free(f"{name}: {self.way} {place + 1}")
                self.made_[made] = [name]
                self.columns_[name].append(made)
        self.gone_ = set(self.on_)

    def _encoder(self, values: pd.Series) -> Any:
        import pandas as pd
        from skrub import GapEncoder, StringEncoder

        texts = pd.Series(_texts(values), name="text", dtype="str")
        few = min(self.COMPONENTS, max(1, texts.nunique() - 1))
        if self.way == "strings":
            return StringEncoder(n_components=few, random_state=self.random_state).fit(texts)
        if self.way == "gap":
            return GapEncoder(n_components=few, random_state=self.random_state, max_iter=3).fit(texts)
        from sklearn.feature_extraction.text import TfidfVectorizer

        words = TfidfVectorizer(max_features=self.WORDS, token_pattern=r"(?u)\b\w+\b", sublinear_tf=True)
        return words.fit(texts if texts.str.contains(r"\w", regex=True).any() else ["none"])

    def _encoded(self, encoder: Any, values: pd.Series) -> Array:
        import pandas as pd

        coded = encoder.transform(pd.Series(_texts(values), name="text", dtype="str"))
        return np.asarray(coded.toarray() if hasattr(coded, "toarray") else coded, dtype=np.float64)

    def _make(self, X: pd.DataFrame, state: Any) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for name, columns in self.columns_.items():
            coded = self._encoded(self.encoders_[name], X[name]) if len(X) else np.empty((0, len(columns)))
            made |= {column: coded[:, place] for place, column in enumerate(columns)}
        return made


class DateParts(Step):
    """Dates as days since 1970, year, weekend, and the cycles of hour, weekday, day of the month and of the year, each as sine and
    cosine, so that December lies beside January."""

    kinds: ClassVar[tuple[str, ...]] = ("datetime",)

    def _plan(self, X: pd.DataFrame, y: Array | None) -> None:
        self.columns_: dict[tuple[str, str], str] = {}
        for name in self.on_:
            stamps = X[name].dropna()
            timed = bool((stamps.dt.normalize() != stamps).any())
            for part in _date_parts(X[name].iloc[:1], timed):
                self.columns_[name, part] = made = self.free(f"{name}: {part}")
                self.made_[made] = [name]
        self.gone_ = set(self.on_)

    def _make(self, X: pd.DataFrame, state: Any) -> dict[str, Any]:
        parts = {name: _date_parts(X[name], True) for name in self.on_}
        return {made: parts[name][part] for (name, part), made in self.columns_.items()}


def _date_parts(values: pd.Series, timed: bool) -> dict[str, Array]:
    from tools.features import date_parts

    days, year, _, day, weekday, of_year, hour = date_parts(values)[0].T
    found = {"days": days, "year": year, "weekend": np.where(np.isnan(weekday), np.nan, (weekday >= 5).astype(np.float64))}
    cycles = {"weekday": weekday / 7, "day of month": (day - 1) / 31, "day of year": (of_year - 1) / 365.25}
    for name, turn in (cycles | ({"hour": hour / 24} if timed else {})).items():
        found |= {f"{name} sine": np.sin(2 * np.pi * turn), f"{name} cosine": np.cos(2 * np.pi * turn)}
    return found
