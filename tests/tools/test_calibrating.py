"""Calibration: kept where it helps, honest where it is reported, and always probabilities."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import datasets
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tools.calibrating import calibrate, isotonic, sigmoid, temperature
from tools.calibration import Calibration
from tools.contract import Task
from tools.metrics import score


def overconfident(n: int, k: int = 2, factor: float = 3.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Labels, probabilities that are `factor` times too sure, the true ones, and five folds."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1, (n, k))
    true = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    y = (true.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    sure = np.exp(factor * logits)
    return y, sure / sure.sum(axis=1, keepdims=True), true, rng.permutation(n) % 5


@pytest.mark.parametrize(
    ("metric", "task", "k"),
    [(metric, task, k) for metric in ("log_loss", "brier", "ece") for task, k in (("binary", 2), ("multiclass", 4))]
    + [("rps", "ordinal", 4)],
)
def test_what_is_too_sure_is_taken_back(metric: str, task: Task, k: int) -> None:
    y, proba, _true, folds = overconfident(1500, k)
    found, calibrated = calibrate(metric, task, y, proba, folds, 0)
    assert found is not None
    assert score(metric, task, y, calibrated) < 0.9 * score(metric, task, y, proba)
    fresh_y, fresh, fresh_true, _ = overconfident(20_000, k, seed=1)
    assert score("log_loss", task, fresh_y, found.apply(fresh)) < score("log_loss", task, fresh_y, fresh_true) + 0.01


@pytest.mark.parametrize("dealt", [2, 5])
def test_all_repeats_are_calibrated_by_one_map_that_never_saw_the_row(dealt: int) -> None:
    y, proba, _true, _ = overconfident(1500, 3)
    folds = np.random.default_rng(1).permutation(len(y)) % dealt
    once, calibrated = calibrate("log_loss", "multiclass", y, proba, folds, 0)
    repeated, of_each = calibrate("log_loss", "multiclass", y, np.tile(proba, (3, 1)), folds, 0)
    assert once is not None
    assert repeated is not None
    assert repeated.scale == pytest.approx(once.scale, rel=1e-2)
    assert of_each == pytest.approx(np.tile(calibrated, (3, 1)), abs=2e-3)


def test_the_temperature_is_found() -> None:
    y, proba, _, _ = overconfident(20_000, 3, factor=3.0)
    assert 1 / temperature(y, proba).scale == pytest.approx(3.0, rel=0.05)
    assert 1 / sigmoid(y, proba).scale == pytest.approx(3.0, rel=0.05)


def test_a_shifted_level_takes_more_than_a_temperature() -> None:
    y, proba, _, folds = overconfident(1500, 2, factor=1.0)
    shifted = proba * [1.0, 4.0]
    found, _calibrated = calibrate("log_loss", "binary", y, shifted / shifted.sum(axis=1, keepdims=True), folds, 0)
    assert found is not None
    assert found.kind == "sigmoid"
    assert found.shift[1] == pytest.approx(-np.log(4), abs=0.3)


def test_a_strange_shape_with_many_rows_becomes_steps() -> None:
    rng = np.random.default_rng(0)
    said = rng.random(6000)
    y = (rng.random(6000) < np.where(said < 0.5, 0.1, 0.6)).astype(np.int64)
    found, _ = calibrate("brier", "binary", y, np.column_stack([1 - said, said]), np.arange(6000) % 5, 0)
    assert found is not None
    assert found.kind == "isotonic"
    assert len(found.knots) <= 200


def test_calibrated_probabilities_are_left_alone() -> None:
    kept = 0
    for seed in range(10):
        y, proba, _, folds = overconfident(800, 2, factor=1.0, seed=seed)
        found, calibrated = calibrate("log_loss", "binary", y, proba, folds, seed)
        kept += found is not None
        assert abs(score("log_loss", "binary", y, calibrated) - score("log_loss", "binary", y, proba)) < 0.01
    assert kept <= 6


def test_noise_is_not_made_better_than_knowing_nothing() -> None:
    """The log loss of a constant half is what no cross-fitted map may beat on labels that nothing predicts, beyond chance."""
    gains = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        y, p = (rng.random(300) < 0.5).astype(np.int64), rng.random(300)
        _, calibrated = calibrate("log_loss", "binary", y, np.column_stack([1 - p, p]), np.arange(300) % 5, seed)
        gains.append(np.log(2) - score("log_loss", "binary", y, calibrated))
    assert np.mean(gains) < 2 * np.std(gains, ddof=1) / np.sqrt(len(gains))


def test_a_fold_has_no_part_in_the_map_that_it_goes_through() -> None:
    y, proba, _, folds = overconfident(600)
    other = np.where(folds == 2, 1 - y, y)
    one, two = (calibrate("log_loss", "binary", labels, proba, folds, 0)[1] for labels in (y, other))
    np.testing.assert_array_equal(one[folds == 2], two[folds == 2])


def test_no_map_is_surer_than_the_rows_that_taught_it_can_tell() -> None:
    y, proba, _, folds = overconfident(1500, 2, factor=0.3)
    found, _ = calibrate("log_loss", "binary", y, proba, folds, 0)
    assert found is not None
    assert found.scale > 2
    assert found.apply(np.array([[1 - 1e-12, 1e-12]]))[0, 1] >= 1 / (1500 + 2) - 1e-9


def test_maps_that_are_kept_do_not_harm_new_rows() -> None:
    """Twenty splits of a table where rows that a model gets wrong are few, and cost a map that makes it surer dearly."""
    X, y = datasets.load_breast_cancer(return_X_y=True)
    made = partial(make_pipeline, StandardScaler(), LogisticRegression(C=0.3))
    raw, mapped = [], []
    for seed in range(20):
        shown, held, taught, asked = train_test_split(X, y, test_size=0.2, random_state=seed, stratify=y)
        oof, folds = np.empty((len(taught), 2)), np.empty(len(taught), dtype=np.int64)
        for fold, (learn, check) in enumerate(StratifiedKFold(5, shuffle=True, random_state=seed).split(shown, taught)):
            oof[check] = made().fit(shown[learn], taught[learn]).predict_proba(shown[check])
            folds[check] = fold
        found, _ = calibrate("log_loss", "binary", taught, oof, folds, 0)
        said = made().fit(shown, taught).predict_proba(held)
        raw.append(score("log_loss", "binary", asked, said))
        mapped.append(score("log_loss", "binary", asked, found.apply(said) if found else said))
    assert np.mean(mapped) <= np.mean(raw)
    assert max(mapped) < max(raw) + 0.02


def test_metrics_that_rank_and_values_are_untouched_and_missing_rows_stay_missing() -> None:
    y, proba, _, folds = overconfident(600)
    assert calibrate("roc_auc", "binary", y, proba, folds, 0)[1] is proba
    assert calibrate("rmse", "regression", y, proba[:, 0], folds, 0)[0] is None
    proba[:100], folds[:100] = np.nan, -1
    found, calibrated = calibrate("log_loss", "binary", y, proba, folds, 0)
    assert found is not None
    assert np.isnan(calibrated[:100]).all()
    np.testing.assert_allclose(calibrated[100:].sum(axis=1), 1)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**16), st.integers(20, 200), st.integers(2, 5), st.sampled_from(["temperature", "sigmoid", "isotonic"]))
def test_a_map_gives_probabilities_and_survives_json(seed: int, n: int, k: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    k = 2 if kind == "isotonic" else k
    proba, y = rng.dirichlet(np.full(k, 0.3), n), rng.integers(0, k, n)
    found = {"temperature": temperature, "sigmoid": sigmoid, "isotonic": isotonic}[kind](y, proba)
    again = Calibration.model_validate_json(found.model_dump_json())
    unseen = np.vstack([rng.dirichlet(np.full(k, 0.3), 50), np.eye(k)])
    calibrated = again.apply(unseen)
    np.testing.assert_array_equal(calibrated, found.apply(unseen))
    np.testing.assert_allclose(calibrated.sum(axis=1), 1)
    assert ((calibrated >= 0) & (calibrated <= 1)).all()
    if k == 2:
        # A surer row stays no less sure.
        order = np.argsort(unseen[:, 1])
        assert (np.diff(calibrated[order, 1]) >= -1e-12).all()
