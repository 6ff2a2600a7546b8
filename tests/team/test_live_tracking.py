"""What trackers are told of a run while it goes on, and when it comes to no end."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from team.events import CandidateScored, Event, RunForked, ToolCalled, TurnEnded
from team.live_tracking import LiveTracking
from team.log import read_events
from team.settings import load_settings
from team.tracking_record import History, run_record
from tests.released import Released, released
from tests.reports.written import searched
from tests.tools.trackers.keeping import Keeping
from tools.trackers.fanout import Fanout


def test_the_history_of_a_run_has_its_scores_trials_and_stages_in_order(tmp_path: Path) -> None:
    run = searched(tmp_path)
    events = list(read_events(run.events))
    history = History(run.name, events)
    ordered = sorted(history.points, key=lambda one: one.name)
    by_name = {name: list(points) for name, points in itertools.groupby(ordered, lambda one: one.name)}
    scored = [event.score for event in events if isinstance(event, CandidateScored)]
    assert [point.value for point in by_name["cv_score"]] == scored
    assert [point.value for point in by_name["best_cv_score"]] == [max(scored[: n + 1]) for n in range(len(scored))]
    tuned = [name for name in by_name if name.startswith("tuning/")]
    assert tuned
    assert all(len(by_name[name]) > 1 for name in tuned)
    assert [point.at_ms for point in history.points] == sorted(point.at_ms for point in history.points)

    before = len(history.points)
    for event in events:
        history(event)
    assert len(history.points) == before, "an event that it has had is passed over"


def test_a_fork_is_a_run_of_its_own(tmp_path: Path) -> None:
    r = released(tmp_path)
    events = list(read_events(r.run.events))
    forked = RunForked(parent=r.run.name, turn=1, changed={"seed": 7}, seq=events[-1].seq + 1, at=events[-1].at + 1)
    parent, fork = History("a-fork", events), History("a-fork", [*events, forked])
    assert (parent.run, fork.run) == (r.run.name, "a-fork")
    assert fork.began_ms == parent.last_ms + 1000
    assert (parent.asked["seed"], fork.asked["seed"]) == (0, 7)


def live(r: Released, keeping: Keeping, to: tuple[str, ...] = ("ours",)) -> LiveTracking:
    trackers = Fanout({"ours": lambda: keeping, "server": lambda: pytest.fail("nobody may tell it")}, every_s=0.0)
    return LiveTracking(r.run, trackers, to, lambda: r.host.vault.contract, lambda: r.state, read_events(r.run.events))


def ended(turn: int) -> Event:
    return TurnEnded(turn=turn, role="engineer", status="ok", seconds=1.0, seq=1000 + turn, at=2e9 + turn)


def test_what_is_new_is_told_until_the_run_is_put_on_record(tmp_path: Path) -> None:
    r, keeping = released(tmp_path), Keeping()
    tracking = live(r, keeping)
    tracking(ended(1))
    keeping.until(lambda: len(keeping.records) == 1)
    first = keeping.records[0]
    assert (first.status, len(first.candidates), first.ended_ms) == ("running", 3, 2_000_000_001_000)
    assert first.key == run_record(r.run, r.host.vault.contract, r.state).key

    tracking(ToolCalled(call="c", turn=2, role="release_manager", tool="track_run", where="host", arguments={}, seq=1002, at=2e9 + 2))
    tracking(ended(3))
    tracking.end("failed")
    assert [one.status for one in keeping.records] == ["running", "failed"]


@pytest.mark.parametrize(("status", "shown"), [("failed", "failed"), ("interrupted", "killed"), ("done", "finished")])
def test_a_run_that_comes_to_an_end_is_not_shown_as_going_on(tmp_path: Path, status: str, shown: str) -> None:
    r, keeping = released(tmp_path), Keeping()
    live(r, keeping).end(status)
    assert keeping.records == [], "nobody knows of it"
    tracking = live(r, keeping)
    tracking(ended(1))
    keeping.until(lambda: len(keeping.records) == 1)
    tracking.end(status)
    assert keeping.records[-1].status == shown


def test_the_first_server_of_the_list_has_the_traces(tmp_path: Path) -> None:
    settings = load_settings({"source": "a.csv", "tracker": "wandb,http://h:1,http://h:2"})
    assert (settings.trackers, settings.mlflow_server) == (("wandb", "http://h:1", "http://h:2"), "http://h:1")
