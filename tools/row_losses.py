"""One loss a row, near to what a metric punishes: for searches and tests over rows of metrics that are of no single row."""

from __future__ import annotations

from typing import Any

import numpy as np

from tools.contract import Contract
from tools.metrics import find_metric
from tools.metrics.ordinal import rps_losses
from tools.metrics.regression import poisson_deviances
from tools.metrics.regression import row_losses as of_metric
from tools.problem import Problem
from tools.quantiles import pinball_losses

Array = np.ndarray[Any, np.dtype[Any]]

CAP = 0.99
"""Quantile that losses are brought down to."""
WRONG, BRIER = "share of wrong classes", "squared error of the probabilities"
MISORDERED = "share of comparable pairs in the wrong order"
OWN = {
    "smape": "absolute error as a share of the mean of true and predicted value",
    "huber": "Huber loss",
    "pinball_10": "pinball loss of the 10% quantile",
    "pinball_90": "pinball loss of the 90% quantile",
}
"""Metrics whose own loss of a row is taken: the square of an error would charge a quantile for lying where it should."""
MOST_COMPARED = 1000
"""Rows that each row is held against where risks are compared."""


def mean_losses(problem: Problem, predictions: Array, decided: Array) -> tuple[Array, str]:
    """One loss a row, and what it is, in the mean over repeats: that of a single model, and every row once.

    The mean prediction of several repeats errs less than any single model, and least where a model wavers most.

    Args:
        predictions: out of fold, of all repeats, (repeats · n, k) or (repeats · n,).
        decided: the same as they are scored, see `Problem.decide`.
    """
    pairs = zip(problem.scheme.by_repeat(predictions), problem.scheme.by_repeat(decided), strict=True)
    found = [loss_of_rows(problem, each, called) for each, called in pairs]
    return np.mean([losses for losses, _ in found], axis=0), found[0][1]


def loss_of_rows(problem: Problem, predictions: Array, decided: Array | None = None) -> tuple[Array, str]:
    """One loss a row, and what it is, see `row_losses`."""
    if problem.contract.metric == "mase" and problem.units is not None:
        return np.abs(predictions - problem.y) / problem.units, "absolute error in units of the seasonal naive one"
    return losses_by_contract(problem.contract, problem.y, predictions, decided)


def losses_by_contract(contract: Contract, y: Array, predictions: Array, decided: Array | None = None) -> tuple[Array, str]:
    """One loss a row, and what it is, whatever is predicted: classes, values, labels, risks or quantiles.

    Args:
        y: codes or values, shape (n,); labels, (n, labels); signed times, (n,), see `tools.survival`.
        predictions: (n, k) or (n,).
        decided: see `row_losses`.
    """
    if contract.predicts == "risk":
        return _misordered(y, predictions, contract.seed), MISORDERED
    if contract.predicts == "labels":
        return ((predictions - y) ** 2).mean(axis=1), BRIER
    if contract.predicts == "quantiles":
        return pinball_losses(y, predictions, np.asarray(contract.quantiles)), "pinball loss, the mean over levels"
    return row_losses(contract.metric, len(contract.classes), y, predictions, decided)


def row_losses(metric: str, n_classes: int, y: Array, predictions: Array, decided: Array | None = None) -> tuple[Array, str]:
    """One loss a row, near to what the metric punishes, and what it is. NaN where no prediction is.

    ROC AUC and its like are of no single row; for them it is the squared error of the probabilities (Brier 1950).

    Args:
        n_classes: 0 for values.
        y: codes or values, shape (n,).
        predictions: (n, k) or (n,).
        decided: the predictions whose largest is the class that is called, where that is not the most probable one.
    """
    if n_classes == 0:
        if metric == "rmsle":
            return (np.log1p(np.maximum(predictions, 0)) - np.log1p(np.maximum(y, 0))) ** 2, "squared error of log(1 + value)"
        if metric in ("mae", "median_ae", "wape", "mase"):
            return np.abs(predictions - y), "absolute error"
        if metric == "mape":
            return np.abs(predictions - y) / np.maximum(np.abs(y), np.finfo(float).eps), "absolute error as a share of the true value"
        if metric == "poisson_deviance":
            return poisson_deviances(y, predictions), "Poisson deviance"
        if metric in OWN:
            losses = of_metric(metric, y, predictions)
            assert losses is not None, metric
            return np.where(np.isfinite(predictions), losses, np.nan), OWN[metric]
        return (predictions - y) ** 2, "squared error"
    own = predictions[np.arange(len(y)), y]
    known = np.isfinite(own)
    if metric == "log_loss":
        return -np.log(np.clip(own, 1e-7, 1)), "log loss"
    if metric in ("qwk", "ordinal_mae", "rps"):
        return rps_losses(y, predictions), "ranked probability score"
    if find_metric(metric).needs == "label":
        wrong = np.full(len(y), np.nan)
        wrong[known] = (predictions if decided is None else decided)[known].argmax(axis=1) != y[known]
        return wrong, WRONG
    truth = np.eye(n_classes)[y]
    return ((predictions - truth) ** 2).sum(axis=1) / 2, BRIER


def _misordered(y: Array, risk: Array, seed: int) -> Array:
    """Of each row, the share of its comparable pairs with other rows in which the longer-lived row has the higher risk, (n,).

    Many rows are compared with a sample of them. NaN where a row has no comparable pair.
    """
    rows = np.flatnonzero(np.isfinite(risk))
    others = np.sort(np.random.default_rng(seed).permutation(rows)[:MOST_COMPARED])
    times, events, found = np.abs(y), ~np.signbit(y), np.full(len(y), np.nan)
    for row in rows:
        first = events[row] & ((times[others] > times[row]) | ((times[others] == times[row]) & ~events[others]))
        last = events[others] & ((times[row] > times[others]) | ((times[row] == times[others]) & ~events[row]))
        pairs = first.sum() + last.sum()
        gaps = np.concatenate([risk[row] - risk[others[first]], risk[others[last]] - risk[row]])
        found[row] = ((gaps < 0).sum() + 0.5 * (gaps == 0).sum()) / pairs if pairs else np.nan
    return found


def capped(losses: Array, kind: str) -> tuple[Array, str]:
    """Losses that a single row cannot dominate, and what they are then: those above the 99th percentile are brought down to it.

    One house that is mispriced by a million is an outlier, and no part of the table where a model fails; left as it is, it hides those.
    Losses that are bounded already stay as they are.
    """
    known = losses[np.isfinite(losses)]
    most = float(np.quantile(known, CAP, method="higher"))
    if most >= known.max() or kind in (WRONG, BRIER, MISORDERED):
        return losses, kind
    bound = f"{most:,.0f}" if most >= 10_000 else f"{most:.4g}"
    return np.minimum(losses, most), f"{kind} (at most its {CAP:.0%} quantile, {bound})"
