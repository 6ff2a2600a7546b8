"""A text column as numbers: n-grams in few dimensions, the commonest words, lengths. What was read a moment ago is kept."""

from __future__ import annotations

import hashlib
import math
import threading
import uuid
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from tools import memory
from tools.grams import Grams

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray[Any, np.dtype[Any]]

TEXT_COMPONENTS = 24
TEXT_WORDS = 40
MOST_GRAMS = 20_000
RECENT_SHARE, RECENT_MB = 1 / 16, 128.0
"""Of the memory limit, and MiB where none is told, that recent results of one kind take."""


@dataclass
class Recent:
    """The last results by key: folds and configurations share texts, and analysing them is slow."""

    size: int = 24
    weigh: Callable[[Any], int] | None = None
    """Bytes of a result. Where it is told, as many are kept as `RECENT_SHARE` of the memory holds in place of `size` of them: several
    columns of texts times folds are many, and of results that are asked for in turn the last few are of no use."""
    entries: OrderedDict[Any, Any] = field(default_factory=OrderedDict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    _bytes: int = 0

    def __post_init__(self) -> None:
        if self.weigh is not None:
            memory.forgets(self.forget)

    def get(self, key: Any, make: Callable[[], Any]) -> Any:
        with self.lock:
            if key in self.entries:
                self.entries.move_to_end(key)
                return self.entries[key]
        found = make()  # outside of the lock: fits of two folds make theirs side by side
        with self.lock:
            if key not in self.entries:
                self._bytes += self.weigh(found) if self.weigh else 0
            self.entries[key] = found
            while len(self.entries) > 1 and self._full():
                _, oldest = self.entries.popitem(last=False)
                self._bytes -= self.weigh(oldest) if self.weigh else 0
        return found

    def forget(self) -> None:
        """Keep none."""
        with self.lock:
            self.entries.clear()
            self._bytes = 0

    def _full(self) -> bool:
        return len(self.entries) > self.size if self.weigh is None else self._bytes > _most_bytes()


def _most_bytes() -> float:
    limit = memory.limit_mb()
    return 2**20 * (RECENT_MB if math.isinf(limit) else RECENT_SHARE * limit)


_FITTED = Recent(weigh=lambda features: features.bytes)
_TRANSFORMED = Recent(weigh=lambda matrix: matrix.nbytes)


def text_features(values: pd.Series, seed: int) -> TextFeatures:
    """`TextFeatures` fitted to a column, from memory when the same texts were fitted a moment ago."""
    return cast("TextFeatures", _FITTED.get((digest(values), seed), lambda: TextFeatures(seed=seed).fit(values)))


def digest(values: pd.Series) -> bytes:
    import pandas as pd

    hashes = pd.util.hash_pandas_object(values.astype("str"), index=False).to_numpy()
    return hashlib.blake2b(hashes.tobytes(), digest_size=16).digest()


def texts_of(values: pd.Series | Array) -> list[str]:
    """The values as strings, missing ones empty."""
    return ["" if value is None or value != value else str(value) for value in values]


class TextFeatures:
    """Latent semantic analysis of character n-grams, the commonest words, and lengths, for one text column.

    Deerwester et al. 1990; the same method as `skrub.StringEncoder`, with words beside it.
    """

    def __init__(self, components: int = TEXT_COMPONENTS, words: int = TEXT_WORDS, seed: int = 0) -> None:
        self.components = components
        self.words = words
        self.seed = seed

    def fit(self, values: pd.Series) -> TextFeatures:
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import CountVectorizer

        texts = texts_of(values)
        sample = texts if len(texts) <= 50_000 else list(np.random.default_rng(self.seed).choice(texts, 50_000, replace=False))
        floor = 2 if len(sample) >= 50 else 1
        self.count_ = CountVectorizer(
            token_pattern=r"(?u)\b\w+\b", min_df=max(floor, round(len(sample) * 0.01)), max_features=self.words, binary=True
        )
        self.grams_ = Grams("letters", MOST_GRAMS).fit(sample)
        self.svd_: TruncatedSVD | None = None
        self.key_ = uuid.uuid4().hex
        self.scale_ = 1.0
        rank = min(self.components, self.grams_.width - 1, len(sample) - 1)
        if rank >= 1:
            self.svd_ = TruncatedSVD(rank, random_state=self.seed).fit(self.grams_.transform(sample))
            self.scale_ = float(np.sqrt(self.svd_.explained_variance_.sum())) or 1.0
        try:
            self.count_.fit(sample)
        except ValueError:
            self.count_ = None
        return self

    def transform(self, values: pd.Series | Array) -> Array:
        """Shape (n, width), float64."""
        if isinstance(values, np.ndarray):  # of a few rows, whose digest costs as much as they do
            return self._transform(values)
        # Components and words are no more exact than that, and lengths are whole numbers.
        kept = _TRANSFORMED.get((self.key_, digest(values)), lambda: self._transform(values).astype(np.float32))
        return np.asarray(kept, dtype=np.float64)

    def _transform(self, values: pd.Series | Array) -> Array:
        texts = texts_of(values)
        lengths = np.array([[len(text), text.count(" ") + 1 if text else 0] for text in texts], dtype=np.float64).reshape(-1, 2)
        blocks = [lengths]
        if self.svd_ is not None and texts:
            blocks.append(self.svd_.transform(self.grams_.transform(texts)) / self.scale_)
        elif self.svd_ is not None:
            blocks.append(np.empty((0, self.svd_.n_components)))
        if self.count_ is not None:
            blocks.append(self.count_.transform(texts).toarray() if texts else np.empty((0, len(self.count_.vocabulary_))))
        return np.hstack(blocks)

    @property
    def bytes(self) -> int:
        """About how much memory it takes."""
        return self.grams_.bytes + (0 if self.svd_ is None else self.svd_.components_.nbytes)

    @property
    def width(self) -> int:
        return (
            2 + (self.svd_.n_components if self.svd_ is not None else 0) + (len(self.count_.vocabulary_) if self.count_ is not None else 0)
        )
