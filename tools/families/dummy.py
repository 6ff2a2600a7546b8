"""The floor: class shares, the mean (the median where the metric asks for it), the target's quantiles, or one risk, group or score."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tools.families.base import Family
from tools.families.fitted import Constant, Raw
from tools.families.setting import Array, FitContext, Params, Setting

if TYPE_CHECKING:
    import optuna
    import pandas as pd


class Dummy(Family):
    """Ignores the features. Every other candidate must beat it."""

    name = "dummy"
    weight = 0.05
    chainable = False

    def default(self, setting: Setting) -> list[Params]:
        return [{}]

    def space(self, trial: optuna.Trial, setting: Setting) -> Params:
        return {}

    def _fit(
        self, X: pd.DataFrame, y: Array, valid: tuple[pd.DataFrame, Array] | None, params: Params, setting: Setting, context: FitContext
    ) -> Raw:
        if setting.n_classes:
            return Raw(Constant(np.bincount(y, minlength=setting.n_classes) / len(y)))
        if setting.predicts in ("risk", "groups", "scores"):
            return Raw(Constant(np.zeros(())))
        if setting.quantiles:
            return Raw(Constant(np.quantile(y, setting.quantiles)))
        return Raw(Constant(np.asarray(np.median(y) if setting.absolute_loss else np.mean(y))))


FAMILIES = {"dummy": Dummy()}
