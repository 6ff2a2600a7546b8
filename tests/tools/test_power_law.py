"""The law recovers curves that are known, and its intervals hold what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from tools.power_law import fit_power_law

ROWS = np.geomspace(100, 1000, 6)


def doubling(b: float, c: float) -> float:
    return b * 1000.0**-c * (1 - 2.0**-c)


@pytest.mark.parametrize(("a", "b", "c"), [(0.2, 3.0, 0.5), (0.1, 1.0, 0.2), (0.3, 0.0, 0.5), (5.0, 400.0, 1.0)])
def test_a_curve_without_noise_is_recovered(a: float, b: float, c: float) -> None:
    levels = np.array([[0.0], [0.1], [-0.05]])
    law = fit_power_law(ROWS, a + b * ROWS**-c + levels, best=0.0)
    gain, low, high = law.gained(0.9)
    assert gain == pytest.approx(doubling(b, c), rel=0.02, abs=1e-6)
    assert low <= gain <= high
    assert law.loss(1000, 0.9)[0] == pytest.approx(a + b * 1000**-c + levels.mean(), rel=1e-3)
    assert law.loss(2000, 0.9)[0] == pytest.approx(a + b * 2000**-c + levels.mean(), rel=1e-2)
    if b:
        assert np.median(law.exponent) == pytest.approx(c, abs=0.05)


@pytest.mark.parametrize(("b", "c"), [(3.0, 0.5), (1.0, 0.2), (0.0, 0.5)])
def test_intervals_of_the_gain_cover_it(b: float, c: float) -> None:
    runs, covered = 120, 0
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        noise = rng.normal(size=(4, 1)) * 0.05 + rng.normal(size=(4, 6)) * 0.005 * np.sqrt(1000 / ROWS)
        _, low, high = fit_power_law(ROWS, 0.2 + b * ROWS**-c + noise, best=0.0, seed=seed).gained(0.9)
        covered += low <= doubling(b, c) <= high
    assert covered >= binom.ppf(0.001, runs, 0.9)


def test_no_draw_undercuts_the_best_there_can_be() -> None:
    scores = np.array([[0.90, 0.95, 0.97, 0.985, 0.992, 0.998], [0.90, 0.94, 0.975, 0.984, 0.994, 0.997]])
    law = fit_power_law(ROWS, -scores, best=-1.0)
    assert law.loss(2000, 0.99)[1] >= -1.0


def test_too_little_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 2 folds at 4 sizes"):
        fit_power_law(ROWS[:3], np.ones((2, 3)), best=0.0)
