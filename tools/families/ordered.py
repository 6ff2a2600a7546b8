"""Ordered classes by cumulative binary models (Frank and Hall 2001): how likely is it that the class lies above each cut?

A classifier that takes classes for mere names has to learn their order from the rows; these know it. One binary model a cut between
neighbouring classes, all of one family and configuration; differences of their probabilities are those of the classes. Models of
neighbouring cuts can contradict each other, so each is held to be no likelier than the one below it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.families.appetite import Appetite
from tools.families.base import Family
from tools.families.fitted import Predictor, Raw
from tools.families.lightgbm import LightGBM
from tools.families.linear import Linear
from tools.families.setting import Array, FitContext, Params, Setting
from tools.vectorizing import vectorized

if TYPE_CHECKING:
    import optuna
    import pandas as pd

LINEAR = Linear()


@dataclass
class OrderedModel:
    """One binary model for each cut, from the lowest to the highest."""

    above: list[Predictor]

    def predict(self, X: pd.DataFrame) -> Array:
        """Probabilities of the classes, shape (n, cuts + 1)."""
        return between(np.column_stack([np.asarray(each.predict(X), dtype=np.float64)[:, 1] for each in self.above]))


@dataclass
class OrderedLinearModel:
    """The same of linear models, which share one matrix of the rows."""

    vectorizer: Any
    above: list[Any]

    def predict(self, X: pd.DataFrame) -> Array:
        """Probabilities of the classes, shape (n, cuts + 1)."""
        matrix = vectorized(self.vectorizer, X)
        return between(np.column_stack([each.predict_proba(matrix)[:, 1] for each in self.above]))


def between(above: Array) -> Array:
    """Probabilities of classes, shape (n, cuts + 1), from those of lying above each cut, shape (n, cuts)."""
    falling = np.minimum.accumulate(above, axis=1)
    edges = np.column_stack([np.ones(len(falling)), falling, np.zeros(len(falling))])
    proba: Array = edges[:, :-1] - edges[:, 1:]
    return proba


class Ordered(Family):
    """Cumulative binary models of another family."""

    def __init__(self, name: str, inner: Family) -> None:
        self.name, self._inner = name, inner
        self.iterative, self.bags = inner.iterative, inner.bags
        self.weight = inner.weight

    @property
    def appetite(self) -> Appetite:  # type: ignore[override]  # the inner family's, which is a constant as well
        return self._inner.appetite

    def unsuited(self, setting: Setting) -> str | None:
        return None if setting.ordered else "the classes have no order; --task ordinal gives them one"

    def default(self, setting: Setting) -> list[Params]:
        return self._inner.default(_binary(setting))

    def space(self, trial: optuna.Trial, setting: Setting) -> Params:
        return self._inner.space(trial, _binary(setting))

    def memory_mb(self, rows: int, setting: Setting) -> float:
        return self._inner.memory_mb(rows, _binary(setting))

    def paced(self, params: Params, pace: float, seconds: float, setting: Setting) -> Params:
        """As the inner family's, for a cut's share of the seconds: `pace` is that of one cut."""
        return self._inner.paced(params, pace, seconds / max(1, setting.n_classes - 1), setting)

    def _fit(
        self, X: pd.DataFrame, y: Array, valid: tuple[pd.DataFrame, Array] | None, params: Params, setting: Setting, context: FitContext
    ) -> Raw:
        if setting.n_classes < 3:  # one cut, or none to be made: the family itself
            return self._inner._fit(X, y, valid, params, setting, context)
        cuts, parts = setting.n_classes - 1, []
        for cut in range(cuts):
            share = context.deadline.share(context.deadline.remaining() / (cuts - cut)) if self.iterative else context.deadline
            check = (valid[0], (valid[1] > cut).astype(np.int64)) if valid else None
            above = (y > cut).astype(np.int64)
            parts.append(self._inner._fit(X, above, check, dict(params), _binary(setting), replace(context, deadline=share)))
        made = [part.iterations for part in parts if part.iterations is not None]
        paces = [part.pace for part in parts if part.pace is not None]
        return Raw(
            OrderedModel([part.predictor for part in parts]),
            iterations=round(float(np.mean(made))) if made else None,
            cut_short=any(part.cut_short for part in parts),
            starved=any(part.starved for part in parts),
            importance={
                name: float(np.mean([part.importance.get(name, 0.0) for part in parts]))
                for name in dict.fromkeys(name for part in parts for name in part.importance)
            },
            pace=max(paces) if paces else None,
        )


class OrderedLinear(Ordered):
    """Cumulative logistic regressions. What costs most of a fit, the matrix, is made once for all cuts."""

    def __init__(self) -> None:
        super().__init__("ordered_linear", LINEAR)

    def _fit(
        self, X: pd.DataFrame, y: Array, valid: tuple[pd.DataFrame, Array] | None, params: Params, setting: Setting, context: FitContext
    ) -> Raw:
        if setting.n_classes < 3:
            return super()._fit(X, y, valid, params, setting, context)
        vectorizer, matrix = LINEAR.encoded(X, setting)
        above = []
        for cut in range(setting.n_classes - 1):
            context.deadline.check()
            above.append(LINEAR.estimated(matrix, (y > cut).astype(np.int64), params, _binary(setting)))
        return Raw(OrderedLinearModel(vectorizer, above))


def _binary(setting: Setting) -> Setting:
    return setting if setting.n_classes < 3 else replace(setting, n_classes=2)


FAMILIES = {"ordered_linear": OrderedLinear(), "ordered_lightgbm": Ordered("ordered_lightgbm", LightGBM())}
