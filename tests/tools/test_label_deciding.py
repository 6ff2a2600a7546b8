"""Labels that are called by multipliers of their odds: what that gains holds on new rows, and what is chosen is what is scored."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tools.conftest import Open
from tools.answers import predicted_table
from tools.candidates import leaderboard, load_oof
from tools.deadline import Deadline
from tools.deciding import decide, decides, provisional, tilted
from tools.evaluation import evaluate
from tools.label_deciding import DECIDED, choose_labels, label_score
from tools.metrics import METRICS, find_metric, score
from tools.model import fit_model
from tools.multipliers import GRID
from tools.problem import load_problem
from tools.training import train


def rare(n: int = 3000, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Calibrated probabilities of four labels that 2 to 40 % of the rows have, and five folds."""
    rng = np.random.default_rng(seed)
    p = 1 / (1 + np.exp(-(np.array([-4.5, -3.0, -2.0, -0.5]) + 1.4 * rng.normal(size=(n, 4)))))
    return (rng.random((n, 4)) < p).astype(np.int64), p, rng.permutation(n) % 5


@pytest.mark.parametrize(("metric", "gain"), [("f1_macro", 0.1), ("f1_micro", 0.03), ("f1_weighted", 0.05)])
def test_rare_labels_get_thresholds_that_new_rows_gain_from(metric: str, gain: float) -> None:
    y, proba, folds = rare()
    decision, scored = decide(metric, "multilabel", y, proba, folds, 0)
    assert len(decision) == 4
    assert score(metric, "multilabel", y, scored) > score(metric, "multilabel", y, proba) + gain
    fresh_y, fresh, _ = rare(20_000, seed=1)
    new = score(metric, "multilabel", fresh_y, tilted(fresh, decision, labels=True))
    assert new > score(metric, "multilabel", fresh_y, fresh) + gain
    assert new == pytest.approx(score(metric, "multilabel", y, scored), abs=0.05)


@pytest.mark.parametrize(("metric", "too_sure"), [("accuracy", 2.0), ("hamming_loss", 2.0)])
def test_probabilities_that_are_all_too_high_are_called_from_higher_on(metric: str, too_sure: float) -> None:
    y, calibrated, folds = rare()
    proba = tilted(calibrated, [np.exp(too_sure)] * 4, labels=True)
    decision, scored = decide(metric, "multilabel", y, proba, folds, 0)
    assert max(decision) < 0.7
    best = score(metric, "multilabel", y, calibrated)
    assert score(metric, "multilabel", y, scored) == pytest.approx(best, abs=0.02)
    assert abs(score(metric, "multilabel", y, proba) - best) > 0.05


@pytest.mark.parametrize("metric", DECIDED)
def test_no_multiplier_of_the_grid_is_much_better_than_the_one_that_is_chosen(metric: str) -> None:
    y, proba, _ = rare(400, seed=3)
    decision = choose_labels(metric, y, proba)
    found = label_score(metric, y, tilted(proba, decision, labels=True) >= 0.5)
    for label in range(4):
        others = [[*decision[:label], float(m), *decision[label + 1 :]] for m in np.exp(GRID)]
        assert max(label_score(metric, y, tilted(proba, other, labels=True) >= 0.5) for other in others) <= found + 0.02


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.sampled_from(DECIDED))
def test_calls_have_the_scores_of_scikit_learn(seed: int, metric: str) -> None:
    rng = np.random.default_rng(seed)
    y, proba = (rng.random((30, 3)) < rng.random(3)).astype(np.int64), rng.random((30, 3))
    known, sign = score(metric, "multilabel", y, proba), 1 if find_metric(metric).direction == "maximize" else -1
    assert label_score(metric, y, proba >= 0.5) == pytest.approx(sign * known)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.lists(st.floats(0.01, 100), min_size=3, max_size=3))
def test_a_larger_multiplier_calls_a_label_more_often_and_a_threshold_says_the_same(seed: int, multipliers: list[float]) -> None:
    proba = np.random.default_rng(seed).random((50, 3))
    weighed = tilted(proba, multipliers, labels=True)
    assert ((weighed >= 0) & (weighed <= 1)).all()
    thresholds = 1 / (1 + np.array(multipliers))
    far = np.abs(proba - thresholds) > 1e-9
    np.testing.assert_array_equal((weighed >= 0.5)[far], (proba >= thresholds)[far])
    assert (tilted(proba, [2 * m for m in multipliers], labels=True) >= weighed).all()


def test_what_is_sure_stays_sure() -> None:
    np.testing.assert_array_equal(tilted(np.array([[0.0, 1.0]]), [1000.0, 0.001], labels=True), [[0.0, 1.0]])


def test_a_fold_has_no_part_in_the_decision_that_scores_it_in_any_repeat() -> None:
    y, proba, folds = rare()
    twice = np.concatenate([proba, proba**1.1])
    other = y.copy()
    other[folds == 3] = 1 - other[folds == 3]
    one, two = (decide("f1_macro", "multilabel", labels, twice, folds, 0)[1] for labels in (y, other))
    mine = np.tile(folds == 3, 2)
    np.testing.assert_array_equal(one[mine], two[mine])
    assert not np.array_equal(one[~mine], two[~mine])


def test_labels_without_a_signal_gain_nothing() -> None:
    found = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        y, proba = (rng.random((300, 3)) < 0.5).astype(np.int64), rng.random((300, 3))
        scored = decide("accuracy", "multilabel", y, proba, np.arange(300) % 5, seed)[1]
        found.append(score("accuracy", "multilabel", y, scored))
    assert np.mean(found) == pytest.approx(0.125, abs=3 * np.std(found, ddof=1) / np.sqrt(10) + 0.005)


def test_metrics_of_one_side_and_of_probabilities_get_none() -> None:
    decided = {name for name, metric in METRICS.items() if "multilabel" in metric.tasks and decides(name, "multilabel")}
    assert decided == set(DECIDED)
    y, proba, folds = rare(200)
    for metric in ("recall_micro", "precision_macro", "log_loss"):
        assert decide(metric, "multilabel", y, proba, folds, 0) == ([], proba)
    assert provisional("log_loss", "multilabel", y, proba) is proba


def test_a_model_calls_labels_as_its_candidate_was_scored(open_workspace: Open) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(900, 2))
    has = rng.random((900, 2)) < 1 / (1 + np.exp([3.5, 2.5] - 1.5 * x))
    text = [";".join(name for name, true in zip("ab", row, strict=True) if true) for row in has]
    rows = pd.DataFrame({"x1": x[:, 0], "x2": x[:, 1]})
    space = open_workspace(rows.assign(**{"a,b": text}), "a,b", "multilabel", metric="f1_macro")
    train(["linear"], per_family=1, time_s=20)
    (record,), problem = leaderboard(space), load_problem(space)
    thresholds = 1 / (1 + np.array(record.decision))
    assert thresholds.max() < 0.45
    oof = load_oof(space, record.name, problem)
    assert record.score > problem.score(oof) + 0.05, "what stands on the board was called by other folds' thresholds"
    told = {metric.metric: metric.score for metric in evaluate(record.name, time_s=20).metrics}
    assert told["f1_macro"] == pytest.approx(record.score)
    assert told["recall_macro"] > score("recall_macro", "multilabel", problem.y, oof) + 0.05
    answers = predicted_table(fit_model(space, record, problem, Deadline(20)), rows)
    called = answers[["proba_a", "proba_b"]].to_numpy() > thresholds
    assert answers["prediction"].tolist() == [";".join(name for name, true in zip("ab", row, strict=True) if true) for row in called]
