"""Probabilities that mean what they say: maps learnt on out-of-fold predictions, kept where the metric gains more than noise.

Three maps, from stiff to loose: one temperature (Guo et al. 2017, On Calibration of Modern Neural Networks), a temperature with a shift a
class (Platt 1999 for two classes), and an isotonic step function (Zadrozny and Elkan 2002) where two classes have rows enough for it
(Niculescu-Mizil and Caruana 2005). What is learnt is a few plain numbers, which a record holds as JSON.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from tools.calibration import LEAST, Calibration, softmax
from tools.contract import Task
from tools.crossfit import Correction

Array = np.ndarray[Any, np.dtype[Any]]

CALIBRATED = ("log_loss", "brier", "ece", "rps")
"""Metrics that punish probabilities for their level."""
MOST_SHIFTED = 10
"""Classes that get shifts of their own."""
ISOTONIC_ROWS = 1000
MOST_KNOTS = 200
_STEPS = 12
_SOFTEST, _HARDEST = 0.05, 20.0
_PRIOR = 1.0
"""Weight, in rows, of the belief that nothing needs to change."""


def spread_of(rows: int) -> float:
    """What a map that was learnt on so many rows leaves to all classes alike: by Laplace's rule of succession, who was never wrong in n
    rows is wrong in the next with 1 / (n + 2).

    Without it maps that make predictions surer pass, since rows that they get wrong without limit are rare, and cost dearly where one
    comes. It is part of the map, so that a map is kept only where it gains with it.
    """
    return _short(2 / (rows + 2))


def temperature(y: Array, proba: Array, spread: float = 0.0) -> Calibration:
    """The factor of the log-probabilities that minimises the log loss: a convex problem of one number, by Newton's steps."""
    logs = np.log(np.maximum(proba, LEAST))
    own, scale = logs[np.arange(len(y)), y], 1.0
    for _ in range(_STEPS):
        p = softmax(scale * logs)
        mean = (p * logs).sum(axis=1)
        slope = (mean - own).sum() + _PRIOR * (scale - 1)
        bend = (p * (logs - mean[:, None]) ** 2).sum() + _PRIOR
        step = slope / bend
        scale = float(np.clip(scale - step, _SOFTEST, _HARDEST))
        if abs(step) < 1e-7:
            break
    return Calibration(kind="temperature", scale=_short(scale), spread=spread)


def sigmoid(y: Array, proba: Array, spread: float = 0.0) -> Calibration:
    """A factor and a shift a class that minimise the log loss: Platt's sigmoid for two classes."""
    from scipy.optimize import minimize

    logs, k = np.log(np.maximum(proba, LEAST)), proba.shape[1]
    rows, truth = np.arange(len(y)), np.eye(k)[y]

    def loss(theta: Array) -> tuple[float, Array]:
        scale, shift = theta[0], np.concatenate([[0.0], theta[1:]])
        p = softmax(scale * logs + shift)
        error, away = p - truth, theta - start
        value = -np.log(np.maximum(p[rows, y], LEAST)).sum() + _PRIOR / 2 * (away @ away)
        slope = np.concatenate([[(error * logs).sum()], error.sum(axis=0)[1:]]) + _PRIOR * away
        return float(value) / len(y), slope / len(y)

    start = np.concatenate([[1.0], np.zeros(k - 1)])
    bounds = [(_SOFTEST, _HARDEST), *[(-10.0, 10.0)] * (k - 1)]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 50}).x
    return Calibration(kind="sigmoid", scale=_short(found[0]), shift=(0.0, *map(_short, found[1:])), spread=spread)


def isotonic(y: Array, proba: Array) -> Calibration:
    """The rising step function of the second class's probability that is nearest to what happened; never quite 0 or 1."""
    from sklearn.isotonic import IsotonicRegression

    edge = 1 / (len(y) + 2)
    fitted = IsotonicRegression(y_min=edge, y_max=1 - edge, out_of_bounds="clip").fit(proba[:, 1], y == 1)
    said, meant = fitted.X_thresholds_, fitted.y_thresholds_
    if len(said) > MOST_KNOTS:
        kept = np.unique(np.linspace(0, len(said) - 1, MOST_KNOTS).round().astype(int))
        said, meant = said[kept], meant[kept]
    return Calibration(kind="isotonic", knots=tuple((_short(a), _short(b)) for a, b in zip(said, meant, strict=True)))


def calibrate(metric: str, task: Task, y: Array, proba: Array, folds: Array, seed: int) -> tuple[Calibration | None, Array]:
    """The calibration of a candidate, and its out-of-fold predictions calibrated by what other folds taught.

    Args:
        y: codes or values, shape (n,).
        proba: out-of-fold probabilities of all repeats, (repeats · n, k), or values (repeats · n,); NaN in rows that no fold validates.
        folds: fold of each row in the first repeat, -1 for never validated.

    Returns:
        The map for new rows, None where none gains more than noise; and predictions in the shape of `proba`, unchanged where the
        metric does not look at their level.
    """
    from tools.selection import loss_function

    if task not in ("binary", "multiclass", "ordinal") or metric not in CALIBRATED:
        return None, proba
    rows = folds >= 0
    loss = loss_function(metric, task)
    spread = spread_of(int(rows.sum()))
    ways: list[Callable[[Array, Array], Calibration]] = [partial(temperature, spread=spread)]
    if proba.shape[1] <= MOST_SHIFTED:
        ways.append(partial(sigmoid, spread=spread))
    if proba.shape[1] == 2 and rows.sum() >= 2 * ISOTONIC_ROWS:
        ways.append(isotonic)
    correction = Correction(ways, _applied, partial(_negative, loss), seed)
    of_all = np.tile(rows, len(proba) // len(y))
    found, corrected = correction.cross_fit(y[rows], proba[of_all], folds[rows])
    calibrated = proba.copy()
    calibrated[of_all] = corrected
    return found, calibrated


def _applied(proba: Array, calibration: Calibration) -> Array:
    return calibration.apply(proba)


def _negative(loss: Any, y: Array, proba: Array) -> float:
    return -float(loss(y, proba))


def _short(value: float) -> float:
    """Six digits: enough for a probability, and the same on every machine."""
    return float(f"{value:.6g}")
