"""Where values are missing: which columns together, and whether it may be chance (Little 1988)."""

from __future__ import annotations

from typing import Any

import numpy as np

from tools.features import numbers
from tools.problem import Problem
from tools.understanding.findings import Missingness, MissingPattern

Array = np.ndarray[Any, np.dtype[Any]]

MOST_COLUMNS, MOST_ROWS = 20, 2000
"""What Little's test is made on."""
STEPS, CLOSE = 50, 1e-4
"""Steps of the EM algorithm, and what the means may still move in the last, in standard deviations."""
FEWEST_ROWS = 5
"""Rows of a pattern that has a part in the test."""
LEVEL = 0.01
PATTERNS_TOLD = 8
COMMON_LEVEL, MOST_LEVELS = 20, 6
"""Rows of a category that has a column in the test, and how many of one column have."""
SKEWED = 2.0


def missingness(problem: Problem) -> Missingness:
    """Patterns of gaps, Little's test, and columns whose gaps go with the target."""
    gaps = problem.X.isna()
    names = [name for name in gaps.columns if gaps[name].any()]
    if not names:
        return Missingness(columns=0, complete_rows=1.0, patterns=[], tested=0, verdict="complete")
    rows = gaps[names].to_numpy()
    found, counts = np.unique(rows, axis=0, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    patterns = [
        MissingPattern(columns=[names[j][:80] for j in np.flatnonzero(found[i])][:12], share=round(counts[i] / len(rows), 4))
        for i in order
        if found[i].any()
    ]
    tested = _tested(problem)
    test = littles_test(np.column_stack([values for _, values in tested])[:MOST_ROWS]) if tested else None
    related = _related(problem, {name: gaps[name].to_numpy() for name in names})
    random = test is not None and test[2] >= LEVEL and not related
    return Missingness(
        columns=len(names),
        complete_rows=round(float((~rows.any(axis=1)).mean()), 4),
        patterns=patterns[:PATTERNS_TOLD],
        tested=len({name for name, _ in tested}) if test else 0,
        statistic=round(test[0], 2) if test else None,
        degrees=test[1] if test else None,
        p_value=float(f"{test[2]:.3g}") if test else None,
        related=[name[:80] for name in related[:12]],
        verdict="not random" if related or (test and not random) else "may be random" if random else "not tested",
    )


def _tested(problem: Problem) -> list[tuple[str, Array]]:
    """Columns for the test as numbers, each with its column's name, those with most gaps first, at most `MOST_COLUMNS` in all.

    Heavily skewed numbers by normal scores, since the test takes columns to be normal; of categories each common level as 0 and 1; dates
    as moments and texts by their length, NaN where a value is missing.
    """
    import pandas as pd

    made: list[tuple[str, Array]] = []
    for column in sorted(problem.schema.columns, key=lambda c: -problem.X[c.name].isna().mean()):
        values = problem.X[column.name]
        if values.nunique() < 2 or len(made) >= MOST_COLUMNS:
            continue
        if column.kind == "categorical":
            counts = values.value_counts()
            common = [level for level, times in counts.items() if times >= COMMON_LEVEL][:MOST_LEVELS]
            # One level less than there are: the last is what the others leave.
            common = common[:-1] if len(common) == len(counts) else common
            made += [(column.name, np.where(values.isna(), np.nan, (values == level).astype("float64"))) for level in common]
            continue
        if column.kind == "text":
            values = values.str.len()
        elif column.kind == "datetime":
            values = (values - values.min()) / pd.Timedelta(days=1)
        found = numbers(values)
        made.append((column.name, _by_ranks(np.where(np.isfinite(found), found, np.nan))))
    return made[:MOST_COLUMNS]


def _by_ranks(values: Array) -> Array:
    """Numbers as they are, or where they are heavily skewed the normal scores of their ranks."""
    from scipy.special import ndtri
    from scipy.stats import rankdata, skew

    known = np.isfinite(values)
    if known.sum() < 3 or np.ptp(values[known]) == 0 or abs(float(skew(values[known]))) <= SKEWED:
        return values
    made = np.full(len(values), np.nan)
    made[known] = ndtri(rankdata(values[known]) / (known.sum() + 1))
    return made


def littles_test(matrix: Array) -> tuple[float, int, float] | None:
    """Little's test that values are missing completely at random.

    Args:
        matrix: shape (n, p), NaN where a value is missing.

    Returns:
        Statistic, degrees of freedom and p-value; None where no two patterns can be compared.
    """
    from scipy.stats import chi2

    matrix = matrix[np.isfinite(matrix).any(axis=1)]
    keep = np.isfinite(matrix).sum(axis=0) > matrix.shape[1] + 1
    matrix = matrix[:, keep]
    if len(matrix) < 10 or matrix.shape[1] < 2 or np.isfinite(matrix).all():
        return None
    spread = np.nanstd(matrix, axis=0)
    matrix = (matrix - np.nanmean(matrix, axis=0)) / np.where(spread > 0, spread, 1.0)
    mean, covariance = _em(matrix)
    statistic, degrees = 0.0, -matrix.shape[1]
    for present, rows in _patterns(matrix):
        if not present.any() or len(rows) < FEWEST_ROWS:
            continue
        apart = rows[:, present].mean(axis=0) - mean[present]
        statistic += len(rows) * float(apart @ np.linalg.pinv(covariance[np.ix_(present, present)], hermitian=True) @ apart)
        degrees += int(present.sum())
    return (statistic, degrees, float(chi2.sf(statistic, degrees))) if degrees > 0 else None


def _patterns(matrix: Array) -> list[tuple[Array, Array]]:
    """Rows by which of their values are there."""
    found, which = np.unique(np.isfinite(matrix), axis=0, return_inverse=True)
    return [(present, matrix[which.ravel() == i]) for i, present in enumerate(found)]


def _em(matrix: Array) -> tuple[Array, Array]:
    """Means and covariance of a normal distribution, by maximum likelihood from rows with gaps (Dempster, Laird and Rubin 1977)."""
    width = matrix.shape[1]
    mean, covariance = np.zeros(width), np.eye(width)
    patterns = _patterns(matrix)
    for _ in range(STEPS):
        total, products = np.zeros(width), np.zeros((width, width))
        for present, rows in patterns:
            filled, gap = rows.copy(), ~present
            if gap.any():
                there = covariance[np.ix_(present, present)] + 1e-6 * np.eye(int(present.sum()))
                slope = np.linalg.solve(there, covariance[np.ix_(present, gap)]) if present.any() else np.zeros((0, int(gap.sum())))
                filled[:, gap] = mean[gap] + (rows[:, present] - mean[present]) @ slope
                products[np.ix_(gap, gap)] += len(rows) * (covariance[np.ix_(gap, gap)] - covariance[np.ix_(gap, present)] @ slope)
            total += filled.sum(axis=0)
            products += filled.T @ filled
        moved, mean = mean, total / len(matrix)
        covariance = products / len(matrix) - np.outer(mean, mean)
        if abs(mean - moved).max() < CLOSE:
            break
    return mean, covariance


def _related(problem: Problem, gaps: dict[str, Array]) -> list[str]:
    """Columns whose gaps go with the target, by the rank test of Mann and Whitney, corrected for their number."""
    from scipy.stats import mannwhitneyu

    if problem.contract.predicts in ("groups", "scores", "labels"):
        return []
    y = np.asarray(problem.plain_target, dtype="float64")
    # Classes have no order that a rank test could go by: each commonest one against all others.
    common: list[int] = np.argsort(-np.bincount(problem.y))[:5].tolist() if problem.n_classes > 2 else []
    asked = [(y == code).astype("float64") for code in common] or [y]
    found = []
    for name, gap in gaps.items():
        if FEWEST_ROWS <= gap.sum() <= len(gap) - FEWEST_ROWS:
            p_value = min(float(mannwhitneyu(each[gap], each[~gap]).pvalue) for each in asked) * len(asked)
            if p_value < LEVEL / len(gaps):
                found.append((p_value, name))
    return [name for _, name in sorted(found)]
