"""Raw rows as a matrix of finite numbers: skrub's table vectorizer, squashed, imputed and marked where missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
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
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder
    from skrub import DatetimeEncoder, SelectCols, SquashingScaler, StringEncoder, TableVectorizer

    used = [c.name for c in columns if (text or c.kind != "text") and (dates or c.kind != "datetime")]
    return make_pipeline(
        SelectCols(used),
        TableVectorizer(
            cardinality_threshold=MOST_LEVELS,
            low_cardinality=OneHotEncoder(
                handle_unknown="infrequent_if_exist", min_frequency=3 if rows >= 100 else None, sparse_output=False, dtype=np.float32
            ),
            high_cardinality=StringEncoder(n_components=TEXT_COMPONENTS, random_state=seed),
            datetime=DatetimeEncoder(add_weekday=True, periodic_encoding="spline") if date_parts else DatetimeEncoder(resolution=None),
        ),
        SquashingScaler(max_absolute_value=3),
        SimpleImputer(add_indicator=True, keep_empty_features=True),
    )
