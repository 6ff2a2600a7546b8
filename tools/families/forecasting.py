"""What families that forecast series share, and the floor among them: the seasonal naive forecast."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tools.families.base import Family
from tools.families.fitted import Fitted, Raw
from tools.families.setting import Array, FitContext, Params, Setting
from tools.panel import Panel
from tools.tables import TableError

if TYPE_CHECKING:
    import optuna
    import pandas as pd


class Forecaster(Family):
    """Learns from the past rows of series. The rows that a fold validates are never shown to it, not even to stop by: they are its
    future."""

    @abstractmethod
    def _learn(self, panel: Panel, params: Params, setting: Setting, context: FitContext, X: pd.DataFrame, y: Array) -> Raw:
        """Fit on the panel of the training rows X, y."""

    def fit(
        self,
        X: pd.DataFrame,
        y: Array,
        X_valid: pd.DataFrame | None,
        y_valid: Array | None,
        params: Params,
        setting: Setting,
        context: FitContext,
    ) -> Fitted:
        """Fit on rows in the schema's dtypes. What it predicts are later moments of the same series; none below 0 where none was.

        Raises:
            DeadlineReached: when the time ended before there was anything to keep.
        """
        raw = self._fit(X, y, None, dict(params), setting, context)
        return raw.fitted(low=0.0 if float(y.min()) >= 0 else -np.inf)

    def _fit(
        self, X: pd.DataFrame, y: Array, valid: tuple[pd.DataFrame, Array] | None, params: Params, setting: Setting, context: FitContext
    ) -> Raw:
        assert setting.forecast is not None, "a forecaster is fitted on forecasts alone"
        return self._learn(Panel.of(X, y, setting.forecast), params, setting, context, X, y)


def ahead_of(panel: Panel, codes: Array, steps: Array) -> Array:
    """How many steps each row lies after the last one that is known of its series, 1 or more.

    Raises:
        TableError: for a row that is no future.
    """
    ahead = steps - panel.ends[codes]
    if (ahead < 1).any():
        row = int((ahead < 1).argmax())
        raise TableError(
            f"{panel.forecast.time!r} of row {row + 1} lies {1 - int(ahead[row])} steps before the first that can be forecast;"
            " expected rows after the last that the model has learnt from"
        )
    return ahead


@dataclass
class Paths:
    """The forecast of every series, step by step; beyond its end the last season goes on."""

    panel: Panel
    values: Array
    """Shape (series, steps)."""

    def predict(self, X: pd.DataFrame) -> Array:
        codes, steps = self.panel.locate(X)
        places = ahead_of(self.panel, codes, steps) - 1
        length, season = self.values.shape[1], min(self.panel.forecast.season, self.values.shape[1])
        over = places >= length
        places[over] = length - season + (places[over] - length) % season
        found: Array = self.values[codes, places]
        return found


def path_length(setting: Setting) -> int:
    """Steps of a path: twice the horizon, and two seasons at least, since a gap before the cut makes rows lie further ahead."""
    assert setting.forecast is not None
    return 2 * max(setting.forecast.horizon, setting.forecast.season)


def seasonal_naive(values: Array, season: int, length: int) -> Array:
    """Each step as it was a season earlier, shape (length,). Series shorter than a season repeat their last value.

    Args:
        values: of one series, without gaps.
    """
    last = values[-season:] if len(values) >= season else values[-1:]
    return np.resize(last, length)


class SeasonalNaive(Forecaster):
    """What was a season ago will be again. Every other candidate must beat it."""

    name = "seasonal_naive"
    weight = 0.05

    def default(self, setting: Setting) -> list[Params]:
        return [{}]

    def space(self, trial: optuna.Trial, setting: Setting) -> Params:
        return {}

    def _learn(self, panel: Panel, params: Params, setting: Setting, context: FitContext, X: pd.DataFrame, y: Array) -> Raw:
        length, season = path_length(setting), panel.forecast.season
        return Raw(Paths(panel, np.stack([seasonal_naive(panel.filled(code), season, length) for code in range(len(panel.keys))])))


FAMILIES = {"seasonal_naive": SeasonalNaive()}
