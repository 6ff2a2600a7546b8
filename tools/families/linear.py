"""Regularised linear and log-linear models over skrub's table vectorizer."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.families.appetite import Appetite
from tools.families.base import CLASS_WEIGHT, Family, class_weights
from tools.families.blocks import spilled
from tools.families.fitted import Predictor, Raw
from tools.families.matrix import unreadable
from tools.families.pinball_regression import PinballRegression
from tools.families.setting import Array, FitContext, Params, Setting
from tools.few_rows import FewRows, TakesFew
from tools.readings import read_once
from tools.vectorizing import vectorized, vectorizer_for

if TYPE_CHECKING:
    import optuna
    import pandas as pd

    from tools.families.blocks import Pieces


@dataclass
class LinearModel(TakesFew):
    """A vectorizer of raw rows, then the estimator."""

    vectorizer: Any
    estimator: Any
    n_classes: int

    def predict(self, X: pd.DataFrame | FewRows) -> Array:
        matrix = read_once(self.vectorizer, X, lambda: vectorized(self.vectorizer, X))
        values = self.estimator.predict_proba(matrix) if self.n_classes else self.estimator.predict(matrix)
        return np.asarray(values, dtype=np.float64)


class Linear(Family):
    """Logistic regression, ridge regression (Hoerl and Kennard 1970), tuned also the elastic net (Zou and Hastie 2005), Poisson
    regression of counts, scikit-learn, or quantile regression."""

    name = "linear"
    weight = 0.5
    weighable = True
    appetite = Appetite(table=0.9, matrix=2.9, encoding="one_hot", text_bytes=14)

    def unsuited(self, setting: Setting) -> str | None:
        return unreadable(setting)

    def default(self, setting: Setting) -> list[Params]:
        if setting.n_classes:
            return [{"C": 1.0}, {"C": 0.03}, {"C": 30.0}]  # how much to shrink differs by two powers of ten from table to table
        skewed = setting.skewed
        if setting.quantiles:
            return [{"penalty": "l2", "alpha": alpha, "log_target": skewed or setting.log_target} for alpha in (1.0, 30.0)]
        first = {"penalty": "l2", "alpha": 10.0, "log_target": skewed or setting.log_target}
        other = {"log_target": False} if skewed and not setting.log_target else {"alpha": 100.0, "log_target": setting.log_target}
        return [first, {**first, **other}]

    def space(self, trial: optuna.Trial, setting: Setting) -> Params:
        if setting.n_classes:
            return {"C": trial.suggest_float("C", 1e-4, 100.0, log=True)}
        log_target = trial.suggest_categorical("log_target", [False, True]) if setting.may_log else False
        if setting.poisson_loss or setting.quantiles or trial.suggest_categorical("penalty", ["l2", "elastic_net"]) == "l2":
            return {"penalty": "l2", "alpha": trial.suggest_float("alpha", 1e-3, 1e5, log=True), "log_target": log_target}
        return {
            "penalty": "elastic_net",
            "strength": trial.suggest_float("strength", 1e-4, 1.0, log=True),
            "l1_ratio": trial.suggest_float("l1_ratio", 0.1, 1.0),
            "log_target": log_target,
        }

    def over_blocks(self, model: Predictor, pieces: Pieces, folder: Path, params: Params, setting: Setting, context: FitContext) -> Raw:
        from sklearn.linear_model import LogisticRegression, Ridge

        from tools.families import passes

        if not isinstance(model, LinearModel) or not isinstance(model.estimator, (LogisticRegression, Ridge)):
            return super().over_blocks(model, pieces, folder, params, setting, context)
        blocks = spilled(folder / "rows", pieces, model.vectorizer.transform, context.deadline)
        if isinstance(model.estimator, Ridge):
            return Raw(replace(model, estimator=passes.ridge(model.estimator, blocks, context.deadline)))
        weights = class_weights(params, blocks.y)
        return Raw(replace(model, estimator=passes.logistic(model.estimator, blocks, context.deadline, weights)))

    def _fit(
        self, X: pd.DataFrame, y: Array, valid: tuple[pd.DataFrame, Array] | None, params: Params, setting: Setting, context: FitContext
    ) -> Raw:
        vectorizer, matrix = context.of_rows(X, lambda: self.encoded(X, setting))
        context.deadline.check()
        if setting.quantiles:
            estimator: Any = PinballRegression(setting.quantiles, params["alpha"]).fit(matrix, y, context.deadline)
        else:
            estimator = self.estimated(matrix, y, params, setting)
        return Raw(LinearModel(vectorizer, estimator, setting.n_classes))

    @staticmethod
    def encoded(X: pd.DataFrame, setting: Setting) -> tuple[Any, Array]:
        """A fitted vectorizer, and the rows that it was fitted to as a matrix."""
        parts = "date_parts" not in setting.without
        vectorizer = vectorizer_for(
            setting.columns,
            text=setting.text,
            dates=setting.dates,
            rows=len(X),
            seed=setting.seed,
            date_parts=parts,
            readable=setting.readable,
        )
        return vectorizer, vectorizer.fit_transform(X)

    def estimated(self, matrix: Array, y: Array, params: Params, setting: Setting) -> Any:
        """The fitted estimator."""
        from sklearn.exceptions import ConvergenceWarning

        estimator = self._estimator(params, setting, y)
        with warnings.catch_warnings():
            # A fit that stops at the iteration limit is still a model; its fold scores tell its worth.
            warnings.simplefilter("ignore", ConvergenceWarning)
            return estimator.fit(matrix, y)

    @staticmethod
    def _estimator(params: Params, setting: Setting, y: Array) -> Any:
        from sklearn.linear_model import ElasticNet, LogisticRegression, PoissonRegressor, Ridge

        if setting.n_classes:
            return LogisticRegression(C=params["C"], class_weight=params.get(CLASS_WEIGHT), max_iter=300, tol=1e-4)
        if setting.poisson_loss:
            return PoissonRegressor(alpha=params["alpha"] / len(y), max_iter=300)  # whose loss is a mean, Ridge's a sum
        if params.get("penalty") == "elastic_net":
            # Its penalty is of the target's own scale.
            return ElasticNet(alpha=params["strength"] * float(np.std(y)), l1_ratio=params["l1_ratio"], max_iter=1000)
        return Ridge(alpha=params["alpha"])


FAMILIES = {"linear": Linear()}
