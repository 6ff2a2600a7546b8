"""Series on a regular grid: values by series and step, and what is known of them up to a moment.

Every look-up takes the moment up to which the past is known, and gives nothing beyond it; so that what is computed for a moment in
the middle of the training rows is what would have been known then.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tools.forecast import Forecast
from tools.tables import TableError

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray[Any, np.dtype[Any]]

NOISE = 1e-5
"""Means and standard deviations that are a smaller share of their series' size than this are what rounding made of 0."""


class _Sums(NamedTuple):
    """Running sums over a flat array, of values less the middle of their series over its size, so that no series is lost in the rounding of
    a larger one, and every sum is back at 0 where a series ends."""

    totals: Array
    squares: Array
    """Of squares less their mean in the series."""
    counts: Array
    middles: Array
    """Mean of each series; so are `sizes`, its largest distance from there, and `mean_squares`, in units of that."""
    sizes: Array
    mean_squares: Array


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
            row, known = int(strange.argmax()), ", ".join(self.keys[:10]) + (", …" if len(self.keys) > 10 else "")
            raise TableError(
                f"series {str(keys[row])!r} of row {row + 1} was not among the training rows, too short then or not there; series: {known}."
                f" Leave such rows out ({int(strange.sum()):,} of {len(keys):,}), or run the team again with their past"
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
        sums = self._sums(column)
        ends = np.clip(until - self.starts[codes] + 1, 0, self.lengths[codes])
        begins = np.zeros_like(ends) if width is None else np.clip(until - self.starts[codes] + 1 - width, 0, ends)
        high, low = self.offsets[codes] + ends, self.offsets[codes] + begins
        n = sums.counts[high] - sums.counts[low]
        middle, size = sums.middles[codes], sums.sizes[codes]
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = (sums.totals[high] - sums.totals[low]) / n
            spread = np.sqrt(np.maximum((sums.squares[high] - sums.squares[low]) / n + sums.mean_squares[codes] - mean**2, 0.0))
        spread, mean = np.where(spread > NOISE, spread, 0.0) * size, mean * size + middle
        mean = np.where(np.abs(mean) < NOISE * np.maximum(size, np.abs(middle)), 0.0, mean)
        return np.where(n > 0, mean, np.nan), np.where(n > 0, spread, np.nan), n

    def filled(self, code: int) -> Array:
        """The values of a series without gaps: between two known ones lies a straight line."""
        values = self.values[self.offsets[code] : self.offsets[code] + self.lengths[code]]
        known = np.flatnonzero(np.isfinite(values))
        return np.interp(np.arange(len(values)), known, values[known])

    def _sums(self, column: str | None) -> _Sums:
        if column not in self._running:
            values = self.values if column is None else self.past[column]
            known, whose = np.isfinite(values), np.repeat(np.arange(len(self.lengths)), self.lengths)
            counts = np.maximum(np.bincount(whose, known, len(self.lengths)), 1)
            middles = np.bincount(whose, np.where(known, values, 0.0), len(self.lengths)) / counts
            away = np.where(known, values - middles[whose], 0.0)
            sizes = np.maximum.reduceat(np.abs(away), self.offsets)
            away = np.divide(away, sizes[whose], out=np.zeros_like(away), where=(sizes > NOISE * np.abs(middles))[whose])
            mean_squares = np.bincount(whose, away**2, len(self.lengths)) / counts
            running = [away, np.where(known, away**2 - mean_squares[whose], 0.0), known.astype(np.float64)]
            totals, squares, rows = (np.concatenate([[0.0], np.cumsum(each)]) for each in running)
            self._running[column] = _Sums(totals, squares, rows, middles, sizes, mean_squares)
        return self._running[column]

    def __post_init__(self) -> None:
        self._running: dict[str | None, _Sums] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_running": {}}
