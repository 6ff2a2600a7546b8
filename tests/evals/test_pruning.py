from __future__ import annotations

import pytest

from evals.pruning import load, measure


def test_it_counts_the_folds_that_trials_fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLTEAM_DATA", "MLTEAM_WORK"):
        monkeypatch.setenv(name, "gone")  # so that it is put back
    found = measure("diabetes", "tree", "none", trials=3, seed=0)
    assert found.folds == 3 * 5
    assert found.seconds > 0
    assert 40 < found.score < 80
    halved = measure("diabetes", "tree", "successive_halving", trials=6, seed=0)
    assert halved.folds < 6 * 5


def test_the_tables_are_what_they_say() -> None:
    frame, task = load("breast_cancer")
    assert (task, set(frame["y"])) == ("binary", {"malignant", "benign"})
    assert load("diabetes")[1] == "regression"
