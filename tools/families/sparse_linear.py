"""Regularised linear models over every level of every category and every n-gram of every text, as a sparse matrix."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.families.appetite import Appetite
from tools.families.base import CLASS_WEIGHT, Family
from tools.families.fitted import Raw
from tools.families.matrix import encoder_for
from tools.families.pinball_regression import PinballRegression
from tools.families.setting import Array, FitContext, Params, Setting
from tools.features import TableEncoder
from tools.grams import Grams
from tools.readings import read_once
from tools.text_features import MOST_GRAMS, texts_of
from tools.textscore import MOST_WORDS

if TYPE_CHECKING:
    import optuna
    import pandas as pd

MANY_LEVELS = 30
"""A category with more levels than this is worth a column for each; below, the dense linear model does the same."""


@dataclass
class SparseEncoder:
    """Numbers and dates scaled and squashed, categories one column a level, texts by their n-grams."""

    dense: TableEncoder
    levels: Any
    categories: list[str]
    texts: dict[str, list[Grams]]

    def transform(self, X: pd.DataFrame, numbers: Array | None = None) -> Any:
        """A sparse matrix, shape (n, width).

        Args:
            numbers: the dense columns, where they are at hand.
        """
        from scipy.sparse import csr_matrix, hstack

        parts = [csr_matrix(self.dense.transform(X) if numbers is None else numbers)]
        if self.categories:
            parts.append(self.levels.transform(_as_text(X, self.categories)))
        for name, halves in self.texts.items():
            read = texts_of(X[name])
            parts += [half.transform(read) for half in halves if half.width]
        return hstack(parts).tocsr()


@dataclass
class SparseLinearModel:
    encoder: SparseEncoder
    estimator: Any
    n_classes: int

    def predict(self, X: pd.DataFrame) -> Array:
        matrix = read_once(self.encoder, X, lambda: self.encoder.transform(X))
        values = self.estimator.predict_proba(matrix) if self.n_classes else self.estimator.predict(matrix)
        return np.asarray(values, dtype=np.float64)


class SparseLinear(Family):
    """Logistic, ridge or Poisson regression, scikit-learn, or quantile regression, for tables with texts or with categories of many levels.

    On text alone such models are hard to beat (Wang and Manning 2012); beside trees they see what those have to leave out.
    """

    name = "sparse_linear"
    weight = 0.6
    weighable = True
    appetite = Appetite(table=2.5, matrix=3.2, category=1.5, classes=4, text_bytes=80.0)

    def unsuited(self, setting: Setting) -> str | None:
        texts = setting.text and any(c.kind == "text" for c in setting.columns)
        levels = max((c.unique for c in setting.columns if c.kind == "categorical"), default=0)
        return None if texts or levels > MANY_LEVELS else f"there is no text, and no category of more than {MANY_LEVELS} levels"

    def default(self, setting: Setting) -> list[Params]:
        if setting.n_classes:
            return [{"C": 2.0}, {"C": 0.2}]
        return [{"alpha": 1.0, "log_target": setting.skewed or setting.log_target}, {"alpha": 10.0, "log_target": setting.log_target}]

    def space(self, trial: optuna.Trial, setting: Setting) -> Params:
        if setting.n_classes:
            return {"C": trial.suggest_float("C", 1e-2, 100.0, log=True)}
        log_target = trial.suggest_categorical("log_target", [False, True]) if setting.may_log else False
        return {"alpha": trial.suggest_float("alpha", 1e-2, 1e3, log=True), "log_target": log_target}

    def _fit(
        self, X: pd.DataFrame, y: Array, valid: tuple[pd.DataFrame, Array] | None, params: Params, setting: Setting, context: FitContext
    ) -> Raw:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression, PoissonRegressor, Ridge

        encoder, matrix = context.of_rows(X, lambda: self.encoded(X, setting))
        context.deadline.check()
        if setting.quantiles:
            levels = PinballRegression(setting.quantiles, params["alpha"]).fit(matrix, y, context.deadline)
            return Raw(SparseLinearModel(encoder, levels, 0))
        if setting.n_classes:
            estimator: Any = LogisticRegression(C=params["C"], class_weight=params.get(CLASS_WEIGHT), max_iter=150, tol=1e-3)
        elif setting.poisson_loss:
            estimator = PoissonRegressor(alpha=params["alpha"] / len(y), max_iter=150, tol=1e-3)
        else:
            estimator = Ridge(alpha=params["alpha"], solver="sparse_cg", tol=1e-4)
        with warnings.catch_warnings():
            # A fit that stops at the iteration limit is still a model; its fold scores tell its worth.
            warnings.simplefilter("ignore", ConvergenceWarning)
            estimator.fit(matrix, y)
        return Raw(SparseLinearModel(encoder, estimator, setting.n_classes))

    @staticmethod
    def encoded(X: pd.DataFrame, setting: Setting) -> tuple[SparseEncoder, Any]:
        """A fitted encoder, and the rows that it was fitted to as a sparse matrix."""
        from sklearn.preprocessing import OneHotEncoder

        dense = encoder_for(setting, "dense", besides=[c.name for c in setting.columns if c.kind in ("categorical", "text")])
        numbers = dense.fit_transform(X, np.zeros(len(X)))  # of numbers and dates, in which the target has no part
        categories = [c.name for c in setting.columns if c.kind == "categorical"]
        levels = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=2, dtype=np.float32)
        if categories:
            levels.fit(_as_text(X, categories))
        texts = {}
        for name in [c.name for c in setting.columns if c.kind == "text" and setting.text]:
            read = texts_of(X[name])
            texts[name] = [Grams("letters", MOST_GRAMS).fit(read), Grams("words", MOST_WORDS).fit(read)]
        encoder = SparseEncoder(dense, levels, categories, texts)
        return encoder, encoder.transform(X, numbers)


def _as_text(X: pd.DataFrame, names: list[str]) -> Array:
    """The columns as an array of strings, shape (n, len(names)); missing ones are empty."""
    return np.column_stack([np.array(texts_of(X[name]), dtype=object) for name in names])


FAMILIES = {"sparse_linear": SparseLinear()}
