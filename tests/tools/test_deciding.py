"""Decisions: what they gain is honest, and what they call is what is scored."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.deciding import GRID, _margins, choose, decide, decides, provisional, threshold, tilted
from tools.metrics import find_metric, score
from tools.weighing import from_confusion, from_margins


def rare(n: int = 2000, seed: int = 0, strength: float = 2.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Calibrated probabilities of a class of which one row in twelve or so has it, and five folds."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(-3.2, 1, n) * 1.0 + strength * rng.normal(size=n) * 0.6
    p = 1 / (1 + np.exp(-logits))
    return (rng.random(n) < p).astype(np.int64), np.column_stack([1 - p, p]), rng.permutation(n) % 5


@pytest.mark.parametrize("metric", ["f1", "balanced_accuracy", "mcc", "kappa"])
def test_a_rare_class_gets_a_threshold_that_the_cross_fitted_score_gains_from(metric: str) -> None:
    y, proba, folds = rare()
    decision, scored = decide(metric, "binary", y, proba, folds, 0)
    assert decision
    assert decision[0] == 1.0
    assert threshold(decision) is not None
    assert threshold(decision) < 0.4
    assert score(metric, "binary", y, scored) > score(metric, "binary", y, proba) + 0.05
    fresh_y, fresh, _ = rare(seed=1, n=20_000)
    assert score(metric, "binary", fresh_y, tilted(fresh, decision)) == pytest.approx(score(metric, "binary", y, scored), abs=0.06)


def test_the_score_of_noise_stays_that_of_noise() -> None:
    """A threshold that is chosen and judged on the same rows would show skill where there is none."""
    found, cheated = [], []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        y, p = (rng.random(300) < 0.5).astype(np.int64), rng.random(300)
        proba = np.column_stack([1 - p, p])
        found.append(score("balanced_accuracy", "binary", y, decide("balanced_accuracy", "binary", y, proba, np.arange(300) % 5, seed)[1]))
        best = max(score("balanced_accuracy", "binary", y, tilted(proba, [1.0, m])) for m in np.exp(np.linspace(-3, 3, 61)))
        cheated.append(best)
    error = np.std(found, ddof=1) / np.sqrt(len(found))
    assert abs(np.mean(found) - 0.5) < 3 * error + 0.005
    assert np.mean(cheated) > np.mean(found) + 0.01


def test_a_fold_has_no_part_in_the_decision_that_scores_it() -> None:
    y, proba, folds = rare()
    other = y.copy()
    other[folds == 3] = 1 - other[folds == 3]
    one, two = decide("f1", "binary", y, proba, folds, 0)[1], decide("f1", "binary", other, proba, folds, 0)[1]
    np.testing.assert_array_equal(one[folds == 3], two[folds == 3])
    assert not np.array_equal(one[folds != 3], two[folds != 3])


def test_several_classes_get_multipliers_of_their_own() -> None:
    rng = np.random.default_rng(0)
    n, shares = 3000, np.array([0.9, 0.07, 0.03])
    logits = np.log(shares) + rng.normal(0, 1.2, (n, 3))
    proba = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    y = np.array([rng.choice(3, p=row) for row in proba])
    decision, scored = decide("balanced_accuracy", "multiclass", y, proba, np.arange(n) % 5, 0)
    assert decision[0] < decision[1]
    assert decision[0] < decision[2]
    assert np.prod(decision) == pytest.approx(1, rel=1e-4)
    assert score("balanced_accuracy", "multiclass", y, scored) > score("balanced_accuracy", "multiclass", y, proba) + 0.1


def test_ordered_classes_get_them_too_unless_the_metric_counts_distances() -> None:
    rng = np.random.default_rng(1)
    proba = rng.dirichlet([6, 1, 1], 900)
    y, folds = (proba.cumsum(axis=1) < rng.random((900, 1))).sum(axis=1), np.arange(900) % 5
    found, scored = decide("f1_macro", "ordinal", y, proba, folds, 0)
    others, alike = decide("f1_macro", "multiclass", y, proba, folds, 0)
    assert found == others != []
    np.testing.assert_array_equal(scored, alike)
    for metric in ("qwk", "ordinal_mae", "rps"):
        assert not decides(metric, "ordinal")
        assert decide(metric, "ordinal", y, proba, folds, 0)[0] == []


@pytest.mark.parametrize("metric", ["accuracy", "f1_micro"])
def test_calibrated_probabilities_of_equal_worth_are_left_alone(metric: str) -> None:
    rng = np.random.default_rng(3)
    proba = rng.dirichlet([1, 1, 1], 3000)
    y = np.array([rng.choice(3, p=row) for row in proba])
    before = score(metric, "multiclass", y, proba)
    assert score(metric, "multiclass", y, decide(metric, "multiclass", y, proba, np.arange(3000) % 5, 0)[1]) > before - 0.01


def test_metrics_that_a_trivial_rule_wins_keep_the_most_probable_class() -> None:
    y, proba, folds = rare(400)
    for metric in ("recall", "precision"):
        assert not decides(metric, "binary")
        decision, scored = decide(metric, "binary", y, proba, folds, 0)
        assert decision == []
        assert scored is proba


def test_metrics_of_probabilities_and_values_are_untouched() -> None:
    y, proba, folds = rare(200)
    assert decide("roc_auc", "binary", y, proba, folds, 0)[1] is proba
    values = np.arange(10.0)
    assert decide("rmse", "regression", values, values, np.arange(10) % 5, 0)[1] is values


@pytest.mark.parametrize("folds", [2, 5])
def test_predictions_of_a_row_in_several_repeats_are_held_out_together(folds: int) -> None:
    """Repeats that say the same thing teach nothing: not how another of a row's predictions turned out, and no surer decision."""
    y, proba, _ = rare()
    of_rows = np.random.default_rng(1).permutation(len(y)) % folds
    once, scored = decide("f1", "binary", y, proba, of_rows, 0)
    repeated, scored_each = decide("f1", "binary", y, np.tile(proba, (3, 1)), of_rows, 0)
    assert once
    assert repeated == once
    assert np.array_equal(scored_each, np.tile(scored, (3, 1)))


def test_rows_that_no_fold_validates_stay_empty_and_few_folds_are_dealt_anew() -> None:
    y, proba, _ = rare()
    folds = np.where(np.arange(len(y)) < 500, -1, np.arange(len(y)) % 2)
    proba = proba.copy()
    proba[:500] = np.nan
    decision, scored = decide("f1", "binary", y, proba, folds, 0)
    assert decision
    assert np.isnan(scored[:500]).all()
    assert np.isfinite(scored[500:]).all()


def test_equal_predictions_give_equal_decisions_whatever_the_last_bit() -> None:
    y, proba, folds = rare()
    again = proba * (1 + 4e-16)
    assert decide("f1", "binary", y, proba, folds, 0)[0] == decide("f1", "binary", y, again / again.sum(axis=1, keepdims=True), folds, 0)[0]


def test_what_is_hopeless_is_told_early_by_the_threshold_that_suits_it() -> None:
    y, proba, _ = rare()
    assert score("f1", "binary", y, provisional("f1", "binary", y, proba)) > score("f1", "binary", y, proba)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 5), st.integers(20, 120), st.integers(0, 2**16), st.sampled_from(["balanced_accuracy", "mcc", "kappa", "accuracy"]))
def test_a_decision_is_one_positive_number_a_class_and_calls_sum_to_one(k: int, n: int, seed: int, metric: str) -> None:
    rng = np.random.default_rng(seed)
    proba, y = rng.dirichlet(np.full(k, 0.5), n), rng.integers(0, k, n)
    decision = choose(find_metric(metric), y, proba)
    assert len(decision) == k
    assert min(decision) > 0
    assert np.isfinite(decision).all()
    called = tilted(proba, decision)
    np.testing.assert_allclose(called.sum(axis=1), 1)
    np.testing.assert_array_equal(called.argmax(axis=1), (proba * decision).argmax(axis=1))
    for c in range(k):
        # Raising one multiplier never takes a row away from its class.
        more = np.asarray(decision) * np.where(np.arange(k) == c, 2.0, 1.0)
        assert (tilted(proba, more).argmax(axis=1) == c).sum() >= (called.argmax(axis=1) == c).sum()


@pytest.mark.parametrize("name", ["accuracy", "balanced_accuracy", "f1_macro", "f1_weighted", "recall_macro", "mcc", "kappa"])
def test_every_multiplier_of_the_grid_is_judged_by_what_it_calls(name: str) -> None:
    rng = np.random.default_rng(0)
    proba, y, code = rng.dirichlet(np.full(5, 0.5), 90), rng.integers(0, 4, 90), 2
    logs = np.log(np.maximum(proba, 1e-12))
    others = logs.copy()
    others[:, code] = -np.inf
    rival = others.argmax(axis=1)
    needed = others[np.arange(90), rival] - logs[:, code]
    found = from_margins(name, *_margins(y, rival, needed, code, 5))
    for place, multiplier in enumerate(GRID):
        called = np.where(multiplier >= needed, code, rival)
        matrix = np.bincount(y * 5 + called, minlength=25).reshape(1, 5, 5)
        assert found[place] == from_confusion(name, matrix)[0] == pytest.approx(find_metric(name).function(y, called))
