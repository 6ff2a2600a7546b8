"""Clusterings of scikit-learn. A configuration names its number of groups or what decides it; the search finds the best of them."""

from __future__ import annotations

from abc import abstractmethod
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

FEW_FIRST = [3, 2, 4, 5, 6, 8, 10]
"""Numbers of groups in the order in which they are tried."""
MOST_GROUPS = 20
MOST_ROWS = 4000
"""Rows that are compared each with each. The others go to the group that most of their nearest neighbours are in."""
NEIGHBOURS = 5


class Clustering(Family):
    """A kind of clustering over the points of a table."""

    appetite = Appetite(table=2.0, matrix=3.0, fixed_mb=20)

    def default(self, setting: Setting) -> list[Params]:
        return [{"groups": k} for k in FEW_FIRST if 2 * k < setting.n_rows]

    def space(self, trial: optuna.Trial, setting: Setting) -> Params:
        return {"groups": trial.suggest_int("groups", 2, max(2, min(MOST_GROUPS, setting.n_rows // 4)))}

    def _fit(
        self, X: pd.DataFrame, y: Array, valid: tuple[pd.DataFrame, Array] | None, params: Params, setting: Setting, context: FitContext
    ) -> Raw:
        space = Space(setting.columns).fit(X)
        return Raw(PointModel(space, self._clustered(space.transform(X), params, context.seed)))

    @abstractmethod
    def _clustered(self, points: Array, params: Params, seed: int) -> Any:
        """Something whose `predict` numbers the group of any point, from 0."""


class KMeansGroups(Clustering):
    """k-means (Lloyd 1982) from ten beginnings of k-means++ (Arthur and Vassilvitskii 2007)."""

    name = "kmeans"

    def _clustered(self, points: Array, params: Params, seed: int) -> Any:
        import warnings

        from sklearn.cluster import KMeans
        from sklearn.exceptions import ConvergenceWarning

        with warnings.catch_warnings():
            # Fewer rows are different than groups were asked for: then there are as many groups as different rows.
            warnings.simplefilter("ignore", ConvergenceWarning)
            return KMeans(min(params["groups"], len(points)), n_init=10, random_state=seed).fit(points)


class Mixture(Clustering):
    """A mixture of normal distributions (Fraley and Raftery 2002), a row to the likeliest."""

    name = "gaussian_mixture"

    def space(self, trial: optuna.Trial, setting: Setting) -> Params:
        return {**super().space(trial, setting), "shape": trial.suggest_categorical("shape", ["full", "diag", "tied"])}

    def _clustered(self, points: Array, params: Params, seed: int) -> Any:
        import warnings

        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture

        shape = params.get("shape", "full" if len(points) > 10 * points.shape[1] * params["groups"] else "diag")
        mixture = GaussianMixture(min(params["groups"], len(points)), covariance_type=shape, reg_covar=1e-3, n_init=3, random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return mixture.fit(points)


class Agglomerative(Clustering):
    """Ward's clustering (1963): those two groups are joined whose union varies least."""

    name = "agglomerative"

    def _clustered(self, points: Array, params: Params, seed: int) -> Any:
        from sklearn.cluster import AgglomerativeClustering

        part = some_of(points, MOST_ROWS, seed)
        return _near(part, AgglomerativeClustering(min(params["groups"], len(part))).fit_predict(part))


class Density(Clustering):
    """HDBSCAN (Campello, Moulavi and Sander 2013): dense regions, as many as there are. What lies between goes to the nearest."""

    name = "hdbscan"

    def default(self, setting: Setting) -> list[Params]:
        return [{"smallest": share} for share in (0.05, 0.02, 0.1)]

    def space(self, trial: optuna.Trial, setting: Setting) -> Params:
        return {"smallest": trial.suggest_float("smallest", 0.005, 0.2, log=True)}

    def _clustered(self, points: Array, params: Params, seed: int) -> Any:
        from sklearn.cluster import HDBSCAN

        part = some_of(points, MOST_ROWS, seed)
        found = HDBSCAN(min_cluster_size=max(5, round(params["smallest"] * len(part))), copy=True).fit_predict(part)
        if (found < 0).all():  # nothing is denser than the rest: all rows are one group
            return _near(part, np.zeros(len(part), dtype=np.int64))
        return _near(part[found >= 0], found[found >= 0])


def _near(points: Array, groups: Array) -> Any:
    from sklearn.neighbors import KNeighborsClassifier

    return KNeighborsClassifier(min(NEIGHBOURS, len(points))).fit(points, groups)


FAMILIES = {family.name: family for family in (KMeansGroups(), Mixture(), Agglomerative(), Density())}
