"""Regularised linear models over skrub's table vectorizer."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.families.base import Appetite, Array, Family, FitContext, Params, Raw, Setting
from tools.vectorizing import vectorizer_for

if TYPE_CHECKING:
    import optuna
    import pandas as pd


@dataclass
class LinearModel:
    """A vectorizer of raw rows, then the estimator."""

    vectorizer: Any
    estimator: Any
    n_classes: int

    def predict(self, X: pd.DataFrame) -> Array:
        matrix = self.vectorizer.transform(X)
        values = self.estimator.predict_proba(matrix) if self.n_classes else self.estimator.predict(matrix)
        return np.asarray(values, dtype=np.float64)


class Linear(Family):
    """Logistic regression, or ridge regression (Hoerl and Kennard 1970); tuned also the elastic net (Zou and Hastie 2005). scikit-learn."""

    name = "linear"
    weight = 0.5
    appetite = Appetite(table=0.9, matrix=2.9, encoding="one_hot", text_bytes=14)

    def default(self, setting: Setting) -> list[Params]:
        if setting.n_classes:
            return [{"C": 0.3}, {"C": 0.03}]
        skewed = setting.target_min >= 0 and setting.target_skew > 1
        first = {"penalty": "l2", "alpha": 10.0, "log_target": skewed or setting.log_target}
        other = {"log_target": False} if skewed and not setting.log_target else {"alpha": 100.0, "log_target": setting.log_target}
        return [first, {**first, **other}]

    def space(self, trial: optuna.Trial, setting: Setting) -> Params:
        if setting.n_classes:
            return {"C": trial.suggest_float("C", 1e-4, 100.0, log=True)}
        log_target = trial.suggest_categorical("log_target", [False, True]) if setting.target_min >= 0 else False
        if trial.suggest_categorical("penalty", ["l2", "elastic_net"]) == "l2":
            return {"penalty": "l2", "alpha": trial.suggest_float("alpha", 1e-3, 1e5, log=True), "log_target": log_target}
        return {
            "penalty": "elastic_net",
            "strength": trial.suggest_float("strength", 1e-4, 1.0, log=True),
            "l1_ratio": trial.suggest_float("l1_ratio", 0.1, 1.0),
            "log_target": log_target,
        }

    def _fit(
        self, X: pd.DataFrame, y: Array, valid: tuple[pd.DataFrame, Array] | None, params: Params, setting: Setting, context: FitContext
    ) -> Raw:
        from sklearn.exceptions import ConvergenceWarning

        vectorizer = vectorizer_for(setting.columns, text=setting.text, dates=setting.dates, rows=len(y), seed=setting.seed)
        matrix = vectorizer.fit_transform(X)
        context.deadline.check()
        estimator = self._estimator(params, setting, float(np.std(y)))
        with warnings.catch_warnings():
            # A fit that stops at the iteration limit is still a model; its fold scores tell its worth.
            warnings.simplefilter("ignore", ConvergenceWarning)
            estimator.fit(matrix, y)
        return Raw(LinearModel(vectorizer, estimator, setting.n_classes))

    @staticmethod
    def _estimator(params: Params, setting: Setting, spread: float) -> Any:
        from sklearn.linear_model import ElasticNet, LogisticRegression, Ridge

        if setting.n_classes:
            return LogisticRegression(C=params["C"], max_iter=300, tol=1e-4)
        if params.get("penalty") == "elastic_net":
            # Its penalty is of the target's own scale.
            return ElasticNet(alpha=params["strength"] * spread, l1_ratio=params["l1_ratio"], max_iter=1000)
        return Ridge(alpha=params["alpha"])


FAMILIES = {"linear": Linear()}
