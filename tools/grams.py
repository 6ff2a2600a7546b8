"""Texts as weighted counts of their n-grams, taken apart once.

Cutting texts into n-grams takes most of the time that a text column costs. Every fold, family and configuration reads the same
texts, so the counts of a text are kept in this process. They are hashed (Weinberger et al. 2009), which needs no vocabulary and so learns
nothing from the rows; which n-grams count and how much is learnt from the training rows of a fit alone.
"""

from __future__ import annotations

import threading
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix
    from sklearn.feature_extraction.text import HashingVectorizer

Array = np.ndarray[Any, np.dtype[Any]]
Kind = Literal["letters", "words"]
BUCKETS = 2**18
MOST_KEPT = 12_000_000
"""Counts that are kept in all: about 100 MiB."""


class _Store:
    """Counts of the texts that were met lately."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self._rows: dict[str, int] = {}
        self._counts: csr_matrix | None = None
        self._lock = threading.Lock()

    def counts(self, texts: list[str]) -> csr_matrix:
        """Shape (n, BUCKETS), float32."""
        with self._lock:  # fits of several folds read the same texts
            return self._read(texts)

    def _read(self, texts: list[str]) -> csr_matrix:
        from scipy.sparse import vstack

        fresh = list(dict.fromkeys(text for text in texts if text not in self._rows))
        if self._counts is not None and len(fresh) == len(set(texts)) and self._counts.nnz > MOST_KEPT // 2:
            self._rows, self._counts = {}, None
        if fresh:
            made = _vectorizer(self.kind).transform(fresh).tocsr()
            if (self._counts.nnz if self._counts is not None else 0) + made.nnz > MOST_KEPT:
                return _vectorizer(self.kind).transform(texts).tocsr()
            first = self._counts.shape[0] if self._counts is not None else 0
            self._counts = vstack([self._counts, made]).tocsr() if self._counts is not None else made
            self._rows |= {text: first + i for i, text in enumerate(fresh)}
        assert self._counts is not None
        return self._counts[[self._rows[text] for text in texts]]


@cache
def _vectorizer(kind: Kind) -> HashingVectorizer:
    from sklearn.feature_extraction.text import HashingVectorizer

    options: dict[str, Any] = {"n_features": BUCKETS, "alternate_sign": False, "norm": None, "dtype": np.float32}
    if kind == "letters":
        return HashingVectorizer(analyzer="char_wb", ngram_range=(2, 4), **options)
    return HashingVectorizer(token_pattern=r"(?u)\b\w+\b", ngram_range=(1, 2), **options)


_store = cache(_Store)


class Grams:
    """TF-IDF weights (Salton and Buckley 1988, with sublinear counts) of letter n-grams, or of words and pairs of words.

    Args:
        kind: `letters` of two to four within words, or `words`.
        most: n-grams that are used, the commonest ones.
    """

    def __init__(self, kind: Kind, most: int) -> None:
        self.kind, self.most = kind, most

    def fit(self, texts: list[str]) -> Grams:
        counts = _store(self.kind).counts(texts)
        occurs = np.bincount(counts.indices, minlength=BUCKETS)
        kept = np.flatnonzero(occurs >= (2 if len(texts) >= 50 else 1))
        if len(kept) > self.most:
            kept = np.sort(kept[np.argsort(-occurs[kept], kind="stable")[: self.most]])
        self.columns_ = kept
        self.weights_: Array = (np.log((1 + len(texts)) / (1 + occurs[kept])) + 1).astype(np.float32)
        return self

    @property
    def width(self) -> int:
        return len(self.columns_)

    def transform(self, texts: list[str]) -> csr_matrix:
        """Shape (n, width), float32; rows have length one, or zero where a text has none of the n-grams."""
        from sklearn.preprocessing import normalize

        matrix = _store(self.kind).counts(texts)[:, self.columns_]
        matrix.data = (1 + np.log(matrix.data)) * self.weights_[matrix.indices]
        return normalize(matrix, copy=False)
