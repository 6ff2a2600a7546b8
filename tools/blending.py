"""Weights of a blend, and what it predicts for rows that its weights never saw."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tools.folds import fold_ids
from tools.metrics import find_metric
from tools.selection import by_fold, greedy_weights, loss_function, weighed_by, weighted

if TYPE_CHECKING:
    from tools.deadline import Deadline
    from tools.problem import Problem

Array = np.ndarray[Any, np.dtype[Any]]

MOST_ROWS = 20_000
"""Out-of-fold rows that decide the weights; beyond, a sample does."""
BAGS, BAG_SHARE = 5, 0.6
"""Greedy weights are the mean of so many choices, each made on this share of the rows, where rows are few enough to mislead one."""
LEAST_WEIGHT = 0.02
"""A member with less than this is not worth fitting."""
BAGGED_CELLS, RANKED = 50_000, 10
"""Predictions, candidates times rows, up to which that is so; those of a metric that ranks rows, which takes longer, count more."""


def cross_weighed(predictions: Array, problem: Problem, deadline: Deadline) -> tuple[Array, Array]:
    """Weights over all folds of all repeats, and out-of-fold predictions whose weights were chosen on the other folds of their repeat.

    With few rows the weights are bagged: the mean of several greedy choices on random parts of the rows (Caruana et al. 2004, 2006).

    Args:
        predictions: out of fold, (m, repeats · n, k) or (m, repeats · n).
    """
    task = problem.contract.task
    loss = loss_function(weighed_by(problem.contract.metric, task), task, problem.contract.quantiles)
    bagged = problem.contract.predicts in ("classes", "values") and "bagged_weights" not in problem.contract.constraints.without
    ranks = find_metric(problem.contract.metric).compares_rows
    repeats, n = problem.scheme.repeats, problem.n_rows
    said, truth = predictions, np.tile(problem.y, repeats)
    if problem.units is not None and find_metric(problem.contract.metric).in_units:
        said, truth = predictions / np.tile(problem.units, repeats), truth / np.tile(problem.units, repeats)
    # Folds of different repeats are no one fold, so each gets a number of its own.
    folds = np.concatenate([np.where(f >= 0, f + r * n, -1) for r, f in enumerate(problem.scheme.folds)])
    rows, ids = np.flatnonzero(folds >= 0), fold_ids(folds)
    crossed = problem.empty_oof()

    def fit(learn: Array, share: float) -> Array:
        if len(learn) > MOST_ROWS:
            learn = np.sort(np.random.default_rng(problem.contract.seed).choice(learn, MOST_ROWS, replace=False))
        few = said.shape[0] * len(learn) * (RANKED if ranks else 1) <= BAGGED_CELLS
        bags = _bags(learn, truth, problem) if bagged and few else [learn]
        until, found = deadline.share(share), []
        for bag in bags:
            chosen = by_fold(loss, folds[bag]) if ranks else loss
            found.append(greedy_weights(said[:, bag], truth[bag], chosen, until))
        mean: Array = np.mean(found, axis=0)
        mean = np.where(mean < LEAST_WEIGHT, 0.0, mean)
        return mean / mean.sum()

    weights = fit(rows, deadline.remaining() / (len(ids) + 1))
    for i, fold in enumerate(ids):
        inside = np.flatnonzero(folds == fold)
        others = rows[(rows // n == fold // n) & (folds[rows] != fold)]
        usable = len(others) > 0 and (problem.n_classes == 0 or len(np.unique(truth[others])) == len(np.unique(truth[rows])))
        chosen = fit(others, deadline.remaining() / (len(ids) - i)) if usable else weights
        crossed[inside] = weighted(predictions[:, inside], chosen)
    return weights, crossed


def _bags(rows: Array, truth: Array, problem: Problem) -> list[Array]:
    """Parts of the rows, each drawn at random; all rows instead of one that lacks a class."""
    rng = np.random.default_rng(problem.contract.seed)
    drawn = [np.sort(rng.choice(rows, max(2, round(BAG_SHARE * len(rows))), replace=False)) for _ in range(BAGS)]
    whole = len(np.unique(truth[rows])) if problem.n_classes else 0
    return [bag if len(np.unique(truth[bag])) >= whole else rows for bag in drawn]
