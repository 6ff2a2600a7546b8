"""Whole runs on real data: what they leave, that they repeat, and that they end well when a model fails."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pandas as pd
import psutil
import pytest

from team.checkpoint import read_checkpoint
from team.errors import UsageError
from team.events import FellBack, HoldoutScored, StageEnded, TurnStarted
from team.log import read_events
from team.predict import predict
from team.run import start
from team.rundir import RunDir
from team.settings import load_settings
from team.stages import ORDER, SPEAKERS, Stage
from team.summary import read_summary
from tests.team.commands import command, follow, running
from tests.tools.installed import install

pytestmark = pytest.mark.slow
PENGUINS = Path(__file__).parents[2] / "evals" / "data" / "penguins.csv"


def finished(out: Path, source: str | Path, **settings: Any) -> tuple[dict[str, Any], RunDir]:
    given = {"source": str(source), "out": out, "time": "120s", "trials": 0, "sandbox": {"kind": "unsafe-local", "cpus": 1}, **settings}
    summary = start(load_settings(given))
    return summary, RunDir(Path(summary["run"]))


@pytest.fixture(scope="module")
def penguins(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], RunDir]:
    """Mixed columns, missing values, eleven rows without a target; bounded by the clock, as users do."""
    return finished(tmp_path_factory.mktemp("runs"), PENGUINS, target="Sex", time="12s", trials=None)


def test_it_ends_with_a_score_that_is_better_than_the_baseline(penguins: tuple[dict[str, Any], RunDir]) -> None:
    summary, _ = penguins
    assert (summary["status"], summary["task"], summary["metric"]) == ("done", "binary", "roc_auc")
    holdout = summary["holdout"]
    assert holdout["low"] <= holdout["score"] <= holdout["high"]
    assert (holdout["n"], holdout["looks"]) == (68, 1)
    assert holdout["low"] > 0.7 > summary["baseline"]["score"]
    assert summary["cost"] == {
        "usd": 0.0,
        "usd_at_least": 0.0,
        "unpriced_calls": 0,
        "input_tokens": 0,
        "output_tokens": 0,
        "cache_read_tokens": 0,
        "cache_write_tokens": 0,
        "estimated_calls": 0,
        "model_calls": summary["cost"]["model_calls"],
        "warnings": [],
    }
    assert summary["fallbacks"] == []


def test_the_search_keeps_its_time(penguins: tuple[dict[str, Any], RunDir]) -> None:
    summary, _ = penguins
    assert summary["seconds"]["search"] <= 12 * 2.5, "a tenth more on an idle machine"


def test_every_stage_ended_on_a_fact_and_every_role_spoke_in_its_stages(penguins: tuple[dict[str, Any], RunDir]) -> None:
    events = list(read_events(penguins[1].events))
    ended = [e for e in events if isinstance(e, StageEnded)]
    assert [e.stage for e in ended] == [s.value for s in ORDER]
    assert all(e.outcome for e in ended)
    for turn in (e for e in events if isinstance(e, TurnStarted)):
        assert turn.role in SPEAKERS[Stage(turn.stage)]
    assert {e.role for e in events if isinstance(e, TurnStarted)} == {role for roles in SPEAKERS.values() for role in roles}


def test_the_run_directory_is_complete(penguins: tuple[dict[str, Any], RunDir]) -> None:
    summary, run = penguins
    for path in (
        run.settings, run.contract, run.manifest, run.plan, run.events, run.checkpoint, run.cells, run.leaderboard, run.sections,
        run.notebook, run.report, run.tracking, run.traces, run.metrics, run.model / "pipeline.joblib", run.model / "model.json",
    ):  # fmt: skip
        assert path.stat().st_size > 0, path
    assert read_summary(run)["holdout"] == summary["holdout"]
    assert list((run.work / "plots").glob("*.png"))
    assert not list(run.path.rglob("*.tmp"))
    report = run.report.read_text()
    assert f"{summary['holdout']['score']:.4f}" in report
    assert "are withheld" not in report, "every figure of the page is on record"


def test_holdout_labels_are_in_no_file_that_a_sandbox_saw_before_the_score(penguins: tuple[dict[str, Any], RunDir]) -> None:
    _, run = penguins
    events = list(read_events(run.events))
    scored = next(e for e in events if isinstance(e, HoldoutScored))
    opened = next(e for e in events if getattr(e, "tool", "") == "open_holdout")
    assert scored.seq < opened.seq
    assert "Sex" not in pd.read_parquet(run.data / "holdout.parquet").columns


def test_predictions_have_one_row_per_input_row_in_input_order(penguins: tuple[dict[str, Any], RunDir], tmp_path: Path) -> None:
    _, run = penguins
    table = pd.read_csv(PENGUINS)
    rows = table.sample(frac=1, random_state=1).drop(columns=["Sex"])
    rows.to_csv(tmp_path / "rows.csv", index=False)
    assert predict(run, tmp_path / "rows.csv", tmp_path / "out.csv", sandbox="unsafe-local") == len(rows)
    out = pd.read_csv(tmp_path / "out.csv")
    assert list(out.columns) == ["prediction", "proba_MALE", "proba_FEMALE"], "the rarer class is the positive one, and comes last"
    assert len(out) == len(rows)
    assert np.allclose(out[["proba_FEMALE", "proba_MALE"]].sum(axis=1), 1)
    truth = table.loc[rows.index, "Sex"]
    known = truth.notna().to_numpy()
    assert (out["prediction"].to_numpy()[known] == truth.to_numpy()[known]).mean() > 0.9


def test_the_notebook_is_valid_and_holds_the_cells_that_ran(penguins: tuple[dict[str, Any], RunDir]) -> None:
    _, run = penguins
    notebook = nbformat.read(run.notebook, as_version=4)
    nbformat.validate(notebook)
    code = [c for c in notebook.cells if c.cell_type == "code"]
    journalled = [json.loads(line)["code"] for line in run.cells.read_text().splitlines()]
    assert [c.source for c in code] == journalled


def test_the_notebook_runs_again_from_top_to_bottom(tmp_path: Path) -> None:
    from nbclient import NotebookClient

    _, run = finished(tmp_path, "sklearn:iris", target="target", time="20s", folds=2, families="linear,lightgbm")
    before = {p: p.stat().st_mtime_ns for p in run.work.rglob("*") if p.is_file()}
    notebook = nbformat.read(run.notebook, as_version=4)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(run.path)}}).execute()
    assert (run.path / "replay" / "candidates").is_dir()
    assert before == {p: p.stat().st_mtime_ns for p in run.work.rglob("*") if p.is_file()}, "what the run left is never touched"


def test_spans_have_parents_and_cover_every_turn_and_call(penguins: tuple[dict[str, Any], RunDir]) -> None:
    _, run = penguins
    events = [json.loads(line) for line in run.events.read_text().splitlines()]
    spans = [json.loads(line) for line in run.traces.read_text().splitlines()]
    ids = {s["context"]["span_id"] for s in spans}
    roots = [s for s in spans if s["parent_id"] is None]
    assert [(s["name"], s["attributes"]["mlteam.run"]) for s in roots] == [("invoke_workflow mlteam", run.name)]
    assert all(s["parent_id"] in ids for s in spans if s["parent_id"] is not None)
    for kind, prefix in (
        ("turn_started", "invoke_agent"),
        ("tool_called", "execute_tool"),
        ("model_called", "chat"),
        ("cell_executed", "cell"),
    ):
        assert sum(e["kind"] == kind for e in events) == sum(s["name"].startswith(prefix + " ") for s in spans)


def test_mlflow_holds_a_parent_run_and_a_child_for_every_candidate(penguins: tuple[dict[str, Any], RunDir]) -> None:
    from mlflow.tracking import MlflowClient

    summary, run = penguins
    client = MlflowClient(tracking_uri=f"sqlite:///{run.tracking}")
    experiment = client.get_experiment_by_name("mlteam")
    runs = client.search_runs([experiment.experiment_id], max_results=500)
    parent = next(r for r in runs if r.data.tags["mlteam.kind"] == "run")
    children = [r for r in runs if r.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    assert parent.data.metrics["holdout_score"] == summary["holdout"]["score"]
    assert len(children) == summary["candidates"] > 1


def test_equal_seeds_give_equal_scores_when_trials_bound_the_search(tmp_path: Path) -> None:
    wish = {"target": "target", "trials": 2, "folds": 2, "families": "linear,lightgbm,xgboost,mlp", "time": "300s", "seed": 7}
    results = [finished(tmp_path, "sklearn:wine", **wish)[0] for _ in range(2)]
    assert results[0]["holdout"] == results[1]["holdout"]
    assert results[0]["cv"] == results[1]["cv"]
    assert results[0]["task"] == "multiclass"


@pytest.mark.bubblewrap
def test_a_regression_by_bubblewrap(tmp_path: Path) -> None:
    summary, run = finished(tmp_path, "sklearn:diabetes", target="target", families="linear,lightgbm", sandbox="bubblewrap")
    assert (summary["status"], summary["metric"]) == ("done", "rmse")
    assert summary["holdout"]["score"] < summary["baseline"]["score"]
    rows = pd.read_parquet(run.data / "holdout.parquet")
    rows.to_parquet(tmp_path / "rows.parquet")
    predict(run, tmp_path / "rows.parquet", tmp_path / "out.csv", sandbox="unsafe-local")
    out = pd.read_csv(tmp_path / "out.csv")
    assert list(out.columns) == ["prediction"]
    assert len(out) == len(rows)


@pytest.mark.docker
def test_the_whole_job_in_docker(tmp_path: Path) -> None:
    summary, run = finished(tmp_path, PENGUINS, target="Sex", sandbox="docker", families="linear,lightgbm,catboost")
    assert (summary["status"], summary["sandbox"], summary["fallbacks"]) == ("done", "docker", [])
    assert summary["holdout"]["low"] > 0.7
    assert {c.family for c in read_checkpoint(run.checkpoint).state.candidates} >= {"linear", "lightgbm", "catboost"}
    predict(run, PENGUINS, tmp_path / "out.csv", sandbox="docker")
    assert len(pd.read_csv(tmp_path / "out.csv")) == len(pd.read_csv(PENGUINS))


def test_a_model_that_cannot_be_reached_is_replaced_turn_by_turn(tmp_path: Path) -> None:
    summary, run = finished(
        tmp_path, "sklearn:iris", target="target", time="15s", folds=2, families="linear", model="openai:none@http://127.0.0.1:9/v1"
    )
    assert summary["status"] == "done"
    # Where `what` is named, something was left out for want of time, which no model has a part in.
    falls = [e for e in read_events(run.events) if isinstance(e, FellBack) and not e.what]
    assert falls
    assert all("openai:none" in e.reason for e in falls)
    assert summary["cost"]["usd"] is None, "the price of a failed call is not known to be nothing"


def test_the_notebook_api_reads_a_run(penguins: tuple[dict[str, Any], RunDir]) -> None:
    from team import load_run

    summary, run = penguins
    result = load_run(run.path)
    assert result.status == "done"
    assert result.holdout == summary["holdout"]
    assert list(result.leaderboard["name"])[-1] == "dummy-1"
    rows = pd.read_csv(PENGUINS).drop(columns=["Sex"]).iloc[[5, 3]]
    predicted = result.predict(rows, sandbox="unsafe-local")
    assert list(predicted.index) == [5, 3]
    assert set(predicted["prediction"]) <= {"MALE", "FEMALE"}
    assert "sealed rows" in result._repr_html_()


def test_predict_refuses_rows_without_the_columns_and_leaves_no_file(penguins: tuple[dict[str, Any], RunDir], tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    pd.read_csv(PENGUINS).drop(columns=["Island"]).to_csv(rows, index=False)
    with pytest.raises(UsageError, match="Island"):
        predict(penguins[1], rows, tmp_path / "out.csv", sandbox="unsafe-local")
    assert not (tmp_path / "out.csv").exists()


def test_ctrl_c_ends_the_run_cleanly(tmp_path: Path) -> None:
    options = ("--target", "Sex", "--time", "300s", "--sandbox", "unsafe-local", "--out", str(tmp_path / "runs"))
    words = command("run", str(PENGUINS), *options)
    with running(words) as process:
        follow(process, tmp_path / "runs", lambda event: event["kind"] == "cell_executed")
        kernels = [child.pid for child in psutil.Process(process.pid).children(recursive=True)]
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in err
    assert "Go on with: mlteam resume" in err
    assert kernels
    assert not any(psutil.pid_exists(pid) for pid in kernels)
    run = next(tmp_path.glob("runs/*/"))
    ended = json.loads((run / "events.jsonl").read_text().splitlines()[-1])
    assert (ended["kind"], ended["status"]) == ("run_ended", "interrupted")


def test_a_preparer_that_no_package_brings_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no installed package brings a preparer 'ratois'\. Preparers: none\. Install it"):
        start(load_settings({"source": "sklearn:wine", "out": tmp_path / "runs", "sandbox": "unsafe-local", "preparers": "ratois"}))
    assert not (tmp_path / "runs").exists()


def test_a_package_that_the_sandbox_lacks_or_that_is_broken_is_named_and_costs_the_run_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The package lies on this process's path alone, as one that was not installed into an image would."""
    (tmp_path / "site").mkdir()
    points = {"mlteam.families": {"nearest": "Nearest"}, "mlteam.preparers": {"ratios": "Ratios"}}
    install(tmp_path / "site", "lab-models", "raise SystemExit(3)\n", points)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    summary, run = finished(tmp_path, "sklearn:wine", target="target", folds=2, preparers="ratios", without="catboost,realmlp,tabm")
    assert summary["status"] == "done"
    told = [event.reason for event in read_events(run.events) if isinstance(event, FellBack)]
    assert any("nearest was left out: unknown family 'nearest'" in reason for reason in told)
    assert any(
        "the models go without ratios" in reason and "no preparer 'ratios' is installed where this runs" in reason for reason in told
    )
    assert "lab_models" not in sys.modules
