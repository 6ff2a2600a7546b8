"""Means of a few scores with what is known of their error: of the rows they were tested on, and of seeds and folds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from evals.resampling import LEVEL


class Mean(NamedTuple):
    """A mean of scores, or of differences of scores."""

    value: float
    error: float | None
    """Standard error; None where nothing is known of it."""
    freedom: float
    """Degrees of freedom of that error."""

    def bounds(self, level: float = LEVEL) -> tuple[float, float] | None:
        """The interval around the mean by Student's t."""
        if self.error is None:
            return None
        from scipy.stats import t as student

        reach = float(student.ppf((1 + level) / 2, self.freedom)) * self.error
        return self.value - reach, self.value + reach

    @property
    def p(self) -> float | None:
        """Two-sided, of a mean of 0."""
        from scipy.stats import t as student

        if self.error is None:
            return None
        if self.error == 0:
            return 1.0 if self.value == 0 else 0.0
        return float(2 * student.sf(abs(self.value) / self.error, self.freedom))


def mean_of(values: Sequence[float], row_errors: Sequence[float | None], *, rows_differ: bool) -> Mean:
    """The mean with the error that test rows and training make together.

    Where seeds are scored on the same test rows, the error of those does not become smaller with more seeds, while that of training does;
    the two add up, with degrees of freedom by Welch and Satterthwaite. Where each seed splits anew the spread holds both, and the interval
    is too wide rather than too narrow. Folds have test rows of their own, and the error of rows is not added.

    Args:
        values: one a seed and fold, one at least.
        row_errors: the standard error of each by its test rows; None where it is not known.
        rows_differ: whether there are several folds.
    """
    count = len(values)
    value = float(np.mean(values))
    spread = float(np.var(values, ddof=1)) / count if count > 1 else None
    known = [error for error in row_errors if error is not None]
    rows = float(np.mean(np.square(known))) if known and not (rows_differ and count > 1) else None
    if spread is None and rows is None:
        return Mean(value, None, math.inf)
    if spread is None:
        return Mean(value, math.sqrt(rows or 0.0), math.inf)
    total = spread + (rows or 0.0)
    freedom = (count - 1) * (total / spread) ** 2 if spread > 0 else math.inf
    return Mean(value, math.sqrt(total), freedom)


def standard_error(low: float | None, high: float | None, level: float = LEVEL) -> float | None:
    """Of a score by the bounds of its interval; None where there is none."""
    if low is None or high is None:
        return None
    from scipy.stats import norm

    return (high - low) / (2 * float(norm.ppf((1 + level) / 2)))
