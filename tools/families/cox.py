"""Proportional hazards with an elastic net: log hazards that are linear in the columns."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.families.appetite import Appetite
from tools.families.base import Family, encoding_target
from tools.families.fitted import Raw
from tools.families.matrix import column_shares, encoder_for
from tools.families.setting import Array, FitContext, Params, Setting
from tools.features import TableEncoder
from tools.survival import events_of, times_of

if TYPE_CHECKING:
    import optuna
    import pandas as pd


@dataclass
class RiskModel:
    """`encoder` then `estimator`, any of scikit-survival, whose `predict` gives risks."""

    encoder: TableEncoder
    estimator: Any

    def predict(self, X: pd.DataFrame) -> Array:
        return np.asarray(self.estimator.predict(self.encoder.transform(X).astype(np.float64)), dtype=np.float64)


def survival_pairs(y: Array) -> Any:
    """Signed times as the structured array that scikit-survival takes."""
    from sksurv.util import Surv

    return Surv.from_arrays(events_of(y), times_of(y))


class Coxnet(Family):
    """Cox regression (1972) with an elastic net (Simon et al. 2011), scikit-survival."""

    name = "coxnet"
    weight = 0.5
    appetite = Appetite(table=1.8, matrix=3.0, encoding="target")

    def default(self, setting: Setting) -> list[Params]:
        return [{"alpha": 0.03, "l1_ratio": 0.5}, {"alpha": 0.003, "l1_ratio": 0.5}]

    def space(self, trial: optuna.Trial, setting: Setting) -> Params:
        return {"alpha": trial.suggest_float("alpha", 1e-4, 1.0, log=True), "l1_ratio": trial.suggest_float("l1_ratio", 0.01, 1.0)}

    def _fit(
        self, X: pd.DataFrame, y: Array, valid: tuple[pd.DataFrame, Array] | None, params: Params, setting: Setting, context: FitContext
    ) -> Raw:
        from sklearn.exceptions import ConvergenceWarning
        from sksurv.linear_model import CoxnetSurvivalAnalysis

        encoder = encoder_for(setting, "dense")
        matrix = encoder.fit_transform(X, encoding_target(y, setting)).astype(np.float64)
        context.deadline.check()
        estimator = CoxnetSurvivalAnalysis(alphas=[params["alpha"]], l1_ratio=params["l1_ratio"], max_iter=5000)
        with warnings.catch_warnings():
            # A path that stops early, or whose columns all got nothing, is still a model; its fold scores tell its worth.
            warnings.simplefilter("ignore", ConvergenceWarning)
            warnings.filterwarnings("ignore", message="all coefficients are zero")
            estimator.fit(matrix, survival_pairs(y))
        importance = np.abs(estimator.coef_[:, -1]) * matrix.std(axis=0)
        return Raw(RiskModel(encoder, estimator), importance=column_shares(encoder, _own(importance, encoder)))


def _own(importance: Array, encoder: TableEncoder) -> Array:
    """Without the marks of missing values that the encoder puts behind its columns."""
    width = encoder.blocks_[-1].stop if encoder.blocks_ else 0
    return importance[:width]


FAMILIES = {"coxnet": Coxnet()}
