"""Anomaly detectors of PyOD that need no parameters: they look at the tails of distributions."""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any

from tools.families.appetite import Appetite
from tools.families.base import Family
from tools.families.fitted import Raw
from tools.families.points import PointModel, some_of
from tools.families.setting import Array, FitContext, Params, Setting
from tools.space import Space

if TYPE_CHECKING:
    import optuna
    import pandas as pd

MOST_ROWS = 20_000
"""They carry their rows along and go through them at each call."""


class Tails(Family):
    """A detector of PyOD (Zhao, Nasrullah and Li 2019) without parameters."""

    weight = 0.5
    appetite = Appetite(table=2.0, matrix=6.0, fixed_mb=50)

    def __init__(self, name: str, module: str, kind: str) -> None:
        self.name, self._module, self._kind = name, module, kind

    def default(self, setting: Setting) -> list[Params]:
        return [{}]

    def space(self, trial: optuna.Trial, setting: Setting) -> Params:
        return {}

    def _fit(
        self, X: pd.DataFrame, y: Array, valid: tuple[pd.DataFrame, Array] | None, params: Params, setting: Setting, context: FitContext
    ) -> Raw:
        detector: Any = getattr(import_module(self._module), self._kind)()
        space = Space(setting.columns).fit(X)
        points = some_of(space.transform(X), MOST_ROWS, context.seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the libraries that it looks for
            detector.fit(points)
        return Raw(PointModel(space, detector, "decision_function"))


# Li et al. 2022 and Li et al. 2020: empirical tail probabilities, column by column, and under an empirical copula.
FAMILIES = {"ecod": Tails("ecod", "pyod.models.ecod", "ECOD"), "copod": Tails("copod", "pyod.models.copod", "COPOD")}
