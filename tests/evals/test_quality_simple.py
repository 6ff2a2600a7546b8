"""The tasks that AutoML libraries do not serve: their tables, their simple rivals, and what predictions are worth."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, mean_pinball_loss, roc_auc_score
from sklearn.preprocessing import StandardScaler

from evals import quality_data
from evals.our_run import asked
from evals.quality import PLAIN, SIMPLE, contestants_for
from evals.quality_data import TABLES, Table, write
from evals.quality_rivals import told
from evals.quality_score import read_answers, scored
from evals.quality_simple import RIVALS

ROOT = Path(__file__).parents[2]


def points() -> pd.DataFrame:
    """Two clouds, and numbers that say so."""
    rng = np.random.default_rng(0)
    cloud = rng.integers(0, 2, 160)
    return pd.DataFrame({"x": 6 * cloud + rng.normal(size=160), "y": rng.normal(size=160), "kind": np.where(cloud, "b", "a")})


def frame_of(task: str) -> Table:
    rng = np.random.default_rng(1)
    plain = points()
    match task:
        case "multilabel":
            labelled = plain.assign(one=(plain["x"] > 3).astype(int), two=(plain["y"] > 0).astype(int))
            return Table(lambda: labelled, "one,two", task, "")
        case "survival":
            timed = plain.assign(died=rng.integers(0, 2, 160), days=np.exp(2 - 0.3 * plain["x"]) * rng.exponential(size=160) + 0.1)
            return Table(lambda: timed, "days", task, "", event="died")
        case "forecast":
            months = pd.date_range("2015-01-01", periods=48, freq="MS").strftime("%Y-%m-%d")
            wave = 10 + np.sin(np.arange(48) * np.pi / 6)
            panel = pd.concat([pd.DataFrame({"shop": s, "month": months, "sold": k * wave}) for k, s in ((1, "a"), (3, "b"))])
            return Table(lambda: panel, "sold", task, "", series="shop", time="month", horizon=12)
        case "cluster":
            return Table(lambda: plain[["x", "y"]], "", task, "")
        case "anomaly":
            strange = plain.assign(x=np.where(np.arange(160) < 12, 25.0, plain["x"]), kind=np.where(np.arange(160) < 12, "bad", "fine"))
            return Table(lambda: strange, "kind", task, "")
        case "count":
            return Table(lambda: plain.assign(n=rng.poisson(np.exp(plain["x"] / 4))), "n", task, "")
        case "quantile":
            return Table(lambda: plain.assign(n=plain["x"] + rng.normal(size=160)), "n", task, "")
        case _:
            graded = plain.assign(grade=np.where(plain["x"] < 0, "low", np.where(plain["x"] < 6, "mid", "high")))
            return Table(lambda: graded, "grade", task, "", ("low", "mid", "high"))


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    def make(task: str) -> tuple[Path, dict[str, Any]]:
        monkeypatch.setitem(quality_data.TABLES, "made", frame_of(task))
        write(tmp_path, "made")
        return tmp_path / "made", json.loads((tmp_path / "made" / "meta.json").read_text())

    return make


LEAST = {
    "multilabel": 0.9,
    "survival": 0.6,
    "cluster": 0.3,
    "anomaly": 0.95,
    "ordinal": 0.7,
    "forecast": -0.05,
    "count": -1.5,
    "quantile": -0.5,
}
"""What the simple models reach at least on tables as easy as these; errors are negative."""


@pytest.mark.parametrize("task", SIMPLE)
def test_simple_models_predict_what_they_do_not_see(written: Any, task: str) -> None:
    folder, meta = written(task)
    train, test, answers = pd.read_csv(folder / "train.csv"), pd.read_csv(folder / "test.csv"), read_answers(folder)
    assert not set(test.columns) & {*meta["target"].split(","), meta["event"]}
    for name in SIMPLE[task]:
        found = scored(meta, told(RIVALS[name][1](meta, train, test, 1.0, 0), task), answers)
        assert (found if LEAST[task] > 0 else -found) > LEAST[task], name


def test_they_are_programs(written: Any, tmp_path: Path) -> None:
    folder, meta = written("cluster")
    command = [sys.executable, str(ROOT / "evals" / "quality_simple.py"), "kmeans", str(folder), "1", "0", str(tmp_path / "out")]
    subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)})
    assert scored(meta, pd.read_csv(tmp_path / "out" / "predictions.csv"), read_answers(folder)) > LEAST["cluster"]
    assert json.loads((tmp_path / "out" / "info.json").read_text())["wall_s"] > 0


def test_a_split_deals_the_same_rows_anew(written: Any, tmp_path: Path) -> None:
    folder, meta = written("count")
    first = pd.read_csv(folder / "train.csv")
    write(tmp_path / "other", "made", 1)
    second = pd.read_csv(tmp_path / "other" / "made" / "train.csv")
    assert len(first) == len(second) == meta["rows"]
    assert not first.equals(second)


def test_a_forecast_holds_back_the_end_of_every_series(written: Any) -> None:
    folder, meta = written("forecast")
    train, test = pd.read_csv(folder / "train.csv"), pd.read_csv(folder / "test.csv")
    assert test.groupby("shop").size().to_dict() == {"a": 12, "b": 12}
    assert train["month"].max() < test["month"].min()
    assert asked(meta) == [
        *("--target=sold", "--metric=wape", "--task=forecast"),
        *("--series=shop", "--time-column=month", "--horizon=12"),
    ]


def test_nobody_is_shown_which_rows_are_unusual(written: Any) -> None:
    folder, meta = written("anomaly")
    assert "kind" not in pd.read_csv(folder / "train.csv")
    assert asked(meta) == ["--task=anomaly"]
    labels = read_answers(folder)
    said = pd.DataFrame({"prediction": np.random.default_rng(0).random(len(labels))})
    assert scored(meta, said, labels) == pytest.approx(roc_auc_score(labels["kind"] == "bad", said["prediction"]))


def test_labels_and_groups_are_scored_as_they_should(written: Any) -> None:
    folder, meta = written("multilabel")
    answers = read_answers(folder)
    rng = np.random.default_rng(0)
    proba = pd.DataFrame({"proba_two": rng.random(len(answers)), "proba_one": rng.random(len(answers))})
    expected = np.mean([average_precision_score(answers[name], proba[f"proba_{name}"]) for name in ("one", "two")])
    assert scored(meta, proba, answers) == pytest.approx(expected)
    folder, meta = written("cluster")
    answers, test = read_answers(folder), pd.read_csv(folder / "test.csv")
    right = pd.DataFrame({"prediction": (StandardScaler().fit_transform(test)[:, 0] > 0).astype(int)})
    assert scored(meta, right, answers) > 0.3 > scored(meta, right.sample(frac=1, random_state=0).reset_index(drop=True), answers)


def test_quantiles_are_asked_for_and_scored_at_their_levels(written: Any) -> None:
    folder, meta = written("quantile")
    assert asked(meta) == ["--target=n", "--metric=pinball", "--quantiles=0.1,0.5,0.9"]
    answers = read_answers(folder)
    flat = pd.DataFrame({f"q_{level:g}": np.full(len(answers), np.quantile(answers["n"], level)) for level in (0.1, 0.5, 0.9)})
    expected = np.mean([mean_pinball_loss(answers["n"], flat[f"q_{level:g}"], alpha=level) for level in (0.1, 0.5, 0.9)])
    assert scored(meta, flat, answers) == pytest.approx(expected)


def test_every_task_has_a_table_and_rivals_that_exist() -> None:
    assert set(RIVALS) - set(PLAIN) == {"dummy", "linear"}, "systems of mlteam eval, which stand beside no task of their own"
    assert set(PLAIN) < set(RIVALS)
    assert set(SIMPLE) <= {one.task for one in TABLES.values()}
    assert contestants_for("survival", ["mlteam", "catboost", "simple"]) == ["mlteam", "cox"]
    assert contestants_for("binary", ["mlteam", "catboost", "simple"]) == ["mlteam", "catboost"]
