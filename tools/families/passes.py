"""Linear models of rows that memory does not hold: the very optimum that scikit-learn's estimators have, found in passes over blocks."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from tools.deadline import Deadline
from tools.families.blocks import Blocks
from tools.families.setting import Array

MOST_PASSES, TOLERANCE = 100, 1e-4
"""Of the likelihood's optimisation, as in scikit-learn's logistic regression: passes, and the largest slope at its end."""


def ridge(estimator: Any, blocks: Blocks, deadline: Deadline) -> Any:
    """Ridge regression (Hoerl and Kennard 1970) from the sums of products, which one pass gives.

    Raises:
        DeadlineReached: when the time is over.
    """
    width = blocks.width
    products, moments, totals, total = np.zeros((width, width)), np.zeros(width), np.zeros(width), 0.0
    for X, y in blocks.stretches(deadline):
        X = X.astype(np.float64)
        products += X.T @ X
        moments += X.T @ y
        totals += X.sum(axis=0)
        total += float(y.sum())
    n = len(blocks)
    centre, mean = totals / n, total / n
    spread = products - n * np.outer(centre, centre)
    spread[np.diag_indices(width)] += estimator.alpha
    found = copy.copy(estimator)
    found.coef_ = np.linalg.solve(spread, moments - n * centre * mean)
    found.intercept_ = float(mean - centre @ found.coef_)
    return found


def logistic(estimator: Any, blocks: Blocks, deadline: Deadline, weights: Array | None = None) -> Any:
    """Multinomial or binary logistic regression with an L2 penalty, by L-BFGS whose every step is a pass (Liu and Nocedal 1989).

    Args:
        estimator: fitted on some of the rows, which is where the passes begin.
        weights: of each class; None for equal ones.

    Raises:
        DeadlineReached: when the time is over before it has converged.
    """
    from scipy.optimize import minimize
    from scipy.special import expit, log_expit, log_softmax

    lines, width = estimator.coef_.shape
    binary = lines == 1
    scale = 1.0 / len(blocks)

    def loss(flat: Array) -> tuple[float, Array]:
        table = flat.reshape(lines, width + 1)
        coef, intercept = table[:, :width], table[:, width]
        value, slope = 0.0, np.zeros_like(table)
        for X, y in blocks.stretches(deadline):
            said = X.astype(np.float64) @ coef.T + intercept
            rows = np.ones(len(y)) if weights is None else weights[y]
            if binary:
                sign = np.where(y == 1, 1.0, -1.0)
                value -= float(rows @ log_expit(sign * said[:, 0]))
                error = (rows * (expit(said[:, 0]) - (y == 1)))[:, None]
            else:
                logs = log_softmax(said, axis=1)
                value -= float(rows @ logs[np.arange(len(y)), y])
                error = np.exp(logs)
                error[np.arange(len(y)), y] -= 1
                error *= rows[:, None]
            slope[:, :width] += error.T @ X
            slope[:, width] += error.sum(axis=0)
        slope[:, :width] += coef / estimator.C
        return scale * (value + 0.5 / estimator.C * float((coef**2).sum())), scale * slope.ravel()

    start = np.column_stack([estimator.coef_, estimator.intercept_]).ravel()
    told = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": MOST_PASSES, "gtol": TOLERANCE})
    table = told.x.reshape(lines, width + 1)
    found = copy.copy(estimator)
    found.coef_, found.intercept_ = table[:, :width].copy(), table[:, width].copy()
    return found
