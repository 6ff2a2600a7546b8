"""One run of a comparison: what it did is counted from its log, and what the kernel wrote is read with care."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reports.side import read_side
from team.events import KernelChanged
from team.rundir import RunDir
from tests.reports.written import Written, evaluation, finished

RECORD = {
    "family": "lightgbm",
    "params": {"num_leaves": 31},
    "preparation": "default",
    "metric": "roc_auc",
    "score": 0.9,
    "std_error": 0.01,
    "fold_scores": [0.9],
    "n_folds": 1,
    "fit_seconds": 0.1,
    "predict_ms_per_row": 0.1,
}


def record(run: RunDir, name: str, **changes: object) -> Path:
    folder = run.work / "candidates" / name
    folder.mkdir(parents=True)
    path = folder / "candidate.json"
    path.write_text(json.dumps({"name": name, **RECORD, **changes}))
    return path


def test_work_cost_and_scores_are_those_of_the_log(tmp_path: Path) -> None:
    side = read_side(finished(tmp_path).path, "A")
    once = ("evaluate", "package_model", "profile_table", "record_plan", "review", "score_holdout", "train", "tune")
    assert side.tools == dict.fromkeys(once, 1)
    assert side.families == ("dummy", "linear", "lightgbm")
    assert list(side.candidates) == ["lightgbm-1", "linear-1", "dummy-1"]
    assert {stage.stage: stage.visits for stage in side.stages} == {"plan": 1, "analyse": 1, "train": 1, "select": 1}
    assert (side.rounds, side.cost.search_seconds, side.cost.usd) == (1, 4.0, 0.0)
    assert side.settings["sandbox.kind"] == "auto"
    assert "out" not in side.settings
    assert side.holdout is not None
    assert side.cv is not None
    assert side.troubles == ("1 configuration was not trained",)


def test_what_was_lost_on_the_way_is_counted(tmp_path: Path) -> None:
    with Written(tmp_path) as w:
        w.start()
        w.enter("train")
        w.turn("engineer", "train")
        for _ in range(2):
            w.call("engineer", "train", status="died", between=[KernelChanged(change="died", facts={"cause": "out of memory"})])
        w.call("engineer", "evaluate", result=evaluation() | {"cut_short": True})
        w.call("engineer", "train", status="refused")
    assert read_side(w.run.path, "A").troubles == (
        "the kernel died 2 times, last of: out of memory",
        "train ended as died 2 times",
        "evaluate cut a fit short at its deadline",
    )


def test_the_winner_has_the_parameters_of_its_record(tmp_path: Path) -> None:
    run = finished(tmp_path)
    record(run, "lightgbm-1", preparation="no_text")
    winner = read_side(run.path, "A").winner
    assert winner is not None
    assert winner.name == "lightgbm-1"
    assert winner.score == pytest.approx(0.972), "the score is the host's, not the record's"
    assert winner.flat == {"preparation": "no_text", "num_leaves": 31}


def test_a_blend_has_the_parameters_of_its_members(tmp_path: Path) -> None:
    run = finished(tmp_path)
    record(run, "lightgbm-1", params={}, preparation="", members=[{"name": "linear-1", "weight": 0.25}, {"name": "gone-1", "weight": 0.75}])
    record(run, "linear-1", family="linear", params={"C": 0.3})
    winner = read_side(run.path, "A").winner
    assert winner is not None
    assert [(m.name, m.family) for m in winner.members] == [("linear-1", "linear"), ("gone-1", None)]
    assert winner.flat == {"linear-1.weight": 0.25, "linear-1.C": 0.3, "gone-1.weight": 0.75}


def test_a_record_that_is_a_link_or_nothing_of_the_kind_is_passed_over(tmp_path: Path) -> None:
    run = finished(tmp_path)
    path = record(run, "lightgbm-1")
    outside = path.rename(tmp_path / "outside.json")
    for spoil in (lambda: path.symlink_to(outside), lambda: path.write_text('{"name": 1}'), lambda: path.write_bytes(b"\xff\xfe")):
        path.unlink(missing_ok=True)
        spoil()
        winner = read_side(run.path, "A").winner
        assert winner is not None
        assert winner.params is None
