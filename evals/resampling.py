"""The hierarchical bootstrap of results: datasets are drawn with replacement, and then, within each that was drawn, its seeds and folds.

Results on one dataset resemble each other, so that a bootstrap of single attempts would take many seeds on few datasets for much evidence
(Davison and Hinkley 1997, Bootstrap Methods and their Application, section 3.8).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

LEVEL = 0.95
RESAMPLES = 2000
FEWEST_RESAMPLES = 200
MOST_DRAWN = 20_000_000
"""Values drawn in all at most: results on many datasets with many folds get fewer resamples, and still take seconds."""

Array = np.ndarray[Any, np.dtype[Any]]


class Resampling:
    """Draws that are made once, so that systems that are compared are resampled alike."""

    def __init__(self, sizes: Sequence[int], resamples: int = RESAMPLES, seed: int = 0) -> None:
        """
        Args:
            sizes: how many values there are of each dataset, one at least.
        """
        self._sizes = np.asarray(sizes, dtype=np.int64)
        datasets, most = len(sizes), int(self._sizes.max(initial=1))
        resamples = int(np.clip(MOST_DRAWN // max(1, datasets * most), min(FEWEST_RESAMPLES, resamples), resamples))
        rng = np.random.default_rng(seed)
        self._datasets = rng.integers(datasets, size=(resamples, datasets)) if datasets else np.zeros((resamples, 0), dtype=np.int64)
        drawn = self._sizes[self._datasets]
        self._within = (rng.random((resamples, datasets, most)) * drawn[:, :, None]).astype(np.int64)
        self._counted = np.arange(most) < drawn[:, :, None]

    def means(self, values: Sequence[Sequence[float]]) -> Array:
        """The mean over datasets of their means over seeds and folds, in each resample: shape (resamples,).

        Args:
            values: those of each dataset, as many as `sizes` says.
        """
        padded = np.zeros((len(values), self._within.shape[2]))
        for row, mine in zip(padded, values, strict=True):
            row[: len(mine)] = mine
        drawn = np.where(self._counted, padded[self._datasets[:, :, None], self._within], 0.0)
        means: Array = (drawn.sum(axis=2) / self._counted.sum(axis=2)).mean(axis=1)
        return means

    def interval(self, values: Sequence[Sequence[float]], level: float = LEVEL) -> tuple[float, float] | None:
        """Percentile interval of that mean; None where there is one value in all, which says nothing of its spread."""
        if self._sizes.sum() < 2:
            return None
        low, high = np.quantile(self.means(values), [(1 - level) / 2, (1 + level) / 2])
        return float(low), float(high)
