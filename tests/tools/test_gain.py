from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tests.tools.test_folds import contract
from tools.comparing import corrected_resampled_t
from tools.folds import rows_ratio
from tools.gain import CHANCE, judge_gain
from tools.multiplicity import holm

NEW, OLD = [0.84, 0.86, 0.81, 0.88, 0.85], [0.82, 0.85, 0.80, 0.85, 0.85]
STEPS = [a - b for a, b in zip(NEW, OLD, strict=True)]


def test_of_one_candidate_it_is_half_the_corrected_test() -> None:
    found, test = judge_gain(float(np.mean(STEPS)), STEPS, 1 / 4, 1), corrected_resampled_t(NEW, OLD, 1 / 4)
    assert test.p is not None
    assert found.p == pytest.approx(test.p / 2)
    assert found.std_error == pytest.approx(np.sqrt(1 / 5 + 1 / 4) * np.std(STEPS, ddof=1))
    assert found.margin == pytest.approx(stats.t.ppf(1 - CHANCE, 4) * found.std_error)
    assert found.real


def test_the_best_of_many_must_gain_more() -> None:
    gain = float(np.mean(STEPS))
    judged = [judge_gain(gain, STEPS, 1 / 4, m) for m in (1, 2, 10, 100)]
    assert [found.margin for found in judged] == sorted(found.margin for found in judged)
    assert [found.real for found in judged] == [found.p < CHANCE for found in judged]
    assert (judged[0].real, judged[-1].real) == (True, False)
    # Holm's method asks the same of the smallest p-value, whatever the others are.
    assert judged[2].p == pytest.approx(holm([judged[0].p, *[0.9] * 9])[0])


def test_with_many_folds_one_standard_error_is_asked_of_one_candidate() -> None:
    steps = np.random.default_rng(0).normal(0.1, 1, 2000)
    found = judge_gain(float(steps.mean()), steps.tolist(), 0.0, 1)
    assert found.margin == pytest.approx(found.std_error, rel=0.01)


@pytest.mark.parametrize("steps", [[], [0.1], [0.5, 0.5, 0.5]])
def test_without_a_spread_any_gain_counts(steps: list[float]) -> None:
    assert judge_gain(0.1, steps, 0.25, 5).real
    assert not judge_gain(0.0, steps, 0.25, 5).real
    assert not judge_gain(-0.1, steps, 0.25, 5).real


def test_of_one_fold_the_error_of_its_rows_is_asked() -> None:
    found = judge_gain(0.1, [0.1], 0.25, 4, row_error=0.06)
    assert (found.std_error, found.margin) == (0.06, pytest.approx(stats.norm.isf(CHANCE / 4) * 0.06))
    assert found.p == pytest.approx(4 * stats.norm.sf(0.1 / 0.06))
    assert found.real == (found.p < CHANCE)
    assert judge_gain(float(np.mean(STEPS)), STEPS, 1 / 4, 1, row_error=9.0) == judge_gain(float(np.mean(STEPS)), STEPS, 1 / 4, 1)


def test_none_tried_gains_nothing() -> None:
    with pytest.raises(ValueError, match="1 candidate or more, got 0"):
        judge_gain(0.1, STEPS, 0.25, 0)


def test_a_search_among_equals_seldom_passes_for_a_gain() -> None:
    """The best of ten that are no better, on ten folds that overlap: without the correction most rounds would be called real."""
    passed = {1: 0, 10: 0}
    rng = np.random.default_rng(0)
    for _ in range(400):
        steps = rng.normal(size=(10, 10))
        best = steps[int(steps.mean(axis=1).argmax())]
        for counted in passed:
            passed[counted] += judge_gain(float(best.mean()), best.tolist(), 0.0, counted).real
    assert passed[1] > 0.6 * 400
    assert passed[10] <= stats.binom.ppf(0.999, 400, CHANCE)


def test_rows_ratio_of_folds() -> None:
    folds = np.arange(100) % 5
    assert rows_ratio(folds, contract("random")) == pytest.approx(1 / 4)
    # Six blocks in time: 1 block is validated after 1, 2, 3, 4 and 5 of them.
    assert rows_ratio(np.repeat(np.arange(-1, 5), 10), contract("time", column="t")) == pytest.approx(5 / 15)
