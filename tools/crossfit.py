"""Corrections of predictions that are learnt on out-of-fold predictions, kept only where they help, and never judged on their own rows.

A correction is a calibration map or a decision rule. Whoever learns one on the rows that score it reports a number that it will not
reach again. So every part of the rows is corrected by what was learnt on the other parts, and that holds for the question whether to
correct at all, too: it is answered on the other parts alone, by cross-fitting inside them.

Where rows were dealt to folds several times, a row has as many predictions, and one label. All of them stay in one part, that of the
first repeat: so one correction is learnt on the predictions of all repeats, each of a single model as the final one is, and none on a
row that it corrects. Were every repeat corrected by itself, there would be as many corrections and one model to use them on; the mean
over repeats is surer of itself than any single model, so what is learnt on it would not suit one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
R = TypeVar("R")
"""What a correction learns."""

MOST_ROWS = 6_000
"""Rows that a correction of few numbers is learnt on; beyond, a sample does."""
FEWEST_PARTS = 4
"""Of folds that cross-fitting inside all but one of them needs; with fewer, rows are dealt into parts at random."""
DEALT = 5


@dataclass(frozen=True)
class Correction(Generic[R]):
    """Ways to correct probabilities, one of which may be kept."""

    ways: Sequence[Callable[[Array, Array], R]]
    """Each learns from `y` (n,) and probabilities (n, k)."""
    apply: Callable[[Array, R], Array]
    """Corrected probabilities (n, k)."""
    score: Callable[[Array, Array], float]
    """Larger is better; NaN where it is undefined."""
    seed: int = 0

    def settle(self, y: Array, proba: Array, folds: Array) -> R | None:
        """The correction that gains most on parts that it was not learnt on, learnt on all rows; None where none gains more than noise.

        The gain is the mean over the parts of how much better the score gets, its noise the standard error of that mean.

        Args:
            folds: fold of each row, shape (n,).
        """
        if len(y) > MOST_ROWS:
            rows = np.sort(np.random.default_rng(self.seed).choice(len(y), MOST_ROWS, replace=False))
            y, proba, folds = y[rows], proba[rows], folds[rows]
        groups = [np.flatnonzero(folds == fold) for fold in np.unique(folds)]
        if len(groups) < 2 or len(np.unique(y)) < 2:
            return None
        before = np.array([self.score(y[rows], proba[rows]) for rows in groups])
        best, kept = 0.0, None
        for learn in self.ways:
            gains = np.array([self._outside(learn, y, proba, rows) for rows in groups]) - before
            gains = gains[np.isfinite(gains)]
            if len(gains) < 2:
                continue
            noise = float(gains.std(ddof=1) / np.sqrt(len(gains)))
            if gains.mean() > max(best, noise):
                best, kept = float(gains.mean()), learn
        return kept(y, proba) if kept else None

    def _outside(self, learn: Callable[[Array, Array], R], y: Array, proba: Array, rows: Array) -> float:
        """Score of a part corrected by what the others taught."""
        others = np.ones(len(y), dtype=bool)
        others[rows] = False
        if len(np.unique(y[others])) < 2:
            return np.nan
        return self.score(y[rows], self.apply(proba[rows], learn(y[others], proba[others])))

    def cross_fit(self, y: Array, proba: Array, folds: Array) -> tuple[R | None, Array]:
        """The correction for new rows, and these rows corrected part by part by what `settle` makes of the other parts.

        Args:
            y: codes, shape (n,), or labels, shape (n, k).
            proba: predictions of all repeats, one after the other, shape (repeats · n, k).
            folds: fold of each row in the first repeat, shape (n,).
        """
        repeats = len(proba) // len(y)
        parts, y = np.tile(deal(folds, self.seed), repeats), np.concatenate([y] * repeats)
        corrected = proba.copy()
        for part in np.unique(parts):
            inside, others = parts == part, parts != part
            found = self.settle(y[others], proba[others], parts[others])
            if found is not None:
                corrected[inside] = self.apply(proba[inside], found)
        return self.settle(y, proba, parts), corrected


def deal(folds: Array, seed: int) -> Array:
    """The folds as parts to cross-fit over; where they are too few for that, rows dealt at random."""
    if len(np.unique(folds)) >= FEWEST_PARTS:
        return folds
    return np.random.default_rng(seed).permutation(len(folds)) % DEALT
