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
CLOSER = 0.02
"""Of the distance at which nine in ten rows have their next: what near ones have less than."""
MOST_COLUMNS = 60
LEAST_SHARE = 0.01
"""Of the sealed rows, what may lie among the training rows before the gate fails."""
LEAST_NEAR, MOST_KNOWN = 0.05, 5000
"""The same of rows that are nearly one of the training rows, and among how many of these they are looked for."""
NUMBERING = 0.95
"""Share of different values from which an identifier numbers rows, and says nothing of what they hold."""
BEYOND_CHANCE = 10.0
"""Times what independent columns would give."""


def repeats(problem: Problem, keys: set[str]) -> Repeats:
    """Shares of repeated rows of a problem, which may be a sample.

    Args:
        keys: identifiers; those that number the rows make none another one.
    """
    import pandas as pd

    X = problem.X[_telling(problem, keys)]
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
        near=_near(problem, keys),
        rows=problem.n_rows,
    )


def repeated_rows(frame: pd.DataFrame) -> Array:
    """Which rows equal one before them in all columns, shape (n,)."""
    import pandas as pd

    found: Array = pd.util.hash_pandas_object(frame, index=False).duplicated().to_numpy()
    return found


def _telling(problem: Problem, keys: set[str]) -> list[str]:
    """Columns by which rows are compared: all but those that number or name each row, which a copy has of its own."""
    names = [column.name for column in problem.schema.columns]
    return [name for name in names if not (name in keys and problem.X[name].nunique() >= NUMBERING * len(problem.X))] or names


def _near(problem: Problem, keys: set[str]) -> float | None:
    """Share of rows that another one nearly is."""
    part = problem.X.head(COMPARED)
    matrix = _standing(problem, keys, part)
    if matrix is None:
        return None
    found = _nearly(matrix, matrix, neighbours=2)
    return round(float(found.mean()), 4)


def _standing(problem: Problem, keys: set[str], rows: pd.DataFrame) -> Array | None:
    """Rows as points, (n, columns): numbers in units of their spread, all categories together as one code; None where numbers are few."""
    import pandas as pd

    named = set(_telling(problem, keys))
    columns = [c for c in problem.schema.columns if c.name in named and c.name in rows]
    numeric = [c.name for c in columns if c.kind == "numeric" and rows[c.name].nunique() > 10][:MOST_COLUMNS]
    other = [c.name for c in columns if c.kind in ("categorical", "boolean")][:MOST_COLUMNS]
    if len(numeric) < 2 or len(rows) < 50:
        return None
    matrix = np.column_stack([numbers(rows[name]) for name in numeric])
    matrix = np.where(np.isfinite(matrix), matrix, np.nan)
    spread = np.nanquantile(matrix, 0.95, axis=0) - np.nanquantile(matrix, 0.05, axis=0)
    scaled = np.nan_to_num((matrix - np.nanmedian(matrix, axis=0)) / np.where(spread > 0, spread, 1.0), nan=10.0)
    if not other:
        return scaled
    codes = pd.util.hash_pandas_object(rows[other], index=False).to_numpy()
    return np.column_stack([scaled, pd.factorize(codes)[0]])


def _nearly(known: Array, asked: Array, neighbours: int) -> Array:
    """Which points have another that is not the same within `NEAR` of each coordinate, and far nearer than most have one, shape (n,)."""
    from sklearn.neighbors import NearestNeighbors

    search = NearestNeighbors(n_neighbors=2, metric="chebyshev").fit(known)
    distance = search.kneighbors(asked, n_neighbors=neighbours)[0][:, -1]
    # Where points lie close by nature, as on a line, nearness says less.
    usual = float(np.quantile(search.kneighbors(known[:COMPARED])[0][:, -1], 0.9))
    found: Array = (distance > 0) & (distance < min(NEAR, CLOSER * usual))
    return found


def across_the_split(problem: Problem, holdout: pd.DataFrame, keys: set[str]) -> Gate:
    """Whether sealed rows lie among the training rows, in all columns and more often than chance gives, or nearly so.

    Args:
        holdout: the sealed rows in the schema, without their target.
        keys: identifiers; those that number the rows make none another one.
    """
    import pandas as pd

    telling = set(_telling(problem, keys))
    names = [column.name for column in problem.schema.columns if column.unique > 1 and column.name in holdout and column.name in telling]
    if not names or not len(holdout):
        return Gate(gate="duplicates across the split", verdict="not applicable", evidence="no column tells rows apart.")
    train = pd.util.hash_pandas_object(problem.X[names], index=False)
    sealed = pd.util.hash_pandas_object(holdout[names], index=False)
    found = sealed.isin(set(train))
    share, chance = float(found.mean()), _by_chance(problem.X[names])
    near = _near_across(problem, holdout[~found.to_numpy()], keys) * (1 - share)
    fails = (share > LEAST_SHARE and share > BEYOND_CHANCE * chance) or near > LEAST_NEAR
    evidence = (
        f"{int(found.sum()):,} of {len(holdout):,} sealed rows ({share:.1%}) equal a training row in all {len(names)} columns"
        f"{' that do not number rows' if len(telling) < len(problem.schema.columns) else ''}, and {near:.1%} nearly do;"
        f" columns that know nothing of each other would give {chance:.1%}."
    )
    return Gate(gate="duplicates across the split", verdict="fail" if fails else "pass", evidence=evidence)


def _near_across(problem: Problem, sealed: pd.DataFrame, keys: set[str]) -> float:
    """Share of some sealed rows that nearly are one of some training rows."""
    import pandas as pd

    sealed = sealed.iloc[:COMPARED]
    train = problem.X.iloc[np.sort(np.random.default_rng(0).permutation(len(problem.X))[:MOST_KNOWN])]
    shared = [name for name in train.columns if name in sealed]
    matrix = _standing(problem, keys, pd.concat([train[shared], sealed[shared]], ignore_index=True)) if len(sealed) else None
    if matrix is None:
        return 0.0
    return float(_nearly(matrix[: len(train)], matrix[len(train) :], neighbours=1).mean())


def _by_chance(frame: pd.DataFrame) -> float:
    """Chance that a row has a twin among as many rows, if columns were independent."""
    pair = 1.0
    for name in frame.columns:
        shares = frame[name].value_counts(normalize=True, dropna=False).to_numpy()
        pair *= float((shares**2).sum())
    return float(-np.expm1(len(frame) * np.log1p(-min(pair, 1 - 1e-12))))
