"""A whole run whose engineer writes the model: submitted, selected, refitted, packaged, and used in a fresh process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest

from team.events import CandidateScored, HoldoutScored, StageEnded, ToolReturned
from team.log import read_events
from team.playbook import PlaybookClient
from team.predict import predict
from team.run import start
from team.rundir import RunDir
from team.settings import load_settings
from tests.scripted import Line, ScriptedClient
from tests.tools.coded import CLASSES

pytestmark = [pytest.mark.slow, pytest.mark.bubblewrap]

ENGINEER: list[Line] = [
    ("prepare", {}),
    "Prepared.",
    ("train_baselines", {"time_s": 10}),
    "The baselines stand.",
    ("train", {"families": ["linear"], "time_s": 5}),
    ("submit_candidate", {"name": "broken", "code": CLASSES.replace("StandardScaler()", "StandardScaler(mean=0)")}),
    ("submit_candidate", {"name": "scaled", "code": CLASSES, "time_s": 100}),
    "A scaled logistic regression does well.",
    "It needs no tuning.",
    ("evaluate", {"candidate": "scaled", "time_s": 60}),
    "Its predictions are written.",
]
CRITIC: list[Line] = [
    ("review", {"verdict": "accept", "findings": ["A linear model is as good, so simple is enough."]}),
    "The work stands.",
    [("review", {"verdict": "accept", "findings": ["Nothing speaks against it."]}), ("score_holdout", {"candidate": "scaled"})],
    "It is scored.",
]


@pytest.fixture(scope="module")
def submitted(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], RunDir]:
    scripts = {"scripted:engineer": ScriptedClient(ENGINEER), "scripted:critic": ScriptedClient(CRITIC)}
    models = {name.partition(":")[2]: name for name in scripts}
    settings = {"source": "sklearn:breast_cancer", "target": "target", "folds": 2, "time": "200s", "sandbox": "bubblewrap"}
    out = tmp_path_factory.mktemp("runs")
    summary = start(load_settings({**settings, "out": out, "models": models}), clients=lambda spec: scripts.get(spec) or PlaybookClient())
    for script in scripts.values():
        script.assert_complete()
    return summary, RunDir(Path(summary["run"]))


def test_it_is_selected_scored_and_packaged(submitted: tuple[dict[str, Any], RunDir]) -> None:
    summary, run = submitted
    assert (summary["status"], summary["model"], summary["fallbacks"]) == ("done", "scaled", [])
    assert summary["holdout"]["low"] > 0.9
    events = list(read_events(run.events))
    assert [e.candidate for e in events if isinstance(e, HoldoutScored)] == ["scaled"]
    told = [e for e in events if isinstance(e, ToolReturned) and e.tool == "submit_candidate"]
    assert [e.status for e in told] == ["error", "ok"]
    assert "fold 1 of 2 failed: fitting failed: TypeError" in told[0].text
    assert "StandardScaler(mean=0)" in told[0].text
    assert next(e for e in events if isinstance(e, CandidateScored) and e.name == "scaled").family == "code"
    trained = next(e for e in events if isinstance(e, StageEnded) and e.stage == "train")
    assert trained.search_seconds >= sum(e.search_seconds for e in told) > 0
    report = run.report.read_text()
    assert "Models written as code" in report
    assert "What the language models bought" in report
    assert "the best of 1 model that roles wrote, scaled, is" in " ".join(report.split())


def test_its_package_predicts_in_a_fresh_process(submitted: tuple[dict[str, Any], RunDir], tmp_path: Path) -> None:
    _, run = submitted
    described = json.loads((run.model / "model.json").read_text())["members"]
    assert [(m["family"], m["code"]) for m in described] == [("code", CLASSES)]
    rows = pd.read_parquet(run.data / "holdout.parquet")
    rows.to_csv(tmp_path / "rows.csv", index=False)
    assert predict(run, tmp_path / "rows.csv", tmp_path / "out.csv", sandbox="bubblewrap") == len(rows)
    predicted = pd.read_csv(tmp_path / "out.csv", dtype={"prediction": str})
    labels = pd.read_parquet(run.vault / "holdout_labels.parquet")["target"].astype(str)
    assert (predicted["prediction"] == labels).mean() > 0.93


def test_the_notebook_shows_the_code_and_runs_again(submitted: tuple[dict[str, Any], RunDir]) -> None:
    from nbclient import NotebookClient

    _, run = submitted
    notebook = nbformat.read(run.notebook, as_version=4)
    nbformat.validate(notebook)
    mine = [c for c in notebook.cells if c.cell_type == "code" and c.metadata.mlteam.tool == "submit_candidate"]
    assert [CLASSES in c.source for c in mine] == [False, True]
    assert "skip-execution" in mine[0].metadata.tags
    recorded = json.loads((run.work / "candidates" / "scaled" / "candidate.json").read_text())
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(run.path)}}).execute()
    again = json.loads((run.path / "replay" / "candidates" / "scaled" / "candidate.json").read_text())
    assert again["score"] == pytest.approx(recorded["score"])
    assert again["fold_scores"] == pytest.approx(recorded["fold_scores"])
    assert (run.path / "replay" / "predictions" / "scaled.parquet").exists()
