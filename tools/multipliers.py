"""The multipliers that a decision is searched among, and which of them is best by the scores they come to."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

GRID = np.arange(-69, 70) / 10
"""Logarithms of multipliers that are tried: thresholds from 0.001 to 0.999."""
COARSE = GRID[np.abs(np.arange(-69, 70)) % 5 == 0]
"""For somebody else's metric, each value of which is a call."""
SMOOTHED = 5
"""Neighbouring multipliers that are averaged, since a single peak of a step function is luck."""
PASSES = 3
"""Rounds of coordinate ascent."""


def peak(grid: Array, scores: Array, now: float) -> float:
    """The logarithm of the best multiplier: of equally good ones the nearest to `now`, which stays where none has a score.

    Args:
        grid: logarithms, ascending, shape (g,).
        scores: larger is better, NaN where a metric has none, shape (g,).
    """
    known = np.isfinite(scores)
    if not known.any():
        return now
    scores = np.where(known, scores, scores[known].min())
    padded = np.pad(scores, SMOOTHED // 2, mode="edge")
    smooth = np.convolve(padded, np.ones(SMOOTHED) / SMOOTHED, mode="valid")
    best = np.flatnonzero(smooth >= smooth.max() - 1e-9)
    return float(grid[best[np.argmin(np.abs(grid[best] - now))]])
