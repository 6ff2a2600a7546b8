"""What every tracker must do with the records of a run. A suite subclasses `TrackerContract` and fills the `place` fixture.

class TestServer(TrackerContract):
    @pytest.fixture(scope="class")
    @classmethod
    def place(cls) -> Place:
        return OnServer("http://127.0.0.1:5000")
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import pytest

from tools.trackers.contract import BY_COMMAND, NOTHING, Attachments, NotSent, Patience, Tracker
from tools.trackers.run_record import CandidateRecord, DatasetRecord, Point, RunRecord, Status

AT_ONCE = Patience(5, 0.0)
"""Too little for anything: what is written by then is half a record."""


@dataclass
class Seen:
    """A run as a tracker shows it."""

    status: str
    params: dict[str, str]
    metrics: dict[str, float]
    history: dict[str, list[tuple[int, float]]]
    """By name of a metric, its steps and values in order."""
    candidates: dict[str, dict[str, float]]
    """Scores by name of a candidate."""
    folds: dict[str, list[float]]
    files: list[str] = field(default_factory=list)


class Place(ABC):
    """Where a tracker writes to, and how a test looks at it."""

    @abstractmethod
    def tracker(self, run: str) -> Tracker:
        """A tracker as a process of its own would have it."""

    @abstractmethod
    def seen(self, record: RunRecord) -> list[Seen]:
        """What is shown of a run: once, where all is well."""


def record(
    run: str,
    names: str = "a b c",
    began_ms: int = 1_750_000_000_123,
    score: float = 0.9,
    status: Status = "finished",
    points: int = 3,
) -> RunRecord:
    candidates = [
        CandidateRecord(
            name=name,
            metrics={"cv_score": score, "fit_seconds": 1.5},
            params={"family": "linear", "param.C": "0.5"},
            fold_scores=[0.75, 1.0],
        )
        for name in names.split()
    ]
    return RunRecord(
        experiment="mlteam",
        run=run,
        status=status,
        began_ms=began_ms,
        ended_ms=began_ms + 60_000,
        params={"source": "x" * 700, "metric": "roc_auc"},
        metrics={"holdout_score": score, "undefined": float("nan")} if status == "finished" else {},
        tags={"refitted": "a", "candidate": "a"},
        candidates=candidates,
        points=[Point(name="tuning/linear", value=0.5 + step / 8, step=step, at_ms=began_ms + 1000 * step) for step in range(points)],
        dataset=DatasetRecord(name="data.csv", digest="0" * 64, source="data.csv", rows=333, columns={"Mass": "numeric"}, target="Sex"),
    )


class TrackerContract:
    """The promises. A class shares one place; every test has a run of its own."""

    many: ClassVar[bool] = True
    """Whether the place holds several runs."""
    streams: ClassVar[bool] = True
    """Whether it shows a run that goes on."""

    def write(self, place: Place, given: RunRecord, attachments: Attachments = NOTHING) -> None:
        place.tracker(given.run).write(given, attachments, BY_COMMAND)

    def only(self, place: Place, given: RunRecord) -> Seen:
        (seen,) = place.seen(given)
        return seen

    def test_a_run_is_shown_whole_with_every_candidate_and_fold(self, place: Place, tmp_path: Path) -> None:
        report = tmp_path / "report.html"
        report.write_text("<!doctype html>")
        self.write(place, record("whole"), Attachments([report]))
        seen = self.only(place, record("whole"))
        assert seen.status == "finished"
        assert seen.metrics == {"holdout_score": 0.9}, "what is no number is left out"
        assert seen.params["metric"] == "roc_auc"
        assert seen.params["source"] in ("x" * 500, "x" * 700)
        assert seen.history["tuning/linear"] == [(0, 0.5), (1, 0.625), (2, 0.75)]
        assert seen.candidates == {name: {"cv_score": 0.9, "fit_seconds": 1.5} for name in "abc"}
        assert seen.folds == {name: [0.75, 1.0] for name in "abc"}
        assert seen.files in ([], ["report.html"])

    def test_a_run_that_goes_on_grows_until_it_is_over(self, place: Place) -> None:
        tracker = place.tracker("grows")
        for names, points in (("a", 1), ("a b", 2), ("a b", 2), ("a b c", 3)):
            now = record("grows", names, status="running", points=points)
            tracker.write(now, NOTHING, BY_COMMAND)
            if self.streams:
                seen = self.only(place, now)
                assert (seen.status, sorted(seen.candidates), seen.metrics) == ("running", names.split(), {})
                assert len(seen.history["tuning/linear"]) == points
        tracker.write(record("grows"), NOTHING, BY_COMMAND)
        seen = self.only(place, record("grows"))
        assert (seen.status, sorted(seen.candidates), seen.metrics["holdout_score"]) == ("finished", ["a", "b", "c"], 0.9)
        assert seen.history["tuning/linear"] == [(0, 0.5), (1, 0.625), (2, 0.75)]

    def test_another_process_goes_on_with_it(self, place: Place) -> None:
        self.write(place, record("resumed", "a b", status="running", points=2))
        tracker = place.tracker("resumed")
        tracker.write(record("resumed", "a b c", status="running"), NOTHING, BY_COMMAND)
        tracker.write(record("resumed", "a b c d"), NOTHING, BY_COMMAND)
        seen = self.only(place, record("resumed"))
        assert (seen.status, sorted(seen.candidates)) == ("finished", ["a", "b", "c", "d"])
        assert seen.history["tuning/linear"] == [(0, 0.5), (1, 0.625), (2, 0.75)]
        assert seen.folds["a"] == [0.75, 1.0]

    def test_a_candidate_that_changes_or_is_taken_back_is_not_shown_as_it_was(self, place: Place) -> None:
        tracker = place.tracker("changes")
        tracker.write(record("changes", "a b", status="running"), NOTHING, BY_COMMAND)
        tracker.write(record("changes", "b", score=0.5), NOTHING, BY_COMMAND)
        assert self.only(place, record("changes")).candidates == {"b": {"cv_score": 0.5, "fit_seconds": 1.5}}

    @pytest.mark.parametrize("status", ["failed", "killed"])
    def test_a_run_that_came_to_no_end_says_so_and_may_go_on_later(self, place: Place, status: Status) -> None:
        given = record(status, "a", status=status)
        self.write(place, given)
        seen = self.only(place, given)
        assert (seen.status, list(seen.candidates)) == (status, ["a"])
        self.write(place, record(status, "a b"))
        seen = self.only(place, record(status))
        assert (seen.status, sorted(seen.candidates)) == ("finished", ["a", "b"])

    def test_writing_it_again_replaces_it(self, place: Place) -> None:
        self.write(place, record("again", "a b c"))
        self.write(place, record("again", "b c d e", score=0.95))
        seen = self.only(place, record("again"))
        assert sorted(seen.candidates) == ["b", "c", "d", "e"]
        assert seen.metrics == {"holdout_score": 0.95}

    def test_what_was_cut_off_in_the_middle_is_made_whole(self, place: Place) -> None:
        with pytest.raises(NotSent, match="too slow"):
            place.tracker("cut").write(record("cut"), NOTHING, AT_ONCE)
        self.write(place, record("cut"))
        assert sorted(self.only(place, record("cut")).candidates) == ["a", "b", "c"]

    def test_a_whole_record_outlives_an_attempt_that_is_cut_off(self, place: Place) -> None:
        self.write(place, record("outlives"))
        with pytest.raises(NotSent, match="too slow"):
            place.tracker("outlives").write(record("outlives", score=0.1), NOTHING, AT_ONCE)
        (whole,) = [seen for seen in place.seen(record("outlives")) if seen.status == "finished"]
        assert (whole.metrics["holdout_score"], sorted(whole.candidates)) == (0.9, ["a", "b", "c"])

    def test_a_run_of_the_same_name_elsewhere_is_another_run(self, place: Place) -> None:
        if not self.many:
            pytest.skip("it lies in the run directory")
        self.write(place, record("twin"))
        self.write(place, record("twin", "d", began_ms=1_750_000_000_124))
        assert sorted(self.only(place, record("twin")).candidates) == ["a", "b", "c"]
        assert sorted(self.only(place, record("twin", began_ms=1_750_000_000_124)).candidates) == ["d"]

    def test_a_name_may_hold_what_a_filter_cannot(self, place: Place) -> None:
        name = """Ann's "first" `run`"""
        self.write(place, record(name))
        self.write(place, record(name))
        self.only(place, record(name))
