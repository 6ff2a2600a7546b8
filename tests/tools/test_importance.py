from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tools import importance
from tools.deadline import Deadline
from tools.forecast import Forecast
from tools.importance import permutation_importance, shuffled_moments
from tools.timeline import Frequency


def table(rows: int) -> tuple[pd.DataFrame, np.ndarray]:
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(rows, 4)), columns=["a", "b", "c d", "{e}"])
    return X, (3 * X["a"] + X["c d"]).to_numpy()


def predict(X: pd.DataFrame) -> np.ndarray:
    return (3 * X["a"] + X["c d"]).to_numpy()


@pytest.mark.parametrize("rows", [50, 4000])
def test_the_squared_error_grows_by_twice_the_variance_of_what_is_shuffled(rows: int) -> None:
    X, y = table(rows)
    found = permutation_importance(predict, X, lambda p: float(((p - y) ** 2).mean()), list(X.columns), np.random.default_rng(1), 30)
    assert [len(losses) for losses in found.values()] == [30] * 4
    assert np.mean(found["a"]) == pytest.approx(2 * 9 * X["a"].var(), rel=0.1)
    assert np.mean(found["c d"]) == pytest.approx(2 * X["c d"].var(), rel=0.1)
    assert found["b"] == found["{e}"] == [0.0] * 30


def test_columns_are_predicted_together_and_a_deadline_leaves_the_rest_out(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = table(100)
    calls: list[int] = []

    def counted(rows: pd.DataFrame) -> np.ndarray:
        calls.append(len(rows))
        return predict(rows)

    loss = lambda p: float(((p - y) ** 2).mean())  # noqa: E731
    permutation_importance(counted, X, loss, list(X.columns), np.random.default_rng(0), 2)
    assert calls == [100, 400, 400]
    monkeypatch.setattr(importance, "BATCH_ROWS", 100)
    found = permutation_importance(predict, X, loss, list(X.columns), np.random.default_rng(0), 1, Deadline(0))
    assert all(losses == [] for losses in found.values())


def test_moments_stay_moments_of_their_series_and_series_meet_at_one_moment() -> None:
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "shop": np.repeat(["a", "b", "c"], 8),
            "day": np.tile(pd.date_range("2024-01-01", periods=8), 3),
            "promo": np.arange(24.0),
        }
    )
    daily = Frequency(unit="second", size=86400)
    forecast = Forecast(time="day", series=["shop"], frequency=daily, horizon=8, season=7, scales={})
    by_time, by_series = (shuffled_moments(X, name, forecast, rng) for name in ("day", "shop"))
    for shuffled in (by_time, by_series):
        assert not shuffled.equals(X)
        assert not shuffled.duplicated(["shop", "day"]).any()
        assert shuffled["promo"].equals(X["promo"])
    assert by_time["shop"].equals(X["shop"])
    assert by_series["day"].equals(X["day"])
    assert sorted(shuffled_moments(X, "promo", forecast, rng)["promo"]) == sorted(X["promo"])
