"""Candidates that are alike are not told apart, one that is worse is, and what cannot be tested is said to be so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from team.playbook.examining import alike_told, standings_told
from tests.hosting import Hosting
from tests.team.scored import predictions
from tools.comparing import corrected_resampled_t
from tools.intake import fetch_data
from tools.multiplicity import holm
from tools.predictions import write_predictions
from tools.sealing import seal_holdout
from tools.spec import ToolRefused
from tools.standings import compare_models


def hosting(tmp_path: Path, noises: dict[str, float], source: str = "sklearn:breast_cancer", **settings: Any) -> Hosting:
    """A run with candidates `family-1` that err by so much, scored by the host."""
    h = Hosting(tmp_path / "runs", source, **{"target": "target", **settings})
    fetch_data(h.host)
    seal_holdout(h.host)
    rows = []
    for family, noise in noises.items():
        name = f"{family}-1"
        values = predictions(h, "train", noise)
        write_predictions(h.run.work / "candidates" / name / "oof.parquet", h.vault.contract, values)
        rows.append({"name": name, "family": family, "score": h.vault.out_of_fold.decide(values).score})
    better = -1 if h.vault.contract.direction == "maximize" else 1
    h.run.leaderboard.write_text(json.dumps({"candidates": sorted(rows, key=lambda row: better * row["score"])}))
    return h


def test_who_is_worse_is_told_apart_and_who_is_alike_is_not(tmp_path: Path) -> None:
    h = hosting(tmp_path, {"catboost": 0.60, "lightgbm": 0.601, "dummy": 40.0})
    found = compare_models(h.host)
    assert (found.leader, found.pairs, found.correction) == ("catboost-1", 3, "holm")
    assert [rival.name for rival in found.rivals] == ["lightgbm-1", "dummy-1"]
    assert found.alike == ["lightgbm-1"]
    tests = {(test.test, test.over) for test in found.rivals[1].tests}
    assert tests == {("corrected_t", "folds"), ("wilcoxon", "folds"), ("delong", "rows"), ("wilcoxon", "rows")}
    assert found.untested == []
    stricter = compare_models(h.host, correction="bonferroni")
    assert stricter.rivals[0].p == pytest.approx(min(1.0, 1.5 * (found.rivals[0].p or 0)))
    assert stricter.rivals[1].p == found.rivals[1].p


@pytest.mark.parametrize(("metric", "own"), [("accuracy", "mcnemar"), ("log_loss", "bootstrap"), ("f1", "bootstrap")])
def test_each_metric_gets_the_tests_that_suit_it(tmp_path: Path, metric: str, own: str) -> None:
    h = hosting(tmp_path, {"a": 0.3, "b": 3.0}, metric=metric)
    (rival,) = compare_models(h.host).rivals
    assert own in {test.test for test in rival.tests if test.over == "rows"}
    assert rival.apart


def test_numbers_are_tested_too(tmp_path: Path) -> None:
    h = hosting(tmp_path, {"a": 0.5, "b": 0.9}, source="sklearn:diabetes")
    (rival,) = compare_models(h.host).rivals
    assert {test.test for test in rival.tests} == {"corrected_t", "wilcoxon", "bootstrap"}
    assert rival.apart


def table(path: Path, **columns: np.ndarray) -> str:
    pd.DataFrame(columns).to_csv(path, index=False)
    return str(path)


def test_labels_are_tested_row_by_row(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    source = table(tmp_path / "two.csv", x=rng.normal(size=300), a=rng.integers(2, size=300), b=rng.integers(2, size=300))
    h = hosting(tmp_path, {"a": 0.3, "b": 3.0}, source=source, target="a,b", task="multilabel")
    (rival,) = compare_models(h.host).rivals
    assert {test.test for test in rival.tests} == {"corrected_t", "wilcoxon", "bootstrap"}
    assert rival.apart


def test_risks_are_tested_by_the_order_they_give(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    source = table(tmp_path / "lives.csv", x=rng.normal(size=300), days=rng.integers(1, 900, size=300), dead=rng.integers(2, size=300))
    h = hosting(tmp_path, {"a": 0.1, "b": 5.0}, source=source, target="days", event="dead", task="survival")
    (rival,) = compare_models(h.host).rivals
    (of_rows,) = [test for test in rival.tests if (test.test, test.over) == ("wilcoxon", "rows")]
    # A share of pairs, and not the square of a risk, which has no scale.
    assert -1 < of_rows.difference < 0
    assert rival.apart


def test_rows_of_a_group_are_not_taken_for_independent(tmp_path: Path) -> None:
    h = hosting(tmp_path, {"a": 0.5, "b": 0.9}, source="sklearn:diabetes", group="age")
    found = compare_models(h.host)
    assert {test.over for test in found.rivals[0].tests} == {"folds"}
    assert found.untested == ["over rows: rows of one group are alike, and these tests take each for one of its own"]


def test_of_one_fold_nothing_is_said_to_be_alike(tmp_path: Path) -> None:
    """Nothing was tested that counts what a model owes to its training rows; tests over rows stay what they are."""
    h = hosting(tmp_path, {"a": 0.5, "b": 0.9}, without="folds")
    found = compare_models(h.host)
    assert (found.decided, found.alike, [rival.p for rival in found.rivals]) == (False, [], [None])
    assert {test.over for test in found.rivals[0].tests} == {"rows"}
    assert found.untested == ["over folds: the metric has a value for both candidates in fewer than two of them"]
    told = standings_told(found.model_dump())
    assert told == alike_told(found.model_dump())
    assert "not tested: that takes two folds" in told


def test_what_cannot_be_compared_is_refused(tmp_path: Path) -> None:
    h = hosting(tmp_path, {"a": 0.5, "b": 0.9})
    with pytest.raises(ToolRefused, match="no candidate 'c-1'; candidates here: a-1, b-1"):
        compare_models(h.host, candidates=["c-1"])
    with pytest.raises(ToolRefused, match="'a-1' is the only candidate"):
        compare_models(h.host, leader="a-1", candidates=["a-1"])
    (h.run.work / "candidates" / "b-1" / "oof.parquet").write_bytes(b"PAR1")
    with pytest.raises(ToolRefused, match="the predictions of 'b-1' cannot be read any more"):
        compare_models(h.host)
    h.run.leaderboard.unlink()
    with pytest.raises(ToolRefused, match="there are no candidates to compare"):
        compare_models(h.host)


def learners(seed: int, rows: int = 100, count: int = 6) -> tuple[list[list[float]], np.ndarray, np.ndarray]:
    """Least squares on as many sets of columns that tell equally much: learners of which none is better. Scores by fold, errors."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, count, 3))
    y = X.sum(axis=(1, 2)) / np.sqrt(3 * count) + rng.normal(size=rows)
    folds = rng.permutation(rows) % 5
    errors = np.empty((count, rows))
    for i in range(count):
        columns = np.column_stack([np.ones(rows), X[:, i]])
        for fold in range(5):
            learn, check = folds != fold, folds == fold
            errors[i, check] = y[check] - columns[check] @ np.linalg.lstsq(columns[learn], y[learn], rcond=None)[0]
    return [[float((errors[i, folds == fold] ** 2).mean()) for fold in range(5)] for i in range(count)], errors, y


def test_of_learners_that_are_equally_good_one_is_told_apart_no_more_often_than_the_level_says() -> None:
    """Also because all pairs are counted: the leader was picked by the scores that are tested."""
    runs, found = 250, {"all pairs": 0, "those tested": 0}
    for seed in range(runs):
        scores, _, _ = learners(seed)
        leader = int(np.argmin(np.mean(scores, axis=1)))
        p_values = [corrected_resampled_t(scores[leader], other, 1 / 4).p for i, other in enumerate(scores) if i != leader]
        found["all pairs"] += min(p or 1 for p in holm(p_values, of=15)) <= 0.05
        found["those tested"] += min(p or 1 for p in holm(p_values)) <= 0.05
    assert found["all pairs"] <= binom.ppf(0.999, runs, 0.05)
    assert found["all pairs"] < found["those tested"]
