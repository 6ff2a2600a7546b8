"""What a second layer reads of a row itself: its columns, and what fully grown forests say of it.

A forest that is grown to single rows says what the nearest rows are, which no sum of shrunken trees does, and says it honestly of the rows
it learnt from too: by the trees that did not see them (out of bag, Breiman 1996). So a booster that reads it beside the candidates'
predictions learns where the neighbours know better. AutoGluon stacks so, too (Erickson et al. 2020).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.contract import Column
from tools.deadline import Deadline, DeadlineReached

if TYPE_CHECKING:
    import pandas as pd

    from tools.families.setting import Setting
    from tools.features import TableEncoder
    from tools.preparation import Preparation

Array = np.ndarray[Any, np.dtype[Any]]

TREES, PILOT_TREES = 200, 10
"""Of each forest, and those whose time tells how long all take."""
KINDS = {True: ("RandomForestClassifier", "ExtraTreesClassifier"), False: ("RandomForestRegressor", "ExtraTreesRegressor")}
"""By whether classes are told apart."""
SAID = "said "
"""How columns are named that are not a row's own."""
EDGE = 1e-3
"""Shares of trees are kept so far from 0 and 1 before their log-odds are taken."""


@dataclass
class Forests:
    """Forests grown to single rows, one of each kind."""

    encoder: TableEncoder
    grown: list[Any]
    n_classes: int

    @classmethod
    def grow(cls, X: pd.DataFrame, y: Array, setting: Setting, deadline: Deadline) -> tuple[Forests, Array]:
        """Grow them, and say what the trees say of each row that did not see it.

        Args:
            X: shape (n, columns of `setting`).
            y: class codes or values, on the scale that is learnt, shape (n,).

        Returns:
            The forests, and float64 of shape (n, c): see `said`.

        Raises:
            DeadlineReached: when they would not be done in time.
        """
        from sklearn import ensemble

        from tools.families.matrix import encoder_for

        encoder = encoder_for(setting, "target")
        matrix = encoder.fit_transform(X, y)
        grown = []
        for name in KINDS[setting.n_classes > 0]:
            params: dict[str, Any] = {"criterion": "entropy"} if setting.n_classes else {"max_features": 0.4}
            forest = getattr(ensemble, name)(
                n_estimators=PILOT_TREES, bootstrap=True, warm_start=True, random_state=setting.seed, n_jobs=setting.threads, **params
            )
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # of classes that are weighed at each batch, and rows that every tree has seen
                before = deadline.elapsed()
                forest.fit(matrix, y)
                if (deadline.elapsed() - before) * TREES / PILOT_TREES > deadline.remaining():
                    raise DeadlineReached("forests for a second layer take longer than there is time")
                forest.set_params(n_estimators=TREES, oob_score=True)
                forest.fit(matrix, y)
            grown.append(forest)
        made = cls(encoder, grown, setting.n_classes)
        beyond = [forest.oob_decision_function_ if setting.n_classes else forest.oob_prediction_ for forest in grown]
        for forest in grown:  # arrays as long as the rows, which a model that is kept has no use for
            for name in ("oob_decision_function_", "oob_prediction_"):
                forest.__dict__.pop(name, None)
        return made, made._columns(beyond)

    def said(self, X: pd.DataFrame) -> Array:
        """What the forests say of rows they have not seen: log-odds, one column for two classes and one a class else, or values."""
        matrix = self.encoder.transform(X)
        return self._columns([forest.predict_proba(matrix) if self.n_classes else forest.predict(matrix) for forest in self.grown])

    def _columns(self, beyond: list[Array]) -> Array:
        parts = []
        for forest, each in zip(self.grown, beyond, strict=True):
            if not self.n_classes:
                parts.append(np.asarray(each, dtype=np.float64)[:, None])
                continue
            shares = np.zeros((len(each), self.n_classes))
            shares[:, np.asarray(forest.classes_, dtype=np.int64)] = np.nan_to_num(each, nan=1 / self.n_classes)
            shares = np.clip(shares[:, 1:] if self.n_classes == 2 else shares, EDGE, 1 - EDGE)
            parts.append(np.log(shares / (1 - shares)))
        return np.hstack(parts)


def readable_columns(preparation: Preparation) -> list[Column]:
    """Columns that a second layer may read: those that candidates do, as they come. Texts, which take long, are left to candidates."""
    return [column for column in preparation.columns if column.kind != "text" and not column.name.startswith(SAID)]
