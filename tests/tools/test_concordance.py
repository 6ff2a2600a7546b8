from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.concordance import Concordance, censoring_weights
from tools.metrics import bootstrap_interval, score, undefined_reason
from tools.survival import signed_times

ROWS = st.lists(st.tuples(st.integers(0, 12), st.booleans(), st.integers(0, 6), st.integers(0, 3)), min_size=1, max_size=40)


def by_pairs(times: np.ndarray, events: np.ndarray, risk: np.ndarray, counts: np.ndarray) -> float:
    """Harrell's definition, pair by pair."""
    right = usable = 0.0
    for i in np.flatnonzero(events):
        for j in range(len(times)):
            if times[j] > times[i] or (times[j] == times[i] and not events[j]):
                usable += counts[i] * counts[j]
                right += counts[i] * counts[j] * (float(risk[i] > risk[j]) + 0.5 * float(risk[i] == risk[j]))
    return right / usable if usable else np.nan


@given(ROWS)
def test_it_is_the_share_of_pairs_in_order_however_often_rows_count(rows: list[tuple[int, bool, int, int]]) -> None:
    times, events, risk, counts = (np.array(column) for column in zip(*rows, strict=True))
    pairs = Concordance(signed_times(times, events), risk.astype(float))
    assert pairs.score() == pytest.approx(by_pairs(times, events, risk, np.ones(len(rows))), nan_ok=True)
    assert pairs.score(counts.astype(float)) == pytest.approx(by_pairs(times, events, risk, counts), nan_ok=True)


@pytest.fixture
def sample() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    times, events = rng.exponential(10, 300) + 0.1, rng.random(300) < 0.6
    return times, events, -times + 8 * rng.normal(size=300)


def test_censoring_weights_are_one_where_nothing_is_censored() -> None:
    assert censoring_weights(np.array([1.0, 2.0, 3.0])).tolist() == [1, 1, 1]


def test_an_interval_holds_the_score_and_narrows_with_rows(sample: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    times, events, risk = sample
    y = signed_times(times, events)
    whole = bootstrap_interval("c_index", "survival", y, risk)
    part = bootstrap_interval("c_index", "survival", y[:60], risk[:60])
    assert whole.low < whole.score < whole.high
    assert whole.high - whole.low < part.high - part.low


def test_no_pair_is_no_score() -> None:
    assert "no event" in str(undefined_reason("c_index", "survival", np.array([-1.0, -2.0])))
    assert "lived longer" in str(undefined_reason("c_index", "survival", np.array([-1.0, 2.0])))
    assert undefined_reason("c_index", "survival", np.array([1.0, -1.0])) is None, "who is censored at that moment has outlived it"
    with pytest.raises(ValueError, match="undefined here: no event"):
        score("c_index", "survival", np.array([-1.0, -2.0]), np.array([0.1, 0.2]))
