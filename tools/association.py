"""How well a column alone predicts the target, by a small model of it that is cross-validated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tools.concordance import Concordance
from tools.contract import Column
from tools.features import date_parts, numbers
from tools.problem import Problem

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray[Any, np.dtype[Any]]

MOST_ASSOCIATED = 200
"""Columns that get an association; the others have None."""
WORDS = 2000
"""The commonest words of a text that are held against the target."""
MOST_PROFILED = 10
"""Labels that columns are associated with."""


def associations(problem: Problem) -> dict[str, float]:
    """How well each column alone predicts the target: a small tree, of a text a linear model of its words, cross-validated over three
    parts of the rows.

    ROC AUC for classes (0.5 is chance), the best of several labels', R² for numbers (0 is chance, below 0 shown as 0). Of survival, the
    concordance of what the tree says of the residuals of the model without columns (0.5 is chance).
    """
    if problem.contract.predicts in ("groups", "scores"):
        return {}
    if problem.contract.predicts == "labels":
        found: dict[str, float] = {}
        for place in range(min(problem.n_classes, MOST_PROFILED)):
            for name, value in associations(problem.of_label(place)).items():
                found[name] = max(value, found.get(name, 0.0))
        return found
    associate = Associate(problem)
    columns = problem.schema.columns[:MOST_ASSOCIATED]
    return {column.name: alone for column in columns if (alone := associate(column, problem.X[column.name])) is not None}


class Associate:
    """Measures how well values predict the target of a problem that has one."""

    def __init__(self, problem: Problem) -> None:
        from sklearn.model_selection import KFold, StratifiedKFold

        y, self._n_classes = problem.plain_target, problem.n_classes
        self._parts: list[tuple[Array, Array]] = []
        self._rows = np.arange(len(y))
        if self._n_classes:
            counts = np.bincount(y, minlength=self._n_classes)
            # Classes of a few rows cannot be scored in every part.
            self._rows = np.flatnonzero(counts[y] >= 6)
            if len(np.unique(y[self._rows])) >= 2:
                self._parts = list(StratifiedKFold(3, shuffle=True, random_state=0).split(self._rows, y[self._rows]))
        elif len(y) >= 12 and np.ptp(y) > 0:
            self._parts = list(KFold(3, shuffle=True, random_state=0).split(self._rows))
        self._y = y[self._rows]
        self._signed = problem.y[self._rows] if problem.contract.predicts == "risk" else None

    def __call__(self, column: Column, values: pd.Series) -> float | None:
        """The association of values, read as the column's are; None where there is none to measure."""
        values = values.iloc[self._rows]
        if not self._parts or values.nunique(dropna=False) < 2:
            return None
        return _association(column, values, self._y, self._n_classes, self._parts, self._signed)


def _association(
    column: Column, values: pd.Series, y: Array, n_classes: int, parts: list[tuple[Array, Array]], signed: Array | None
) -> float:
    from sklearn.metrics import r2_score, roc_auc_score
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    leaf = max(5, len(y) // 200)
    if n_classes:
        labels, dense = np.unique(y, return_inverse=True)
        proba = np.zeros((len(y), len(labels)))
        for learn, check in parts:
            if column.kind == "text":
                proba[check] = _by_words(values, np.eye(len(labels))[dense], learn, check)
                continue
            matrix = _matrix(column, values, dense, learn, len(labels))
            tree = DecisionTreeClassifier(max_leaf_nodes=32, min_samples_leaf=leaf, random_state=0).fit(matrix[learn], dense[learn])
            proba[np.ix_(check, tree.classes_)] = tree.predict_proba(matrix[check])
        return float(
            np.mean([roc_auc_score(dense == code, proba[:, code]) for code in (range(1, 2) if len(labels) == 2 else range(len(labels)))])
        )
    predicted = np.zeros(len(y))
    for learn, check in parts:
        if column.kind == "text":
            predicted[check] = _by_words(values, y[:, None], learn, check)[:, 0]
            continue
        matrix = _matrix(column, values, y, learn, 0)
        tree = DecisionTreeRegressor(max_leaf_nodes=32, min_samples_leaf=leaf, random_state=0).fit(matrix[learn], y[learn])
        predicted[check] = tree.predict(matrix[check])
    if signed is not None:
        return float(np.nan_to_num(Concordance(signed, predicted).score(), nan=0.5))
    return max(0.0, float(r2_score(y, predicted)))


def _by_words(values: pd.Series, truth: Array, learn: Array, check: Array) -> Array:
    """What the words of texts say of each column of the truth (n, k), learnt of some rows: scores of the others, (checked, k)."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import Ridge

    texts = values.fillna("").astype(str).str.slice(0, 2000).to_numpy()
    words = TfidfVectorizer(max_features=WORDS, token_pattern=r"(?u)\b\w+\b", sublinear_tf=True)
    try:
        known = words.fit_transform(texts[learn])
    except ValueError:  # no text has a word
        return np.repeat(truth[learn].mean(axis=0)[None], len(check), axis=0)
    return np.asarray(Ridge(solver="lsqr").fit(known, truth[learn]).predict(words.transform(texts[check]))).reshape(len(check), -1)


def _matrix(column: Column, values: pd.Series, y: Array, learn: Array, n_classes: int) -> Array:
    """A column as numbers: categories by their mean target over the learning rows, shrunk towards the whole mean."""
    if column.kind == "datetime":
        return date_parts(values)[0]
    if column.kind != "categorical":
        return numbers(values)[:, None]
    codes = values.astype("category").cat.codes.to_numpy().astype(np.int64) + 1
    size = int(codes.max()) + 1
    targets = np.eye(n_classes)[y][:, 1:] if n_classes else y[:, None].astype(np.float64)
    targets = targets[:, :10]
    sums = np.zeros((size, targets.shape[1]))
    np.add.at(sums, codes[learn], targets[learn])
    counts = np.bincount(codes[learn], minlength=size)[:, None]
    means: Array = ((sums + 5 * targets[learn].mean(axis=0)) / (counts + 5))[codes]
    return means
