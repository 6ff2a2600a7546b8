"""What a text says of the target: a linear reading of its words and letters, as a few columns of numbers.

Trees cannot use thousands of sparse n-grams, and a handful of their principal components lose most of what they say of the
target. A ridge regression on all of them keeps it in one number a class. The numbers of the training rows come from fits on
other rows (cross-fitted, as target encoding is), so that a tree learns how far they can be trusted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tools.grams import Grams
from tools.readings import read_once, sharing
from tools.text_features import Recent, digest, text_features, texts_of

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray[Any, np.dtype[Any]]

MOST_WORDS = 30_000
PARTS = 4
PENALTY = 1.0
"""Of the ridge regression; rows of the matrix have length one for each of its two halves."""
FEWEST_ROWS = 100
"""With fewer rows than this the columns would be noise, and are left out."""
MOST_COLUMNS = 40
"""Classes beyond this many get no column."""

_SCORED = Recent(weigh=lambda scored: scored[0].bytes + scored[1].nbytes)
_WORDS = Recent(weigh=lambda words: words.bytes)


class TextScore:
    """One text column, read linearly."""

    def __init__(self, n_classes: int, seed: int) -> None:
        self.n_classes, self.seed = n_classes, seed

    def fit_transform(self, values: pd.Series, y: Array) -> Array:
        """Learn from training rows and give their columns, shape (n, width), cross-fitted.

        Args:
            y: codes or values, shape (n,).
        """
        from sklearn.model_selection import KFold, StratifiedKFold

        words = _WORDS.get(digest(values), lambda: Grams("words", MOST_WORDS).fit(texts_of(values)))
        self.halves_ = [text_features(values, self.seed).grams_, words]
        matrix, targets = self._read(values), self._targets(y)
        self.width_ = targets.shape[1]
        crossed = np.empty((len(y), self.width_))
        if self.n_classes and _rarest(y) >= PARTS:
            parts: Any = StratifiedKFold(PARTS, shuffle=True, random_state=self.seed).split(crossed, y)
        else:
            parts = KFold(PARTS, shuffle=True, random_state=self.seed).split(crossed)
        for learn, check in parts:
            crossed[check] = self._fit(matrix[learn], targets[learn]).predict(matrix[check]).reshape(len(check), -1)
        self.model_ = self._fit(matrix, targets)
        return crossed

    def transform(self, values: pd.Series | Array) -> Array:
        """The columns of other rows, shape (n, width), float64."""
        if len(values) == 0:
            return np.empty((0, self.width_))
        found: Array = self.model_.predict(self._read(values)).reshape(len(values), -1)
        return found

    @property
    def bytes(self) -> int:
        """About how much memory it takes beside its n-grams."""
        return int(np.asarray(self.model_.coef_).nbytes)

    def _read(self, values: pd.Series | Array) -> Any:
        if isinstance(values, np.ndarray) or not sharing():
            return self._matrix(texts_of(values))
        return read_once(self.halves_[1], digest(values), lambda: self._matrix(texts_of(values)))

    def _matrix(self, texts: list[str]) -> Any:
        from scipy.sparse import csr_matrix, hstack

        halves = [half.transform(texts) for half in self.halves_ if half.width]
        return hstack(halves).tocsr() if halves else csr_matrix((len(texts), 1))

    def _targets(self, y: Array) -> Array:
        """What is regressed on, shape (n, width): standardised values, or one column a class (the second alone of two)."""
        if not self.n_classes:
            return ((y - y.mean()) / (y.std() or 1.0)).reshape(-1, 1)
        columns = [1] if self.n_classes == 2 else range(min(self.n_classes, MOST_COLUMNS))
        return np.column_stack([(y == code).astype(np.float64) for code in columns])

    @staticmethod
    def _fit(matrix: Any, targets: Array) -> Any:
        from sklearn.linear_model import Ridge

        return Ridge(alpha=PENALTY, solver="sparse_cg", tol=1e-3, max_iter=200).fit(matrix, targets)


def text_score(values: pd.Series, y: Array, n_classes: int, seed: int) -> tuple[TextScore, Array]:
    """A fitted `TextScore` and the columns of its own rows, from memory when the same were fitted a moment ago."""

    def make() -> tuple[TextScore, Array]:
        score = TextScore(n_classes, seed)
        return score, score.fit_transform(values, y)

    found: tuple[TextScore, Array] = _SCORED.get((digest(values), y.tobytes(), n_classes, seed), make)
    return found


def _rarest(y: Array) -> int:
    counts = np.bincount(y.astype(np.int64))
    return int(counts[counts > 0].min())
