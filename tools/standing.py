"""Where a number stands among those of the rows that a model was fitted on.

Models tell risk on scales of their own: a log hazard, a number of deaths. Standings are one scale for all of them, so that models of
several folds can be scored together, and several models averaged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Standing:
    """The share of known rows that a number is above, between 0 and 1. Rising: larger numbers never stand lower, also beyond
    all that was known, where they go on towards 0 and 1."""

    known: Array
    """Distinct known numbers, ascending, shape (m,)."""
    share: Array
    """Share of known rows below each, those that are equal counted half, shape (m,)."""

    @classmethod
    def among(cls, values: Array) -> Standing:
        """The standing among `values`, shape (n,), n at least 1; finite."""
        known, counts = np.unique(values, return_counts=True)
        above = np.cumsum(counts)
        return cls(known, (above - counts / 2) / above[-1])

    def __call__(self, values: Array) -> Array:
        """Standings of `values`, shape (n,), float64."""
        found = np.interp(values, self.known, self.share)
        reach = max(float(self.known[-1] - self.known[0]), 1e-12)
        # A tail that halves with each reach of the known numbers: it keeps order and never arrives.
        over, under = np.maximum(values - self.known[-1], 0) / reach, np.maximum(self.known[0] - values, 0) / reach
        high, low = 1 - (1 - self.share[-1]) / (1 + over), self.share[0] / (1 + under)
        return np.where(over > 0, high, np.where(under > 0, low, found))
