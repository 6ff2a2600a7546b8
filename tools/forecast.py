"""What makes a problem a forecast: series, time, horizon, covariates, and where the future begins. Part of the score contract.

A row is one moment of one series. The holdout is the last horizon of every series, and so is, stepping back a horizon at a time,
every fold. Both are counted in steps from the series' own last moment, and gaps count.
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
    (Hyndman and Koehler 2006, "Another look at measures of forecast accuracy")."""
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
        from tools.columns import moments
        from tools.timeline import Irregular

        when = moments(frame[self.time], self.day_first).reset_index(drop=True)
        if when.isna().any():
            row = int(when.isna().to_numpy().argmax())
            raise Irregular(f"{self.time!r} of row {row + 1} is {frame[self.time].iloc[row]!r}, which is no moment")
        return self.frequency.steps(when)

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


def steps_to_end(series: Array, steps: Array) -> Array:
    """Steps between each row and the last row of its series."""
    import numpy as np

    _, places = np.unique(series.astype(str), return_inverse=True)
    last = np.full(places.max(initial=0) + 1, np.iinfo(np.int64).min)
    np.maximum.at(last, places, steps)
    found: Array = last[places] - steps
    return found


def seasonal_naive_error(steps: Array, y: Array, season: int) -> float:
    """Mean absolute difference between values a season apart; one step apart where there are none, and 1 where all are alike."""
    import numpy as np

    for lag in dict.fromkeys((season, 1)):
        where = {int(step): value for step, value in zip(steps, y, strict=True)}
        differences = [abs(value - where[step - lag]) for step, value in where.items() if step - lag in where]
        if differences and (mean := float(np.mean(differences))) > 0:
            return mean
    spread = float(np.abs(y - y.mean()).mean())
    return spread if spread > 0 else 1.0
