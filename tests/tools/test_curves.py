"""Survival curves of risks, and their Brier score, held against scikit-survival where it is installed."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtri

from tools.concordance import Concordance, censoring_weights
from tools.curves import brier_interval, brier_losses, cross_fitted, learn, moments_to_score
from tools.survival import signed_times

Array = np.ndarray


def trial(n: int, seed: int, slope: float = 1.0, whole: bool = False) -> tuple[Array, Array]:
    """Signed Weibull times whose log hazard rises with the normal score of a risk, and the risk; whole times have ties."""
    rng = np.random.default_rng(seed)
    risk = rng.random(n) * 0.98 + 0.01
    life = 20 * (rng.exponential(size=n) / np.exp(slope * ndtri(risk))) ** (1 / 1.4)
    censored = rng.exponential(40, n)
    times = np.minimum(life, censored)
    return signed_times(np.ceil(times) if whole else times, life <= censored), risk


@pytest.mark.parametrize("whole", [False, True])
def test_the_brier_score_is_that_of_scikit_survival(whole: bool) -> None:
    surv, metrics = pytest.importorskip("sksurv.util").Surv, pytest.importorskip("sksurv.metrics")
    (known, risk), (y, new) = trial(300, 0, whole=whole), trial(200, 1, whole=whole)
    inside = np.abs(y) < np.abs(known).max()  # beyond, scikit-survival knows no censoring
    y, new, at = y[inside], new[inside], np.linspace(3.0, 25.0, 40)
    chances = learn("a", known, risk).survival(new, at)
    pairs = [surv.from_arrays(each > 0, np.abs(each)) for each in (known, y)]
    expected = metrics.integrated_brier_score(*pairs, chances, at)
    assert brier_losses(y, chances, at, known).mean() == pytest.approx(expected, rel=1e-9)
    # Censoring weights of concordance know the same ties.
    assert Concordance(known, risk).score(None, censoring_weights(known)) == pytest.approx(
        metrics.concordance_index_ipcw(pairs[0], pairs[0], risk)[0], rel=1e-9
    )


@pytest.mark.parametrize("whole", [False, True])
def test_curves_are_those_of_cox_regression(whole: bool) -> None:
    linear, surv = pytest.importorskip("sksurv.linear_model"), pytest.importorskip("sksurv.util").Surv
    y, risk = trial(600, 2, whole=whole)
    found, z = learn("a", y, risk), ndtri(risk)[:, None]
    cox = linear.CoxPHSurvivalAnalysis(ties="breslow").fit(z, surv.from_arrays(y > 0, np.abs(y)))
    assert found.slope == pytest.approx(float(cox.coef_[0]), rel=0.01)
    at = np.array([2.0, 8.0, 20.0])
    expected = np.array([curve(at) for curve in cox.predict_survival_function(z[:20])])
    assert found.survival(risk[:20], at) == pytest.approx(expected, abs=0.01)


def test_without_censoring_it_is_the_mean_squared_error_of_curves() -> None:
    y, at = np.array([2.0, 6.0]), np.array([1.0, 5.0])
    chances = np.array([[0.9, 0.3], [0.8, 0.6]])
    # At 1 both live on, at 5 the first is gone; the trapezoid over 1 to 5 is the mean of both ends.
    assert brier_losses(y, chances, at, y) == pytest.approx([(0.1**2 + 0.3**2) / 2, (0.2**2 + 0.4**2) / 2])


def test_curves_fall_with_time_and_risk_and_beat_one_curve_for_all() -> None:
    y, risk = trial(500, 3)
    at = moments_to_score(y)
    chances = learn("a", y, risk).survival(np.array([0.1, 0.5, 0.9]), at)
    assert (np.diff(chances, axis=1) <= 0).all()
    assert (np.diff(chances, axis=0) < 0).all()
    own, alike = cross_fitted(y, risk, np.arange(500) % 5, at)
    found, floor = brier_interval(y, own, at, y), brier_interval(y, alike, at, y)
    assert found.low < found.score < found.high < floor.score
    assert brier_interval(y, own, at, y, groups=np.arange(500) // 4).groups == 125


def test_a_risk_that_says_nothing_gets_one_curve() -> None:
    y, _ = trial(500, 4)
    assert learn("a", y, np.random.default_rng(0).random(500)).slope < 0.15
    turned = learn("a", *(lambda y, risk: (y, 1 - risk))(*trial(500, 5)))
    assert turned.slope == 0.0


def test_what_no_curve_can_be_learnt_of_is_told() -> None:
    with pytest.raises(ValueError, match="no event was seen"):
        learn("a", -np.arange(1.0, 5.0), np.linspace(0.1, 0.9, 4))
    with pytest.raises(ValueError, match="too late or too few"):
        moments_to_score(np.append(-np.arange(1.0, 20.0), 30.0))
