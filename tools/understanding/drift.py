"""Whether training rows and sealed rows are alike, and whether the target hangs together in time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tools.contract import Column
from tools.features import numbers
from tools.problem import Problem
from tools.understanding.findings import Dependence, Drift

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray[Any, np.dtype[Any]]

COMPARED = 2000
"""Rows of each side."""
MOST_COLUMNS = 100
NOTICEABLE, ERRORS = 0.05, 4.0
"""How far above 0.5 the area must be to count, and how many standard errors of one that knows nothing."""
LAGS = 10
LEAST_LAG1, LEVEL = 0.1, 1e-4
"""What counts as dependence: an effect that matters, beyond doubt."""


def as_matrix(columns: list[Column], frames: list[pd.DataFrame]) -> tuple[Array, list[str]]:
    """Columns of several tables below each other as numbers: categories by how common they are in all, texts by their length."""
    import pandas as pd

    blocks, names = [], []
    for column in columns[:MOST_COLUMNS]:
        values = pd.concat([frame[column.name] for frame in frames], ignore_index=True)
        if column.kind in ("numeric", "boolean"):
            block = numbers(values)
        elif column.kind == "datetime":
            block = np.where(values.isna(), np.nan, values.astype("int64").to_numpy(dtype="float64"))
        elif column.kind == "text":
            block = values.astype("str").str.len().to_numpy(dtype="float64")
        else:
            counts = values.value_counts()
            # Those as common as each other by a hash: in the order that they are met in, values of one side would stand together.
            order = np.lexsort((pd.util.hash_array(counts.index.to_numpy(dtype=object)), -counts.to_numpy()))
            block = values.map(dict(zip(counts.index[order], np.arange(len(order)), strict=True))).to_numpy(dtype="float64")
        blocks.append(block)
        names.append(column.name)
    matrix = np.column_stack(blocks) if blocks else np.empty((sum(map(len, frames)), 0))
    with np.errstate(all="ignore"):
        low = np.where(np.isfinite(matrix), matrix, np.inf).min(axis=0, initial=np.inf)
    # Trees put a value below all others apart, so missing ones need no column of their own.
    return np.where(np.isfinite(matrix), matrix, np.where(np.isfinite(low), low - 1.0, 0.0)), names


def drift(problem: Problem, holdout: pd.DataFrame, identifiers: set[str]) -> Drift | None:
    """Adversarial validation: a forest that is asked which side a row is of, cross-validated over three parts.

    Identifiers have no part in it, nor has the time that rows were split by, which tells the sides apart by design.
    """
    from sklearn.ensemble import ExtraTreesClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold

    by = problem.contract.split.column
    columns = [c for c in problem.schema.columns if c.name not in identifiers and c.name != by and c.name in holdout]
    chooser = np.random.default_rng(0)
    sides = [frame.iloc[np.sort(chooser.permutation(len(frame))[:COMPARED])] for frame in (problem.X, holdout)]
    if not columns or min(map(len, sides)) < 15:
        return None
    matrix, names = as_matrix(columns, sides)
    side = np.repeat([0, 1], [len(each) for each in sides])
    proba, weight = np.zeros(len(side)), np.zeros(matrix.shape[1])
    for learn, check in StratifiedKFold(3, shuffle=True, random_state=0).split(matrix, side):
        forest = ExtraTreesClassifier(40, max_depth=8, min_samples_leaf=5, class_weight="balanced", random_state=0)
        forest.fit(matrix[learn], side[learn])
        proba[check] = forest.predict_proba(matrix[check])[:, 1]
        weight += forest.feature_importances_
    auc = float(roc_auc_score(side, proba))
    few, many = sorted(len(each) for each in sides)
    limit = 0.5 + max(NOTICEABLE, ERRORS * float(np.sqrt((few + many + 1) / (12 * few * many))))
    apart = auc > limit
    return Drift(
        auc=round(auc, 4),
        limit=round(limit, 4),
        columns=[names[i][:80] for i in np.argsort(-weight)[:3]] if apart else [],
        rows=len(side),
        verdict="alike" if not apart else "apart in time" if problem.contract.split.kind == "time" else "apart",
    )


def dependence(problem: Problem) -> Dependence | None:
    """Autocorrelation of the target in the order of time where there is a column of it, else in the order of the table; None for
    several series, whose rows of one moment have no order."""
    from scipy.stats import chi2

    contract = problem.contract
    if contract.predicts in ("groups", "scores", "labels") or problem.n_rows < 50 or (contract.forecast and contract.forecast.series):
        return None
    by = _time_column(problem)
    order = np.argsort(problem.X[by].to_numpy(), kind="stable") if by else np.arange(problem.n_rows)
    y = np.asarray(problem.plain_target, dtype="float64")[order]
    y = y - y.mean()
    power = float(y @ y)
    if power == 0:
        return None
    n = len(y)
    lags = np.array([float(y[lag:] @ y[:-lag]) / power for lag in range(1, LAGS + 1)])
    statistic = n * (n + 2) * float((lags**2 / (n - np.arange(1, LAGS + 1))).sum())
    p_value = float(chi2.sf(statistic, LAGS))
    return Dependence(
        by=(by or "")[:80],
        lag1=round(float(lags[0]), 4),
        p_value=float(f"{p_value:.3g}"),
        dependent=bool(p_value < LEVEL and abs(lags).max() >= LEAST_LAG1),
    )


def _time_column(problem: Problem) -> str | None:
    """The column that rows were split by in time, else the one of moments without a gap that has most different ones."""
    split = problem.contract.split
    if split.kind == "time" and split.column in problem.X:
        return split.column
    usable = [c for c in problem.schema.columns if c.kind == "datetime" and c.missing == 0 and c.unique > 20]
    return max(usable, key=lambda c: c.unique).name if usable else None
