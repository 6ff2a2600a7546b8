"""Regular time: find the step in which series advance, and number their moments by it.

A moment becomes a whole number of steps since the epoch of its grid, so that lags, horizons and gaps are subtractions. Months have no
length in seconds and weekends none in business days; both are counted in the calendar. Moments that are a day or more apart may stand for
a local hour, which in universal time moves when clocks are changed; they are counted as the local days that they belong to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    Array = np.ndarray[Any, np.dtype[Any]]

DAY = 86_400
LEAST_REGULAR = 0.5
"""Share of the distances between neighbours that the commonest one must have, for a series to count as regular."""
LONGEST_DAY = 168
"""Steps that one day may have to be the season of a series; finer ones take the hour."""
CLOCK_CHANGE = 2 * 3600
"""Seconds by which clocks are changed at most."""
FURTHEST_WEST = 10 * 3600
"""Seconds that local time lies behind universal time at most where clocks are changed."""


class Irregular(ValueError):
    """Moments that follow no step; the message says which and what was expected."""


class Frequency(BaseModel):
    """The step of a time axis."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    unit: Literal["month", "business_day", "second", "number"]
    size: float
    """Of a step, in units."""
    origin: float = 0.0
    """A moment on the grid: seconds since 1970, months since the year 0, or a number."""
    shift: float = 0.0
    """Seconds that are added to universal time before its day is taken."""
    slack: float = 0.0
    """Seconds by which clocks are changed; above 0 where moments stand for local days."""

    @property
    def name(self) -> str:
        """The step in words, such as `monthly`."""
        if self.unit == "business_day":
            return "business-daily"
        if self.unit == "number":
            return f"in steps of {self.size:g}"
        known = {"month": {1: "monthly", 3: "quarterly", 12: "yearly"}, "second": {3600: "hourly", DAY: "daily", 7 * DAY: "weekly"}}
        if name := known[self.unit].get(int(self.size)):
            return name
        for seconds, unit in ((7 * DAY, "weeks"), (DAY, "days"), (3600, "hours"), (60, "minutes"), (1, "seconds")):
            if self.unit == "second" and self.size % seconds == 0:
                return f"every {self.size / seconds:g} {unit}" if self.size > seconds else f"every {unit[:-1]}"
        return f"every {self.size:g} {self.unit}s"

    @property
    def season(self) -> int:
        """Steps after which such series usually repeat themselves; 1 where nothing is usual."""
        if self.unit == "month":
            return round(12 / self.size) if 12 % self.size == 0 else 1
        if self.unit == "business_day":
            return 5
        if self.unit == "number":
            return 1
        if self.size in (DAY, 7 * DAY):
            return 7 if self.size == DAY else 52
        for period in (DAY, 3600):
            if self.size < period and period % self.size == 0 and period / self.size <= LONGEST_DAY:
                return round(period / self.size)
        return 1

    @property
    def horizon(self) -> int:
        """Steps that people usually want to see ahead: four weeks of days, a quarter of weeks, else a season, else six."""
        usual = {("second", float(DAY)): 28, ("second", 7.0 * DAY): 13, ("business_day", 1.0): 20}
        return usual.get((self.unit, self.size), self.season if self.season > 1 else 6)

    def steps(self, when: pd.Series) -> Array:
        """Number of the step that each moment is, int64.

        Args:
            when: datetime64[ns] or numbers, as `tools.columns.moments` gives them, none missing.

        Raises:
            Irregular: when a moment lies between two steps.
        """
        import numpy as np

        local = self._local_days(when) if self.slack else when
        if self.unit == "second":  # in whole nanoseconds, of which a float has no room
            size = round(self.size * 1e9)
            since = local.to_numpy(dtype="datetime64[ns]").astype(np.int64) - round(self.origin * 1e9)
            whole = np.rint(since / size).astype(np.int64)
            off = np.abs(since - whole * size) > 1e-6 * size
        else:
            counted = (self._units(local) - self.origin) / self.size
            whole = np.rint(counted).astype(np.int64)
            off = np.abs(counted - whole) > 1e-6
        if off.any():
            raise Irregular(self._off_grid(when, off))
        found: Array = whole
        return found

    def moments(self, steps: Array) -> Array:
        """The moments of steps, as `steps` counts them: datetime64[ns], of months the first day; or numbers."""
        found = self.dates(steps)
        return found - round(self.shift * 1e9) if self.slack else found

    def dates(self, steps: Array) -> Array:
        """The moments of steps as a local calendar has them; those of `moments` where clocks are not changed."""
        import numpy as np

        if self.unit == "second":
            return (np.asarray(steps, dtype=np.int64) * round(self.size * 1e9) + round(self.origin * 1e9)).astype("datetime64[ns]")
        units = steps * self.size + self.origin
        if self.unit == "number":
            return units
        whole = np.round(units).astype(np.int64)
        if self.unit == "business_day":
            return np.busday_offset(np.datetime64("1970-01-01", "D"), whole).astype("datetime64[ns]")
        return (whole - 1970 * 12).astype("datetime64[M]").astype("datetime64[ns]")

    def _local_days(self, when: pd.Series) -> pd.Series:
        import pandas as pd

        local = when + pd.Timedelta(seconds=self.shift)
        days = local.dt.floor("D")
        off = ((local - days).dt.total_seconds() > self.slack).to_numpy()
        if off.any():
            raise Irregular(self._off_grid(when, off))
        return days

    def _off_grid(self, when: pd.Series, off: Array) -> str:
        return f"{int(off.sum())} of {len(when)} moments are not on the {self.name} grid; the first is {_shown(when[off].iloc[0])}"

    def _units(self, when: pd.Series) -> Array:
        import numpy as np

        if self.unit == "number":
            return when.to_numpy(dtype=np.float64)
        if self.unit == "month":
            return (when.dt.year * 12 + when.dt.month - 1).to_numpy(dtype=np.float64)
        days = when.to_numpy(dtype="datetime64[D]")
        if not np.is_busday(days).all():
            raise Irregular(f"{_shown(when[~np.is_busday(days)].iloc[0])} is a weekend among business days")
        return np.busday_count(np.datetime64("1970-01-01"), days).astype(np.float64)


def infer_frequency(when: pd.Series, series: Array, *, zoned: bool = False) -> Frequency:
    """The step that most neighbours of one series are apart.

    Args:
        when: datetime64[ns] or numbers, none missing.
        series: the series of each row, shape (n,).
        zoned: whether the moments were written with the zone of their time, whose clocks may be changed later.

    Raises:
        Irregular: when no distance is common enough, or moments lie off the grid that the commonest one makes.
    """
    import numpy as np
    import pandas as pd

    table = pd.DataFrame({"when": when.to_numpy(), "series": series}).drop_duplicates().sort_values(["series", "when"])
    gaps = table.groupby("series", sort=False)["when"].diff().dropna()
    if gaps.empty:
        raise Irregular("no series has two moments")
    if pd.api.types.is_numeric_dtype(table["when"]):
        # What rounding did to differences of such numbers makes no distance of its own.
        exact = -int(np.ceil(np.log10(8 * np.finfo(np.float64).eps * max(float(table["when"].abs().max()), 1e-300))))
        size = _commonest(np.round(gaps.to_numpy(dtype=np.float64), exact), lambda size: f"{size:g}")
        found = Frequency(unit="number", size=size, origin=float(table["when"].min()))
        found.steps(table["when"])
        return found
    clock = _clock(table["when"], gaps.dt.total_seconds().to_numpy(), zoned)
    local = table.assign(when=clock._local_days(table["when"])) if clock else table
    found = _of_dates(local, local.groupby("series", sort=False)["when"].diff().dropna().dt.total_seconds().to_numpy())
    if clock:
        found = found.model_copy(update={"shift": clock.shift, "slack": clock.slack})
    found.steps(table["when"])
    return found


def _clock(when: pd.Series, distances: Array, zoned: bool) -> Frequency | None:
    """Days of local time, where moments come at two hours of the day that lie as far apart as a change of clocks, or may come to; else
    None."""
    import numpy as np

    hours = np.unique((when.to_numpy(dtype="datetime64[ns]").astype(np.int64) / 1e9) % DAY)
    if distances.min() < DAY - CLOCK_CHANGE:
        return None
    if zoned and len(hours) == 1:  # summer or winter alone
        hours = (hours + np.array([-1, 1]) * CLOCK_CHANGE / 2) % DAY
        hours.sort()
    if len(hours) != 2:
        return None
    early, late = hours if hours[1] - hours[0] <= CLOCK_CHANGE else (hours[1], hours[0] + DAY)
    if late - early > CLOCK_CHANGE:
        return None
    shift = -early if early <= FURTHEST_WEST else DAY - early
    return Frequency(unit="second", size=DAY, shift=float(shift), slack=float(late - early))


def _of_dates(table: pd.DataFrame, distances: Array) -> Frequency:
    """The step of dates `when` of each `series`, which lie `distances` seconds apart."""
    import numpy as np
    import pandas as pd

    if _counts_months(table["when"], distances):
        months = Frequency(unit="month", size=1)
        numbered = table.assign(month=months.steps(table["when"]))
        between = numbered.groupby("series", sort=False)["month"].diff().dropna().to_numpy(dtype=np.float64)
        size = _commonest(between, lambda size: f"{size:g} months")
        return Frequency(unit="month", size=size, origin=float(numbered["month"].iloc[0]))
    size = _commonest(distances, lambda size: f"{size:g} s")
    weekdays = table["when"].dt.day_of_week
    if size == DAY and weekdays.max() < 5 and (table["when"].dt.normalize() == table["when"]).all():
        return Frequency(unit="business_day", size=1)
    first = table["when"].iloc[0] - pd.Timestamp(0)
    return Frequency(unit="second", size=size, origin=first.as_unit("ns").value % round(size * 1e9) / 1e9)


def _counts_months(when: pd.Series, distances: Array) -> bool:
    """Whether the moments are months, quarters or years: at least 27 days apart, and no multiples of one number of days by chance."""
    if distances.min() < 27 * DAY:
        return False
    same_day = when.dt.day.nunique() == 1 or bool(when.dt.is_month_end.all())
    return same_day or bool((distances % distances.min() != 0).any())


def _commonest(distances: Array, told: Any) -> float:
    import numpy as np

    sizes, counts = np.unique(distances, return_counts=True)
    most = int(counts.argmax())
    if counts[most] < LEAST_REGULAR * len(distances):
        raise Irregular(f"moments are {len(sizes)} different distances apart, the commonest of which, {told(sizes[most])}, "
                        f"has {counts[most] / len(distances):.0%} of them")  # fmt: skip
    return float(sizes[most])


def _shown(moment: Any) -> str:
    text = str(moment)
    return text.removesuffix(" 00:00:00")
