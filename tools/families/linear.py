"""Regularised linear models over imputed, squashed, one-hot columns."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.families.base import Array, Family, FitContext, Params, Raw, Setting
from tools.families.matrix import column_shares
from tools.features import TableEncoder

if TYPE_CHECKING:
    import optuna
    import pandas as pd


@dataclass
class LinearModel:
    """Dense columns beside one-hot columns of the categories with few rows pooled, then the estimator."""

    encoder: TableEncoder
    onehot: Any
    categorical: list[str]
    estimator: Any
    n_classes: int

    def matrix(self, X: pd.DataFrame) -> Any:
        import scipy.sparse as sp

        dense = self.encoder.transform(X).astype(np.float64)
        if not self.categorical:
            return dense
        codes = self.onehot.transform(_texts(X, self.categorical))
        joined = sp.hstack([sp.csr_matrix(dense), codes], format="csr")
        return joined.toarray() if joined.shape[1] <= 500 else joined

    def predict(self, X: pd.DataFrame) -> Array:
        matrix = self.matrix(X)
        values = self.estimator.predict_proba(matrix) if self.n_classes else self.estimator.predict(matrix)
        return np.asarray(values, dtype=np.float64)


def _texts(X: pd.DataFrame, names: list[str]) -> Array:
    return X[names].astype(object).where(X[names].notna(), "\x00missing").to_numpy(dtype=object)


class Linear(Family):
    """Logistic regression, or ridge regression (Hoerl and Kennard 1970), scikit-learn."""

    name = "linear"
    weight = 0.5

    def default(self, setting: Setting) -> list[Params]:
        if setting.n_classes:
            return [{"C": 0.3}, {"C": 0.03}]
        skewed = setting.target_min >= 0 and setting.target_skew > 1
        first = {"alpha": 10.0, "log_target": skewed or setting.log_target}
        return (
            [first, {"alpha": 10.0, "log_target": False}]
            if skewed and not setting.log_target
            else [first, {"alpha": 100.0, "log_target": setting.log_target}]
        )

    def space(self, trial: optuna.Trial, setting: Setting) -> Params:
        if setting.n_classes:
            return {"C": trial.suggest_float("C", 1e-4, 100.0, log=True)}
        log_target = trial.suggest_categorical("log_target", [False, True]) if setting.target_min >= 0 else False
        return {"alpha": trial.suggest_float("alpha", 1e-3, 1e5, log=True), "log_target": log_target}

    def _fit(
        self, X: pd.DataFrame, y: Array, valid: tuple[pd.DataFrame, Array] | None, params: Params, setting: Setting, context: FitContext
    ) -> Raw:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.preprocessing import OneHotEncoder

        categorical = [c.name for c in setting.columns if c.kind == "categorical"]
        encoder = TableEncoder(
            [c for c in setting.columns if c.kind != "categorical"], "dense", text=setting.text, dates=setting.dates, seed=setting.seed
        )
        encoder.fit_transform(X, y)
        onehot = None
        if categorical:
            onehot = OneHotEncoder(handle_unknown="ignore", min_frequency=3 if len(y) >= 100 else None, max_categories=100)
            onehot.fit(_texts(X, categorical))
        model = LinearModel(encoder, onehot, categorical, self._estimator(params, setting), setting.n_classes)
        matrix = model.matrix(X)
        context.deadline.check()
        with warnings.catch_warnings():
            # A fit that stops at the iteration limit is still a model; its fold scores tell its worth.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.estimator.fit(matrix, y)
        weights = np.abs(np.atleast_2d(model.estimator.coef_)).sum(axis=0)[: matrix.shape[1]]
        spread = np.asarray(matrix.std(axis=0)).ravel() if not hasattr(matrix, "tocsr") else np.ones(matrix.shape[1])
        importance = column_shares(encoder, (weights * spread)[: encoder.blocks_[-1].stop]) if encoder.blocks_ and not categorical else {}
        return Raw(model, importance=importance)

    @staticmethod
    def _estimator(params: Params, setting: Setting) -> Any:
        from sklearn.linear_model import LogisticRegression, Ridge

        if setting.n_classes:
            return LogisticRegression(C=params["C"], max_iter=300, tol=1e-4)
        return Ridge(alpha=params["alpha"])


FAMILIES = {"linear": Linear()}
