"""Texts as weighted counts of their n-grams, taken apart once.

Cutting texts into n-grams takes most of the time that a text column costs. Every fold, family and configuration reads the same
texts, so the counts of a text are kept in this process. They are hashed (Weinberger et al. 2009), which needs no vocabulary and so learns
nothing from the rows; which n-grams count and how much is learnt from the training rows of a fit alone.
"""

from __future__ import annotations

import math
import threading
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tools import memory
from tools.few_rows import FEW

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix
    from sklearn.feature_extraction.text import HashingVectorizer

Array = np.ndarray[Any, np.dtype[Any]]
Kind = Literal["letters", "words"]
BUCKETS = 2**18
MOST_KEPT = 12_000_000
"""Counts that are kept of a kind where no memory limit is told: about 70 MiB."""
KEPT_SHARE, COUNT_BYTES = 1 / 16, 6
"""Of a limit, that they may take; and the bytes of one."""
LARGEST = np.iinfo(np.uint16).max
"""That a count is kept as."""


class _Store:
    """Counts of the texts that were met lately."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self._rows: dict[str, int] = {}
        self._counts: csr_matrix | None = None
        self._few: tuple[list[str], csr_matrix | None] = ([], None)
        self._lock = threading.Lock()
        memory.forgets(self.forget)

    def counts(self, texts: list[str]) -> csr_matrix:
        """Shape (n, BUCKETS), float32."""
        with self._lock:  # fits of several folds read the same texts
            found = self._read(texts)
        return found.astype(np.float32)

    def forget(self) -> None:
        """Keep none."""
        with self._lock:
            self._rows, self._counts = {}, None

    def _read(self, texts: list[str]) -> csr_matrix:
        from scipy.sparse import csr_matrix, vstack

        if not texts:
            return csr_matrix((0, BUCKETS), dtype=np.uint16)
        fresh = list(dict.fromkeys(text for text in texts if text not in self._rows))
        if fresh and len(texts) <= FEW:
            # As a served model is asked, a call a text: to put each beside all others would cost more with every one of them.
            if self._few[0] != texts:
                self._few = list(texts), self._cut(texts)
            assert self._few[1] is not None
            return self._few[1]
        most = _most_kept()
        if self._counts is not None and len(fresh) == len(set(texts)) and self._counts.nnz > most // 2:
            self._rows, self._counts = {}, None
        if not fresh:
            assert self._counts is not None
            return self._counts[[self._rows[text] for text in texts]]
        made = self._cut(fresh)
        first, kept = (0, 0) if self._counts is None else (self._counts.shape[0], self._counts.nnz)
        # As many as there is room for: what was read once must not be read again because of one text too many.
        taken = int(np.searchsorted(made.indptr, most - kept, side="right")) - 1
        if taken > 0:
            self._counts = made[:taken] if self._counts is None else vstack([self._counts, made[:taken]]).tocsr()
            self._rows |= {text: first + i for i, text in enumerate(fresh[:taken])}
        if taken >= len(fresh):
            assert self._counts is not None
            return self._counts[[self._rows[text] for text in texts]]
        size = 0 if self._counts is None else self._counts.shape[0]
        places = self._rows | {text: size + i for i, text in enumerate(fresh[max(0, taken) :])}
        at = np.array([places[text] for text in texts], dtype=np.int64)
        inside = at < size
        parts = [self._counts[at[inside]]] if self._counts is not None else []
        back = np.argsort(np.concatenate([np.flatnonzero(inside), np.flatnonzero(~inside)]))
        return vstack([*parts, made[max(0, taken) :][at[~inside] - size]]).tocsr()[back]

    def _cut(self, texts: list[str]) -> csr_matrix:
        made = _vectorizer(self.kind).transform(texts).tocsr()
        made.data = np.minimum(made.data, LARGEST).astype(np.uint16)
        return made


def _most_kept() -> int:
    limit = memory.limit_mb()
    return MOST_KEPT if math.isinf(limit) else int(KEPT_SHARE * limit * 2**20 / COUNT_BYTES)


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

    @property
    def bytes(self) -> int:
        """Memory that it takes."""
        return int(self.columns_.nbytes + self.weights_.nbytes)

    def transform(self, texts: list[str]) -> csr_matrix:
        """Shape (n, width), float32; rows have length one, or zero where a text has none of the n-grams."""
        from sklearn.preprocessing import normalize

        matrix = _store(self.kind).counts(texts)[:, self.columns_]
        matrix.data = (1 + np.log(matrix.data)) * self.weights_[matrix.indices]
        return normalize(matrix, copy=False)
