"""What the host puts on record of a round of tuning and of the pick, from the predictions that lie in the work folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from reports.facts import read_facts
from reports.html import write_report
from team.events import OptimismEstimated, RoundEnded, RunStarted
from team.evidence import Evidence
from team.log import EventLog
from team.stages import Stage, State
from tests.hosting import Hosting
from tests.team.scored import predictions
from tools.candidates import Candidate
from tools.intake import fetch_data
from tools.predictions import write_predictions
from tools.sealing import seal_holdout

RESULT: dict[str, Any] = {"metric": "roc_auc", "score": 0.9, "low": 0.8, "high": 0.95, "level": 0.95, "n": 114, "looks": 1}


class Picked:
    """A sealed run with candidates whose predictions are the truth under noise."""

    def __init__(self, out: Path, noises: dict[str, float], **settings: Any) -> None:
        self.h = Hosting(out, settings.pop("source", "sklearn:breast_cancer"), target="target", **settings)
        fetch_data(self.h.host)
        seal_holdout(self.h.host)
        self.log = EventLog(self.h.run.events)
        self.log.append(RunStarted(run=self.h.run.name, settings={}, versions={}))
        self.evidence = Evidence(self.h.run, self.h.vault, self.log.append)
        for name, noise in noises.items():
            self.write(name, noise)
        self.state, problems = self.evidence.of_candidates(State(stage=Stage.TRAIN))
        assert problems == []

    def write(self, name: str, noise: float) -> None:
        folder = self.h.run.work / "candidates" / name
        values = predictions(self.h, "train", noise)
        # Every candidate errs on rows of its own.
        rng = np.random.default_rng(ord(name[-1]))
        errors = rng.normal(size=len(values)) if values.ndim == 1 else rng.dirichlet(np.ones(values.shape[1]), len(values))
        values = 0.5 * values + 0.5 * errors
        write_predictions(folder / "oof.parquet", self.h.vault.contract, values)
        facts = {"name": name, "family": "linear", "params": {}, "preparation": "default", "metric": "roc_auc", "score": 0.0}
        record = Candidate(**facts, std_error=0.0, fold_scores=[], n_folds=5, fit_seconds=0.1, predict_ms_per_row=0.1)
        (folder / "candidate.json").write_text(record.model_dump_json())

    def take(self, name: str) -> list[OptimismEstimated]:
        """What was told of the pick when the candidate was scored on the holdout."""
        told: list[Any] = []
        self.log.subscribe(told.append)
        self.evidence.of_result(self.state, "score_holdout", {**RESULT, "candidate": name})
        return [event for event in told if isinstance(event, OptimismEstimated)]


@pytest.fixture
def pick(tmp_path: Path) -> Iterator[Callable[..., Picked]]:
    made: list[Picked] = []

    def make(noises: dict[str, float], **settings: Any) -> Picked:
        made.append(Picked(tmp_path, noises, **settings))
        return made[-1]

    yield make
    for picked in made:
        picked.log.close()


NOISES = {f"m{i}": 3.0 for i in range(8)}


def test_the_pick_of_many_equals_is_said_to_be_flattered(pick: Callable[..., Picked]) -> None:
    picked = pick(NOISES)
    best = max(picked.state.candidates, key=lambda c: c.score)
    (event,) = picked.take(best.name)
    assert (event.candidate, event.score, event.candidates) == (best.name, best.score, 8)
    assert 0 < event.optimism < 0.1
    assert event.corrected == pytest.approx(best.score - event.optimism)
    page = write_report(picked.h.run.path).read_text()
    assert read_facts(picked.h.run.path).optimism is not None
    assert "picked from 8 candidates on the same folds flatters it by about" in " ".join(page.split())


def test_predictions_that_were_changed_since_they_were_scored_do_not_count(pick: Callable[..., Picked]) -> None:
    picked = pick(NOISES)
    order = sorted(picked.state.candidates, key=lambda c: -c.score)
    picked.write(order[1].name, 0.1)
    (picked.h.run.work / "candidates" / order[2].name / "oof.parquet").unlink()
    (event,) = picked.take(order[0].name)
    assert event.candidates == 6


def test_groups_are_left_out_whole(pick: Callable[..., Picked], tmp_path: Path) -> None:
    """A table whose rows come in copies: the pick is judged by the groups that the rows come from."""
    rng = np.random.default_rng(0)
    house = np.repeat(np.arange(60), 8)
    pd.DataFrame({"house": house, "x": rng.normal(size=480), "target": rng.normal(size=60)[house]}).to_csv(tmp_path / "t.csv", index=False)
    told = [pick(NOISES, source=tmp_path / "t.csv", group=group, metric="mae").take("m0") for group in ("house", None)]
    assert [event.candidates for events in told for event in events] == [8, 8]
    assert told[0][0].optimism > 0


def test_one_candidate_was_picked_from_nothing(pick: Callable[..., Picked]) -> None:
    picked = pick({"m0": 3.0})
    assert picked.take("m0") == []
    assert read_facts(picked.h.run.path).optimism is None


def test_a_round_is_judged_by_the_number_of_candidates_that_were_tried(pick: Callable[..., Picked]) -> None:
    picked = pick({"m0": 3.0})
    before = picked.state.model_copy(update={"visits": {Stage.TRAIN: 1}})
    picked.write("n1", 2.5)
    picked.write("n2", 2.9)
    after, _ = picked.evidence.of_candidates(before)
    told: list[Any] = []
    picked.log.subscribe(told.append)
    states = [picked.evidence.of_round(before, after, ["linear"], trials) for trials in (0, 40)]
    few, many = [event for event in told if isinstance(event, RoundEnded)]
    assert (few.candidates, many.candidates) == (2, 40), "finished candidates, where there are no trials beyond them"
    old, new = before.candidates[0], max(after.candidates, key=lambda c: c.score)
    differences = np.subtract(new.fold_scores, old.fold_scores)
    assert few.gain == many.gain == pytest.approx(new.score - old.score)
    assert few.noise == many.noise == pytest.approx(np.sqrt(1 / 8 + 1 / 7) * differences.std(ddof=1), rel=0.02)
    assert few.margin is not None
    assert many.margin is not None
    assert 0 < few.margin < many.margin
    assert [state.rounds[-1].real for state in states] == [few.gain > few.margin, many.gain > many.margin]


def test_of_a_single_fold_the_rows_tell_what_is_noise(pick: Callable[..., Picked]) -> None:
    """Any gain was more than noise, since one score of a fold has no spread."""
    picked = pick({"m0": 1.0}, without="folds")
    before = picked.state.model_copy(update={"visits": {Stage.TRAIN: 1}})
    picked.write("n1", 0.97)
    after, _ = picked.evidence.of_candidates(before)
    old, new = (next(c for c in after.candidates if c.name == name) for name in ("m0", "n1"))
    assert len(new.fold_scores) == 1
    best, other = (new, old) if new.score > old.score else (old, new)
    only = before.model_copy(update={"candidates": [other]})
    round_ = picked.evidence.of_round(only, after, ["linear"], 10).rounds[-1]
    assert round_.gain == pytest.approx(best.score - other.score)
    assert (round_.noise > 0, round_.real) == (True, False)
    picked.write("p2", 0.05)
    better, _ = picked.evidence.of_candidates(after)
    assert picked.evidence.of_round(only, better, ["linear"], 10).rounds[-1].real


def test_a_round_that_found_nothing_better_gained_nothing(pick: Callable[..., Picked]) -> None:
    picked = pick({"m0": 1.0})
    before = picked.state.model_copy(update={"visits": {Stage.TRAIN: 1}})
    picked.write("n1", 5.0)
    after, _ = picked.evidence.of_candidates(before)
    round_ = picked.evidence.of_round(before, after, ["linear"], 10).rounds[-1]
    assert (round_.gain, round_.noise, round_.candidates, round_.real) == (0.0, 0.0, 10, False)
