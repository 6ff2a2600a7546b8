"""Trees for right-censored times: random survival forests, and gradient boosting of the partial likelihood."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.deadline import sheltered
from tools.families.appetite import Appetite
from tools.families.base import Family, encoding_target
from tools.families.boosting import FEWEST_ITERATIONS, pace_of, paced
from tools.families.cox import RiskModel, survival_pairs
from tools.families.fitted import Raw
from tools.families.matrix import column_shares, encoder_for
from tools.families.setting import Array, FitContext, Params, Setting

if TYPE_CHECKING:
    import optuna
    import pandas as pd

MOST_MOMENTS = 200
"""Distinct times that a forest's log-rank tests and curves are kept for; more are brought together by quantiles."""
BATCH = 10
PATIENCE = 40
"""Iterations over which the out-of-bag improvement must be positive."""
MOST_ITERATIONS = 1000


class SurvivalForest(Family):
    """Random survival forest (Ishwaran et al. 2008), scikit-survival, grown in batches until it is large enough or time is over."""

    name = "survival_forest"
    iterative = True
    weight = 0.8
    appetite = Appetite(table=2.1, matrix=2.0, encoding="target", fixed_mb=40)

    def default(self, setting: Setting) -> list[Params]:
        leaf = 6 if setting.n_rows < 1500 else 15
        first = {"n_estimators": 200, "min_samples_leaf": leaf, "max_features": "sqrt"}
        return [first, {"n_estimators": 200, "min_samples_leaf": 3 * leaf, "max_features": 0.5}]

    def space(self, trial: optuna.Trial, setting: Setting) -> Params:
        return {
            "n_estimators": 200,
            "min_samples_leaf": trial.suggest_int("min_samples_leaf", 3, 60, log=True),
            "max_features": trial.suggest_categorical("max_features", ["sqrt", 0.2, 0.4, 0.6, 0.8, 1.0]),
        }

    def _fit(
        self, X: pd.DataFrame, y: Array, valid: tuple[pd.DataFrame, Array] | None, params: Params, setting: Setting, context: FitContext
    ) -> Raw:
        from sksurv.ensemble import RandomSurvivalForest

        encoder = encoder_for(setting, "target")
        matrix = encoder.fit_transform(X, encoding_target(y, setting)).astype(np.float64)
        truth = survival_pairs(_fewer_moments(y))
        params = dict(params)
        wanted = context.iterations or params["n_estimators"]
        params.pop("n_estimators")
        forest: Any = RandomSurvivalForest(
            n_estimators=0, warm_start=True, low_memory=True, random_state=context.seed, n_jobs=setting.threads, **params
        )
        grown, started = 0, time.monotonic()
        while grown < wanted and (not grown or not context.deadline.expired()):
            each = (time.monotonic() - started) / grown if grown else 0.0
            room = int(0.5 * min(context.deadline.remaining(), 1e6) / each) if each else 2
            grown = min(wanted, grown + max(1, min(BATCH, room)))
            forest.set_params(n_estimators=grown)
            with sheltered():
                forest.fit(matrix, truth)
        model = RiskModel(encoder, forest)
        return Raw(model, iterations=grown, cut_short=grown < wanted, pace=(time.monotonic() - started) / grown)


class SurvivalBoosting(Family):
    """Gradient boosting of Cox's partial likelihood (Ridgeway 1999), scikit-survival, stopped by its out-of-bag improvement."""

    name = "survival_boosting"
    iterative = True
    weight = 0.8
    bags = 2
    appetite = Appetite(table=2.1, matrix=2.0, encoding="target", fixed_mb=20)

    def default(self, setting: Setting) -> list[Params]:
        base = {"learning_rate": 0.05, "max_depth": 3, "subsample": 0.7, "min_samples_leaf": 10, "max_features": "sqrt"}
        return [base, {**base, "max_depth": 1, "learning_rate": 0.1}]

    def space(self, trial: optuna.Trial, setting: Setting) -> Params:
        return {
            "learning_rate": trial.suggest_float("learning_rate", 0.01, 0.2, log=True),
            "max_depth": trial.suggest_int("max_depth", 1, 6),
            "subsample": trial.suggest_float("subsample", 0.4, 0.9),
            "min_samples_leaf": trial.suggest_int("min_samples_leaf", 3, 50, log=True),
            "max_features": trial.suggest_categorical("max_features", ["sqrt", 0.3, 0.6, 1.0]),
        }

    def paced(self, params: Params, pace: float, seconds: float, setting: Setting) -> Params:
        return paced(params, pace, seconds, setting.n_rows)

    def _fit(
        self, X: pd.DataFrame, y: Array, valid: tuple[pd.DataFrame, Array] | None, params: Params, setting: Setting, context: FitContext
    ) -> Raw:
        from sksurv.ensemble import GradientBoostingSurvivalAnalysis

        encoder = encoder_for(setting, "target")
        matrix = np.nan_to_num(encoder.fit_transform(X, encoding_target(y, setting)).astype(np.float64), nan=_MISSING)
        rounds = context.iterations or MOST_ITERATIONS
        watch = _OutOfBag(context, stops=context.iterations is None)
        booster = GradientBoostingSurvivalAnalysis(loss="coxph", n_estimators=rounds, random_state=context.seed, **params)
        with sheltered():
            booster.fit(matrix, survival_pairs(y), monitor=watch)
        importance = column_shares(encoder, booster.feature_importances_)
        model = FilledRiskModel(encoder, booster)
        made = len(booster.estimators_)
        return Raw(model, iterations=made, cut_short=watch.cut_short, importance=importance, pace=watch.pace)


_MISSING = -1e6
"""In the place of missing numbers, for trees that know none: below whatever there is."""


class FilledRiskModel(RiskModel):
    """For estimators that know no missing numbers."""

    def predict(self, X: pd.DataFrame) -> Array:
        matrix = np.nan_to_num(self.encoder.transform(X).astype(np.float64), nan=_MISSING)
        return np.asarray(self.estimator.predict(matrix), dtype=np.float64)


class _OutOfBag:
    """Asked after each iteration whether to stop: when the rows left out of the last ones gained nothing, or time is over."""

    def __init__(self, context: FitContext, stops: bool) -> None:
        self._deadline, self._stops = context.deadline, stops
        self._times: list[float] = []
        self.cut_short = False

    def __call__(self, iteration: int, booster: Any, _: dict[str, Any]) -> bool:
        self._times.append(time.monotonic())
        if self._deadline.expired() and iteration + 1 >= FEWEST_ITERATIONS:
            self.cut_short = True
            return True
        recent = booster.oob_improvement_[max(0, iteration + 1 - PATIENCE) : iteration + 1]
        return self._stops and iteration + 1 >= PATIENCE and float(np.mean(recent)) < 0

    @property
    def pace(self) -> float | None:
        return pace_of(self._times)


def _fewer_moments(y: Array) -> Array:
    """Signed times of at most `MOST_MOMENTS` distinct times: each brought down to the quantile below it."""
    times = np.abs(y)
    if len(np.unique(times)) <= MOST_MOMENTS:
        return y
    grid = np.unique(np.quantile(times, np.linspace(0, 1, MOST_MOMENTS), method="lower"))
    return np.copysign(grid[np.searchsorted(grid, times, side="right") - 1], y)


FAMILIES = {"survival_forest": SurvivalForest(), "survival_boosting": SurvivalBoosting()}
