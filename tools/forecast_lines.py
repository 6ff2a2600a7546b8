"""Which series a plot of a forecast shows, and their lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tools.plots import Lines
from tools.problem import Problem

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray[Any, np.dtype[Any]]

MOST_SERIES = 4
LEAST_SHOWN = 150
"""Steps of history that are always shown, where there are so many."""


def series_shown(problem: Problem, oof: Array, holdout: pd.DataFrame, predictions: Array) -> list[tuple[str, Lines]]:
    """Up to four series, from the one with the smallest error in the backtests to the one with the largest, with the end of their history.

    Args:
        oof: predictions of the training rows, NaN where no fold validates, shape (n,).
        holdout: the sealed rows' features.
        predictions: of them.
    """
    forecast = problem.contract.forecast
    assert forecast is not None
    assert problem.units is not None
    keys, ahead_keys = forecast.series_of(problem.X).astype(str), forecast.series_of(holdout).astype(str)
    errors = np.abs(oof - problem.y) / problem.units
    names = np.unique(keys)
    if len(names) > MOST_SERIES:
        codes, scored = np.searchsorted(names, keys), np.isfinite(errors)
        counts = np.bincount(codes[scored], minlength=len(names))
        means = np.bincount(codes[scored], errors[scored], len(names)) / np.maximum(counts, 1)
        names, means = names[counts > 0], means[counts > 0]  # a series that began too late for a backtest has no error
        ranked = names[np.argsort(means, kind="stable")]
        names = ranked[np.linspace(0, len(ranked) - 1, MOST_SERIES).round().astype(int)]
    steps, when, when_ahead = forecast.steps_of(problem.X), forecast.moments_of(problem.X), forecast.moments_of(holdout)
    shown = max(LEAST_SHOWN, (len(problem.fold_ids) + 2) * forecast.horizon)
    found = []
    for name in names:
        mine = np.flatnonzero(keys == name)
        mine = mine[np.argsort(steps[mine], kind="stable")]
        mine = mine[steps[mine] > steps[mine[-1]] - shown]
        of_fold = [mine[problem.folds[mine] == fold] for fold in problem.fold_ids]
        future = np.flatnonzero(ahead_keys == name)
        future = future[np.argsort(when_ahead.iloc[future].to_numpy(), kind="stable")]
        lines = Lines(
            history=(when.iloc[mine].to_numpy(), problem.y[mine]),
            backtests=[(when.iloc[rows].to_numpy(), oof[rows]) for rows in of_fold if len(rows)],
            ahead=(when_ahead.iloc[future].to_numpy(), predictions[future]),
        )
        found.append((str(name) or problem.contract.target, lines))
    return found
