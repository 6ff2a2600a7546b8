"""Groups and anomalies through the host's sealing and the kernel's tools, on real tables."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn import datasets
from sklearn.metrics import adjusted_rand_score, average_precision_score, roc_auc_score

from team.errors import MlteamError
from tests.hosting import Hosting
from tools.candidates import leaderboard, load_oof
from tools.crossval import setting_for
from tools.ensembling import ensemble
from tools.evaluation import evaluate
from tools.explaining import explain
from tools.families import LEARNS, family
from tools.families.setting import FitContext
from tools.finishing import finish, predict_rows
from tools.intake import fetch_data
from tools.metrics import bootstrap_interval
from tools.preparation import choose_columns
from tools.problem import load_problem
from tools.sealing import ContractSealed, seal_holdout
from tools.slices import find_slices
from tools.spec import InputRefused, ToolRefused
from tools.standings import compare_models
from tools.structure import examine_structure
from tools.training import train, train_baselines
from tools.workspace import Workspace, workspace

WINE = datasets.load_wine(as_frame=True)


def cancer() -> pd.DataFrame:
    """Benign tumours, and every eighth of the malignant ones."""
    loaded = datasets.load_breast_cancer(as_frame=True)
    frame = loaded.data.iloc[:, :10].assign(malignant=np.where(loaded.target == 1, "no", "yes"))
    return pd.concat([frame[frame["malignant"] == "no"], frame[frame["malignant"] == "yes"].iloc[::8]]).sample(frac=1, random_state=0)


def opened(
    tmp_path: Path, table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, **settings: Any
) -> tuple[Hosting, ContractSealed, Workspace]:
    source = tmp_path / "table.csv"
    table.to_csv(source, index=False)
    h = Hosting(tmp_path / "runs", source, **settings)
    fetch_data(h.host)
    found = seal_holdout(h.host)
    monkeypatch.setenv("MLTEAM_DATA", str(h.run.data))
    monkeypatch.setenv("MLTEAM_WORK", str(h.run.work))
    return h, found, workspace()


def compared(h: Hosting, *names: str) -> None:
    """Hold two candidates against each other: over folds and resampled rows, and by no row's own loss, which there is not."""
    h.run.leaderboard.write_text(json.dumps({"candidates": [{"name": name, "family": name[:-2]} for name in names]}))
    found = compare_models(h.host)
    assert {(test.test, test.over) for test in found.rivals[0].tests} == {
        ("corrected_t", "folds"),
        ("wilcoxon", "folds"),
        ("bootstrap", "rows"),
    }
    assert found.untested == [
        f"wilcoxon over rows: by itself no row of a {h.vault.contract.task} task is right or wrong, so none has a loss"
    ]


def test_groups_of_wines_are_their_cultivars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    h, sealed, space = opened(tmp_path, WINE.data, monkeypatch, task="cluster")
    assert (sealed.task, sealed.metric, sealed.target, sealed.features) == ("cluster", "silhouette", "", 13)
    assert list(space.table("holdout").columns) == list(WINE.data.columns), "what is judged against stays with the host"
    assert [c.family for c in train_baselines(time_s=20).candidates] == ["kmeans", "dummy"]
    train(["kmeans", "gaussian_mixture", "agglomerative", "hdbscan"], time_s=60, per_family=2)
    board = leaderboard(space)
    assert {c.family for c in board} == {"dummy", "kmeans", "gaussian_mixture", "agglomerative", "hdbscan"}
    assert board[-1].score <= 0 < board[0].score
    assert board[0].params.get("groups") == 3
    problem = load_problem(space)
    found = h.vault.out_of_fold.score(space.candidates / board[0].name / "oof.parquet")
    assert found.score == pytest.approx(board[0].score)
    assert len(found.fold_scores) == h.vault.contract.folds
    kept = [WINE.target[i] for i in _rows_of(space.table("train"))]
    assert adjusted_rand_score(kept, load_oof(space, board[0].name, problem)) > 0.8, "folds number their groups alike"
    with pytest.raises(ToolRefused, match="groups cannot be averaged"):
        ensemble()
    with pytest.raises(ToolRefused, match="examine_structure"):
        find_slices(board[0].name)
    relied = explain(board[0].name, time_s=40)
    assert relied.fidelity > relied.fidelity_floor + 0.3
    assert {rule.group for rule in relied.rules} == {0, 1, 2}
    assert sum(rule.share for rule in relied.rules) == pytest.approx(1, abs=1e-3)
    assert any(each.importance > 0 for each in relied.reliance)
    assert (relied.examples, relied.effects, relied.degraded) == ([], [], [])
    with pytest.raises(ToolRefused, match="single rows of a cluster task are not taken apart"):
        explain(board[0].name, rows=[0])


def _rows_of(table: pd.DataFrame) -> list[int]:
    """Where the rows of a table stand in the whole one."""
    whole = {tuple(row): i for i, row in enumerate(WINE.data.round(9).to_numpy().tolist())}
    return [whole[tuple(row)] for row in table[WINE.data.columns].round(9).to_numpy().tolist()]


def test_groups_keep_their_numbers_from_evaluation_to_new_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    h, _, space = opened(tmp_path, WINE.data, monkeypatch, task="cluster")
    train(["kmeans", "agglomerative"], time_s=20, per_family=1)
    compared(h, "kmeans-1", "agglomerative-1")
    found = evaluate("kmeans-1", time_s=20)
    assert found.degraded == []
    scored = joblib.load(space.fitted / "kmeans-1" / "pipeline.joblib").predict_table(space.table("holdout"))
    interval, looks = h.vault.score_holdout("kmeans-1", space.work / found.predictions)
    assert looks == 1
    assert interval.low < interval.score < interval.high
    h.vault.open()
    finish("kmeans-1", time_s=20)
    predict_rows(str(space.model), str(space.data / "holdout.parquet"), str(tmp_path / "out.csv"))
    told = pd.read_csv(tmp_path / "out.csv")["prediction"]
    assert told.dtype == np.int64
    assert (told.to_numpy() == scored).mean() > 0.9


def test_a_table_without_structure_is_called_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = pd.DataFrame(np.random.default_rng(3).normal(size=(200, 4)), columns=list("abcd"))
    opened(tmp_path, noise, monkeypatch, task="cluster")
    train(["kmeans"], time_s=20, per_family=1)
    found = examine_structure("kmeans-1", time_s=5)
    assert found.verdict == "no structure"
    assert found.nulls >= 5
    assert found.null_highest is not None
    assert found.score is not None
    assert found.score <= found.null_highest


def test_structure_is_found_and_described(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(tmp_path, WINE.data, monkeypatch, task="cluster")
    train(["kmeans"], time_s=20, per_family=1)
    found = examine_structure("kmeans-1", time_s=5)
    assert found.verdict == "structure"
    assert found.stability > 0.6
    assert sum(group.rows for group in found.groups) == 142
    assert [group.name for group in found.groups] == ["group 0", "group 1", "group 2"]
    assert all(group.differs for group in found.groups)
    assert found.plots == ["plots/kmeans-1-rows.png"]


def test_labels_of_anomalies_serve_scoring_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, sealed, space = opened(tmp_path, cancer(), monkeypatch, task="anomaly", target="malignant")
    assert (sealed.metric, sealed.positive, sealed.split) == ("roc_auc", "yes", "stratified")
    assert sealed.validation.endswith("each label is dealt evenly; because labelled anomalies must be on both sides")
    assert "malignant" not in space.table("holdout").columns
    train(["pca", "one_class_svm"], time_s=30, per_family=1)
    assert leaderboard(space)[0].score > 0.6
    problem = load_problem(space)
    setting = setting_for(problem, choose_columns(problem, name="default", drop=[], text=True, dates=True))
    for name in LEARNS["anomaly"]:
        if name in ("ecod", "copod") and not find_spec("pyod"):
            continue
        params = {**family(name).default(setting)[0], **({"n_estimators": 20} if name == "isolation_forest" else {})}
        told, turned = (
            family(name).fit(problem.X, y, None, None, params, setting, FitContext()).predict(problem.X) for y in (problem.y, 1 - problem.y)
        )
        assert np.array_equal(told, turned), name
        assert ((told > 0) & (told < 1)).all()


def test_the_rarer_label_is_the_anomaly_whatever_it_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = cancer()
    table["malignant"] = table["malignant"].map({"yes": 0, "no": 1})
    _, sealed, space = opened(tmp_path, table, monkeypatch, task="anomaly", target="malignant")
    assert sealed.positive == "0"
    assert load_problem(space).y.mean() == pytest.approx((table["malignant"] == 0).mean(), abs=0.02)


def test_both_metrics_of_labels_are_taken_on_the_holdout_by_the_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    h, _, space = opened(tmp_path, cancer(), monkeypatch, task="anomaly", target="malignant")
    train(["pca"], time_s=20, per_family=1)
    found = evaluate("pca-1", time_s=20)
    with pytest.raises(MlteamError, match="no final score"):
        h.host.other_scores()
    interval, _ = h.vault.score_holdout("pca-1", space.work / found.predictions)
    labels = pd.read_parquet(h.run.vault / "holdout_labels.parquet")["malignant"]
    said = pd.read_parquet(space.work / found.predictions)["prediction"]
    assert interval.score == pytest.approx(roc_auc_score(labels, said))
    scores, ends = h.host.other_scores()
    assert scores == {"average_precision": pytest.approx(average_precision_score(labels, said))}
    (low, high), aside = ends["average_precision"], bootstrap_interval("average_precision", "anomaly", labels.to_numpy(), said.to_numpy())
    assert low < scores["average_precision"] < high
    assert high - low == pytest.approx(aside.high - aside.low, rel=0.3), "as over other resamples"


def test_anomalies_without_labels_are_judged_by_a_panel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    h, sealed, space = opened(tmp_path, cancer().drop(columns="malignant"), monkeypatch, task="anomaly")
    assert (sealed.metric, sealed.target) == ("agreement", "")
    assert [c.family for c in train_baselines(time_s=20).candidates] == ["pca", "dummy"]
    found = train(["local_outlier", "copod"], time_s=60, per_family=1)
    missing = [s for s in found.skipped if "pip install 'mlteam[anomaly]'" in s.reason]
    assert len(missing) == (0 if find_spec("pyod") else 1)
    compared(h, "local_outlier-1", "pca-1")
    blend = ensemble(time_s=10)
    assert blend.gain > 0
    evaluated = evaluate(blend.recommended, time_s=30)
    assert [m.metric for m in evaluated.metrics] == ["agreement"]
    interval, _ = h.vault.score_holdout(blend.recommended, space.work / evaluated.predictions)
    assert interval.score > 0.7
    seen = examine_structure(blend.recommended, time_s=5)
    assert seen.stability > 5 * seen.chance
    assert [group.name for group in seen.groups] == ["highest 5% of scores"]
    assert seen.groups[0].differs


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"task": "cluster", "target": "malignant"}, "groups are found without a target"),
        ({"task": "anomaly", "target": "mean radius"}, "expected two values"),
        ({"task": "anomaly", "metric": "roc_auc", "drop": "malignant"}, "no column of them was named; name it with --target"),
        ({"task": "anomaly", "target": "malignant", "metric": "agreement"}, "leave --target out"),
        ({"task": "cluster", "metric": "rmse"}, "Choose one of: silhouette"),
        ({"task": "cluster", "event": "malignant"}, "a cluster task has none"),
        ({"task": "cluster", "validation": "stratified"}, "no column is predicted here"),
    ],
)
def test_what_does_not_go_together_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], said: str) -> None:
    table = cancer().drop(columns=settings.pop("drop", []))
    with pytest.raises(InputRefused, match=said):
        opened(tmp_path, table, monkeypatch, **settings)


def test_too_few_rows_and_nothing_to_tell_them_by_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputRefused, match="20 rows for 5 folds; expected at least 30"):
        opened(tmp_path, WINE.data.iloc[:20], monkeypatch, task="cluster")
    names = pd.DataFrame({"name": [f"somebody number {i} of these" for i in range(60)], "same": 1})
    (tmp_path / "b").mkdir()
    with pytest.raises((InputRefused, ToolRefused), match="no column"):
        opened(tmp_path / "b", names, monkeypatch, task="cluster")


def test_few_different_rows_and_infinite_values_are_taken_without_a_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    twice = np.arange(80) % 2
    opened(tmp_path, pd.DataFrame({"a": twice, "b": 2.0 * twice}), monkeypatch, task="cluster")
    assert [c.score for c in train(["kmeans"], time_s=60, per_family=1).candidates] == [1.0]
    (tmp_path / "b").mkdir()
    running = np.where(np.arange(80) == 3, np.inf, np.arange(80.0))
    _, sealed, _ = opened(tmp_path / "b", pd.DataFrame({"a": twice, "beyond": running}), monkeypatch, task="anomaly")
    assert sealed.features == 2


def test_what_makes_a_row_odd_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.uniform(-1, 1, size=(300, 4)), columns=list("abcd"))
    table.loc[::30, "c"] = np.linspace(12, 20, 10)
    _, _, space = opened(tmp_path, table, monkeypatch, task="anomaly")
    train(["isolation_forest"], time_s=200, per_family=1)
    problem = load_problem(space)
    planted = np.flatnonzero(problem.X["c"] > 10)[:3].tolist()
    found = explain("isolation_forest-1", time_s=40, rows=planted)
    assert (found.scale, found.method, found.degraded) == ("anomaly score", "sampled", [])
    assert {example.why for example in found.examples} == {"highest", "asked"}
    odd = [example for example in found.examples if example.row in planted]
    assert len(odd) == 3
    assert all(example.parts[0].column == "c" and example.parts[0].contribution > 0 for example in odd)
    assert all(example.actual == "" for example in found.examples)
    for example in found.examples:
        total = example.base + sum(part.contribution for part in example.parts) + example.rest
        assert total == pytest.approx(example.score, abs=1e-4)
