"""A predictor made of a table encoder and an estimator over its matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.families.base import shares
from tools.families.fitted import Contributions
from tools.families.setting import Array, Setting
from tools.features import Block, Style, TableEncoder
from tools.few_rows import FewRows, TakesFew

if TYPE_CHECKING:
    import pandas as pd


FEW = 64
"""Rows for which trees are asked one by one: scikit-learn's own way through threads costs more than hundreds of trees do."""
AVERAGED = (
    "DecisionTreeClassifier",
    "DecisionTreeRegressor",
    "RandomForestClassifier",
    "RandomForestRegressor",
    "ExtraTreesClassifier",
    "ExtraTreesRegressor",
)
"""Estimators of scikit-learn that are a tree, or a plain average of trees."""


def trees_of(estimator: Any) -> list[Any] | None:
    """The trees that an estimator averages, whose `predict` takes a float32 matrix; None where it is of another kind."""
    if type(estimator).__name__ not in AVERAGED:
        return None
    return [one.tree_ for one in getattr(estimator, "estimators_", [estimator])]


@dataclass
class MatrixModel(TakesFew):
    """`encoder` then `estimator`, which is any scikit-learn classifier or regressor."""

    encoder: TableEncoder
    estimator: Any
    n_classes: int

    def predict(self, X: pd.DataFrame | FewRows) -> Array:
        matrix = self.encoder.transform(X)
        if len(matrix) <= FEW and (trees := trees_of(self.estimator)) is not None:
            said = trees[0].predict(matrix)
            for tree in trees[1:]:  # one after another, as scikit-learn adds them up: any other order ends in other digits
                said += tree.predict(matrix)
            said /= len(trees)
            return said if self.n_classes else said[:, 0]
        values = self.estimator.predict_proba(matrix) if self.n_classes else self.estimator.predict(matrix)
        return np.asarray(values, dtype=np.float64)


def encoder_for(setting: Setting, style: Style, besides: Sequence[str] = ()) -> TableEncoder:
    """An unfitted encoder of the columns, those that `besides` names left out: a family knows a way of its own for them. Texts, which it
    makes components of, take no part where a person must read the model."""
    return TableEncoder(
        [column for column in setting.columns if column.name not in besides],
        style if style != "codes" or "native_categories" not in setting.without else "target",
        text=setting.text and not setting.readable,
        dates=setting.dates,
        n_classes=setting.n_classes,
        seed=setting.seed,
        without=setting.without,
        crossed=[column for column in setting.columns if column.name not in setting.monotone] if setting.crosses else (),
    )


def unreadable(setting: Setting) -> str | None:
    """Why a family that makes components of texts has nothing to learn from where a person must read its model; None where it has."""
    texts = setting.readable and all(column.kind == "text" for column in setting.columns)
    return "the texts would be components that nobody can read; sparse_linear weighs their words" if texts else None


def plain(encoder: TableEncoder) -> TableEncoder:
    """A fitted encoder that may encode the rows that it learnt from like any others, since the target has no part in it.

    Raises:
        NotImplementedError: for one that encodes by the target; rows that it learnt from it has to encode by parts of the others.
    """
    if encoder.scores_ or encoder.wide_ or (encoder.crosses and encoder.crosses.pairs):
        raise NotImplementedError("columns are encoded by the target, for which it takes its rows at once")
    return encoder


def signs(encoder: TableEncoder, setting: Setting, width: int) -> list[int]:
    """The monotone constraint of each matrix column: 1, -1, or 0 for none."""
    found = [0] * width
    for block in encoder.blocks_:
        found[block.start : block.stop] = [setting.monotone.get(block.source, 0)] * (block.stop - block.start)
    return found


def column_shares(encoder: TableEncoder, importance: Array) -> dict[str, float]:
    """Importance of matrix columns summed over source columns, as shares. That of a pair is both columns', half and half."""
    sources = [(name, block.start, block.stop) for block in encoder.blocks_ for name in sources_of(block)]
    halved = np.array(importance, dtype=np.float64)
    for block in encoder.blocks_:
        halved[block.start : block.stop] /= len(sources_of(block))
    return shares(halved, sources)


def sources_of(block: Block) -> list[str]:
    """The columns that a block of the matrix was made of: one, or two that were crossed."""
    return [block.source, block.beside] if block.beside else [block.source]


def by_source(encoder: TableEncoder, values: Array, others: list[str] | None = None) -> Contributions:
    """Contributions of matrix columns, and of the base behind them, summed over source columns.

    Args:
        values: shape (n, outputs, columns + 1), as LightGBM, XGBoost and CatBoost give them.
        others: source columns that follow those of the matrix, one each.
    """
    others = others or []
    width = values.shape[2] - 1 - len(others)
    columns = list(dict.fromkeys([*(name for block in encoder.blocks_ for name in sources_of(block)), *others]))
    summed = np.zeros((len(values), len(columns), values.shape[1]))
    for block in encoder.blocks_:
        for name in sources_of(block):
            summed[:, columns.index(name)] += values[:, :, block.start : block.stop].sum(axis=2) / len(sources_of(block))
    for place, name in enumerate(others):
        summed[:, columns.index(name)] += values[:, :, width + place]
    return Contributions(columns, summed, values[:, :, -1].mean(axis=0))
