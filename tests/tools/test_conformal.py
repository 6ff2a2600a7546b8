"""Intervals from out-of-fold residuals: their ends by MAPIE's, their coverage by rows that nothing was fitted to."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom, t
from sklearn import datasets
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.ensemble import RandomForestRegressor
from sklearn.model_selection import KFold

from tools.conformal import MOST_SCORES, Spread, calibrate, measure
from tools.coverage import coverage_told, covered, measured


class Known(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """A fitted model whose predictions are the one column of its table."""

    fitted_ = True

    def fit(self, X: np.ndarray, y: np.ndarray) -> Known:
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        return np.asarray(X)[:, 0]


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9])
@pytest.mark.parametrize("rows", [61, 78])
def test_ends_are_those_of_mapie(level: float, rows: int) -> None:
    from mapie.conformity_scores import AbsoluteConformityScore
    from mapie.regression import SplitConformalRegressor

    rng = np.random.default_rng(rows)
    predicted = rng.normal(size=rows)
    y = predicted + rng.gamma(1.0, size=rows) - 0.5
    theirs = SplitConformalRegressor(Known(), confidence_level=level, conformity_score=AbsoluteConformityScore(sym=False), prefit=True)
    theirs.conformalize(predicted[:, None], y)
    _, ends = theirs.predict_interval(np.array([[0.0], [3.0]]))
    # One fold, and too few rows for a spread of their own: residuals themselves.
    found = calibrate("c", y, predicted, np.zeros(rows), whole=False)
    assert np.column_stack(found.interval(np.array([0.0, 3.0]), level)) == pytest.approx(ends[:, :, 0])


def out_of_fold(frame: pd.DataFrame, y: np.ndarray, seed: int) -> tuple[np.ndarray, ...]:
    """Rows to learn from with their out-of-fold predictions, and rows apart with those of a model of all the former."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(y))
    learn, apart = order[: len(y) // 2], order[len(y) // 2 :]
    X = frame.to_numpy()
    model = RandomForestRegressor(30, min_samples_leaf=3, random_state=seed, n_jobs=1)
    folds, oof = np.empty(len(learn), dtype=int), np.empty(len(learn))
    for fold, (fit, check) in enumerate(KFold(5, shuffle=True, random_state=seed).split(learn)):
        folds[check] = fold
        oof[check] = model.fit(X[learn[fit]], y[learn[fit]]).predict(X[learn[check]])
    return y[learn], oof, folds, y[apart], model.fit(X[learn], y[learn]).predict(X[apart])


def test_intervals_hold_what_they_say_on_real_rows() -> None:
    data = datasets.load_diabetes(as_frame=True)
    totals = np.zeros((4, 2))
    for seed in range(6):
        y, oof, folds, fresh, predicted = out_of_fold(data.data, data.target.to_numpy(float), seed)
        for place, found in enumerate(measure(calibrate("c", y, oof, folds, whole=False), fresh, predicted)):
            totals[place] += found.inside, found.n
    assert totals[:, 0] / totals[:, 1] == pytest.approx([0.5, 0.8, 0.9, 0.95], abs=0.04)


def test_counts_get_whole_ends_of_zero_and_more_that_still_hold() -> None:
    pixels = datasets.load_digits().data
    inked = (pixels > 8).sum(axis=1).astype(float)
    y, oof, folds, fresh, predicted = out_of_fold(pd.DataFrame(pixels[:, 2::3]), inked - inked.min(), 0)
    calibration = calibrate("c", y, oof, folds, whole=True)
    low, high = calibration.interval(predicted, 0.9)
    assert (low % 1 == 0).all()
    assert (high % 1 == 0).all()
    assert (low >= 0).all()
    assert (low <= high).all()
    assert measure(calibration, fresh, predicted, (0.9,))[0].share > 0.87
    tight = calibration.model_copy(update={"scores": [-1e-6] * 50 + [1e-6] * 50, "rows": 100, "spread": Spread(at=[0.0], size=[1.0])})
    low, high = tight.interval(np.array([2.5, 0.4]), 0.5)
    assert low.tolist() == [2.0, 0.0]
    assert high.tolist() == [3.0, 1.0]


def test_wide_where_predictions_miss_by_much() -> None:
    rng = np.random.default_rng(1)
    predicted = rng.uniform(1, 100, 4000)
    y = predicted * rng.lognormal(sigma=0.3, size=4000)
    found = calibrate("c", y, predicted, np.arange(4000) % 5, whole=False)
    low, high = found.interval(np.array([5.0, 90.0]), 0.9)
    assert (high - low)[1] > 8 * (high - low)[0]
    fresh = predicted * rng.lognormal(sigma=0.3, size=4000)
    inside = (fresh >= found.interval(predicted, 0.9)[0]) & (fresh <= found.interval(predicted, 0.9)[1])
    assert [inside[part].mean() for part in (predicted < 20, predicted > 80)] == pytest.approx([0.9, 0.9], abs=0.04)


def test_levels_that_residuals_are_too_few_for_are_refused_with_the_highest_there_is() -> None:
    y = np.arange(30.0)
    found = calibrate("c", y, y + 1, np.arange(30) % 3, whole=False)
    with pytest.raises(ValueError, match=r"interval 0\.95 needs 39 out-of-fold residuals, the model has 30; expected 0\.935 or less"):
        found.interval(y, 0.95)
    found.interval(y, 0.935)
    for level in (0.0, 1.0, 90.0):
        with pytest.raises(ValueError, match="expected a share between 0 and 1"):
            found.interval(y, level)
    assert [each.level for each in measure(found, y, y)] == [0.5, 0.8, 0.9]


def test_many_residuals_are_kept_by_rank_and_never_narrower() -> None:
    rng = np.random.default_rng(2)
    residuals = rng.normal(size=30_001)
    found = calibrate("c", residuals, np.zeros(30_001), np.arange(30_001) % 5, whole=False)
    assert len(found.scores) == MOST_SCORES
    low, high = found.interval(np.zeros(1), 0.9)
    exact = np.quantile(residuals, [0.05, 0.95])
    assert low[0] <= exact[0] + 1e-9
    assert high[0] >= exact[1] - 1e-9
    assert [low[0], high[0]] == pytest.approx(exact, abs=0.01)


def test_a_model_that_is_never_wrong_still_has_intervals() -> None:
    y = np.arange(200.0)
    low, high = calibrate("c", y, y, np.arange(200) % 4, whole=False).interval(y, 0.9)
    assert (low == y).all()
    assert (high == y).all()


def test_a_coverage_has_the_interval_of_a_share() -> None:
    from scipy.stats import binomtest

    found = covered(0.9, 85, 100, 12.5)
    expected = binomtest(85, 100).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-6)
    told = coverage_told([covered(0.5, 50, 100, 3.0).model_dump(), found.model_dump()])
    assert told == "intervals meant to hold 90% of values hold 85.0% of the holdout's (76.7% to 90.7%) and are 12.5 wide in the mean"
    assert coverage_told([]) == ""


def test_a_mean_width_has_the_interval_of_a_mean() -> None:
    from scipy.stats import ttest_1samp

    rng = np.random.default_rng(0)
    widths, held = rng.gamma(3.0, size=60), rng.random(60) < 0.8
    found, ends = measured(0.9, held, widths), ttest_1samp(widths, 0.0).confidence_interval(0.95)
    assert (found.width_low, found.width_high) == pytest.approx((ends.low, ends.high))
    plain = covered(0.9, int(held.sum()), 60, float(widths.mean()))
    assert (found.low, found.high, found.width, found.groups) == (plain.low, plain.high, plain.width, None)
    alike = measured(0.9, held, np.full(60, 0.7))
    assert alike.width_low == alike.width == alike.width_high
    assert measured(0.9, held, widths, np.zeros(60)).groups is None, "one group has no spread: rows are taken"


def test_coverage_of_groups_counts_groups() -> None:
    """Rows of a patient are missed together: by rows the interval of the share holds the true one in 227 of 300 tables."""
    tables, groups = 300, np.repeat(np.arange(30), 12)
    by_rows = by_groups = 0
    for seed in range(tables):
        rng = np.random.default_rng(seed)
        held = rng.random(360) < rng.beta(4.0, 1.0, 30)[groups]
        alone, whole = measured(0.8, held, np.ones(360)), measured(0.8, held, np.ones(360), groups)
        by_rows += alone.low <= 0.8 <= alone.high
        by_groups += whole.low <= 0.8 <= whole.high
    assert by_rows < 0.8 * tables
    assert binom.ppf(0.01, tables, 0.95) <= by_groups
    copies = measured(0.8, np.repeat(held[:60], 5), np.ones(300), np.repeat(np.arange(60), 5))
    single = measured(0.8, held[:60], np.ones(60))
    assert (copies.low, copies.high) == pytest.approx((single.low, single.high), abs=0.01)
    all_inside = measured(0.8, np.ones(360, dtype=bool), np.ones(360), groups)
    assert all_inside.low == pytest.approx(30 / (30 + t.isf(0.025, 29) ** 2))
