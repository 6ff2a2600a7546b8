"""Linear quantile regression (Koenker and Bassett 1978) for many rows and columns, dense or sparse.

The linear program takes minutes from some ten thousand rows on. Here the kink of the pinball loss is rounded off by a logistic kernel
(Zheng 2011; He et al. 2023, "conquer"), which leaves a convex, smooth loss for L-BFGS, first rounded much, then little. What bias the
rounding leaves is taken out of the intercept, so that each level's share of the fitted rows lies below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tools.deadline import Deadline
from tools.families.setting import Array

if TYPE_CHECKING:
    from collections.abc import Sequence

ROUNDED = (0.5, 0.05)
"""Width of the kernel, in standard deviations of the target: one fit after the other, each begun where the last one ended."""
MOST_STEPS = 200


class PinballRegression:
    """One linear model a level, with a ridge penalty that has the scale of `sklearn.linear_model.Ridge` on a target of unit variance.

    Args:
        levels: shape (q,).
        alpha: strength of the penalty, 0 or more.
    """

    def __init__(self, levels: Sequence[float], alpha: float) -> None:
        self.levels, self.alpha = levels, alpha

    def fit(self, matrix: Any, y: Array, deadline: Deadline) -> PinballRegression:
        """Fit on rows.

        Args:
            matrix: dense or sparse, shape (n, d), columns of about one scale.
            y: shape (n,).
            deadline: a level takes no further step after it.
        """
        matrix = matrix if hasattr(matrix, "tocsr") else np.asarray(matrix, dtype=np.float64)
        centre, scale = float(np.median(y)), float(np.std(y)) or 1.0
        target = (y - centre) / scale
        weights = np.zeros(matrix.shape[1])
        fitted = []
        for level in self.levels:  # neighbours are alike: each level begins where the one before ended
            weights = self._of_level(matrix, target, level, weights, deadline)
            fitted.append((weights, float(np.quantile(target - matrix @ weights, level))))
        self.coefficients_ = scale * np.column_stack([weights for weights, _ in fitted])
        self.intercepts_ = centre + scale * np.array([shift for _, shift in fitted])
        return self

    def predict(self, matrix: Any) -> Array:
        """Quantiles, shape (n, q), which may cross."""
        found: Array = np.asarray(matrix @ self.coefficients_) + self.intercepts_
        return found

    def _of_level(self, matrix: Any, target: Array, level: float, start: Array, deadline: Deadline) -> Array:
        from scipy.optimize import minimize
        from scipy.special import expit

        n, at = len(target), np.append(start, np.quantile(target - matrix @ start, level))

        def loss(point: Array, width: float) -> tuple[float, Array]:
            weights, errors = point[:-1], target - matrix @ point[:-1] - point[-1]
            value = (level * errors + width * np.logaddexp(0.0, -errors / width)).mean() + 0.5 * self.alpha / n * weights @ weights
            slopes = (expit(-errors / width) - level) / n
            return float(value), np.append(matrix.T @ slopes + self.alpha / n * weights, slopes.sum())

        def stop(intermediate_result: Any) -> None:
            if deadline.expired():
                raise StopIteration

        for width in ROUNDED:
            at = minimize(loss, at, args=(width,), jac=True, method="L-BFGS-B", callback=stop, options={"maxiter": MOST_STEPS}).x
        weights: Array = at[:-1]
        return weights
