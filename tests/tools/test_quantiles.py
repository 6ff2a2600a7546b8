from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import mean_pinball_loss

from tools.quantiles import crps_losses, levels_of, losses_by_level, measure_pairs, pinball_losses


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("0.9,0.1", [0.1, 0.5, 0.9]),
        (" 0.1 , 0.5,0.9", [0.1, 0.5, 0.9]),
        ([0.25, "0.75"], [0.25, 0.5, 0.75]),
        ("0.5", [0.5]),
        ("1e-3,0.999", [0.001, 0.5, 0.999]),
    ],
)
def test_levels_are_in_order_with_the_median_among_them(given: str | list[float], found: list[float]) -> None:
    assert levels_of(given) == found


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("0.1,1", "'1' is no level; expected levels between 0 and 1"),
        ([0], "'0' is no level"),
        ("10%,90%", "'10%' is no level"),
        ("nan", "'nan' is no level"),
        ([True], "'True' is no level"),
        ("", "'' is no level"),
        ([], "no level is named"),
        ("0.1,0.5,.10", "0.1 stands there twice"),
        ([i / 100 for i in range(1, 100)], "99 levels are named; expected at most 49"),
    ],
)
def test_what_is_no_level_is_named(given: str | list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        levels_of(given)


def test_losses_are_scikit_learns_level_by_level() -> None:
    rng = np.random.default_rng(0)
    y, q, levels = rng.normal(size=500), np.sort(rng.normal(size=(500, 4)), axis=1), np.array([0.05, 0.3, 0.5, 0.9])
    by_level = [mean_pinball_loss(y, q[:, i], alpha=level) for i, level in enumerate(levels)]
    assert np.allclose(losses_by_level(y, q, levels).mean(axis=0), by_level)
    assert pinball_losses(y, q, np.broadcast_to(levels, q.shape)).mean() == pytest.approx(np.mean(by_level))


def test_many_levels_give_the_crps_of_the_normal_distribution() -> None:
    y = np.random.default_rng(1).normal(size=400)
    closed = (y * (2 * norm.cdf(y) - 1) + 2 * norm.pdf(y) - 1 / np.sqrt(np.pi)).mean()  # Gneiting and Raftery 2007, section 4.2
    levels = np.arange(1, 50) / 50
    assert crps_losses(y, np.tile(norm.ppf(levels), (400, 1)), levels).mean() == pytest.approx(closed, rel=0.01)


def test_pairs_are_measured_from_the_narrowest_to_the_outermost() -> None:
    y = np.random.default_rng(2).normal(size=4000)
    levels = [0.05, 0.25, 0.5, 0.75, 0.95]
    narrow, wide = measure_pairs(y, np.tile(norm.ppf(levels), (4000, 1)), levels)
    assert (narrow.level, wide.level, wide.n) == (0.5, 0.9, 4000)
    assert wide.low < 0.9 < wide.high
    assert narrow.low < 0.5 < narrow.high
    assert wide.width == pytest.approx(2 * norm.ppf(0.95))
    assert measure_pairs(y, np.zeros((4000, 1)), [0.5]) == []
