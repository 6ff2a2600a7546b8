"""The step of a time axis: found, named, counted in, and missed where there is none."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tools.columns import parse_dates
from tools.timeline import Irregular, infer_frequency


def of(when: pd.Series | pd.DatetimeIndex, series: list[str] | None = None):  # type: ignore[no-untyped-def]  # what the function gives
    values = pd.Series(when)
    return infer_frequency(values, np.array(series or ["a"] * len(values)))


@pytest.mark.parametrize(
    ("freq", "name", "season", "horizon"),
    [
        ("MS", "monthly", 12, 12),
        ("ME", "monthly", 12, 12),
        ("QS", "quarterly", 4, 4),
        ("YS", "yearly", 1, 6),
        ("W", "weekly", 52, 13),
        ("D", "daily", 7, 28),
        ("B", "business-daily", 5, 20),
        ("h", "hourly", 24, 24),
        ("30min", "every 30 minutes", 48, 48),
        ("min", "every minute", 60, 60),
        ("2D", "every 2 days", 1, 6),
        ("28D", "every 4 weeks", 1, 6),
        ("10ms", "every 0.01 seconds", 1, 6),
    ],
)
def test_usual_frequencies_are_found_with_their_season(freq: str, name: str, season: int, horizon: int) -> None:
    when = pd.Series(pd.date_range("2020-02-28", periods=60, freq=freq))
    found = of(when)
    assert (found.name, found.season, found.horizon) == (name, season, horizon)
    assert np.diff(found.steps(when)).tolist() == [1] * 59
    again = pd.Series(found.moments(found.steps(when)))
    assert found.steps(again).tolist() == found.steps(when).tolist()
    assert again.eq(when).all() or (found.unit == "month" and again.dt.day.eq(1).all())


@pytest.mark.parametrize("zone", ["Europe/London", "Europe/Berlin", "America/New_York", "Pacific/Auckland"])
@pytest.mark.parametrize(
    ("freq", "name"), [("D", "daily"), ("W", "weekly"), ("B", "business-daily"), ("MS", "monthly"), ("QE", "quarterly")]
)
def test_local_days_are_steps_through_changes_of_clocks(zone: str, freq: str, name: str) -> None:
    local = pd.Series(pd.date_range("2022-01-31", periods=150, freq=freq, tz=zone))
    when = parse_dates(local.astype(str), day_first=False)
    found = of(when)
    steps = found.steps(when)
    assert found.name == name
    assert np.diff(steps).tolist() == [1] * 149
    days = pd.Series(found.dates(steps))
    assert (days.eq(local.dt.tz_localize(None)) | ((found.unit == "month") & days.dt.month.eq(local.dt.month))).all()
    assert found.steps(pd.Series(found.moments(steps))).tolist() == steps.tolist()
    with pytest.raises(Irregular, match=rf"1 of 2 moments are not on the {name} grid"):
        found.steps(when.iloc[[0, 0]].reset_index(drop=True) + pd.to_timedelta([0, 5], unit="h"))


def test_hours_of_a_zone_go_on_through_changes_of_clocks() -> None:
    when = parse_dates(pd.Series(pd.date_range("2024-03-30", periods=60, freq="h", tz="Europe/Berlin").astype(str)), day_first=False)
    assert np.diff(of(when).steps(when)).tolist() == [1] * 59


def test_four_weeks_with_a_gap_are_no_months() -> None:
    found = of(when := pd.Series(pd.date_range("2024-01-01", periods=20, freq="28D")).drop(5).reset_index(drop=True))
    assert found.name == "every 4 weeks"
    assert np.diff(found.steps(when)).tolist() == [1] * 4 + [2] + [1] * 13


@pytest.mark.parametrize("numbers", [np.arange(100) * 0.1, np.cumsum(np.full(100, 0.1)), 1e6 + np.arange(100) / 3])
def test_rounding_makes_no_distances_of_numbers(numbers: np.ndarray) -> None:
    when = pd.Series(numbers)
    assert np.diff(of(when).steps(when)).tolist() == [1] * 99


def test_gaps_are_counted_and_do_not_hide_the_frequency() -> None:
    when = pd.Series(pd.date_range("2020-01-31", periods=40, freq="ME")).drop([3, 4, 20]).reset_index(drop=True)
    found = of(when)
    assert found.name == "monthly"
    assert found.steps(when)[[0, -1]].tolist() == (found.steps(when)[0] + np.array([0, 39])).tolist()


def test_series_are_not_neighbours_of_each_other() -> None:
    days = pd.date_range("2024-01-01", periods=10, freq="D")
    assert of(pd.Series([*days, *days]), ["a"] * 10 + ["b"] * 10).name == "daily"


def test_numbers_are_steps_too() -> None:
    years = pd.Series(np.arange(1700.0, 1750.0, 5.0))
    found = of(years)
    assert found.name == "in steps of 5"
    assert found.steps(years).tolist() == list(range(10))
    assert found.moments(np.array([0, 11])).tolist() == [1700.0, 1755.0]


def test_moments_without_a_step_are_refused_by_name() -> None:
    rng = np.random.default_rng(0)
    scattered = pd.Series(pd.Timestamp("2024-01-01") + pd.to_timedelta(np.sort(rng.integers(0, 10**6, 50)), unit="s"))
    with pytest.raises(Irregular, match="different distances apart"):
        of(scattered)
    nearly = pd.Series(pd.date_range("2024-01-01", periods=30, freq="h"))
    nearly[7] += pd.Timedelta(minutes=10)
    with pytest.raises(Irregular, match=r"not on the hourly grid; the first is 2024-01-01 07:10:00"):
        of(nearly)
    with pytest.raises(Irregular, match="no series has two moments"):
        of(nearly[:1])
