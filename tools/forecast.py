"""What makes a problem a forecast: series, time, horizon, covariates, and where the future begins. Part of the score contract.

A row is one moment of one series. The holdout is the last horizon of every series, and so is, stepping back a horizon at a time,
every fold. Both are counted in steps from the series' own last moment, and gaps count. A series that is too short for a backtest takes
no part in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

from tools.timeline import Frequency

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    Array = np.ndarray[Any, np.dtype[Any]]

Window = Literal["expanding", "sliding"]
"""From how much of the past the fits of a backtest learn: all of it, or equally much."""
ONLY = ""
"""Key of the series where there is one alone."""
LEAST_HISTORY = 2
"""Steps that a series must have before what is forecast of it."""
FEWEST_PAIRS = 30
"""Pairs of a moment and a later one that families which know rows are fitted on at least."""
ALIKE = 1e-9
"""Differences that are a smaller share of the values than this are what rounding made of none."""


class Forecast(BaseModel):
    """How the future is asked for. Fixed with the contract."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    time: str
    """Column of the moments."""
    day_first: bool = False
    series: list[str] = []
    """Columns whose values together name a series; none for one series."""
    horizon: int
    """Steps to forecast."""
    frequency: Frequency
    season: int
    """Steps of a season; 1 for none, or where the series are too short to show one."""
    known: list[str] = []
    """Columns that are known ahead, such as prices and holidays."""
    past: list[str] = []
    """Columns that are known only up to the moment of the forecast. They are sealed with the target."""
    window: Window = "expanding"
    window_steps: int | None = None
    """How many of the latest steps every fit learns from; None for all."""
    scales: dict[str, float]
    """Mean absolute error of the seasonal naive forecast within the training rows of each series, by key: the unit of `mase`
    (Hyndman and Koehler 2006, "Another look at measures of forecast accuracy"). Where that is 0, see `scales_of`."""
    notes: list[str] = []
    """What was inferred or put in order, in words."""

    @property
    def keys(self) -> list[str]:
        """Columns that say which moment of which series a row is."""
        return [*self.series, self.time]

    def series_of(self, frame: pd.DataFrame) -> Array:
        """The key of each row's series, text, shape (n,)."""
        import numpy as np

        from tools.columns import label_text

        if not self.series:
            return np.full(len(frame), ONLY, dtype=object)
        names = [label_text(frame[name]).fillna("").astype(object).str.replace("|", "||", regex=False) for name in self.series]
        joined = names[0]
        for more in names[1:]:
            joined = joined + " | " + more
        return joined.to_numpy(dtype=object)

    def steps_of(self, frame: pd.DataFrame) -> Array:
        """The step of each row's moment, int64, shape (n,).

        Raises:
            Irregular: when a moment is missing, no moment, or off the grid.
        """
        from tools.timeline import Irregular

        when = self.moments_of(frame)
        if when.isna().any():
            row = int(when.isna().to_numpy().argmax())
            raise Irregular(f"{self.time!r} of row {row + 1} is {frame[self.time].iloc[row]!r}, which is no moment")
        return self.frequency.steps(when)

    def moments_of(self, frame: pd.DataFrame) -> pd.Series:
        """The moment of each row, datetime64[ns] or numbers as the frequency counts them, missing where there is none."""
        import pandas as pd

        from tools.columns import parse_dates

        column = frame[self.time].reset_index(drop=True)
        if self.frequency.unit != "number":
            return parse_dates(column, self.day_first)
        return column if pd.api.types.is_numeric_dtype(column) else pd.to_numeric(column.astype("str"), errors="coerce")

    def moved_ahead(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The last horizon of every series again, as the horizon after it: rows such as a model of all the others is asked for."""
        steps = self.steps_of(frame)
        last = steps_to_end(self.series_of(frame), steps) < self.horizon
        return frame[last].assign(**{self.time: self.frequency.moments(steps[last] + self.horizon)}).reset_index(drop=True)

    def units_of(self, frame: pd.DataFrame) -> Array:
        """The scale of each row's series, float64, shape (n,)."""
        import numpy as np

        return np.array([self.scales[key] for key in self.series_of(frame)], dtype=np.float64)

    def blocks_of(self, frame: pd.DataFrame) -> Array:
        """How many horizons before its series' end each row lies: 0 in the last one, int64, shape (n,)."""
        return steps_to_end(self.series_of(frame), self.steps_of(frame)) // self.horizon

    def folds_of(self, frame: pd.DataFrame, folds: int) -> Array:
        """The backtest that validates each row, the latest of which is `folds` - 1, int64, shape (n,).

        -1 for rows that none does: those before the first, and those before which their series has less than `LEAST_HISTORY` steps.
        """
        import numpy as np

        series, steps = self.series_of(frame), self.steps_of(frame)
        to_end, to_begin = steps_to_end(series, steps), steps_to_end(series, -steps)
        within = self.horizon - 1 - to_end % self.horizon  # steps of the row's own horizon before it
        return np.maximum(np.where(to_begin - within >= LEAST_HISTORY, folds - 1 - to_end // self.horizon, -1), -1)


def steps_to_end(series: Array, steps: Array) -> Array:
    """Steps between each row and the last row of its series."""
    import numpy as np

    _, places = np.unique(series.astype(str), return_inverse=True)
    last = np.full(places.max(initial=0) + 1, np.iinfo(np.int64).min)
    np.maximum.at(last, places, steps)
    found: Array = last[places] - steps
    return found


def seasonal_naive_error(steps: Array, y: Array, season: int) -> float:
    """Mean absolute difference between values a season apart; where there are none or they are alike, one step apart, then from the mean.

    0 where all values are alike.
    """
    import numpy as np

    least = ALIKE * float(np.abs(y).mean())
    where = {int(step): value for step, value in zip(steps, y, strict=True)}
    for lag in dict.fromkeys((season, 1)):
        differences = [abs(value - where[step - lag]) for step, value in where.items() if step - lag in where]
        if differences and (mean := float(np.mean(differences))) > least:
            return mean
    spread = float(np.abs(y - y.mean()).mean())
    return spread if spread > least else 0.0


def scales_of(series: Array, steps: Array, y: Array, season: int) -> dict[str, float]:
    """The unit that errors of each series count in, by key.

    A series whose values are all alike gives none by `seasonal_naive_error`. Its errors count as shares of its level, or of the usual unit
    of the others where it is all 0, so that no such series outweighs the rest; 1 where there is nothing else.
    """
    import numpy as np

    order = np.argsort(series.astype(str), kind="stable")
    names, starts = np.unique(series[order].astype(str), return_index=True)
    parts = dict(zip(map(str, names), np.split(order, starts[1:]), strict=True))
    found = {name: seasonal_naive_error(steps[rows], y[rows], season) for name, rows in parts.items()}
    usual = float(np.median([scale for scale in found.values() if scale > 0] or [1.0]))
    return {name: scale or float(np.abs(y[parts[name]]).mean()) or usual for name, scale in found.items()}
