"""Intervals around predicted values, from out-of-fold residuals: conformal prediction at the price of a sort.

Every training row has a prediction of a model that did not see it. How far those lie off says how far predictions for new rows
will: an interval of level 0.9 reaches from the 5 % to the 95 % quantile of the signed residuals, corrected for their number (split
conformal prediction, Vovk et al. 2005, with both tails apart). Residuals are divided by the spread that they have among alike
predictions (Lei et al. 2018, locally weighted), since large values are mostly missed by more; the spread that a row's residual is
divided by comes from other folds than its own.

The interval is laid around the prediction of a model that was fitted on all rows, while residuals are those of the folds' models.
That costs no second fit and no calibration rows, but no theorem promises its coverage ("CV" in Barber et al. 2021, whose CV+ does,
for the price of keeping every fold's model). So the host measures the coverage on the sealed holdout, and a report shows that.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from tools.coverage import Coverage, measured

Array = np.ndarray[Any, np.dtype[Any]]

LEVELS = (0.5, 0.8, 0.9, 0.95)
"""At which the coverage is measured."""
MOST_SCORES = 4000
"""Kept of the residuals; of more than that, these by rank."""
BINS, BIN_ROWS = 10, 40
"""Into how many bins of alike predictions the spread is told apart at most, and how many rows each has at least."""
LEAST_SPREAD = 0.05
"""As a share of the mean absolute residual: bins in which all is right by chance would make intervals of nothing."""


class Spread(BaseModel):
    """Mean absolute residual as a function of the prediction: straight lines between points, level beyond them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    at: list[float]
    size: list[float]

    def of(self, predictions: Array) -> Array:
        """The spread at each prediction, shape (n,), above 0."""
        found: Array = np.interp(predictions, self.at, self.size)
        return found


class Conformal(BaseModel):
    """What it takes to lay intervals around predictions of one model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: int = 1
    candidate: str
    rows: int = Field(gt=0)
    """Number of residuals it was made from."""
    scores: list[float]
    """Residuals (true minus predicted value) divided by the spread, ascending; at most `MOST_SCORES` of them by rank."""
    spread: Spread
    whole: bool
    """Whether values are counts, so that ends are whole numbers of 0 and more."""

    def interval(self, predictions: Array, level: float) -> tuple[Array, Array]:
        """The ends of each row's interval, two arrays of shape (n,), float64.

        Args:
            predictions: shape (n,).
            level: share of new values that should lie inside, ends included; between 0 and 1.

        Raises:
            ValueError: when the level is none, or the residuals are too few for it; says which level they allow.
        """
        if not 0 < level < 1:
            raise ValueError(f"interval {level:g}: expected a share between 0 and 1, such as 0.9")
        tail = (1 - level) / 2
        # Rank of the outermost residual that a new one lies beyond with probability `tail` at most.
        rank = math.floor((self.rows + 1) * tail + 1e-9)
        if rank < 1:
            raise ValueError(
                f"interval {level:g} needs {math.ceil(1 / tail) - 1} out-of-fold residuals, the model has {self.rows};"
                f" expected {self.most:g} or less"
            )
        step = (len(self.scores) - 1) / max(1, self.rows - 1)
        low, high = self.scores[math.floor((rank - 1) * step)], self.scores[math.ceil((self.rows - rank) * step)]
        spread = self.spread.of(predictions)
        ends = predictions + low * spread, predictions + high * spread
        return _whole(*ends) if self.whole else ends

    @property
    def most(self) -> float:
        """The highest level that there are residuals enough for, rounded down to three digits."""
        return math.floor(1000 * max(0.0, 1 - 2 / (self.rows + 1))) / 1000


def calibrate(candidate: str, y: Array, predictions: Array, folds: Array, *, whole: bool) -> Conformal:
    """Learn intervals from out-of-fold predictions.

    Args:
        y: true values, shape (n,).
        predictions: of models that did not see the row, shape (n,).
        folds: which model that was, shape (n,).
        whole: whether values are counts.

    Raises:
        ValueError: when there are no rows.
    """
    if len(y) == 0:
        raise ValueError("there are no out-of-fold predictions to learn intervals from")
    residuals = y - predictions
    scores = np.empty(len(y))
    ids = np.unique(folds)
    for fold in ids:
        rows = folds == fold
        others = ~rows if len(ids) > 1 else rows
        scores[rows] = residuals[rows] / spread_of(residuals[others], predictions[others]).of(predictions[rows])
    rising = np.sort(scores)
    if len(rising) > MOST_SCORES:
        rising = rising[np.round(np.linspace(0, len(rising) - 1, MOST_SCORES)).astype(int)]
    return Conformal(candidate=candidate, rows=len(y), scores=rising.tolist(), spread=spread_of(residuals, predictions), whole=whole)


def spread_of(residuals: Array, predictions: Array) -> Spread:
    """Mean absolute residuals in bins of alike predictions, each at its median prediction."""
    sizes = np.abs(residuals)
    overall = float(sizes.mean()) or 1.0
    bins = min(BINS, len(sizes) // BIN_ROWS)
    if bins < 2:
        return Spread(at=[0.0], size=[overall])
    parts = np.array_split(np.argsort(predictions, kind="stable"), bins)
    at = np.array([np.median(predictions[rows]) for rows in parts])
    found = np.array([max(sizes[rows].mean(), LEAST_SPREAD * overall) for rows in parts])
    # Bins of one and the same prediction are one point.
    points, place = np.unique(at, return_inverse=True)
    means = np.bincount(place, weights=found) / np.bincount(place)
    return Spread(at=points.tolist(), size=means.tolist())


def measure(
    calibration: Conformal, y: Array, predictions: Array, levels: tuple[float, ...] = LEVELS, groups: Array | None = None
) -> list[Coverage]:
    """What intervals hold on rows that neither model nor calibration saw; levels that need more residuals are left out.

    Args:
        groups: the group of each row, shape (n,), where rows belong together.
    """
    found = []
    for level in levels:
        try:
            low, high = calibration.interval(predictions, level)
        except ValueError:
            continue
        found.append(measured(level, (y >= low) & (y <= high), high - low, groups))
    return found


def _whole(low: Array, high: Array) -> tuple[Array, Array]:
    """Ends moved inwards to the next whole numbers of 0 and more, which leaves no count out; outwards where none lies between."""
    inner = np.maximum(np.ceil(low), 0.0), np.maximum(np.floor(high), 0.0)
    none = inner[0] > inner[1]
    return np.where(none, np.maximum(np.floor(low), 0.0), inner[0]), np.where(none, np.ceil(high), inner[1])
