"""Series on a regular grid: values by series and step, and what is known of them up to a moment.

Every look-up takes the moment up to which the past is known, and gives nothing beyond it; so that what is computed for a moment in
the middle of the training rows is what would have been known then.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.forecast import Forecast
from tools.tables import TableError

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass
class Panel:
    """Series one behind another in flat arrays, gaps as NaN."""

    forecast: Forecast
    keys: list[str]
    """Of the series, sorted."""
    starts: Array
    """First step of each series."""
    lengths: Array
    """Steps of each series, gaps counted."""
    offsets: Array
    """Where each series begins in the flat arrays."""
    values: Array
    """The target, flat."""
    past: dict[str, Array] = field(default_factory=dict)
    """Columns that are known only up to the moment of a forecast, flat: float64, or object where they are text."""

    @classmethod
    def of(cls, X: pd.DataFrame, y: Array, forecast: Forecast) -> Panel:
        """The panel of training rows, cut to the latest `forecast.window_steps` of each series.

        Args:
            X: rows in the schema's dtypes, one for each moment of a series at most.
            y: the target, float64, shape (n,).
        """
        keys, codes = np.unique(forecast.series_of(X).astype(str), return_inverse=True)
        steps = forecast.steps_of(X)
        ends = np.full(len(keys), np.iinfo(np.int64).min)
        np.maximum.at(ends, codes, steps)
        inside = np.ones(len(y), dtype=bool) if forecast.window_steps is None else steps > ends[codes] - forecast.window_steps
        starts = ends.copy()
        np.minimum.at(starts, codes[inside], steps[inside])
        lengths = ends - starts + 1
        offsets = np.concatenate([[0], np.cumsum(lengths)[:-1]])
        places = (offsets[codes] + steps - starts[codes])[inside]

        def flat(values: Array) -> Array:
            numeric = values.dtype.kind == "f"
            found = np.full(int(lengths.sum()), np.nan if numeric else None, dtype=np.float64 if numeric else object)
            found[places] = values[inside]
            return found

        past = {name: flat(X[name].to_numpy()) for name in forecast.past if name in X and X[name].dtype.kind in "fO"}
        return cls(forecast, [str(key) for key in keys], starts, lengths, offsets, flat(np.asarray(y, dtype=np.float64)), past)

    @property
    def ends(self) -> Array:
        """Last step of each series."""
        last: Array = self.starts + self.lengths - 1
        return last

    def locate(self, X: pd.DataFrame) -> tuple[Array, Array]:
        """Code of the series and step of each row of a table.

        Raises:
            TableError: for a series that is not in the panel, or a moment that is none of its grid.
        """
        from tools.timeline import Irregular

        keys = self.forecast.series_of(X).astype(str)
        codes = np.searchsorted(self.keys, keys).clip(max=len(self.keys) - 1)
        strange = np.asarray(self.keys)[codes] != keys
        if strange.any():
            row = int(strange.argmax())
            raise TableError(
                f"series {str(keys[row])!r} of row {row + 1} was not among the training rows; series: {', '.join(self.keys[:10])}"
                f"{', …' if len(self.keys) > 10 else ''}"
            )
        try:
            return codes, self.forecast.steps_of(X)
        except Irregular as error:
            raise TableError(str(error)) from None

    def at(self, codes: Array, steps: Array, until: Array, column: str | None = None) -> Array:
        """Values of the target, or of a past column: missing beyond `until`, before the series begins, and in gaps.

        Args:
            codes: series, shape (n,).
            steps: of the values, shape (n,).
            until: last step that is known, shape (n,).
        """
        values = self.values if column is None else self.past[column]
        places = steps - self.starts[codes]
        known = (places >= 0) & (steps <= np.minimum(until, self.ends[codes]))
        found = np.full(len(codes), np.nan if values.dtype.kind == "f" else None, dtype=values.dtype)
        found[known] = values[(self.offsets[codes] + places)[known]]
        return found

    def window(self, codes: Array, until: Array, width: int | None, column: str | None = None) -> tuple[Array, Array, Array]:
        """Mean, standard deviation and count of the latest `width` steps up to `until`, that one included; of all of them for None.

        NaN where nothing is known.
        """
        totals, squares, counts, middle = self._sums(column)
        ends = np.clip(until - self.starts[codes] + 1, 0, self.lengths[codes])
        begins = np.zeros_like(ends) if width is None else np.clip(until - self.starts[codes] + 1 - width, 0, ends)
        high, low = self.offsets[codes] + ends, self.offsets[codes] + begins
        n = counts[high] - counts[low]
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.where(n > 0, (totals[high] - totals[low]) / n, np.nan)
            spread = np.sqrt(np.maximum((squares[high] - squares[low]) / n - mean**2, 0.0))
        return mean + middle, np.where(n > 0, spread, np.nan), n

    def filled(self, code: int) -> Array:
        """The values of a series without gaps: between two known ones lies a straight line."""
        values = self.values[self.offsets[code] : self.offsets[code] + self.lengths[code]]
        known = np.flatnonzero(np.isfinite(values))
        return np.interp(np.arange(len(values)), known, values[known])

    def _sums(self, column: str | None) -> tuple[Array, Array, Array, float]:
        """Running sums over the flat array, of values less their mean, which keeps their squares exact."""
        if column not in self._running:
            values = self.values if column is None else self.past[column]
            known = np.isfinite(values)
            middle = float(values[known].mean()) if known.any() else 0.0
            shifted = np.where(known, values - middle, 0.0)
            sums = [np.concatenate([[0.0], np.cumsum(each)]) for each in (shifted, shifted**2, known.astype(np.float64))]
            self._running[column] = (sums[0], sums[1], sums[2], middle)
        return self._running[column]

    def __post_init__(self) -> None:
        self._running: dict[str | None, tuple[Array, Array, Array, float]] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_running": {}}
