"""An inverse power law through the scores of a growing number of rows, and what it says of twice as many.

Errors fall with the number of rows n as `a + b n^-c` over wide ranges (Hestness et al. 2017; Viering and Loog 2022 review where
they do not). Here the law is written by what is asked of it: `now`, the loss with all rows, and `gain`, what twice as many take
from it. In the limit of a small exponent it becomes a logarithm, so none of the parameters runs away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

EXPONENTS = np.linspace(0.05, 2.0, 40)
DRAWS = 4000
TINY = 1e-9
"""Of the losses themselves: noise below it is rounding."""


@dataclass(frozen=True)
class PowerLaw:
    """Draws of the law's parameters, given the losses that were seen."""

    rows: float
    """Rows of the largest fit."""
    now: Array
    gain: Array
    exponent: Array

    def loss(self, rows: float, level: float) -> tuple[float, float, float]:
        """Median of the loss with `rows` rows, and its interval of `level`."""
        values = self.now + self.gain * _rise(np.asarray(rows / self.rows), self.exponent)
        return _middle(values, level)

    def gained(self, level: float) -> tuple[float, float, float]:
        """Median of what twice the rows take from the loss, and its interval."""
        return _middle(self.gain, level)


def _middle(values: Array, level: float) -> tuple[float, float, float]:
    tail = (1 - level) / 2
    low, middle, high = np.quantile(values, [tail, 0.5, 1 - tail])
    return float(middle), float(low), float(high)


def _rise(share: Array, exponent: Array) -> Array:
    """The law's shape: 0 at all rows, -1 at twice as many."""
    return (share**-exponent - 1) / (1 - 2.0**-exponent)


def fit_power_law(rows: Array, losses: Array, best: float, seed: int = 0) -> PowerLaw:
    """Fit the law to losses by least squares, exponent by exponent, and draw parameters by how well each one fits.

    Losses of one fold share the luck of its rows, so each fold has a level of its own, and what is left over is the noise. It
    counts for less where there are more rows, since fits on few rows scatter more and lie further from the range asked of. Where
    the law itself fits badly, that misfit is taken for the noise instead. Priors are flat in the loss now and in the gain.

    Args:
        rows: number of rows of each fit, ascending, shape (s,), s at least 4; the last is all.
        losses: one line a fold, shape (f, s), f at least 2, lower is better.
        best: a loss that cannot be undercut; minus infinity where there is none.

    Raises:
        ValueError: for fewer points or folds.
    """
    folds, points = losses.shape
    if folds < 2 or points < 4 or points != len(rows):
        raise ValueError(f"a power law needs losses of at least 2 folds at 4 sizes, shape (f, {len(rows)}), not {losses.shape}")
    mean = losses.mean(axis=0)
    weights = rows / rows[-1]
    left = losses - losses.mean(axis=1, keepdims=True) - mean + mean.mean()
    degrees = (folds - 1) * (points - 1)
    noise = float((weights * left**2).sum()) / degrees / folds
    shares = rows / rows[-1]
    fitted = [_line(_rise(shares, exponent), mean, weights) for exponent in EXPONENTS]
    misfit = np.array([residual for _, _, residual in fitted])
    noise = max(noise, float(misfit.min()) / (points - 3), (TINY * float(np.abs(mean).max())) ** 2)
    likely = np.array([-0.5 * residual / noise - 0.5 * np.log(np.linalg.det(matrix)) for matrix, _, residual in fitted])
    chance = np.exp(likely - likely.max())
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(EXPONENTS), DRAWS, p=chance / chance.sum())
    scatter = rng.standard_t(degrees, size=(DRAWS, 2)) * np.sqrt(noise)
    roots = np.stack([np.linalg.cholesky(np.linalg.inv(matrix)) for matrix, _, _ in fitted])
    centres = np.stack([centre for _, centre, _ in fitted])
    drawn = centres[chosen] + np.einsum("dij,dj->di", roots[chosen], scatter)
    now = np.maximum(drawn[:, 0], best)
    return PowerLaw(float(rows[-1]), now, np.minimum(drawn[:, 1], now - best), EXPONENTS[chosen])


def _line(rise: Array, mean: Array, weights: Array) -> tuple[Array, Array, float]:
    """Weighted least squares of `mean` on a constant and `rise`: normal matrix, coefficients, weighted residual sum of squares."""
    design = np.column_stack([np.ones_like(rise), rise])
    matrix = design.T @ (weights[:, None] * design)
    centre = np.linalg.solve(matrix, design.T @ (weights * mean))
    return matrix, centre, float((weights * (mean - design @ centre) ** 2).sum())
