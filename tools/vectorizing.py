"""Raw rows as a matrix of finite numbers: skrub's table vectorizer, squashed, imputed and marked where missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.pipeline import Pipeline

    from tools.contract import Column

MOST_LEVELS = 100
"""Categories with more values than this are read as text."""
TEXT_COMPONENTS = 30


def vectorizer_for(columns: list[Column], *, text: bool, dates: bool, rows: int, seed: int, date_parts: bool = True) -> Pipeline:
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
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder
    from skrub import DatetimeEncoder, SquashingScaler, StringEncoder, TableVectorizer

    numbers = [c.name for c in columns if c.kind in ("numeric", "boolean")]
    others = [c.name for c in columns if c.kind == "categorical" or (text and c.kind == "text") or (dates and c.kind == "datetime")]
    vectorizer = TableVectorizer(
        cardinality_threshold=MOST_LEVELS,
        low_cardinality=OneHotEncoder(
            handle_unknown="infrequent_if_exist", min_frequency=3 if rows >= 100 else None, sparse_output=False, dtype=np.float32
        ),
        high_cardinality=StringEncoder(n_components=TEXT_COMPONENTS, random_state=seed),
        datetime=DatetimeEncoder(add_weekday=True, periodic_encoding="spline") if date_parts else DatetimeEncoder(resolution=None),
    )
    return make_pipeline(
        # Numbers need nothing of the vectorizer, which looks at each column by itself: of 750 of them it makes seconds a row.
        ColumnTransformer([("numbers", Numbers(), numbers), ("others", vectorizer, others)], sparse_threshold=0.0),
        SquashingScaler(max_absolute_value=3),
        SimpleImputer(add_indicator=True, keep_empty_features=True),
    )


class Numbers(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Columns of numbers as a matrix, without those that have no finite value in any row that it was fitted on."""

    def fit(self, X: pd.DataFrame, y: Any = None) -> Numbers:
        known = np.isfinite(X.to_numpy(dtype=np.float64)).any(axis=0)
        self.known_ = [name for name, finite in zip(X.columns, known, strict=True) if finite]
        return self

    def transform(self, X: pd.DataFrame) -> np.ndarray:
        """Float64, shape (n, columns), NaN where a value is missing."""
        return X[self.known_].to_numpy(dtype=np.float64)

    def get_feature_names_out(self, names: Any = None) -> np.ndarray:
        return np.asarray(self.known_, dtype=object)
