"""What every MLflow store must do with the record of a run. A suite subclasses `TrackerContract` and fills the `store` fixture.

class TestServer(TrackerContract):
    @pytest.fixture
    def store(self) -> Store:
        return Store("http://127.0.0.1:5000")
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.released import shown
from tools.recording import NotRecorded, Written, load_tracker, write
from tools.run_record import CandidateRecord, RunRecord


class Store(NamedTuple):
    uri: str
    location: str | None = None
    """Where it keeps files; None for one that takes them itself."""

    def write(self, record: RunRecord, files: list[Path] | None = None, deadline: float = float("inf")) -> Written:
        load_tracker()
        from mlflow.tracking import MlflowClient

        return write(MlflowClient(tracking_uri=self.uri), record, files or [], location=self.location, deadline=deadline)

    def of(self, record: RunRecord) -> tuple[list[str], list[str]]:
        """Ids of the parents, and names of the children, that it shows of the run."""
        of_run = {"mlteam.run": record.run, "mlteam.began": str(record.began_ms)}
        parents, children = ([r for r in runs if of_run.items() <= r.data.tags.items()] for runs in shown(self.uri))
        ids = [parent.info.run_id for parent in parents]
        return ids, sorted(c.info.run_name for c in children if c.data.tags["mlflow.parentRunId"] in ids)


def record(run: str, names: str = "a b c", began_ms: int = 1_750_000_000_123, score: float = 0.9) -> RunRecord:
    candidates = [
        CandidateRecord(name=name, metrics={"cv_score": score}, params={"family": "linear"}, fold_scores=[0.8, 1.0])
        for name in names.split()
    ]
    return RunRecord(
        experiment="mlteam",
        run=run,
        began_ms=began_ms,
        ended_ms=began_ms + 60_000,
        params={"source": "x" * 700, "metric": "roc_auc"},
        metrics={"holdout_score": score, "undefined": float("nan")},
        tags={"refitted": "a"},
        candidates=candidates,
    )


class TrackerContract:
    """The promises. A class shares one store; every test has a run of its own."""

    def test_a_run_is_one_parent_with_a_child_for_every_candidate(self, store: Store, tmp_path: Path) -> None:
        report = tmp_path / "report.html"
        report.write_text("<!doctype html>")
        written = store.write(record("whole"), [report])
        parents, children = shown(store.uri)
        parent = next(p for p in parents if p.info.run_id == written.run_id)
        assert (parent.info.run_name, parent.info.status) == ("whole", "FINISHED")
        assert parent.info.end_time - parent.info.start_time == 60_000, "the times of the run, not of the sending"
        assert parent.data.metrics == {"holdout_score": 0.9}, "what is no number is left out"
        assert parent.data.params == {"source": "x" * 500, "metric": "roc_auc"}
        assert parent.data.tags["refitted"] == "a"
        child = next(c for c in children if c.data.tags["mlflow.parentRunId"] == written.run_id and c.info.run_name == "b")
        assert child.data.metrics["cv_score"] == 0.9
        assert child.data.params == {"family": "linear"}
        assert store.of(record("whole")) == ([written.run_id], ["a", "b", "c"])

        from mlflow.tracking import MlflowClient

        client = MlflowClient(tracking_uri=store.uri)
        assert [(m.step, m.value) for m in client.get_metric_history(child.info.run_id, "fold_score")] == [(0, 0.8), (1, 1.0)]
        assert [f.path for f in client.list_artifacts(written.run_id)] == ["report.html"]

    def test_writing_it_again_replaces_it(self, store: Store) -> None:
        first = store.write(record("again", "a b c"))
        second = store.write(record("again", "b c d e", score=0.95))
        assert first.run_id != second.run_id
        assert store.of(record("again")) == ([second.run_id], ["b", "c", "d", "e"])

    def test_what_was_cut_off_in_the_middle_is_replaced(self, store: Store) -> None:
        with pytest.raises(NotRecorded, match="too slow"):
            store.write(record("cut"), deadline=time.monotonic())
        half, none = store.of(record("cut"))
        assert (len(half), none) == (1, [])
        whole = store.write(record("cut"))
        assert store.of(record("cut")) == ([whole.run_id], ["a", "b", "c"])

    def test_a_whole_record_outlives_an_attempt_that_is_cut_off(self, store: Store) -> None:
        whole = store.write(record("outlives"))
        with pytest.raises(NotRecorded, match="too slow"):
            store.write(record("outlives"), deadline=time.monotonic())
        ids, children = store.of(record("outlives"))
        assert whole.run_id in ids
        assert children == ["a", "b", "c"]

    def test_a_run_of_the_same_name_elsewhere_is_another_run(self, store: Store) -> None:
        here = store.write(record("twin"))
        there = store.write(record("twin", began_ms=1_750_000_000_124))
        assert store.of(record("twin"))[0] == [here.run_id]
        assert store.of(record("twin", began_ms=1_750_000_000_124))[0] == [there.run_id]

    def test_a_name_may_hold_what_a_filter_cannot(self, store: Store) -> None:
        name = """Ann's "first" `run`"""
        store.write(record(name))
        again = store.write(record(name))
        assert store.of(record(name))[0] == [again.run_id]
