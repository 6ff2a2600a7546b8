"""Settle a forecast from the rows and the wish: frequency, season, horizon, covariates, backtests; refuse what cannot be one.

Series may begin and end at moments of their own. The typical one decides what all are asked for: half of them are as long. Shorter ones
take part in the backtests before which they have a past, and those that have none before the sealed horizon are left out.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.forecast import FEWEST_PAIRS, LEAST_HISTORY, Forecast, Window, scales_of, steps_to_end
from tools.spec import InputRefused
from tools.timeline import Frequency, Irregular, infer_frequency

if TYPE_CHECKING:
    import pandas as pd

    from tools.host import Wish

Array = np.ndarray[Any, np.dtype[Any]]

BACKTESTS = 5
"""As many as there are where nobody says and the series have room."""
MOST_SERIES = 20_000
MOST_STEPS = 20_000_000
"""Of all series together, gaps counted: every one takes room."""
LONGEST_SHARE = 6
"""An inferred horizon takes at most this part of the typical series."""
MOST_NAMED = 5
DAY_OR_MONTH_FIRST = r"\s*(\d{1,2})[-/.](\d{1,2})[-/.]\d{2,4}\b.*"
"""Dates of which either of two numbers may be the day."""


@dataclass(frozen=True)
class Foresight:
    """A forecast and what its backtests are."""

    forecast: Forecast
    folds: int
    kept: Array
    """Which rows are of series that are long enough to be forecast, bool (n,)."""


def plan_forecast(rows: pd.DataFrame, target: str, wish: Wish, column: str | None) -> Foresight:
    """Settle the forecast.

    Args:
        rows: the table without rows whose target is missing.
        column: time column that a role named, where the user has named none.

    Raises:
        InputRefused: when a column is missing or serves two purposes, moments are doubled, irregular or no moments, or half of the series
            are too short for the horizon and a backtest.
    """
    _check_names(rows, target, wish)
    notes: list[str] = []
    time = wish.time_column or column or _time_column(rows, target, wish, notes)
    covariates = [str(name) for name in rows.columns if str(name) not in (target, time, *wish.series)]
    past = [name for name in covariates if name not in wish.known]
    bare = Forecast(time=time, series=list(wish.series), horizon=1, frequency=Frequency(unit="number", size=1), season=1, scales={})
    series = bare.series_of(rows).astype(str)
    bare = bare.model_copy(update={"day_first": _day_first(rows[time], series, notes)})
    bare = bare.model_copy(update={"frequency": _frequency(rows, bare, series, notes)})
    frequency, steps = bare.frequency, bare.steps_of(rows)
    _check_doubles(rows, bare, series, steps)
    notes.append(f"The series advance {frequency.name}.")
    lengths = _lengths(series, steps)
    if lengths.sum() > MOST_STEPS:
        raise InputRefused(
            f"the {len(rows):,} rows span {int(lengths.sum()):,} steps ({frequency.name}), gaps counted; at most"
            f" {MOST_STEPS:,} are taken. Sum or average the rows to longer steps, such as days, or leave out what lies before a long gap."
        )
    typical = int(np.sort(lengths)[len(lengths) // 2])  # half of the series are as long
    horizon = wish.horizon or _horizon(frequency, typical, notes)
    folds = _folds(typical, len(lengths), horizon, wish, frequency.season, notes)
    long = lengths >= horizon + LEAST_HISTORY
    names, codes = np.unique(series, return_inverse=True)
    kept = long[codes]
    rows, series, steps, lengths = rows[kept], series[kept], steps[kept], lengths[long]
    notes += [*_left_out(names[~long], len(names), horizon), *_late(lengths, horizon, folds), *_gaps(series, lengths)]
    cut = typical - (folds + 1) * horizon
    season = frequency.season if np.median(lengths) - horizon >= 2 * frequency.season else 1
    window: Window = wish.window or "expanding"
    if past:
        notes.append(f"Known only up to the forecast: {', '.join(map(repr, past[:10]))}; name those that are known ahead with --known.")
    y, known = rows[target].to_numpy(dtype=np.float64), steps_to_end(series, steps) >= horizon
    if window == "sliding":
        notes.append(f"Every fit learns from the latest {cut} steps, as many as the first backtest has.")
    forecast = Forecast(
        time=time,
        day_first=bare.day_first,
        series=bare.series,
        horizon=horizon,
        frequency=frequency,
        season=season,
        known=[name for name in covariates if name in wish.known],
        past=past,
        window=window,
        window_steps=cut if window == "sliding" else None,
        scales=scales_of(series[known], steps[known], y[known], season),
        notes=notes,
    )
    return Foresight(forecast, folds, kept)


def _check_names(rows: pd.DataFrame, target: str, wish: Wish) -> None:
    names = [str(name) for name in rows.columns]
    for what, wanted in (("--series", wish.series), ("--known", wish.known)):
        for name in wanted:
            if name not in names:
                near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
                hint = f"Nearest: {', '.join(near)}." if near else f"Columns: {', '.join(names[:30])}."
                raise InputRefused(f"{what} column {name!r} is not in the table. {hint}")
            if name == target or name == wish.time_column:
                raise InputRefused(f"{what} names {name!r}, which is the {'target' if name == target else 'time column'} already.")
    if both := [name for name in wish.series if name in wish.known]:
        raise InputRefused(f"{both[0]!r} is in --series and in --known; what names a series is known anyway: leave it out of --known.")
    if wish.group:
        raise InputRefused("--group does not go with a forecast, whose split is by time; name the columns of a series with --series.")


def _time_column(rows: pd.DataFrame, target: str, wish: Wish, notes: list[str]) -> str:
    from tools.columns import infer_schema, stamped

    free = [name for name in map(str, rows.columns) if name not in (target, *wish.series, *wish.known)]
    found = infer_schema(rows[free], None).of_kind("datetime")
    found = found or [name for name in free if stamped(rows[name])]
    if len(found) != 1:
        told = f"several columns hold dates ({', '.join(map(repr, found[:10]))})" if found else "no column holds dates"
        raise InputRefused(f"a forecast needs the column of its moments, and {told}. Name it with --time-column.")
    notes.append(f"{found[0]!r} alone holds dates, so it is the time column.")
    return found[0]


def _day_first(values: pd.Series, series: Array, notes: list[str]) -> bool:
    """Whether dates are to be read with the day first: by a day beyond 12, or where there is none, by what leaves fewer moments out."""
    from tools.columns import days_come_first

    texts = values.dropna().astype("str")
    if values.dtype.kind in "bifcmM" or days_come_first(texts):
        return values.dtype.kind not in "bifcmM"
    parts = texts.str.extract(f"^{DAY_OR_MONTH_FIRST}$")
    if parts.isna().any(axis=None) or (parts.astype(int) > 12).any(axis=None):
        return False
    found = _missing(values, series, day_first=True) < _missing(values, series, day_first=False)
    if found:
        notes.append(f"Moments such as {texts.iloc[-1]!r} are read with the day first: the series are regular that way.")
    return found


def _missing(values: pd.Series, series: Array, *, day_first: bool) -> float:
    """Moments that the series leave out when their dates are read so; infinitely many where they are irregular."""
    from tools.columns import parse_dates

    when = parse_dates(values, day_first)
    known = when.notna().to_numpy()
    try:
        steps = infer_frequency(when[known], series[known]).steps(when[known])
    except Irregular:
        return inf
    lengths = _lengths(series[known], steps)
    return inf if (lengths < _counts(series[known])).any() else float(lengths.sum()) - len(steps)


def _frequency(rows: pd.DataFrame, bare: Forecast, series: Array, notes: list[str]) -> Frequency:
    from tools.columns import moments, parse_dates, stamped, zoned

    when = moments(rows[bare.time], bare.day_first)
    if stamped(when):
        notes.append(f"The numbers of {bare.time!r} are dates, such as {rows[bare.time].iloc[-1]:.0f}.")
        when = parse_dates(when, day_first=False)
    if when.isna().any():
        first = rows[bare.time][when.isna()].iloc[0]
        raise InputRefused(
            f"time column {bare.time!r} has {int(when.isna().sum())} values that are no moment, such as {first!r}; clean it,"
            " or name another --time-column."
        )
    if len(np.unique(series)) > MOST_SERIES:
        raise InputRefused(f"--series gives more than {MOST_SERIES:,} series; forecast a part of them at a time.")
    try:
        return infer_frequency(when, series, zoned=zoned(rows[bare.time]))
    except Irregular as error:
        hint = "" if bare.series else " If the table holds several series, name their columns with --series."
        raise InputRefused(
            f"time column {bare.time!r} is irregular: {error}. Sum or average the rows to regular moments, such as days.{hint}"
        ) from None


def _check_doubles(rows: pd.DataFrame, bare: Forecast, series: Array, steps: Array) -> None:
    import pandas as pd

    doubled = pd.DataFrame({"series": series, "step": steps}).duplicated(keep=False).to_numpy()
    if doubled.any():
        first = rows[doubled].iloc[0]
        whose = f" of series {series[doubled][0]!r}" if bare.series else ""
        hint = "sum or average them" + ("" if bare.series else ", or, if the table holds several series, name them with --series")
        raise InputRefused(
            f"{int(doubled.sum())} rows share their moment with another row of the same series, such as {first[bare.time]}{whose};"
            f" expected one row a moment: {hint}."
        )


def _left_out(names: Array, of: int, horizon: int) -> list[str]:
    """What is told of series that are too short."""
    if not len(names):
        return []
    shown = ", ".join(map(repr, map(str, names[:MOST_NAMED]))) + (", …" if len(names) > MOST_NAMED else "")
    needed = f"{horizon + LEAST_HISTORY} steps, the sealed horizon and {LEAST_HISTORY} to learn from"
    return [f"{len(names):,} of {of:,} series have fewer than {needed}; they are left out, and the model will not know them: {shown}."]


def _late(lengths: Array, horizon: int, folds: int) -> list[str]:
    """What is told of series that do not take part in all backtests."""
    late = int((lengths < (folds + 1) * horizon + LEAST_HISTORY).sum())
    return [f"{late:,} of {len(lengths):,} series are too short for all backtests and take part in the latest alone."] if late else []


def _gaps(series: Array, lengths: Array) -> list[str]:
    missing = lengths - _counts(series)
    if not missing.any():
        return []
    whose = f" in {int((missing > 0).sum())} of {len(lengths)} series" if len(lengths) > 1 else ""
    return [f"{int(missing.sum()):,} moments{whose} have no row or no target; they count as missing and are not scored."]


def _counts(series: Array) -> Array:
    """Rows of each series, in the order of its sorted keys."""
    return np.unique(series, return_counts=True)[1]


def _lengths(series: Array, steps: Array) -> Array:
    """Steps of each series, gaps counted, in the order of its sorted keys."""
    names, places = np.unique(series, return_inverse=True)
    found = np.zeros(len(names), dtype=np.int64)
    np.maximum.at(found, places, 1 + steps_to_end(series, steps))
    return found


def _horizon(frequency: Frequency, typical: int, notes: list[str]) -> int:
    horizon = max(1, min(frequency.horizon, typical // LONGEST_SHARE))
    notes.append(f"No horizon was named: {horizon} step{'s' * (horizon > 1)} ahead, as {frequency.name} series of this length allow.")
    return horizon


def _folds(typical: int, series: int, horizon: int, wish: Wish, season: int, notes: list[str]) -> int:
    """As many backtests as were asked for, or as the typical series has room for, with a season before them where that is possible.

    Several of them leave as much before the first as families that know rows need.
    """
    rows = next(n for n in range(1, FEWEST_PAIRS + 1) if sum(min(row, horizon) for row in range(1, n + 1)) >= FEWEST_PAIRS)
    learnt, *room = [(typical - least) // horizon - 1 for least in (max(season, 6) + rows, max(season + 1, horizon), LEAST_HISTORY)]
    folds = learnt if learnt > 1 and not wish.folds else next((count for count in room if count >= 1), 0)
    if folds < 1:
        what = f"half of the {series:,} series have {typical} steps or fewer" if series > 1 else f"there are {typical} steps"
        raise InputRefused(
            f"{what} for a horizon of {horizon}; expected at least {2 * horizon + LEAST_HISTORY}: one horizon sealed, one for a backtest,"
            f" {LEAST_HISTORY} to learn from. Use a smaller --horizon{', or leave short series out' if series > 1 else ''}."
        )
    if room[0] < 1:
        folds = 1
    wanted = wish.folds or BACKTESTS
    if folds < wanted:
        whose = f"half of the series have {typical} steps or fewer" if series > 1 else f"the series has {typical} steps"
        notes.append(f"{folds} backtest{'s' * (folds > 1)} instead of {wanted}: {whose}.")
    return min(folds, wanted)
