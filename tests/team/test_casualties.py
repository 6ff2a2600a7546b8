"""Faults that are really caused inside a sandbox, and runs that end well all the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from team.events import CandidateScored, Event, FellBack, KernelChanged, ToolReturned
from team.log import read_events
from team.predict import predict
from team.run import start
from team.rundir import RunDir
from team.settings import load_settings
from tests.sabotage import BROKEN_VECTORIZER, CRASHES, EATS_MEMORY, NEVER_COMES_BACK, Saboteur, python
from tools.casualties import Casualties

ONE_CORE = {"kind": "bubblewrap", "cpus": 1}
"""So that no more threads want a busy machine's cores than an idle one has."""
pytestmark = [pytest.mark.slow, pytest.mark.bubblewrap]


def run_with(faults: dict[tuple[str, str], list[Any]], out: Path, source: str | Path, **settings: Any) -> tuple[dict[str, Any], RunDir]:
    saboteur = Saboteur(faults)
    given = {"source": str(source), "target": "target", "time": "200s", "trials": 0, "folds": 2, "sandbox": ONE_CORE, "out": out}
    summary = start(load_settings({**given, **settings}), clients=lambda _: saboteur)
    saboteur.assert_done()
    return summary, RunDir(Path(summary["run"]))


def degradations(events: list[Event]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for event in events:
        if isinstance(event, FellBack) and event.what:
            found.setdefault(event.what, []).append(event.reason)
    return found


@pytest.fixture(scope="module")
def survivor(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], RunDir]:
    """In one run: a library that is broken for all who use it, and three families that take their kernels along."""
    faults = {
        ("engineer", "prepare"): [python(BROKEN_VECTORIZER)],
        ("engineer", "train"): [
            python(EATS_MEMORY),
            ("train", {"families": ["lightgbm"], "time_s": 30}),
            python(CRASHES),
            ("train", {"families": ["catboost"], "time_s": 30}),
            python(NEVER_COMES_BACK),
            ("train", {"families": ["xgboost"], "time_s": 4}),
        ],
    }
    return run_with(faults, tmp_path_factory.mktemp("runs"), "sklearn:wine", sandbox={**ONE_CORE, "memory_mb": 700})


def test_a_run_survives_memory_crash_hang_and_a_tool_that_raises(survivor: tuple[dict[str, Any], RunDir]) -> None:
    summary, run = survivor
    assert (summary["status"], summary["fallbacks"]) == ("done", [])
    assert summary["holdout"]["score"] < summary["baseline"]["score"], "log loss of the model and of the dummy"
    returned = [e for e in read_events(run.events) if isinstance(e, ToolReturned) and e.status != "ok"]
    assert [(e.tool, e.status) for e in returned] == [
        ("prepare", "error"),
        ("prepare", "error"),
        ("train", "died"),
        ("train", "died"),
        ("train", "died"),
    ]
    assert "this library is broken" in returned[0].text
    causes = [e.facts["cause"] for e in read_events(run.events) if isinstance(e, KernelChanged) and e.change == "died"]
    assert [cause.split(":")[0] for cause in causes] == ["out of memory", "killed by signal 11 (SIGSEGV)", "exit code 1"]


def test_what_it_went_on_without_is_told_at_every_place(survivor: tuple[dict[str, Any], RunDir]) -> None:
    summary, run = survivor
    told = degradations(list(read_events(run.events)))
    assert told["preparation"][0].startswith("no preparation was validated")
    assert "MiB used, 700 MiB allowed): tried again on half of the rows" in told["lightgbm"][0]
    assert told["catboost"] == ["catboost crashed in train (killed by signal 11 (SIGSEGV)): dropped"]
    assert told["xgboost"] == ["xgboost never came back in train (exit code 1): dropped"]
    everything = [reason for reasons in told.values() for reason in reasons]
    assert sorted(summary["degradations"]) == sorted(everything)
    report = run.report.read_text()
    assert "<h2>Degradations</h2>" in report
    assert "catboost crashed in train" in report


def test_a_family_that_ran_out_of_memory_is_fitted_on_half_of_the_rows(survivor: tuple[dict[str, Any], RunDir]) -> None:
    _, run = survivor
    scored = {e.name: e for e in read_events(run.events) if isinstance(e, CandidateScored)}
    assert scored["lightgbm-1"].share == 0.5
    assert {e.family for e in scored.values()} >= {"dummy", "lightgbm", "extra_trees"}
    assert not {e.family for e in scored.values()} & {"catboost", "xgboost"}
    recorded = json.loads((run.work / "candidates" / "lightgbm-1" / "candidate.json").read_text())
    assert recorded["share"] == 0.5
    record = Casualties.model_validate_json((run.data / "casualties.json").read_text())
    assert [(one.family, one.kind, one.share) for one in record.fits] == [
        ("lightgbm", "memory", 1.0),
        ("catboost", "crash", 1.0),
        ("xgboost", "hang", 1.0),
    ]


INTERACTION = """
import ctypes
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression


class Crossed(ClassifierMixin, BaseEstimator):
    def fit(self, X, y):
        if len(X) > {limit}:
            ctypes.string_at(0)
        self.inner_ = LogisticRegression(C={C}).fit(self._cross(X), y)
        self.classes_ = self.inner_.classes_
        return self

    def _cross(self, X):
        return np.column_stack([X["a"] * X["b"], X["c"]])

    def predict_proba(self, X):
        return self.inner_.predict_proba(self._cross(X))


def make_model():
    return Crossed()
"""


@pytest.fixture(scope="module")
def last_resort(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], RunDir]:
    """The two best candidates crash: one when it is fitted on all training rows, the other when it is refitted on all rows."""
    folder = tmp_path_factory.mktemp("runs")
    rng = np.random.default_rng(5)
    table = pd.DataFrame(rng.normal(size=(400, 3)), columns=["a", "b", "c"])
    noisy = table["a"] * table["b"] + 0.3 * table["c"] + 0.3 * rng.normal(size=400)
    table.assign(target=np.where(noisy > 0, "yes", "no")).to_csv(folder / "table.csv", index=False)
    faults = {
        ("engineer", "train"): [
            ("submit_candidate", {"name": "brittle", "code": INTERACTION.format(limit=200, C=1.0)}),
            ("submit_candidate", {"name": "fragile", "code": INTERACTION.format(limit=350, C=0.01)}),
            ("train", {"families": ["tree"], "time_s": 20}),
        ]
    }
    return run_with(faults, folder, folder / "table.csv")


def test_the_next_best_candidate_takes_the_place_of_one_that_cannot_be_evaluated(last_resort: tuple[dict[str, Any], RunDir]) -> None:
    summary, run = last_resort
    assert (summary["status"], summary["model"], summary["fallbacks"]) == ("done", "fragile", [])
    assert summary["holdout"]["looks"] == 1
    events = list(read_events(run.events))
    best = max((e for e in events if isinstance(e, CandidateScored) and e.family == "code"), key=lambda e: e.score)
    assert best.name == "brittle"
    told = degradations(events)
    assert "brittle" in told["fragile"][0]
    assert "takes the place of what could not be fitted on all training rows" in told["fragile"][0]


def test_a_refit_that_crashes_leaves_the_very_model_that_was_scored(last_resort: tuple[dict[str, Any], RunDir], tmp_path: Path) -> None:
    summary, run = last_resort
    assert any("refit on all rows failed" in reason for reason in summary["degradations"])
    assert json.loads((run.model / "model.json").read_text())["rows"] == 320
    assert "The packaged model is the very one that was scored, fitted on the 320 training rows" in run.report.read_text()
    rows = pd.read_parquet(run.data / "holdout.parquet")
    rows.to_csv(tmp_path / "rows.csv", index=False)
    predict(run, tmp_path / "rows.csv", tmp_path / "out.csv", sandbox="bubblewrap")
    predicted, scored = pd.read_csv(tmp_path / "out.csv"), pd.read_parquet(run.work / "predictions" / "fragile.parquet")
    assert np.allclose(predicted["proba_yes"], scored["proba_yes"])


def test_a_table_that_is_large_for_its_sandbox_is_learnt_all_the_same(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(150_000, 20)), columns=[f"x{i}" for i in range(20)])
    strength = table["x0"] + table["x1"] * table["x2"] + 0.5 * rng.normal(size=len(table))
    table.assign(target=np.where(strength > 0, "yes", "no")).to_parquet(tmp_path / "table.parquet")
    sandbox = {**ONE_CORE, "memory_mb": 330}
    summary, run = run_with({}, tmp_path, tmp_path / "table.parquet", sandbox=sandbox, time="25s", trials=None)
    assert (summary["status"], summary["fallbacks"]) == ("done", [])
    assert summary["model"] != "dummy-1"
    assert summary["holdout"]["low"] > 0.7
    short = [reason for reason in summary["degradations"] if "MiB" in reason]
    assert short, summary["degradations"]
    assert (run.model / "pipeline.joblib").exists()
