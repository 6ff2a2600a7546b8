"""Random forests and extremely randomised trees, grown in batches until they are large enough or time or memory is over."""

from __future__ import annotations

import math
import time
import warnings
from typing import TYPE_CHECKING, Any

from tools import memory
from tools.deadline import Deadline
from tools.families.appetite import Appetite
from tools.families.base import Family
from tools.families.fitted import Raw
from tools.families.matrix import MatrixModel, column_shares, encoder_for
from tools.families.quantile_trees import ForestQuantiles
from tools.families.setting import Array, FitContext, Params, Setting

if TYPE_CHECKING:
    import optuna
    import pandas as pd

FEWEST_TREES = 4
LARGEST_BATCH = 50
KEPT_FREE = 0.2
"""Share of the memory limit that no tree may take: predicting and saving need some as well."""
NODE_BYTES = 64
"""Of a node in scikit-learn, beside its values."""
TREE_BYTES, CLASS_BYTES = (150, 40), 6
"""Of a full tree, for each row: where the target is a number, and where it is a class; and for each class, whose share every node holds."""


def _batch(grown: int, seconds: float, deadline: Deadline) -> int:
    """How many trees to grow next: a compiled batch cannot be interrupted, so it takes half of the time left at most."""
    if not grown:
        return FEWEST_TREES
    left = deadline.remaining()
    return LARGEST_BATCH if math.isinf(left) else max(2, min(LARGEST_BATCH, int(0.5 * left / max(seconds / grown, 1e-6))))


def _affordable(forest: Any) -> float:
    """How many more trees like those of `forest` memory has room for."""
    room = memory.room_mb() - KEPT_FREE * memory.limit_mb()
    if not math.isfinite(room):
        return math.inf
    trees = [one.tree_ for one in forest.estimators_]
    each = sum(NODE_BYTES * tree.node_count + tree.value.nbytes for tree in trees) / len(trees) / 2**20
    # While it grows, a tree is given up to twice the nodes that it will have.
    return room / (2 * each)


class Forest(Family):
    """Breiman 2001 and Geurts et al. 2006, scikit-learn."""

    iterative = True
    abreast = True
    crossable = True
    weighable = True
    weight = 0.5
    appetite = Appetite(table=2.1, matrix=1.4, encoding="target", fixed_mb=20)

    def __init__(self, name: str, classifier: str, regressor: str) -> None:
        self.name = name
        self._kinds = (regressor, classifier)

    def memory_mb(self, rows: int, setting: Setting) -> float:
        """Of the first trees: further ones are grown while memory has room for them."""
        each = TREE_BYTES[bool(setting.n_classes)] + CLASS_BYTES * setting.n_classes
        return super().memory_mb(rows, setting) + FEWEST_TREES * rows * each / 2**20

    def default(self, setting: Setting) -> list[Params]:
        # The quantiles of leaves with a single row would be those of the row's nearest neighbours.
        leaf = 5 if setting.quantiles else 1 if setting.n_classes == 0 else 2
        features = 0.4 if setting.n_classes == 0 else "sqrt"
        first = {"n_estimators": 300, "min_samples_leaf": leaf, "max_features": features}
        return [first, {"n_estimators": 300, "min_samples_leaf": 15 if setting.quantiles else 5, "max_features": 0.6}]

    def space(self, trial: optuna.Trial, setting: Setting) -> Params:
        return {
            "n_estimators": 300,
            "min_samples_leaf": trial.suggest_int("min_samples_leaf", 1, 40, log=True),
            "max_features": trial.suggest_categorical("max_features", ["sqrt", 0.2, 0.4, 0.6, 0.8, 1.0]),
        }

    def _fit(
        self, X: pd.DataFrame, y: Array, valid: tuple[pd.DataFrame, Array] | None, params: Params, setting: Setting, context: FitContext
    ) -> Raw:
        from sklearn import ensemble

        encoder = encoder_for(setting, "target")
        matrix = encoder.fit_transform(X, y)
        params = {**params}
        wanted = context.iterations or params.pop("n_estimators")
        params.pop("n_estimators", None)
        if setting.poisson_loss:
            params["criterion"] = "poisson"
        kind: Any = getattr(ensemble, self._kinds[bool(setting.n_classes)])
        # On small tables handing trees to threads costs more than growing them.
        jobs = setting.threads if matrix.size > 200_000 else 1
        forest = kind(n_estimators=0, warm_start=True, random_state=context.seed, n_jobs=jobs, **params)
        grown, room, started = 0, math.inf, time.monotonic()
        with warnings.catch_warnings():
            # scikit-learn speaks of class weights at each batch, where the rows might differ; these are the same ones.
            warnings.simplefilter("ignore", UserWarning)
            while grown < wanted and room >= 1 and (grown < FEWEST_TREES or not context.deadline.expired()):
                batch = _batch(grown, time.monotonic() - started, context.deadline)
                grown = min(wanted, grown + int(min(batch, room)))
                forest.set_params(n_estimators=grown)
                forest.fit(matrix, y)
                room = _affordable(forest)
        importance = column_shares(encoder, forest.feature_importances_)
        read = ForestQuantiles.of(forest, matrix, y, setting.quantiles, context.seed) if setting.quantiles else forest
        model = MatrixModel(encoder, read, setting.n_classes)
        return Raw(model, iterations=grown, cut_short=grown < wanted, starved=grown < wanted and room < 1, importance=importance)


FAMILIES = {
    "random_forest": Forest("random_forest", "RandomForestClassifier", "RandomForestRegressor"),
    "extra_trees": Forest("extra_trees", "ExtraTreesClassifier", "ExtraTreesRegressor"),
}
