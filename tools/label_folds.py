"""Folds that have their share of every label, where a row has several: iterative stratification (Sechidis et al. 2011, "On the
stratification of multi-label data")."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


def dealt_by_label(y: Array, k: int, rng: np.random.Generator) -> Array:
    """Fold of each row, int64, shape (n,): the rarest label is dealt out first, each of its rows to the fold that lacks most of it.

    So labels of few rows are spread over as many folds as can be. The sizes of folds follow from the labels, and rows without any even
    them out.

    Args:
        y: 0 and 1, shape (n, labels).
    """
    n, labels = y.shape
    folds = np.full(n, -1, dtype=np.int64)
    wanted = np.full(k, n / k)
    lacking = np.tile(y.sum(axis=0) / k, (k, 1))
    true = [set(np.flatnonzero(y[:, label]).tolist()) for label in range(labels)]

    def deal(row: int, fold: int) -> None:
        folds[row] = fold
        wanted[fold] -= 1
        lacking[fold] -= y[row]
        for label in np.flatnonzero(y[row]):
            true[label].discard(row)

    while any(true):
        label = min((place for place in range(labels) if true[place]), key=lambda place: len(true[place]))
        for row in rng.permutation(sorted(true[label])):
            deal(int(row), _neediest(lacking[:, label], wanted, rng))
    for row in rng.permutation(np.flatnonzero(folds < 0)):
        deal(int(row), _neediest(wanted, wanted, rng))
    return folds


def _neediest(first: Array, then: Array, rng: np.random.Generator) -> int:
    """The fold that lacks most by the first measure, of equals by the second, of those by chance."""
    best = np.flatnonzero(first >= first.max() - 1e-9)
    best = best[then[best] >= then[best].max() - 1e-9]
    return int(best[0] if len(best) == 1 else rng.choice(best))
