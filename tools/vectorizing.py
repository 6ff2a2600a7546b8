"""Raw rows as a matrix of finite numbers: skrub's table vectorizer, squashed, imputed and marked where missing."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from tools.few_rows import FewRows

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.pipeline import Pipeline

    from tools.contract import Column

FEW, MOST_KEPT = 8, 20_000
"""Rows at a time for which answers are looked up by value, and how many values are remembered."""
YEAR = timedelta(days=366)
FIRST_DAY, LAST_DAY = datetime(1700, 1, 1), datetime(2250, 1, 1)
"""Days whose neighbours there are too."""
MOST_LEVELS = 100
"""Categories with more values than this are read as text."""
TEXT_COMPONENTS = 30


def vectorizer_for(
    columns: list[Column], *, text: bool, dates: bool, rows: int, seed: int, date_parts: bool = True, readable: bool = False
) -> Pipeline:
    """An unfitted pipeline from rows in their schema to a float matrix, for linear models and as a check of a preparation.

    Few categories become one column each (those with fewer than three rows pooled), many and free texts the principal
    components of their character n-grams, dates their parts with spline-encoded cycles; numbers are scaled robustly and
    squashed (Holzmüller et al. 2024). This is `skrub.tabular_pipeline`'s recipe for linear models.

    Args:
        columns: the columns to use; others are dropped.
        text: whether text columns are used.
        dates: whether date columns are used.
        rows: number of training rows.
        seed: seed of the text components.
        date_parts: whether a date is more than its distance from 1970.
        readable: whether each column of the matrix must say what it is, so that there are no components: texts take no part, and of a
            category with very many values the commonest have a column each.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder
    from skrub import DatetimeEncoder, SquashingScaler, StringEncoder, TableVectorizer

    numbers = [c.name for c in columns if c.kind in ("numeric", "boolean")]
    text = text and not readable
    others = [c.name for c in columns if c.kind == "categorical" or (text and c.kind == "text") or (dates and c.kind == "datetime")]
    one_hot = OneHotEncoder(
        handle_unknown="infrequent_if_exist",
        min_frequency=3 if rows >= 100 else None,
        max_categories=MOST_LEVELS if readable else None,
        sparse_output=False,
        dtype=np.float32,
    )
    vectorizer = TableVectorizer(
        cardinality_threshold=rows + 1 if readable else MOST_LEVELS,
        low_cardinality=one_hot,
        high_cardinality=StringEncoder(n_components=TEXT_COMPONENTS, random_state=seed),
        datetime=DatetimeEncoder(add_weekday=True, periodic_encoding="spline") if date_parts else DatetimeEncoder(resolution=None),
    )
    return make_pipeline(
        # Numbers need nothing of the vectorizer, which looks at each column by itself: of 750 of them it makes seconds a row.
        ColumnTransformer([("numbers", Numbers(), numbers), ("others", ByValue(vectorizer), others)], sparse_threshold=0.0),
        SquashingScaler(max_absolute_value=3),
        SimpleImputer(add_indicator=True, keep_empty_features=True),
    )


def vectorized(vectorizer: Pipeline, X: pd.DataFrame | FewRows) -> np.ndarray:
    """What a fitted pipeline of `vectorizer_for` makes of rows; of a few without scikit-learn's way around its parts, which costs more."""
    if len(X) > FEW:
        return np.asarray(vectorizer.transform(X.frame if isinstance(X, FewRows) else X))
    columns, *others = (step for _, step in vectorizer.steps)
    parts = [part.transform(X[used]) for _, part, used in columns.transformers_ if not isinstance(part, str) and len(used)]
    if not parts:
        return np.asarray(vectorizer.transform(X.frame if isinstance(X, FewRows) else X))
    matrix = np.hstack([np.asarray(part) for part in parts])
    for step in others:
        matrix = step.transform(matrix)
    return np.asarray(matrix)


class Numbers(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Columns of numbers as a matrix, without those that have no finite value in any row that it was fitted on."""

    def fit(self, X: pd.DataFrame, y: Any = None) -> Numbers:
        known = np.isfinite(X.to_numpy(dtype=np.float64)).any(axis=0)
        self.known_ = [name for name, finite in zip(X.columns, known, strict=True) if finite]
        return self

    def transform(self, X: pd.DataFrame | FewRows) -> np.ndarray:
        """Float64, shape (n, columns), NaN where a value is missing."""
        if isinstance(X, FewRows):
            return np.column_stack([X[name] for name in self.known_]) if self.known_ else np.empty((len(X), 0))
        return X[self.known_].to_numpy(dtype=np.float64)

    def get_feature_names_out(self, names: Any = None) -> np.ndarray:
        return np.asarray(self.known_, dtype=object)


class ByValue(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A table vectorizer whose answers for single rows are remembered: it looks at every column by itself, so each value has one answer.

    Whatever the values are, it takes tens of milliseconds a call, which a served model would pay for each row with a value that is new.

    Args:
        vectorizer: an unfitted `skrub.TableVectorizer`, which this one fits.
    """

    def __init__(self, vectorizer: Any) -> None:
        self.vectorizer = vectorizer

    def fit(self, X: pd.DataFrame, y: Any = None) -> ByValue:
        self.fit_transform(X)
        return self

    def fit_transform(self, X: pd.DataFrame, y: Any = None) -> np.ndarray:
        found = self.vectorizer.fit_transform(X)
        places = {name: place for place, name in enumerate(self.vectorizer.all_outputs_)}
        self.places_ = {name: [places[output] for output in self.vectorizer.input_to_outputs_[name]] for name in X.columns}
        return np.asarray(found)

    def transform(self, X: pd.DataFrame | FewRows) -> np.ndarray:
        """Shape (n, outputs), float32."""
        if len(X) > FEW or not len(X):
            return np.asarray(self.vectorizer.transform(X.frame if isinstance(X, FewRows) else X))
        names = X.names if isinstance(X, FewRows) else list(X.columns)
        made = np.empty((len(X), sum(map(len, self.places_.values()))), dtype=np.float32)
        for name in names:
            for place, value in enumerate(X[name] if self.places_[name] else ()):  # none for a column that was left out
                made[place, self.places_[name]] = self._answer(name, value)
        return made

    def _answer(self, name: str, value: Any) -> np.ndarray:
        """What a value of a column becomes, float32, shape (outputs of the column,)."""
        kept: dict[Any, np.ndarray] = self.__dict__.setdefault("_kept", {})
        if (found := kept.get((name, _key(value)))) is not None:
            return found
        if len(kept) > MOST_KEPT:
            kept.clear()
        values = self._with_neighbours(name, value)
        answers = np.asarray(self._column(name, values), dtype=np.float32)
        kept.update({(name, _key(each)): answer for each, answer in zip(values, answers, strict=True)})
        return answers[0]

    def _column(self, name: str, values: pd.Series) -> Any:
        """The column's own steps alone; through the vectorizer, one value takes as long as a thousand rows of all columns."""
        for step in self.vectorizer.all_processing_steps_[name]:
            if not hasattr(step, "transform"):  # what is made float32 column by column in the end
                break
            values = step.transform(values.to_frame(name) if type(step).__name__ == "OneHotEncoder" else values)
        return values

    def _with_neighbours(self, name: str, value: Any) -> pd.Series:
        """A value, and those that are likely to come: all categories of its column, or the days of a year before and after its own."""
        import pandas as pd

        encoder = self.vectorizer.transformers_[name]
        if type(encoder).__name__ == "OneHotEncoder":
            return pd.Series([_key(value), *map(str, encoder.categories_[0])], name=name, dtype=object)
        if type(encoder).__name__ != "DatetimeEncoder":
            return pd.Series([_key(value)], name=name, dtype=object)
        moment = pd.Timestamp(value)
        days = pd.Series([moment], name=name).astype("datetime64[ns]")
        if not FIRST_DAY < moment < LAST_DAY or moment != moment.normalize():
            return days
        around = pd.Series(pd.date_range(moment - YEAR, moment + YEAR), name=name).astype("datetime64[ns]")
        return pd.concat([days, around], ignore_index=True)

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()
        return {name: value for name, value in state.items() if name != "_kept"}

    def get_feature_names_out(self, names: Any = None) -> np.ndarray:
        return np.asarray(self.vectorizer.get_feature_names_out(), dtype=object)


def _key(value: Any) -> Any:
    """A value as the key of a dictionary, all that is missing alike."""
    if value is None or value != value:
        return None
    if isinstance(value, np.datetime64):
        return int(value.astype("datetime64[ns]").astype(np.int64))
    return value.value if hasattr(value, "value") else value  # of a pandas timestamp
