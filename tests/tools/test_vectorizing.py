from __future__ import annotations

import pickle
import warnings

import numpy as np
import pandas as pd

from tests.tools.conftest import mixed
from tools.columns import coerce, infer_schema
from tools.contract import Column
from tools.vectorizing import MOST_LEVELS, TEXT_COMPONENTS, vectorized, vectorizer_for


def test_any_table_becomes_finite_numbers_of_the_same_width() -> None:
    frame = mixed().drop(columns="outcome").assign(never=np.nan, huge=np.inf)
    schema = infer_schema(frame, None)
    rows = coerce(frame, schema)
    vectorizer = vectorizer_for(schema.columns, text=True, dates=True, rows=len(rows), seed=0)
    matrix = np.asarray(vectorizer.fit_transform(rows))
    assert np.isfinite(matrix).all()
    gaps = pd.DataFrame({name: [None] * 3 for name in frame}, dtype=object)
    assert np.asarray(vectorizer.transform(coerce(gaps, schema))).shape == (3, matrix.shape[1])


def test_where_a_person_must_read_the_matrix_the_commonest_of_many_values_have_a_column_each() -> None:
    frame = pd.DataFrame({"shop": [f"shop {i}" for i in range(150)] * 4, "note": [f"a word and word{i} more of them" for i in range(600)]})
    columns = [Column(name=name, kind=kind, missing=0.0, unique=600) for name, kind in (("shop", "categorical"), ("note", "text"))]
    made = {
        readable: np.asarray(vectorizer_for(columns, text=True, dates=True, rows=600, seed=0, readable=readable).fit_transform(frame))
        for readable in (True, False)
    }
    assert made[True].shape == (600, MOST_LEVELS)
    assert all(len(np.unique(column)) == 2 for column in made[True].T)
    assert made[False].shape == (600, 2 * TEXT_COMPONENTS)


def test_a_number_is_marked_where_it_is_missing_and_left_out_where_it_never_was() -> None:
    frame = pd.DataFrame({"a": [1.0, 2.0, np.nan, 4.0] * 10, "b": [np.nan] * 40, "c": [0.0, 1.0] * 20})
    schema = infer_schema(frame, None)
    vectorizer = vectorizer_for(schema.columns, text=True, dates=True, rows=40, seed=0)
    assert np.asarray(vectorizer.fit_transform(coerce(frame, schema))).shape == (40, 3), "a, c, and that a is missing"


def test_rows_one_by_one_are_read_as_together_and_what_is_remembered_is_not_kept_with_the_model() -> None:
    frame = mixed().drop(columns="outcome")
    schema = infer_schema(frame, None)
    rows = coerce(frame, schema)
    vectorizer = vectorizer_for(schema.columns, text=True, dates=True, rows=len(rows), seed=0).fit(rows)
    before = pickle.dumps(vectorizer)
    odd = rows.head(40).copy()
    for place, name in enumerate(odd.columns):
        odd.iloc[place % 7 :: 7, place] = None
        if schema.columns[place].kind == "categorical":
            odd.loc[odd.index % 5 == 0, name] = "never seen"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the encoder tells of what it has not seen
        together = np.asarray(vectorizer.transform(odd))
        for _ in range(2):  # the second time from memory
            alone = np.vstack([np.asarray(vectorizer.transform(odd.iloc[[place]])) for place in range(len(odd))])
            assert np.array_equal(alone, together)
        assert np.array_equal(np.asarray(vectorizer.transform(odd.head(5))), together[:5])
        assert np.array_equal(vectorized(vectorizer, odd.head(5)), together[:5])
    assert pickle.dumps(vectorizer) == before
