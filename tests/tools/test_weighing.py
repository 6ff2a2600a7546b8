"""A metric under counts of rows is the metric of the repeated rows; and what holds of metrics whatever the rows are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from tools.contract import predicts
from tools.metrics import METRICS, bootstrap_interval, bootstrap_intervals, score, shaped, undefined_reason
from tools.resampling import FEWEST, bootstrap_scores, group_draws, row_draws, strata_of
from tools.survival import signed_times
from tools.weighing import weigher

UNTARGETED = ("cluster", "anomaly")
"""Tasks whose metrics are scored against something else than a target: tests/tools/test_structure_metrics.py has them."""
CASES = [(name, task) for name, metric in METRICS.items() for task in metric.tasks if task not in UNTARGETED]
SEEDS = st.integers(0, 10_000)


def drawn(task: str, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows with ties among the predictions, and rows that are predicted exactly."""
    rng = np.random.default_rng(seed)
    if predicts(task) == "values":
        y = rng.gamma(2.0, size=n).round(1) + 0.1
        return y, y + rng.choice([-0.5, 0.0, 0.0, 0.3, 2.0], n)
    if task == "quantile":
        y, middle = drawn("regression", n, seed)
        return y, np.column_stack([middle - rng.choice([0.0, 0.4], n), middle, middle + rng.choice([0.0, 0.0, 0.7], n)])
    if task == "count":
        y = 1.0 + rng.poisson(2.0, n)
        return y, y + rng.choice([-0.5, 0.0, 0.0, 0.3, 2.0], n)
    if task == "survival":
        times = rng.integers(1, 9, n).astype(float)
        return signed_times(times, rng.random(n) < 0.7), -times + rng.choice([-3.0, 0.0, 0.0, 3.0], n)
    if task == "multilabel":
        y = np.concatenate([np.eye(3, dtype=int), rng.integers(2, size=(n - 3, 3))])
        return y, np.where(rng.random(y.shape) < 0.3, rng.integers(0, 5, y.shape) / 4, 0.2 + 0.6 * y)
    k = 2 if task == "binary" else int(rng.integers(3, 6))
    y = np.concatenate([np.arange(k), rng.integers(k, size=n - k)])
    proba = rng.integers(1, 5, size=(n, k)).astype(float)
    proba[np.arange(n), y] += rng.integers(3, size=n)
    return y, proba / proba.sum(axis=1, keepdims=True)


def units(task: str, n: int) -> np.ndarray:
    return np.broadcast_to([0.1, 0.5, 0.9], (n, 3)) if task == "quantile" else np.ones(n)


@pytest.mark.parametrize(("name", "task"), CASES)
@given(n=st.integers(6, 40), seed=SEEDS)
def test_counts_score_as_repeated_rows_do(name: str, task: str, n: int, seed: int) -> None:
    metric = METRICS[name]
    y, predictions = drawn(task, n, seed)
    if undefined_reason(name, task, y):
        return
    counts = np.random.default_rng(seed + 1).integers(0, 4, n).astype(float)
    again = np.repeat(np.arange(n), counts.astype(int))
    found = weigher(metric, *shaped(metric, task, y, predictions, units(task, n)))(counts)
    try:
        expected = score(name, task, y[again], predictions[again], units=units(task, len(again)))
    except ValueError:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(("name", "task"), CASES)
@given(n=st.integers(6, 60), seed=SEEDS)
def test_scores_stay_in_range_below_the_truth_and_know_no_order_of_rows(name: str, task: str, n: int, seed: int) -> None:
    y, predictions = drawn(task, n, seed)
    if undefined_reason(name, task, y):
        return
    low, high = METRICS[name].range
    found = score(name, task, y, predictions, units=units(task, n))
    assert low - 1e-12 <= found <= high + 1e-12
    order = np.random.default_rng(seed + 1).permutation(n)
    assert score(name, task, y[order], predictions[order], units=units(task, n)) == pytest.approx(found, rel=1e-9, abs=1e-12)
    truths = {
        "classes": lambda: np.eye(predictions.shape[1])[y],
        "risk": lambda: 0.5 * (y > 0) - np.abs(y),
        "quantiles": lambda: np.column_stack([y, y, y]),
    }
    truth = truths.get(predicts(task), lambda: y)()
    best = score(name, task, y, truth, units=units(task, n))
    assert found == pytest.approx(best, abs=1e-12) or METRICS[name].better(best, found)


@given(n=st.integers(6, 200), seed=SEEDS, task=st.sampled_from(["binary", "multiclass", "regression", "count", "ordinal", "multilabel"]))
def test_a_resample_has_every_class_in_its_share(n: int, seed: int, task: str) -> None:
    y, _ = drawn(task, n, seed)
    for counts in row_draws(strata_of(task, y), n, 5, np.random.default_rng(seed)):
        assert counts.sum() == n
        if predicts(task) == "classes":
            sizes = np.bincount(y)
            own = sizes >= FEWEST if (sizes > 0).sum() > 2 and ((sizes > 0) & (sizes < FEWEST)).sum() > 1 else sizes > 0
            assert np.array_equal(np.bincount(y, weights=counts, minlength=len(sizes))[own], sizes[own])


@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize("name", ["accuracy", "log_loss"])
def test_intervals_know_what_chance_is_in_classes_of_few_rows(size: int, name: str) -> None:
    """Thirty classes, each with a share of right calls of its own: drawn each by itself, of one row each, intervals had no width."""
    rng = np.random.default_rng(size)
    right, y = rng.beta(4, 2, 30), np.repeat(np.arange(30), size)
    truth = right.mean() if name == "accuracy" else -(right * np.log(0.71) + (1 - right) * np.log(0.01)).mean()
    held = 0
    for _ in range(100):
        calls = np.where(rng.random(len(y)) < right[y], y, (y + 1) % 30)
        found = bootstrap_interval(name, "multiclass", y, 0.01 + 0.7 * np.eye(30)[calls], resamples=200)
        held += found.low <= truth <= found.high
    assert held >= binom.ppf(0.001, 100, 0.93)  # a percentile interval of so few rows holds a little less than 95 %


@given(n=st.integers(4, 100), seed=SEEDS)
def test_a_resample_of_groups_takes_all_rows_of_a_group_or_none(n: int, seed: int) -> None:
    groups = np.random.default_rng(seed).integers(0, 10, n)
    groups[:2] = [10, 11]
    for counts in group_draws(groups, 5, np.random.default_rng(seed)):
        assert all(len(set(counts[groups == name])) == 1 for name in np.unique(groups))
        assert sum(counts[groups == name][0] for name in np.unique(groups)) == len(np.unique(groups))


@pytest.mark.parametrize(("name", "task"), CASES)
def test_the_interval_holds_the_score_and_resamples_stay_in_range(name: str, task: str) -> None:
    y, predictions = drawn(task, 120, 3)
    found = bootstrap_interval(name, task, y, predictions, units=units(task, 120), resamples=200)
    assert found.low <= found.score <= found.high
    metric, groups = METRICS[name], np.arange(120) // 3
    codes, ready = shaped(metric, task, y, predictions, units(task, 120))
    (scores,) = bootstrap_scores([metric], task, codes, [ready], 100, 0, groups)
    assert len(scores) == 100
    assert scores.min() >= metric.range[0]
    assert scores.max() <= metric.range[1] + 1e-12


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression", "count", "ordinal", "multilabel"])
def test_metrics_that_share_their_resamples_get_the_same_intervals(task: str) -> None:
    y, predictions = drawn(task, 80, 1)
    names = [name for name, metric in METRICS.items() if task in metric.tasks]
    alone = [bootstrap_interval(name, task, y, predictions, resamples=50, seed=4) for name in names]
    assert bootstrap_intervals(names, task, y, predictions, resamples=50, seed=4) == alone
