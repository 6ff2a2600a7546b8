"""Rows that come again: in the training rows, nearly so, and on both sides of the split."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tools.features import numbers
from tools.problem import Problem
from tools.understanding.findings import Gate, Repeats

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray[Any, np.dtype[Any]]

COMPARED = 1500
"""Rows that are compared with each other for near repeats."""
NEAR = 1e-3
"""Of a column's spread, what two values may differ by."""
MOST_COLUMNS = 60
LEAST_SHARE = 0.01
"""Of the sealed rows, what may lie among the training rows before the gate fails."""
BEYOND_CHANCE = 10.0
"""Times what independent columns would give."""


def repeats(problem: Problem) -> Repeats:
    """Shares of repeated rows of a problem, which may be a sample."""
    import pandas as pd

    X = problem.X
    alone = pd.util.hash_pandas_object(X, index=False)
    told = problem.plain_target if problem.contract.predicts in ("groups", "scores") else problem.y
    target = pd.DataFrame(np.atleast_2d(told.T).T)
    whole = pd.util.hash_pandas_object(target, index=False).to_numpy() ^ alone.to_numpy()
    exact = float(pd.Series(whole).duplicated().mean())
    # Of rows with the same columns, those that are not all alike with the target.
    sizes = pd.DataFrame({"alone": alone, "whole": whole}).groupby("alone")["whole"].transform("nunique")
    return Repeats(
        exact=round(exact, 4),
        contradicting=round(float((sizes > 1).mean()), 4),
        near=_near(problem),
        rows=problem.n_rows,
    )


def repeated_rows(frame: pd.DataFrame) -> Array:
    """Which rows equal one before them in all columns, shape (n,)."""
    import pandas as pd

    found: Array = pd.util.hash_pandas_object(frame, index=False).duplicated().to_numpy()
    return found


def _near(problem: Problem) -> float | None:
    """Share of rows that another one nearly is, by columns of numbers within `NEAR` of their spread and equal categories."""
    import pandas as pd
    from sklearn.neighbors import NearestNeighbors

    part = problem.X.head(COMPARED)
    numeric = [c.name for c in problem.schema.columns if c.kind == "numeric" and part[c.name].nunique() > 10][:MOST_COLUMNS]
    other = [c.name for c in problem.schema.columns if c.kind in ("categorical", "boolean")][:MOST_COLUMNS]
    if len(numeric) < 2 or len(part) < 50:
        return None
    matrix = np.column_stack([numbers(part[name]) for name in numeric])
    spread = np.nanquantile(matrix, 0.95, axis=0) - np.nanquantile(matrix, 0.05, axis=0)
    scaled = np.nan_to_num((matrix - np.nanmedian(matrix, axis=0)) / np.where(spread > 0, spread, 1.0), nan=10.0)
    if other:
        codes = pd.util.hash_pandas_object(part[other], index=False).to_numpy()
        scaled = np.column_stack([scaled, pd.factorize(codes)[0]])
    search = NearestNeighbors(n_neighbors=2, metric="chebyshev").fit(scaled)
    distance = search.kneighbors(scaled)[0][:, 1]
    return round(float(((distance > 0) & (distance < NEAR)).mean()), 4)


def across_the_split(problem: Problem, holdout: pd.DataFrame) -> Gate:
    """Whether sealed rows lie among the training rows, in all columns and more often than chance gives.

    Args:
        holdout: the sealed rows in the schema, without their target.
    """
    import pandas as pd

    names = [column.name for column in problem.schema.columns if column.unique > 1 and column.name in holdout]
    if not names or not len(holdout):
        return Gate(gate="duplicates across the split", verdict="not applicable", evidence="no column tells rows apart.")
    train = pd.util.hash_pandas_object(problem.X[names], index=False)
    sealed = pd.util.hash_pandas_object(holdout[names], index=False)
    found = sealed.isin(set(train))
    share, chance = float(found.mean()), _by_chance(problem.X[names])
    fails = share > LEAST_SHARE and share > BEYOND_CHANCE * chance
    evidence = (
        f"{int(found.sum()):,} of {len(holdout):,} sealed rows ({share:.1%}) equal a training row in all {len(names)} columns;"
        f" columns that know nothing of each other would give {chance:.1%}."
    )
    return Gate(gate="duplicates across the split", verdict="fail" if fails else "pass", evidence=evidence)


def _by_chance(frame: pd.DataFrame) -> float:
    """Chance that a row has a twin among as many rows, if columns were independent."""
    pair = 1.0
    for name in frame.columns:
        shares = frame[name].value_counts(normalize=True, dropna=False).to_numpy()
        pair *= float((shares**2).sum())
    return float(-np.expm1(len(frame) * np.log1p(-min(pair, 1 - 1e-12))))
