"""Texts as weighted counts of n-grams: the library's weights, and counts that are kept."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from tools.grams import BUCKETS, Grams

TEXTS = ["the cat sat", "the dog sat down", "a cat and a dog", "down", "", "ünïcode CAT 🙂"]


@pytest.mark.parametrize("kind", ["words", "letters"])
def test_weights_are_those_of_the_library(kind: str) -> None:
    ours = Grams(kind, BUCKETS).fit(TEXTS).transform(TEXTS)  # type: ignore[arg-type]
    options = (
        {"token_pattern": r"(?u)\b\w+\b", "ngram_range": (1, 2)} if kind == "words" else {"analyzer": "char_wb", "ngram_range": (2, 4)}
    )
    theirs = TfidfVectorizer(sublinear_tf=True, **options).fit_transform(TEXTS)
    assert ours.shape[1] == theirs.shape[1], "no two n-grams fell into one bucket"
    assert np.allclose((ours @ ours.T).toarray(), (theirs @ theirs.T).toarray(), atol=1e-5)


def test_what_was_read_before_gives_the_same_again() -> None:
    grams = Grams("letters", 50).fit(TEXTS)
    first = grams.transform(TEXTS[::-1]).toarray()
    Grams("letters", 50).fit([f"other text {i}" for i in range(200)])
    assert np.array_equal(grams.transform(TEXTS[::-1]).toarray(), first)
    assert np.array_equal(pickle.loads(pickle.dumps(grams)).transform(TEXTS[::-1]).toarray(), first)
    assert grams.width == 50


def test_other_rows_decide_nothing() -> None:
    grams = Grams("words", 10).fit(["red green", "red blue"])
    assert grams.transform(["never seen words"]).nnz == 0
    assert grams.transform(["red never"]).nnz == 1
