"""Scores and tables of the quality bench."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss, mean_poisson_deviance, roc_auc_score

from evals.quality import ENVIRONMENTS, RIVALS, SHARED
from evals.quality_score import scored
from evals.quality_table import table
from evals.results import Result


def test_predictions_are_scored_by_class_name_whatever_the_order() -> None:
    rng = np.random.default_rng(0)
    truth = pd.DataFrame({"kind": rng.choice(["a", "b", "c"], 60)})
    proba = pd.DataFrame(rng.dirichlet([1, 1, 1], 60), columns=["proba_c", "proba_a", "proba_b"])
    meta = {"target": "kind", "task": "multiclass", "metric": "log_loss", "classes": ["a", "b", "c"], "positive": None}
    expected = log_loss(truth["kind"], proba[["proba_a", "proba_b", "proba_c"]], labels=["a", "b", "c"])
    assert scored(meta, proba, truth) == pytest.approx(expected)
    with pytest.raises(ValueError, match="59 predictions for 60 rows"):
        scored(meta, proba.head(59), truth)


def test_the_positive_class_is_the_named_one() -> None:
    rng = np.random.default_rng(1)
    truth = pd.DataFrame({"y": rng.choice(["good", "bad"], 80)})
    proba = pd.DataFrame({"proba_bad": rng.random(80)}).assign(proba_good=lambda t: 1 - t["proba_bad"])
    meta = {"target": "y", "task": "binary", "metric": "roc_auc", "classes": ["bad", "good"], "positive": "bad"}
    assert scored(meta, proba, truth) == pytest.approx(roc_auc_score(truth["y"] == "bad", proba["proba_bad"]))


def test_a_class_that_a_contestant_never_saw_counts_as_improbable() -> None:
    truth = pd.DataFrame({"kind": ["a", "b", "c", "a"]})
    proba = pd.DataFrame({"proba_a": [0.9, 0.2, 0.5, 0.8], "proba_b": [0.1, 0.8, 0.5, 0.2]})
    meta = {"target": "kind", "task": "multiclass", "metric": "log_loss", "classes": ["a", "b", "c"], "positive": None}
    assert 5 < scored(meta, proba, truth) < 20


def test_counts_and_ordered_classes_are_scored_by_their_metrics() -> None:
    rng = np.random.default_rng(2)
    counted, said = rng.poisson(3.0, 50), rng.uniform(1, 5, 50)
    meta = {"target": "y", "task": "count", "metric": "poisson_deviance", "classes": None, "positive": None}
    found = scored(meta, pd.DataFrame({"prediction": said}), pd.DataFrame({"y": counted}))
    assert found == pytest.approx(mean_poisson_deviance(counted, said))
    truth = pd.DataFrame({"y": ["Bad", "Good", "Medium", "Good"]})
    proba = pd.DataFrame(np.eye(3)[[2, 0, 1, 0]], columns=["proba_Good", "proba_Medium", "proba_Bad"])
    meta = {"target": "y", "task": "ordinal", "metric": "qwk", "classes": ["Bad", "Medium", "Good"], "positive": None}
    assert scored(meta, proba, truth) == 1.0
    proba = proba.rename(columns={"proba_Good": "proba_Bad", "proba_Bad": "proba_Good"})
    assert scored(meta, proba, truth) < 0


def result(contestant: str, name: str, score: float | None, metric: str = "roc_auc", seed: int = 0, split: int = 0) -> Result:
    return Result(contestant, name, metric, 60.0, seed, score, 61.0, split=split)


def test_ranks_wins_and_gaps() -> None:
    results = [
        result("ours", "one", 0.9),
        result("theirs", "one", 0.8),
        result("ours", "two", 11.0, "rmse"),
        result("theirs", "two", 10.0, "rmse"),
        result("ours", "three", 0.7, seed=0),
        result("ours", "three", 0.9, seed=1),
        result("theirs", "three", None),
    ]
    lines = table(results, {"roc_auc": "maximize", "rmse": "minimize"}).splitlines()
    assert lines[2] == "| one | roc_auc | **0.9 (61 s)** | 0.8 (61 s) |"
    assert lines[3] == "| two | rmse | 11 (61 s) | **10 (61 s)** |"
    assert lines[4] == "| three | roc_auc | **0.8 (61 s)** | failed |"
    assert lines[5] == "| mean rank | | 1.33 | 1.50 |"
    assert lines[6] == "| best on | | 2 | 1 |"
    assert lines[7] == "| largest gap to the best | | 10.0 % | 100.0 % |"


def test_contestants_are_compared_on_the_splits_that_all_were_measured_on() -> None:
    results = [
        *(result("ours", "one", score, split=split) for split, score in enumerate((0.7, 0.8, 0.1))),
        *(result("theirs", "one", score, split=split) for split, score in enumerate((0.6, 0.7))),
    ]
    lines = table(results, {"roc_auc": "maximize"}).splitlines()
    assert lines[2] == "| one (2) | roc_auc | **0.75 (61 s)** | 0.65 (61 s) |"


def test_every_contestant_has_an_environment() -> None:
    assert {SHARED.get(name, name) for name in RIVALS} == set(ENVIRONMENTS)
