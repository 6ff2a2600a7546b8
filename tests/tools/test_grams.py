"""Texts as weighted counts of n-grams: the library's weights, and counts that are kept."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from tools import memory
from tools.grams import BUCKETS, COUNT_BYTES, KEPT_SHARE, Grams, _Store

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


def test_texts_are_cut_once_as_far_as_memory_has_room(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"row {i} of words {i % 7} and {i % 11}" for i in range(400)]
    monkeypatch.setenv(memory.LIMIT, "1000000")
    whole = _Store("letters")
    expected = whole.counts(texts)
    assert len(whole._rows) == 400
    # Room for about a third of them: these are kept, and the others are right as well.
    monkeypatch.setenv(memory.LIMIT, str(int(expected.nnz / 3 / (KEPT_SHARE * 2**20 / COUNT_BYTES)) + 1))
    narrow = _Store("letters")
    for _ in range(2):
        assert (narrow.counts(texts) != expected).nnz == 0
        assert 0 < len(narrow._rows) < 400
    assert (narrow.counts(texts[::-3]) != expected[::-3]).nnz == 0
    narrow.forget()
    assert (narrow.counts(texts[390:]) != expected[390:]).nnz == 0


def test_a_served_model_keeps_nothing_of_what_it_is_asked() -> None:
    store, reference = _Store("words"), _Store("words")
    expected = reference.counts([f"text number {i}" for i in range(60)])
    for i in range(60):
        assert (store.counts([f"text number {i}"]) != expected[i]).nnz == 0
    assert not store._rows
