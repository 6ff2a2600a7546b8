"""One small decision tree: a baseline that a person can read."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tools.families.appetite import Appetite
from tools.families.base import Family
from tools.families.fitted import Raw
from tools.families.matrix import MatrixModel, column_shares, encoder_for, signs, unreadable
from tools.families.quantile_trees import FEWEST_IN_LEAF, LeafQuantiles
from tools.families.setting import Array, FitContext, Params, Setting

if TYPE_CHECKING:
    import optuna
    import pandas as pd


class Tree(Family):
    """CART (Breiman et al. 1984), scikit-learn. Missing values go to the better side of each split; with monotone constraints, for which
    scikit-learn knows no gaps, they stand at the column's median."""

    name = "tree"
    weight = 0.3
    weighable = True
    appetite = Appetite(table=2.1, matrix=1.4, encoding="target")

    def unsuited(self, setting: Setting) -> str | None:
        return unreadable(setting)

    def default(self, setting: Setting) -> list[Params]:
        leaf = max(FEWEST_IN_LEAF if setting.quantiles else 2, min(50, setting.n_rows // 60))
        first: Params = {"max_depth": 6, "min_samples_leaf": leaf}
        shallow, deep = {"max_depth": 4, "min_samples_leaf": 2 * leaf}, {"max_depth": 12, "min_samples_leaf": leaf}
        if not _may_leave_texts(setting):
            return [first, shallow, deep]
        # What a tree splits of a text are components that nobody can read, and they take most of its time: it is there at once without.
        return [{**first, "texts": False}, {**shallow, "texts": False}, {**first, "texts": True}]

    def space(self, trial: optuna.Trial, setting: Setting) -> Params:
        return {
            "max_depth": trial.suggest_int("max_depth", 2, 16),
            "min_samples_leaf": trial.suggest_int("min_samples_leaf", 1, 200, log=True),
            **({"texts": trial.suggest_categorical("texts", [False, True])} if _may_leave_texts(setting) else {}),
        }

    def _fit(
        self, X: pd.DataFrame, y: Array, valid: tuple[pd.DataFrame, Array] | None, params: Params, setting: Setting, context: FitContext
    ) -> Raw:
        from sklearn.impute import SimpleImputer
        from sklearn.pipeline import make_pipeline
        from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

        params = dict(params)
        encoder = encoder_for(setting if params.pop("texts", True) else replace(setting, text=False), "target")
        matrix = encoder.fit_transform(X, y)
        context.deadline.check()
        kind = DecisionTreeClassifier if setting.n_classes else DecisionTreeRegressor
        if setting.poisson_loss:
            params = {**params, "criterion": "poisson"}
        tree = kind(
            **params, random_state=context.seed, monotonic_cst=signs(encoder, setting, matrix.shape[1]) if setting.monotone else None
        )
        estimator: Any = make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), tree) if setting.monotone else tree
        estimator.fit(matrix, y)
        importance = column_shares(encoder, tree.feature_importances_)
        if setting.quantiles:
            estimator = LeafQuantiles.of(estimator, matrix, y, setting.quantiles)
        return Raw(MatrixModel(encoder, estimator, setting.n_classes), importance=importance)


def _may_leave_texts(setting: Setting) -> bool:
    """Whether there are texts, and something beside them."""
    kinds = {column.kind for column in setting.columns}
    return setting.text and not setting.readable and "text" in kinds and kinds != {"text"}


FAMILIES = {"tree": Tree()}
