"""Constraints that come while a run goes on: from the next turn on, and whatever was made before."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from team.budget import Limits, Meter
from team.constraining import carry_out, plan
from team.constraint import Constraint, Device, Families, ForbidColumn, MaxLatency, Monotone
from team.events import CandidateScored, ConstraintAdded, Event, StageEnded, StageEntered
from team.log import read_events
from team.run import astart
from team.rundir import RunDir
from team.settings import load_settings, read_settings
from team.stages import CandidateFact, HoldoutFact, Stage, State
from team.steering import Steering
from team.vault import Vault
from tests.hosting import Hosting
from tools.intake import fetch_data
from tools.sealing import seal_holdout


def _candidate(name: str, family: str, stage: Stage, **facts: object) -> CandidateFact:
    return CandidateFact(name=name, family=family, stage=stage, score=0.5, std_error=0.1, fold_scores=[0.5], seconds=1, **facts)


CANDIDATES = [
    _candidate("dummy-1", "dummy", Stage.BASELINE),
    _candidate("linear-1", "linear", Stage.BASELINE, latency_ms=1.0),
    _candidate("lightgbm-1", "lightgbm", Stage.TRAIN, latency_ms=9.0, device="cuda"),
    _candidate("linear-2", "linear", Stage.TRAIN, latency_ms=1.0),
    _candidate("ensemble-1", "ensemble", Stage.SELECT, latency_ms=3.0),
]


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Hosting:
    hosting = Hosting(tmp_path_factory.mktemp("runs"), "sklearn:wine", target="target")
    fetch_data(hosting.host)
    seal_holdout(hosting.host)
    return hosting


def _planned(hosting: Hosting, *added: Constraint, searched: float = 0.0, **facts: object) -> ConstraintAdded:
    state = State(stage=Stage.SELECT, sealed=True, candidates=CANDIDATES).model_copy(update=facts)
    meter = Meter(Limits(search_s=100.0))
    meter.charge_search(searched)
    return plan(state, hosting.vault, meter, hosting.vault.contract.constraints, added)


@pytest.mark.parametrize(
    ("constraint", "excluded", "back_to"),
    [
        (Families(names=("linear",)), ["lightgbm-1", "ensemble-1"], None),
        (Families(names=("xgboost",)), ["linear-1", "lightgbm-1", "linear-2", "ensemble-1"], "train"),
        (MaxLatency(ms=5), ["lightgbm-1"], None),
        (Device(), ["lightgbm-1"], None),
        (ForbidColumn(column="alcohol"), [c.name for c in CANDIDATES], "analyse"),
    ],
)
def test_what_does_not_count_any_more_and_where_the_work_goes_back(
    sealed: Hosting, constraint: Constraint, excluded: list[str], back_to: str | None
) -> None:
    planned = _planned(sealed, constraint)
    assert (planned.refused, planned.excluded, planned.back_to) == ("", excluded, back_to)


@pytest.mark.parametrize(
    ("constraint", "facts", "why"),
    [
        (ForbidColumn(column="alcohol"), {"searched": 95.0}, "5 s of search are left"),
        (Families(names=("theta",)), {}, "no model family is left"),
        (Monotone(column="alcohol", sign=1), {"holdout": True}, "the final score is taken"),
        (Monotone(column="alcohol", sign=1), {}, "of several classes none is up"),
        (ForbidColumn(column="alcool"), {}, "no column 'alcool' is learnt from; nearest: alcohol"),
        (ForbidColumn(column="target"), {}, "'target' is what is predicted"),
    ],
)
def test_what_cannot_be_kept_any_more_changes_nothing_and_says_why(
    sealed: Hosting, constraint: Constraint, facts: dict[str, object], why: str
) -> None:
    if facts.get("holdout"):
        facts = {"holdout": HoldoutFact(candidate="c", metric="m", score=1, low=0, high=1, level=0.95, n=9, looks=1)}
    planned = _planned(sealed, constraint, **facts)
    assert why in planned.refused
    state = State(stage=Stage.SELECT, sealed=True, candidates=CANDIDATES)
    assert carry_out(planned, state, sealed.run, sealed.vault, sealed.vault.contract.constraints) is state


def test_columns_that_steps_make_go_before_predictions_are_held_to_follow_one(tmp_path: Path) -> None:
    """Behind a ratio of two columns no tree can be told to rise with either of them."""
    hosting = Hosting(tmp_path / "runs", "sklearn:breast_cancer", target="target")
    fetch_data(hosting.host)
    seal_holdout(hosting.host)
    rising = Monotone(column="mean radius", sign=1)
    made = {"prepare": {"name": "prepared", "steps": ["make=ratios"]}, "train": {}, "ensemble": {}}
    assert _planned(hosting, rising, results={"prepare": {"name": "default"}}).back_to == "baseline"
    planned = _planned(hosting, rising, results=made)
    assert (planned.refused, planned.back_to) == ("", "prepare")
    assert planned.excluded == [c.name for c in CANDIDATES]
    state = State(stage=Stage.SELECT, sealed=True, prepared=True, candidates=CANDIDATES, results=made)
    bound = hosting.vault.contract.constraints.model_copy(update={"monotone": {"mean radius": 1}})
    after = carry_out(planned, state, hosting.run, hosting.vault, bound)
    assert (after.stage, after.prepared, sorted(after.results)) == (Stage.PREPARE, False, ["train"])
    meter = Meter(Limits(search_s=100.0))
    asked = plan(State(stage=Stage.TRAIN, sealed=True), hosting.vault, meter, bound, [rising], ["scale=power"])
    assert "the columns that scale=power make would hide how the prediction follows another" in asked.refused


def test_a_run_goes_on_without_a_column_that_is_forbidden_on_the_way(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"length": rng.normal(size=90), "depth": rng.normal(size=90), "mass": rng.normal(size=90)})
    frame["kind"] = np.where(frame.sum(axis=1) + rng.normal(size=90) > 0, "a", "b")
    frame.to_csv(tmp_path / "t.csv", index=False)
    steering, told = Steering(), []

    def listen(event: Event) -> None:
        if isinstance(event, StageEnded) and event.stage == "baseline" and not told:
            told.append(event)
            steering.constrain(ForbidColumn(column="depth", said="never use depth"))

    settings = load_settings(
        {
            "source": str(tmp_path / "t.csv"),
            "target": "kind",
            "families": "linear",
            "time": "10m",
            "trials": 0,
            "sandbox": "unsafe-local",
            "without": "ensemble",
            "out": tmp_path / "runs",
        }
    )
    summary = asyncio.run(astart(settings, [listen], steering=steering))
    run = RunDir(Path(summary["run"]))
    events = list(read_events(run.events))
    added = next(event for event in events if isinstance(event, ConstraintAdded))
    before = {event.name for event in events if isinstance(event, CandidateScored) and event.seq < added.seq}
    assert before == set(added.excluded)
    assert [event.stage for event in events if isinstance(event, StageEntered) and event.seq > added.seq][:3] == [
        "analyse",
        "prepare",
        "baseline",
    ]
    assert summary["status"] == "done"
    for path in run.data.glob("*.parquet"):
        assert "depth" not in pd.read_parquet(path)
    assert "depth" not in Vault(run).contract.features
    assert [column["name"] for column in json.loads((run.model / "model.json").read_text())["schema"]["columns"]] == ["length", "mass"]
    assert [one.told for one in read_settings(run.settings).limits if one.said] == ["column 'depth' is never used"]
