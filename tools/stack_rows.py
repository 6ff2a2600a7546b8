"""What a second layer reads of a row itself: its columns, and what deep forests say of it.

A forest that is grown to single rows, or nearly, says what the nearest rows are, which no sum of shrunken trees does, and says it honestly
of the rows it learnt from too: by the trees that did not see them (out of bag, Breiman 1996). So a booster that reads it beside the
candidates' predictions learns where the neighbours know better. AutoGluon stacks so, too (Erickson et al. 2020).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
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

TREES, PILOT_TREES = 100, 4
"""Of each forest, and those whose time and size tell of all."""
LEAF = {True: 1, False: 3}
"""Fewest rows in a leaf, by whether classes are told apart: of values, trees grown to single rows would be larger than the table by far."""
NODE_BYTES = 64
"""What a node takes, without what it says of each class."""
KINDS = {True: ("RandomForestClassifier", "ExtraTreesClassifier"), False: ("RandomForestRegressor", "ExtraTreesRegressor")}
"""By whether classes are told apart."""
SAID = "said "
"""How columns are named that are not a row's own."""
EDGE = 1e-3
"""Shares of trees are kept so far from 0 and 1 before their log-odds are taken."""


@dataclass
class Forests:
    """Forests grown to single rows, or nearly, one of each kind."""

    encoder: TableEncoder
    grown: list[Any]
    n_classes: int
    present: Array
    """Codes of the classes that they have seen, ascending; none for values."""

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
            MemoryError: when they would take more than half of the room there is.
        """
        from sklearn import ensemble

        from tools import memory
        from tools.families.matrix import encoder_for

        deadline.check()
        # Encoders and trees are told of the classes that are there: one may be missing among the rows of a fold.
        present, dense = np.unique(y, return_inverse=True) if setting.n_classes else (np.empty(0), y)
        encoder = encoder_for(replace(setting, n_classes=len(present)), "target")
        matrix = encoder.fit_transform(X, dense)
        grown = []
        for name in KINDS[setting.n_classes > 0]:
            params: dict[str, Any] = {"criterion": "entropy"} if setting.n_classes else {"max_features": 0.4}
            forest = getattr(ensemble, name)(
                n_estimators=PILOT_TREES,
                min_samples_leaf=LEAF[setting.n_classes > 0],
                bootstrap=True,
                warm_start=True,
                random_state=setting.seed,
                n_jobs=setting.threads,
                **params,
            )
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # of rows that every tree has seen
                before = deadline.elapsed()
                forest.fit(matrix, dense)
                if (deadline.elapsed() - before) * TREES / PILOT_TREES > deadline.remaining():
                    raise DeadlineReached("forests for a second layer take longer than there is time")
                if (needed := _megabytes(forest) * TREES / PILOT_TREES) > memory.room_mb() / 2:
                    raise MemoryError(f"forests for a second layer take {needed:.0f} MiB")
                forest.set_params(n_estimators=TREES, oob_score=True)
                forest.fit(matrix, dense)
            forest.set_params(n_jobs=1)  # predictions of a few rows cost less so, and sums have one order
            grown.append(forest)
        made = cls(encoder, grown, setting.n_classes, present.astype(np.int64))
        beyond = [forest.oob_decision_function_ if setting.n_classes else forest.oob_prediction_ for forest in grown]
        for forest in grown:  # arrays as long as the rows, which a model that is kept has no use for
            for name in ("oob_decision_function_", "oob_prediction_"):
                forest.__dict__.pop(name, None)
        return made, made._columns(beyond)

    @property
    def megabytes(self) -> float:
        """About what the trees take."""
        return sum(map(_megabytes, self.grown))

    def said(self, X: pd.DataFrame) -> Array:
        """What the forests say of rows they have not seen: log-odds, one column for two classes and one a class else, or values."""
        matrix = self.encoder.transform(X)
        return self._columns([forest.predict_proba(matrix) if self.n_classes else forest.predict(matrix) for forest in self.grown])

    def _columns(self, said: list[Array]) -> Array:
        parts = []
        for each in said:
            if not self.n_classes:
                parts.append(np.asarray(each, dtype=np.float64)[:, None])
                continue
            shares = np.zeros((len(each), self.n_classes))
            shares[:, self.present] = each
            shares = np.clip(shares[:, 1:] if self.n_classes == 2 else shares, EDGE, 1 - EDGE)
            parts.append(np.log(shares / (1 - shares)))
        return np.hstack(parts)


def _megabytes(forest: Any) -> float:
    """About what the trees of a forest take."""
    nodes = sum(tree.tree_.node_count for tree in forest.estimators_)
    return float(nodes * (NODE_BYTES + 8 * getattr(forest, "n_classes_", 1)) / 2**20)


def readable_columns(preparation: Preparation) -> list[Column]:
    """Columns that a second layer may read: those that candidates do, as they come. Texts, which take long, are left to candidates."""
    return [column for column in preparation.columns if column.kind != "text" and not column.name.startswith(SAID)]
