"""When a measured time is within a bound: by the confidence limits of the median, not by luck."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import quantile_test

from team.scales import CALLS, MOST_CALLS, UNSURE, Weighed, limits_of_median
from tools.constraints import Constraints


@pytest.mark.parametrize("n", [5, 15, 30, 60])
def test_the_limits_of_a_median_are_those_of_the_sign_test(n: int) -> None:
    values = list(np.random.default_rng(n).lognormal(size=n))
    low, high = limits_of_median(values, UNSURE)
    whole = quantile_test(values, q=0.0, p=0.5).confidence_interval(1 - 2 * UNSURE)
    assert (low, high) == (whole.low, whole.high)


def test_too_few_values_say_nothing_of_their_median() -> None:
    assert limits_of_median([1.0, 2.0], UNSURE) == (-math.inf, math.inf)


def test_a_bound_is_seldom_called_met_that_is_not_however_often_it_is_looked_at() -> None:
    """A model at exactly its bound, on a machine whose delays have no mean: each look may end it, as in the measurement."""
    rng = np.random.default_rng(0)
    met = 0
    for _ in range(2000):
        beyond = 5 + rng.standard_cauchy(MOST_CALLS)
        for n in range(CALLS, MOST_CALLS + 1, CALLS):
            low, high = limits_of_median(list(beyond[:n]), UNSURE / (MOST_CALLS // CALLS))
            if high <= 5 or low > 5:
                break
        met += high <= 5
    assert met / 2000 < UNSURE


def test_what_is_not_surely_within_a_bound_is_told_as_too_much() -> None:
    bound = Constraints(max_latency_ms=5, max_size_mb=1)
    assert Weighed(3.0, 4.9, 0.5).exceeded(bound) is None
    assert Weighed(3.0, 7.25, 0.5).exceeded(bound) == "up to 7.25 ms for a row (the median is 3 ms), where 5 ms are allowed"
    assert Weighed(6.0, 7.25, 0.5).exceeded(bound) == "6 ms for a row, where 5 ms are allowed"
    assert Weighed(3.0, 7.25, 1.5).exceeded(bound) == "1.5 MB on file, where 1 MB are allowed"
    assert Weighed(None, None, 0.5).exceeded(Constraints(max_size_mb=1)) is None
