"""Anomaly detectors of scikit-learn: how unusual a row is, learnt from rows alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.families.appetite import Appetite
from tools.families.base import Family
from tools.families.fitted import Raw
from tools.families.points import PointModel, some_of
from tools.families.setting import Array, FitContext, Params, Setting
from tools.space import Space

if TYPE_CHECKING:
    import optuna
    import pandas as pd

MOST_NEIGHBOURED = 10_000
"""Rows that a detector of neighbours keeps: it carries all of them along."""
MOST_KERNEL = 5000


class IsolationTrees(Family):
    """Isolation forest (Liu, Ting and Zhou 2008): rows that few random cuts set apart."""

    name = "isolation_forest"
    bags = 3
    appetite = Appetite(table=2.0, matrix=2.0, fixed_mb=10)

    def default(self, setting: Setting) -> list[Params]:
        return [{"n_estimators": 100, "max_samples": 256}, {"n_estimators": 200, "max_samples": 1024}]

    def space(self, trial: optuna.Trial, setting: Setting) -> Params:
        return {
            "n_estimators": trial.suggest_int("n_estimators", 50, 400, step=50),
            "max_samples": trial.suggest_int("max_samples", 64, 2048, log=True),
        }

    def _fit(
        self, X: pd.DataFrame, y: Array, valid: tuple[pd.DataFrame, Array] | None, params: Params, setting: Setting, context: FitContext
    ) -> Raw:
        from sklearn.ensemble import IsolationForest

        space = Space(setting.columns).fit(X)
        points = space.transform(X)
        most = min(params["max_samples"], len(points))
        forest = IsolationForest(n_estimators=params["n_estimators"], max_samples=most, random_state=context.seed).fit(points)
        return Raw(PointModel(space, forest, "score_samples", -1.0))


class LocalOutliers(Family):
    """Local outlier factor (Breunig et al. 2000): rows in thinner surroundings than their neighbours are."""

    name = "local_outlier"
    appetite = Appetite(table=2.0, matrix=4.0)

    def default(self, setting: Setting) -> list[Params]:
        return [{"n_neighbors": 20}, {"n_neighbors": 50}]

    def space(self, trial: optuna.Trial, setting: Setting) -> Params:
        return {"n_neighbors": trial.suggest_int("n_neighbors", 5, 100, log=True)}

    def _fit(
        self, X: pd.DataFrame, y: Array, valid: tuple[pd.DataFrame, Array] | None, params: Params, setting: Setting, context: FitContext
    ) -> Raw:
        from sklearn.neighbors import LocalOutlierFactor

        space = Space(setting.columns).fit(X)
        points = some_of(space.transform(X), MOST_NEIGHBOURED, context.seed)
        factor = LocalOutlierFactor(n_neighbors=max(1, min(params["n_neighbors"], len(points) - 1)), novelty=True).fit(points)
        # Asked of its own rows it would find each among its neighbours, and call all of them usual.
        return Raw(PointModel(space, factor, "score_samples", -1.0), own=-factor.negative_outlier_factor_)


@dataclass
class Subspace:
    """Principal components, which tell how far a point lies from what they keep."""

    components: Any

    def score_samples(self, points: Array) -> Array:
        """Squared distance to the subspace, shape (n,)."""
        kept = self.components.inverse_transform(self.components.transform(points))
        return np.asarray(((points - kept) ** 2).sum(axis=1))


class PrincipalComponents(Family):
    """Reconstruction error of a linear subspace (Shyu et al. 2003 use the components that are left out alike)."""

    name = "pca"
    weight = 0.3
    appetite = Appetite(table=2.0, matrix=3.0)

    def default(self, setting: Setting) -> list[Params]:
        return [{"kept": 0.7}, {"kept": 0.9}]

    def space(self, trial: optuna.Trial, setting: Setting) -> Params:
        return {"kept": trial.suggest_float("kept", 0.3, 0.99)}

    def _fit(
        self, X: pd.DataFrame, y: Array, valid: tuple[pd.DataFrame, Array] | None, params: Params, setting: Setting, context: FitContext
    ) -> Raw:
        from sklearn.decomposition import PCA

        space = Space(setting.columns).fit(X)
        points = space.transform(X)
        components = PCA(svd_solver="full").fit(points)
        kept = int(np.searchsorted(np.cumsum(components.explained_variance_ratio_), params["kept"]) + 1)
        # All components together leave no error to tell rows by.
        components = PCA(max(1, min(kept, points.shape[1] - 1)), svd_solver="full").fit(points)
        return Raw(PointModel(space, Subspace(components), "score_samples"))


class OneClass(Family):
    """One-class support vector machine (Schölkopf et al. 2001): rows outside a smooth boundary around most."""

    name = "one_class_svm"
    appetite = Appetite(table=2.0, matrix=4.0, fixed_mb=200)

    def default(self, setting: Setting) -> list[Params]:
        return [{"nu": 0.1, "gamma": 1.0}, {"nu": 0.5, "gamma": 0.3}]

    def space(self, trial: optuna.Trial, setting: Setting) -> Params:
        return {"nu": trial.suggest_float("nu", 0.01, 0.5, log=True), "gamma": trial.suggest_float("gamma", 0.03, 10.0, log=True)}

    def _fit(
        self, X: pd.DataFrame, y: Array, valid: tuple[pd.DataFrame, Array] | None, params: Params, setting: Setting, context: FitContext
    ) -> Raw:
        from sklearn.svm import OneClassSVM

        space = Space(setting.columns).fit(X)
        points = some_of(space.transform(X), MOST_KERNEL, context.seed)
        width = params["gamma"] / max(points.shape[1] * float(points.var()), 1e-12)
        machine = OneClassSVM(nu=params["nu"], gamma=width).fit(points)
        return Raw(PointModel(space, machine, "score_samples", -1.0))


FAMILIES = {family.name: family for family in (IsolationTrees(), LocalOutliers(), PrincipalComponents(), OneClass())}
