"""Nearest neighbours (Fix and Hodges 1951), scikit-learn, over scaled numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tools.families.appetite import Appetite
from tools.families.base import Family
from tools.families.fitted import Raw
from tools.families.matrix import MatrixModel, encoder_for
from tools.families.setting import Array, FitContext, Params, Setting

if TYPE_CHECKING:
    import optuna
    import pandas as pd

MOST_ROWS = 50_000
"""Every row that is predicted is compared with every row that was learnt."""


class KNN(Family):
    """The mean of the nearest rows, nearer ones counting for more.

    Seldom the best of a table, but wrong where others are right, which is what an ensemble asks for.
    """

    name = "knn"
    weight = 0.3
    appetite = Appetite(table=2.5, matrix=3.2, encoding="target", classes=2)

    def unsuited(self, setting: Setting) -> str | None:
        if setting.n_rows > MOST_ROWS:
            return f"each of {setting.n_rows:,} rows would be compared with all others; it is taken up to {MOST_ROWS:,} rows"
        return None

    def default(self, setting: Setting) -> list[Params]:
        rows = setting.n_rows
        few, many = max(3, min(20, round(rows**0.4))), max(5, min(100, round(2 * rows**0.5)))
        return [{"n_neighbors": many, "weights": "distance"}, {"n_neighbors": few, "weights": "distance"}]

    def space(self, trial: optuna.Trial, setting: Setting) -> Params:
        most = max(5, min(300, setting.n_rows // 4))
        return {
            "n_neighbors": trial.suggest_int("n_neighbors", 2, most, log=True),
            "weights": trial.suggest_categorical("weights", ["distance", "uniform"]),
        }

    def _fit(
        self, X: pd.DataFrame, y: Array, valid: tuple[pd.DataFrame, Array] | None, params: Params, setting: Setting, context: FitContext
    ) -> Raw:
        from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

        encoder = encoder_for(setting, "dense")
        matrix = encoder.fit_transform(X, y)
        kind: Any = KNeighborsClassifier if setting.n_classes else KNeighborsRegressor
        estimator = kind(n_neighbors=min(params["n_neighbors"], len(y)), weights=params["weights"], n_jobs=setting.threads)
        return Raw(MatrixModel(encoder, estimator.fit(matrix, y), setting.n_classes))


FAMILIES = {"knn": KNN()}
