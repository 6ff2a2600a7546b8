"""Statistical forecasts of each series by itself, as statsforecast chooses them: exponential smoothing, theta, ARIMA.

Covariates are not used. A series whose model cannot be estimated is forecast by the seasonal naive; when most are, the fit fails.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.families.fitted import Raw
from tools.families.forecasting import Forecaster, Paths, path_length, seasonal_naive
from tools.families.setting import Array, FitContext, Params, Setting
from tools.panel import Panel

if TYPE_CHECKING:
    import optuna
    import pandas as pd

LATEST = 2000
"""Steps of a series that are used at most: older ones hardly move a forecast, and the time grows faster than they do."""
LEAST = 4
"""Steps that a series must have for more than the naive forecast."""


class Statistical(Forecaster):
    """One of statsforecast's automatic models, fitted to every series."""

    longest_season = 400

    def __init__(self, name: str, model: str, longest_season: int, weight: float) -> None:
        self.name, self._model, self.longest_season, self.weight = name, model, longest_season, weight

    def unsuited(self, setting: Setting) -> str | None:
        season = setting.forecast.season if setting.forecast else 1
        return f"a season of {season} steps is too long for it" if season > self.longest_season else None

    def default(self, setting: Setting) -> list[Params]:
        return [{}]

    def space(self, trial: optuna.Trial, setting: Setting) -> Params:
        return {}

    def _learn(self, panel: Panel, params: Params, setting: Setting, context: FitContext, X: pd.DataFrame, y: Array) -> Raw:
        length, season = path_length(setting), panel.forecast.season
        paths, failed = [], []
        for code in range(len(panel.keys)):
            context.deadline.check()
            values = panel.filled(code)
            path = seasonal_naive(values, season, length)
            if len(values) >= LEAST and np.ptp(values) > 0:
                try:
                    path = self._path(values[-LATEST:], season, length)
                except (ValueError, ArithmeticError, IndexError, np.linalg.LinAlgError, RuntimeError) as error:
                    failed.append(error)
            paths.append(path)
        if len(failed) > len(panel.keys) / 2:
            raise ValueError(f"{len(failed)} of {len(panel.keys)} series could not be estimated, the last because: {failed[-1]}")
        return Raw(Paths(panel, np.stack(paths)))

    def _path(self, values: Array, season: int, length: int) -> Array:
        from statsforecast import models

        # A season that was seen less than twice cannot be told from a trend.
        model: Any = getattr(models, self._model)(season_length=season if len(values) >= 2 * season else 1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            path = np.asarray(model.forecast(y=values, h=length)["mean"], dtype=np.float64)
        if not np.isfinite(path).all():
            raise ValueError("its forecast is not finite")
        return path


FAMILIES = {
    "theta": Statistical("theta", "AutoTheta", longest_season=400, weight=0.3),
    "ets": Statistical("ets", "AutoETS", longest_season=24, weight=0.8),
    "arima": Statistical("arima", "AutoARIMA", longest_season=24, weight=1.2),
}
